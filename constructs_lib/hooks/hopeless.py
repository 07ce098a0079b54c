"""Is there any agent for an instance that is missing, if only it were empty? What is free now says nothing.

Only what an agent itself is and has counts: its attributes, region, zone, role, and all of its resources.
What other instances take, or forbid by UNIQUE and GROUP_BY, changes by itself, and so do maintenance and a
lost connection. Where no agent is registered nothing is known.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from constructs_lib.hooks.api_error import ApiError
from constructs_lib.hooks.mesos import Mesos
from constructs_lib.hooks.placement import judge, offers

Json = Mapping[str, Any]
_SHOWN = 3


def hopeless(app: Json, agents: Sequence[Json], home: str | None) -> str | None:
    """Why none of the agents can ever take an instance of `app`, most frequent reasons first; else None.

    `agents` are those of the leading master's `/slaves`, `home` is the masters' region.
    """
    whole = [replace(one, active=True, seen=True) for one in offers(emptied(agents), ())]
    verdicts = [judge(app, one, (), home) for one in whole]
    if not verdicts or any(not one.reasons for one in verdicts):
        return None
    counted = Counter("; ".join(one.reasons) for one in verdicts)
    said = [f"{reasons} ({number} of {len(verdicts)})" for reasons, number in counted.most_common(_SHOWN)]
    more = [f"{len(counted) - _SHOWN} other reasons"] if len(counted) > _SHOWN else []
    return f"no agent can take an instance, even an empty one: {', '.join([*said, *more])}"


def emptied(agents: Sequence[Json]) -> tuple[Json, ...]:
    """The agents as if nothing ran there."""
    return tuple({**agent, "used_resources": {}} for agent in agents)


@dataclass(frozen=True, kw_only=True)
class Placements:
    """Asks the leading Mesos master, once and without patience: whoever wants to know looks again anyway."""

    mesos: Mesos
    home: str

    def hopeless(self, app: Json) -> str | None:
        """As `hopeless`; None as well where the master does not answer."""
        try:
            return hopeless(app, self.mesos.agents(), self.home)
        except ApiError:
            return None
