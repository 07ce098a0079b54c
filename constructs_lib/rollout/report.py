"""A plan as text for a person and as JSON for a program; neither has a secret's value."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from constructs_lib.plan.growth import Growth
from constructs_lib.rollout.changes import Change
from constructs_lib.rollout.survey import NodeState

SIGNS = {"add": "+", "change": "~", "remove": "-", "restore": "~", "finish": "!"}
FORMAT = 1
"""Of the JSON; another one means that a reader has to be changed."""


def plan_lines(states: Sequence[NodeState], absent: Mapping[str, str], *, diff: bool) -> Iterator[str]:
    """What would change, node by node; `absent` are planned nodes that can't be asked, with why."""
    width = max((len(_name(state)) for state in states), default=0)
    for state in states:
        yield from _node(state, width, diff=diff)
    for name, why in absent.items():
        yield f"{name:<{width}}  {why}"
    unknown = sorted({name for state in states for name in state.unknown_secrets})
    if unknown:
        yield f"Not compared, since their values are not here: {', '.join(unknown)}. Each apply fetches them."
    yield _sum(states, absent)


def plan_json(
    cluster: str,
    states: Sequence[NodeState],
    absent: Mapping[str, str],
    growing: Sequence[Growth] = (),
) -> dict[str, object]:
    """{format, cluster, changes: how many nodes, nodes: [{site, name, role, pool, state, …}], absent, …}.

    `masters` are the sites where more of them wait to be let in: [{site, old, new}].
    """
    return {
        "format": FORMAT,
        "cluster": cluster,
        "changes": sum(bool(state.changes) for state in states),
        "nodes": [_node_json(state) for state in states],
        "absent": dict(absent),
        "masters": [vars(growth) for growth in growing],
    }


def _node_json(state: NodeState) -> dict[str, object]:
    return {
        "site": state.target.site,
        "name": state.target.name,
        "role": state.target.role.value,
        "pool": state.target.pool,
        "state": "unknown" if state.trouble else "changes" if state.changes else "up-to-date",
        "trouble": state.trouble,
        "generation": state.seen.applied if state.seen else None,
        "changes": [{key: value for key, value in vars(change).items() if value} for change in state.changes],
    }


def _name(state: NodeState) -> str:
    return f"{state.target.name}.{state.target.site}"


def _node(state: NodeState, width: int, *, diff: bool) -> Iterator[str]:
    name = f"{_name(state):<{width}}"
    if state.trouble:
        yield f"{name}  not known: {state.trouble}"
        return
    busy = "; clustermesos-apply runs there now" if state.seen and state.seen.busy else ""
    if not state.changes:
        yield f"{name}  up to date{busy}"
        return
    yield f"{name}  {len(state.changes)} {'change' if len(state.changes) == 1 else 'changes'}{busy}"
    for change in state.changes:
        yield f"  {SIGNS[change.action]} {_change(change)}"
        if diff and change.diff:
            yield from (f"      {line}" for line in change.diff.splitlines())


def _change(change: Change) -> str:
    words = [change.name if change.kind in ("file", "apply") else f"{change.kind} {change.name}"]
    effects = [
        *([change.detail] if change.detail else []),
        *([f"restarts {change.restarts}"] if change.restarts else []),
        *([f"reloads {change.reloads}"] if change.reloads else []),
        *([f"ends {change.ends}"] if change.ends else []),
    ]
    return "  ".join([*words, *(["; ".join(effects)] if effects else [])])


def _sum(states: Sequence[NodeState], absent: Mapping[str, str]) -> str:
    changing = sum(bool(state.changes) for state in states)
    unknown = sum(bool(state.trouble) for state in states)
    parts = [f"{changing} to change", f"{len(states) - changing - unknown} up to date"]
    parts += [f"{unknown} not known"] if unknown else []
    parts += [f"{len(absent)} not deployed"] if absent else []
    return f"Plan: {', '.join(parts)}."
