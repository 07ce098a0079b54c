"""What the double of OpenStack answers in the place of a service: a full quota, a conflict, a crash."""

from __future__ import annotations

import re
from dataclasses import dataclass

from tests.openstack.double_catalog import Answer, Json


@dataclass
class Fault:
    """Refuses requests; nothing comes of one that it refuses.

    Attributes:
        method: of the requests.
        path: a regular expression for the whole path, service first.
        answer: what they get.
        after: so many pass before the first that is refused.
        times: so many are refused; the service is well again after that.
    """

    method: str
    path: str
    answer: Answer
    after: int = 0
    times: int = 1
    refused: int = 0

    def strikes(self, method: str, path: str) -> bool:
        """Whether this request is refused; counts it."""
        if method != self.method or not re.fullmatch(self.path, path) or self.refused >= self.times:
            return False
        if self.after > 0:
            self.after -= 1
            return False
        self.refused += 1
        return True


def nova_quota(what: str = "instances") -> Answer:
    """As nova says that the project may have no more of it."""
    message = f"Quota exceeded for {what}: Requested 1, but already used 10 of 10 {what}"
    return 403, {"forbidden": {"message": message, "code": 403}}


def neutron_quota(what: str) -> Answer:
    """As neutron says it."""
    return 409, _neutron("OverQuota", f"Quota exceeded for resources: ['{what}'].")


def cinder_quota() -> Answer:
    """As cinder says it, with a code of its own."""
    message = "VolumeSizeExceedsAvailableQuota: Requested volume or snapshot exceeds allowed gigabytes quota."
    return 413, {"overLimit": {"message": message, "code": 413, "retryAfter": "0"}}


def conflict() -> Answer:
    """As neutron says that something else is just being done to it."""
    return 409, _neutron("RevisionNumberConstraintFailed", "Constrained to 3, but current revision is 4")


def crash() -> Answer:
    """As neutron says that it does not know itself what happened."""
    return 500, _neutron("HTTPInternalServerError", "Request Failed: internal server error")


def _neutron(kind: str, message: str) -> Json:
    return {"NeutronError": {"type": kind, "message": message, "detail": ""}}
