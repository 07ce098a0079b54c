"""Scaling by one process at a time, in rounds that each have connections of their own."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field

from constructs_lib.contracts.compiled import CompiledContract
from constructs_lib.errors import HookError
from constructs_lib.hooks.acting import Say
from constructs_lib.hooks.apart import Restore, restores
from constructs_lib.hooks.deploying import scaler_of
from constructs_lib.hooks.lease import Lease
from constructs_lib.hooks.platform import Platform
from constructs_lib.hooks.scaler import Scaler
from constructs_lib.hooks.usage import History


@dataclass(frozen=True, kw_only=True)
class Scaled:
    """What became of one contract in one round."""

    count: int | None
    """What was decided; None where nothing was."""
    changed: bool
    good: bool
    says: str


@dataclass(kw_only=True)
class Rounds:
    """What outlives a round: who may scale, and what was counted before."""

    lease: Lease
    history: History = field(default_factory=History)

    def once(
        self, platform: Platform, contracts: Sequence[CompiledContract], say: Say
    ) -> Mapping[str, Scaled] | str:
        """Decide for each contract and do it; who scales instead, where somebody does. HookError.

        A contract whose data is being restored is passed over in this round.
        """
        with self._alone(platform) as other:
            if other is not None:
                return other
            scaler = scaler_of(platform, contracts, self.history)
            home = platform.consuls.get(platform.home)
            held = restores(home) if home is not None else {}
            return {
                one.name: _passed_over(held[one.name])
                if one.name in held
                else _scaled(scaler, one, platform, say)
                for one in contracts
            }

    def preview(
        self, platform: Platform, contracts: Sequence[CompiledContract]
    ) -> Mapping[str, Scaled] | str:
        """Decide, and change nothing; needs no lease."""
        scaler = scaler_of(platform, contracts, self.history)
        decided = {one.name: scaler.decide(one) for one in contracts}
        return {
            name: Scaled(count=one.count, changed=False, good=True, says=one.why)
            for name, one in decided.items()
        }

    def end(self, platform: Platform) -> None:
        """Let somebody else scale at once; where that can't be said any more, they wait for it to run out."""
        with suppress(HookError):
            if platform.consuls:
                self.lease.release(platform.consuls[platform.home])

    @contextmanager
    def _alone(self, platform: Platform) -> Iterator[str | None]:
        another = platform.another_consul()
        if another is None:
            # Without a Consul no number is kept, which two could write over each other.
            yield None
            return
        other = self.lease.take(platform.consuls[platform.home])
        if other is not None:
            yield other
            return
        with self.lease.kept(another):
            yield None


def _passed_over(restore: Restore) -> Scaled:
    says = str(restore.error).removeprefix(f"{restore.contract}: ")
    return Scaled(count=None, changed=False, good=False, says=f"not scaled in this round: {says}")


def _scaled(scaler: Scaler, contract: CompiledContract, platform: Platform, say: Say) -> Scaled:
    lines: list[str] = []

    def tell(line: str) -> None:
        # The decision, which is the first line, is the answer; what follows is the way there.
        if lines:
            say(line)
        lines.append(line.removeprefix(f"{contract.name}: "))

    try:
        decision, end = scaler.scale(contract, platform.deadline, tell)
    except HookError as error:
        # Of one contract: the others' numbers can be right all the same.
        return Scaled(count=None, changed=False, good=False, says=str(error))
    says = lines[0] if end is None or end.good else f"{lines[0]}; {end.why}"
    return Scaled(count=decision.count, changed=end is not None, good=end is None or end.good, says=says)
