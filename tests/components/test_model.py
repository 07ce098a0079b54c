"""What is asked of every component's declarations."""

from __future__ import annotations

from constructs_lib.components import COMPONENTS
from constructs_lib.components.model import AptPackages

ADDUSER = range(100, 1000)
"""What adduser takes for a system account's number, on Debian 12 and Ubuntu 24.04."""


def test_an_account_that_a_distributions_package_makes_too_has_a_systems_number() -> None:
    """The node makes it first; Debian's package of Prometheus stops at an account with another number."""
    numbers = {
        user.name: user.uid
        for component in COMPONENTS
        if isinstance(component.software, AptPackages) and component.software.repository is None
        for user in component.users
    }

    assert "prometheus" in numbers
    assert {name: uid for name, uid in numbers.items() if uid not in ADDUSER} == {}
