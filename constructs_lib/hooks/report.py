"""What a run found and did, for a person and as JSON."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from constructs_lib.hooks.finding import Finding
from constructs_lib.hooks.hook import Change, Outcome

SIMULATOR_NOTE = "SIMULATOR: no machine and no program runs; this is what a cluster would be asked to do"


@dataclass(frozen=True, kw_only=True)
class Report:
    """One run: what was ready, then what became of each step in order."""

    cluster: str
    simulator: bool
    ready: tuple[Finding, ...]
    outcomes: tuple[Outcome, ...]

    @property
    def good(self) -> bool:
        """Whether everything is as the contracts say."""
        return all(one.good for one in self.ready) and all(one.good for one in self.outcomes)

    @property
    def changes(self) -> tuple[Change, ...]:
        """Everything that was changed."""
        return tuple(change for one in self.outcomes for change in one.changes if change.action != "keep")

    def plain(self) -> dict[str, Any]:
        """The report as JSON, `good` included."""
        return {"good": self.good, **asdict(self)}

    def lines(self) -> Iterator[str]:
        """The report as text, what is wrong last, where a person looks first."""
        if self.simulator:
            yield SIMULATOR_NOTE
        rows = [(one.mark, one.check, one.says) for one in self.ready]
        for outcome in self.outcomes:
            rows += [(one.mark, f"{one.kind} {one.name}", one.says) for one in outcome.verdicts]
        yield from table(rows)
        yield from self._troubles()
        yield f"{self.cluster}: {self._sum()}"

    def _troubles(self) -> Iterator[str]:
        for outcome in self.outcomes:
            if outcome.error:
                yield f"{outcome.hook}: {outcome.error}"
        bad = [one for outcome in self.outcomes for one in outcome.verdicts if not one.good]
        yield from hints((f"{one.kind} {one.name}", one.try_next) for one in bad)

    def _sum(self) -> str:
        changed = len(self.changes)
        done = f"{changed} change{'' if changed == 1 else 's'}" if changed else "nothing to change"
        return (
            f"{done}, everything is as the contracts say"
            if self.good
            else f"{done}, NOT as the contracts say"
        )


def hints(found: Iterable[tuple[str, str | None]]) -> Iterator[str]:
    """`try: clustermesos apply (app shop, job orders.backup)`, each thing to try once."""
    about: dict[str, list[str]] = {}
    for name, helps in found:
        if helps:
            about.setdefault(helps, []).append(name)
    for helps, names in about.items():
        yield f"try: {helps} ({', '.join(names)})"


def table(rows: Sequence[Sequence[str]]) -> Iterator[str]:
    """Columns as wide as their widest cell, the last one as it is."""
    if not rows:
        return
    widths = [max(len(row[at]) for row in rows) for at in range(len(rows[0]) - 1)]
    for row in rows:
        cells = [cell.ljust(width) for cell, width in zip(row, widths, strict=False)]
        yield "  ".join((*cells, row[-1])).rstrip()


_SIGNS: Mapping[str, str] = {"create": "+", "update": "~", "delete": "-", "keep": "="}


def diff_lines(changes: Sequence[Change]) -> Iterator[str]:
    """What would change, as `terraform plan` marks it; what is left alone is said as well."""
    for change in changes:
        yield f"  {_SIGNS[change.action]} {change.kind} {change.name}"
        yield from (f"      {detail}" for detail in change.details)
    counts = {action: sum(1 for one in changes if one.action == action) for action in _SIGNS}
    if not any(counts[action] for action in ("create", "update", "delete")):
        left = any(one.contract for one in changes)
        yield "No changes: " + (
            "what is left alone is not as its contract says."
            if left
            else "the platform is as the contracts say."
        )
    else:
        shown = f"{counts['create']} to create, {counts['update']} to change, {counts['delete']} to delete"
        yield f"Plan: {shown}."
