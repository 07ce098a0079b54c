"""Exceptions to policy checks, declared in the construct beside the resource they concern.

checkov's reader of Terraform JSON takes no inline suppressions, so a construct that knows better than a check
says so here, with a reason, and `clustermesos scan` matches failed checks against what was said:

    bucket = Resource(self, "assets", "aws_s3_bucket", ...)
    accept(bucket, "CKV_AWS_144", "the assets are built anew from the repository")

Importing this module does not load the engine, so that a scan of a synthesized folder starts fast.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING
from weakref import WeakKeyDictionary

from constructs_lib.errors import ScanError

if TYPE_CHECKING:
    from constructs_lib.terraform.addressed import Addressed
    from constructs_lib.terraform.base import TerraformStack
    from constructs_lib.terraform.naming import StackRecord

_CHECK_ID = re.compile(r"[A-Z][A-Z0-9]*(?:_[A-Z0-9]+)*_[0-9]+")
_FEWEST_WORDS = 3


@dataclass(frozen=True, order=True)
class PolicyException:
    """One failed check that is accepted: `check` is its id, `address` the Terraform address of the resource.

    The address of a resource with `for_each` or `count` carries no key: one exception covers all instances.
    Ordered by check, then address. ScanError when the id or the reason is not one.
    """

    check: str
    address: str
    reason: str

    def __post_init__(self) -> None:
        if not _CHECK_ID.fullmatch(self.check):
            raise ScanError(f"{self.address}: got the check id {self.check!r}, expected one like CKV_AWS_126")
        if len(self.reason.split()) < _FEWEST_WORDS:
            raise ScanError(
                f"{self.address}: {self.check} is accepted with the reason {self.reason!r}, expected at "
                f"least {_FEWEST_WORDS} words that tell a reviewer why the check does not apply here"
            )


_accepted: WeakKeyDictionary[StackRecord, dict[tuple[str, str], PolicyException]] = WeakKeyDictionary()


def accept(resource: Addressed, check: str, reason: str) -> PolicyException:
    """Declare that `check` may fail for `resource` (all of its instances, if it has several), and why.

    ScanError when the id or the reason is malformed, or the check was accepted before with another reason.
    """
    from constructs_lib.terraform.naming import place_of

    exception = PolicyException(check, resource.address, " ".join(reason.split()))
    of_stack = _accepted.setdefault(place_of(resource).stack, {})
    first = of_stack.setdefault((check, exception.address), exception)
    if first != exception:
        raise ScanError(
            f"{exception.address}: {check} is accepted twice, because {first.reason!r} "
            f"and because {exception.reason!r}; keep one of them"
        )
    return exception


def exceptions_of(stack: TerraformStack) -> tuple[PolicyException, ...]:
    """Everything that constructs of `stack` accepted, ordered by check and address."""
    from constructs_lib.terraform.naming import place_of

    return tuple(sorted(_accepted.get(place_of(stack).stack, {}).values()))
