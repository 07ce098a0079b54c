"""Does the registry take the nodes' login? Asked where images are pulled, by the password that nodes have.

The password goes through the gateway's tunnel, by TLS, to whoever has a certificate of the cluster's own
authority for the registry's name, and to nobody else: no redirect is followed, no proxy used.
"""

from __future__ import annotations

import base64
import ssl
from dataclasses import dataclass
from http.client import HTTPConnection, HTTPException

from constructs_lib.components.registry import ACCOUNT, NAME, PASSWORD
from constructs_lib.hooks.deadline import Deadline
from constructs_lib.hooks.endpoints import LOGIN, Endpoints
from constructs_lib.hooks.finding import Login


@dataclass(frozen=True, kw_only=True)
class Refusal:
    """Why it does not let nodes in."""

    says: str
    """In words without the password."""
    of_password: bool = False
    """Whether all else is well, and it takes another password than is here, which nodes may have."""


def refusal(endpoints: Endpoints, login: Login, deadline: Deadline) -> Refusal | None:
    """Why it does not let nodes in; None where it does. One request."""
    try:
        status = _status(endpoints, login, max(deadline.left, 0.1))
    except ssl.SSLCertVerificationError as error:
        return Refusal(says=f"its certificate is not one of the cluster's for {NAME}: {error.verify_message}")
    except (OSError, HTTPException) as error:
        said = getattr(error, "strerror", None) or type(error).__name__
        return Refusal(says=f"where images are pulled: {said}")
    if status in (401, 403):
        says = f"login refused ({status}): its password is not the {PASSWORD} that is here"
        return Refusal(says=says, of_password=True)
    return None if status == 200 else Refusal(says=f"{status} to a login")


def _status(endpoints: Endpoints, login: Login, seconds: float) -> int:
    (instance,) = endpoints.instances[LOGIN]
    context = ssl.create_default_context(cadata=login.authority)
    with (
        endpoints.connect(instance, seconds) as plain,
        context.wrap_socket(plain, server_hostname=NAME) as encrypted,
    ):
        connection = HTTPConnection(NAME)
        connection.sock = encrypted
        word = base64.b64encode(f"{ACCOUNT}:{login.password}".encode()).decode()
        connection.request("GET", "/v2/", headers={"Authorization": f"Basic {word}", "Connection": "close"})
        return connection.getresponse().status
