"""Where a contract's deployment stands, told from what Consul keeps and one look: nothing is done by it.

What a deployment waits for is asked of the strategy itself, which is a pure function of what is seen.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

from constructs_lib.contracts.compiled import CompiledContract
from constructs_lib.hooks import strategies
from constructs_lib.hooks.observed import Edge, Progress
from constructs_lib.hooks.steps import Step
from constructs_lib.hooks.wanted import wanted
from constructs_lib.hooks.watching import Picture

_RETRY = "another version in the contract, or clustermesos apply --retry"
_GOES_ON = "clustermesos apply: goes on with what nobody carries out, and harms no run that does"


@dataclass(frozen=True, kw_only=True)
class Standing:
    """Why a contract's version is not the one that serves, or not yet; and what to try next."""

    says: str
    try_next: str
    failed: bool = False
    """It was given up, or is about to be."""
    person: bool = False
    """It waits for somebody's word, which `try_next` is."""


def standing(contract: CompiledContract, picture: Picture) -> Standing | None:
    """None where the contract's version was deployed, and nothing of it is under way."""
    progress, version = picture.kept.progress, contract.app.version
    if progress.done or progress.version is None:
        return _ended(contract, picture)
    going = f"version {progress.version} goes back: {progress.turned}" if progress.turned else ""
    if progress.version != version:
        says = going or f"version {progress.version} is being deployed"
        return Standing(says=f"{says}; its contract asks for {version} by now", try_next="clustermesos apply")
    if going:
        return Standing(says=f"{going}{_waits(contract, picture)}", try_next=_GOES_ON, failed=True)
    if progress.paused:
        says = f"the deployment of version {version} is paused"
        return Standing(says=says, try_next=f"clustermesos resume {contract.name}", person=True)
    return _forward(contract, picture, progress)


def _ended(contract: CompiledContract, picture: Picture) -> Standing | None:
    version = contract.app.version
    if reason := picture.kept.progress.refused.get(version):
        return Standing(
            says=f"version {version} was given up: {reason}; it is not deployed again by itself",
            try_next=_RETRY,
            failed=True,
        )
    if version not in picture.observed.versions and picture.observed.versions:
        says = f"version {version} of the contract is not deployed yet"
        return Standing(says=says, try_next="clustermesos apply")
    return None


def _forward(contract: CompiledContract, picture: Picture, progress: Progress) -> Standing:
    version = contract.app.version
    step = _step(contract, picture)
    deployed = f"version {version} is being deployed ({contract.deployment.strategy})"
    if step.end is not None and step.end.good:
        return Standing(says=f"{deployed}, and all but finished", try_next="clustermesos apply")
    if step.progress.turned or step.end is not None:
        # Whoever carried it out would have seen it.
        reason = step.progress.turned or (step.end.why if step.end else "")
        return Standing(
            says=f"{deployed}, and nobody goes on with it: {reason}", try_next="clustermesos apply"
        )
    if step.wait is not None and step.wait.person:
        return Standing(
            says=f"{deployed} and waits for {step.wait.what}",
            try_next=f"clustermesos promote {contract.name}, or clustermesos rollback {contract.name}",
            person=True,
        )
    return Standing(says=f"{deployed}{_waits(contract, picture)}", try_next=_GOES_ON)


def _waits(contract: CompiledContract, picture: Picture) -> str:
    step = _step(contract, picture)
    troubles = "".join(f"; {edge}: {problem}" for edge, problem in picture.problems.items())
    return f" and waits for {step.wait.what}{troubles}" if step.wait is not None else troubles


def _step(contract: CompiledContract, picture: Picture) -> Step:
    there = picture.observed.versions
    return strategies.step(wanted(contract, picture.kept, there), picture.observed)


def ending(contract: CompiledContract, step: Step, before: Progress) -> Standing | None:
    """How a deployment ends that a step gives up; None while it goes on, and where it ended before."""
    version, end = contract.app.version, step.end
    if end is not None and (end.good or step.progress == before):
        return None
    if reason := step.progress.turned:
        return Standing(says=f"version {version} is given up: {reason}", try_next=_RETRY, failed=True)
    if end is None:
        return None
    says = f"version {version} does not get to its number of instances: {end.why}"
    return Standing(says=says, try_next="clustermesos apply", failed=True)


def given_up(contract: CompiledContract, picture: Picture) -> Iterator[str]:
    """Versions that failed and are kept to be explained, beside the contract's own."""
    for version, reason in picture.kept.progress.refused.items():
        if version != contract.app.version and version in picture.observed.versions:
            yield f"version {version} was given up before: {reason}"


def edge_troubles(contract: CompiledContract, picture: Picture) -> Iterator[str]:
    """What is wrong with the contract's route: at an edge, or where it is kept."""
    if contract.route is None:
        return
    if picture.kept.route is None:
        yield f"its route {contract.route.host}{contract.route.path} is not written yet"
        return
    for site in picture.kept.behind:
        yield f"its route in {site} is not the newest one"
    generation = picture.observed.route.generation
    for edge in picture.observed.edges:
        if edge.name in picture.problems:
            yield f"nginx on {edge.name} does not take its newest route: {picture.problems[edge.name]}"
        elif trouble := _behind(edge, generation):
            yield f"the edge {edge.name} {trouble}"


def _behind(edge: Edge, generation: int) -> str | None:
    if edge.generation is None:
        return "does not answer"
    if not edge.generation:
        return "does not have its route"
    if edge.generation < generation:
        return f"has generation {edge.generation} of its route, {generation} is the newest"
    return None


def at_once(contract: CompiledContract) -> CompiledContract:
    """The contract for a single look: nothing can be watched for `min_healthy` seconds by it."""
    return replace(contract, deployment=replace(contract.deployment, min_healthy=0.0))
