"""Whether a cluster of voters survives the replacement of one of them. Arithmetic only."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence


def quorum(voters: int) -> int:
    """How many of `voters` must agree: more than half."""
    return voters // 2 + 1


def why_not(members: Sequence[str], healthy: Collection[str], target: str, *, votes: bool) -> str | None:
    """Why `target` must not be replaced now; None when it may.

    Every other member has to be healthy: while the target is away, none of the rest may be a doubt. The
    target itself may be sick, since replacing it takes nothing away. `votes` is whether members decide by
    quorum.
    """
    sick = [name for name in members if name != target and name not in healthy]
    if not sick:
        return None
    left = len(members) - 1 - len(sick)
    who = f"{' and '.join(sick)} {'is' if len(sick) == 1 else 'are'} not healthy"
    if not votes:
        return f"{who}: without {target}, {left} of {len(members)} would be left"
    need = quorum(len(members))
    if left < need:
        return f"{who}: without {target}, {left} of {len(members)} would be left and the quorum is {need}"
    return (
        f"{who}: without {target}, {left} of {len(members)} would be left and the quorum is {need}, "
        "so one that fails meanwhile would stop the cluster"
    )


def ensemble_trouble(modes: Mapping[str, str | None]) -> str | None:
    """What is wrong with a ZooKeeper ensemble whose members answered `modes`; None for one leader and its
    followers.

    A member that did not answer is None. A single server must be standalone.
    """
    if not modes:
        return None
    silent = [name for name, mode in modes.items() if mode is None]
    if silent:
        return f"ZooKeeper of {', '.join(silent)} does not say what it is"
    if len(modes) == 1:
        ((name, mode),) = modes.items()
        return None if mode == "standalone" else f"ZooKeeper of {name} is {mode}, expected standalone"
    leaders = [name for name, mode in modes.items() if mode == "leader"]
    if len(leaders) != 1:
        return f"ZooKeeper has {len(leaders)} leaders ({', '.join(leaders) or 'none'}), expected one"
    lost = [f"{name} is {mode}" for name, mode in modes.items() if mode not in ("leader", "follower")]
    return f"ZooKeeper of {', '.join(lost)}, expected follower" if lost else None
