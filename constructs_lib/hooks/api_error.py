"""What a platform's API said no with, as one of few kinds that callers tell apart."""

from __future__ import annotations

from typing import Final, Literal

from constructs_lib.errors import HookError

Kind = Literal[
    "unreachable",
    "unauthorized",
    "forbidden",
    "missing",
    "locked",
    "invalid",
    "unavailable",
    "failed",
    "unreadable",
    "astray",
]
"""unreachable: nobody answers; unauthorized: 401; forbidden: 403; missing: 404; locked: 409; invalid: 400 and
422; unavailable: 429, 502, 503 and 504; failed: any other status; unreadable: no JSON, or half of it; astray:
a redirect that leads out of the cluster.
"""
_TRY_NEXT = {
    "unreachable": "is the program up? clustermesos status",
    "unauthorized": "the credentials are not the cluster's: is .clustermesos/secrets.json?",
    "forbidden": "its access list does not allow this",
    "locked": "another deployment holds it; try again when it has ended, or with --force",
    "unavailable": "it has no leader, or is overloaded; try again",
    "astray": "somebody else answers there, or the plan is older than the cluster",
}


AWAY: Final = ("unreachable", "unavailable", "unreadable", "failed")
"""Of `kind`: it may be up and well, but not for whoever asks here; what it would say is not known."""
NO_TIME: Final = "no time is left"
"""Of `said`: the deadline had passed before anything was sent."""


class ApiError(HookError):
    """A request that did not succeed; its text is one line for a person.

    Attributes:
        kind: one of `Kind`.
        status: the HTTP status, None where there was no answer.
        details: what Marathon says about a body: `{"path": …, "errors": […]}` each.
        deployments: ids of the deployments that hold an app, where `kind` is locked.
    """

    def __init__(
        self,
        kind: Kind,
        what: str,
        said: str,
        *,
        status: int | None = None,
        details: tuple[str, ...] = (),
        deployments: tuple[str, ...] = (),
    ) -> None:
        hint = "a larger --timeout, or the same again" if said == NO_TIME else _TRY_NEXT.get(kind)
        found = "; ".join(details)
        text = f"{what}: {said}" + (f": {found}" if found else "")
        super().__init__(f"{text} ({hint})" if hint else text)
        self.kind = kind
        self.status = status
        self.said = said
        self.details = details
        self.deployments = deployments
