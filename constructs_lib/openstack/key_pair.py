"""The machines' key pair: by name, or made of a public key. A private one would be kept in the state.

Nova's key pairs belong to whoever made them and not to the project, and their names are that user's: two
clusters of one name, of one user in two projects, must not meet in one of them.
"""

from __future__ import annotations

from weakref import WeakKeyDictionary

from constructs import Construct as Scope

from constructs_lib.openstack.settings import openstack_of
from constructs_lib.plan.model import SitePlan
from constructs_lib.sites.names import prefix
from constructs_lib.terraform import Resource, literal
from constructs_lib.terraform.naming import StackRecord, place_of

_SHARED: WeakKeyDictionary[StackRecord, dict[str, str]] = WeakKeyDictionary()
"""Stack → what names start with → the name of the key pair that is made there."""


def key_pair(scope: Scope, plan: SitePlan) -> str | None:
    """The key pair's name, as nova knows it; None where the site has none.

    One that is made is made once for all machines of a site in a stack, below the first `scope`.
    """
    openstack = openstack_of(plan)
    if openstack.public_key is None:
        return openstack.key_pair
    shared = _SHARED.setdefault(place_of(scope).stack, {})
    if prefix(plan) not in shared:
        shared[prefix(plan)] = _made(scope, plan, openstack.public_key)
    return shared[prefix(plan)]


def _made(scope: Scope, plan: SitePlan, public_key: str) -> str:
    # Nova cuts the line at single spaces.
    key = literal(" ".join(public_key.split()))
    # Random, kept in the state, and another for another key, so that a roll sees who has the former one.
    mark = Resource(scope, "key-pair-mark", "terraform_data", triggers_replace=key)
    pair = Resource(
        scope,
        "key-pair",
        "openstack_compute_keypair_v2",
        name=f"{prefix(plan)}-${{substr({mark.address}.id, 0, 8)}}",
        public_key=key,
    )
    return pair.ref("name")
