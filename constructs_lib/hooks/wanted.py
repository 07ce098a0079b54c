"""What a contract asks for of its newest version, as strategies take it."""

from __future__ import annotations

from collections.abc import Mapping

from constructs_lib.contracts.compiled import CompiledContract
from constructs_lib.hooks.documents import Kept
from constructs_lib.hooks.observed import Wanted


def wanted(contract: CompiledContract, kept: Kept, there: Mapping[str, object]) -> Wanted:
    """The version, and the number: what the scaler chose, within the contract's bounds.

    A contract with a scaler whose number is lost gets as many as it may have, unless nothing runs yet.
    """
    least, most = contract.instances.min, contract.instances.max
    count = least
    if contract.instances.scaling is not None:
        lost = most if there else least
        count = min(max(lost if kept.count is None else kept.count, least), most)
    return Wanted(
        version=contract.app.version,
        count=count,
        deployment=contract.deployment,
        routed=contract.route is not None,
    )
