"""Consul through py-consul, over the one HTTP client: its deadlines, its patience, its errors.

py-consul takes CONSUL_HTTP_TOKEN of the environment before the token that it is given; here the one that is
given counts, since the operator's environment may belong to another cluster.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any
from urllib.parse import quote

from consul import base
from consul.exceptions import ConsulException

from constructs_lib.hooks.answers import what
from constructs_lib.hooks.api_error import ApiError
from constructs_lib.hooks.http import Client, Method

_STATUS_OF_KIND = {"unauthorized": 401, "forbidden": 403, "missing": 404}


class Consul(base.Consul):  # type: ignore[misc]
    """py-consul's API (`kv`, `health`, `catalog`, `status`, `acl`, …); all calls raise ApiError."""

    def __init__(self, client: Client, token: str | None = None, *, dc: str | None = None) -> None:
        self._client = client
        super().__init__(host="localhost", port=8500, scheme="http", dc=dc, verify=True)
        self.token = token

    def http_connect(self, *where: Any, **also: Any) -> Any:
        """py-consul's hook for another transport."""
        return _Transport(self._client, self.prepare_headers, *where, **also)


class _Transport(base.HTTPClient):  # type: ignore[misc]
    def __init__(
        self, client: Client, own_headers: Callable[[], Mapping[str, str]], *where: Any, **also: Any
    ) -> None:
        super().__init__(*where, **also)
        self._client, self._own_headers = client, own_headers

    def get(
        self, callback: Any, path: str, params: Any = None, headers: Any = None, raw: bool = False, **_: Any
    ) -> Any:
        """A read."""
        return self._ask("GET", callback, path, params, headers)

    def put(
        self, callback: Any, path: str, params: Any = None, data: Any = "", headers: Any = None, **_: Any
    ) -> Any:
        """A write. A `cas` whose answer was lost is not sent again: the second would say that it lost."""
        cas = any(name == "cas" for name, _value in params or ())
        return self._ask("PUT", callback, path, params, headers, data, repeatable=not cas)

    def delete(
        self, callback: Any, path: str, params: Any = None, data: Any = "", headers: Any = None, **_: Any
    ) -> Any:
        """A deletion."""
        return self._ask("DELETE", callback, path, params, headers, data)

    def post(
        self, callback: Any, path: str, params: Any = None, data: Any = "", headers: Any = None, **_: Any
    ) -> Any:
        """A creation."""
        return self._ask("POST", callback, path, params, headers, data, repeatable=False)

    def close(self) -> None:
        """Its connections are the client's."""

    def _ask(
        self,
        method: Method,
        callback: Callable[[Any], Any],
        path: str,
        params: Sequence[tuple[str, Any]] | None,
        headers: Mapping[str, str] | None,
        data: Any = "",
        *,
        repeatable: bool = True,
    ) -> Any:
        content = data.encode() if isinstance(data, str) else data
        query = [(name, "" if value is None else str(value)) for name, value in params or ()]
        try:
            reply = self._client.ask(
                method,
                quote(path, safe="/:"),
                query,
                content or None,
                text=True,
                repeatable=repeatable,
                # py-consul asks for members without its token, and Consul then tells of none.
                headers={**self._own_headers(), **(headers or {})},
            )
        except ApiError as error:
            # py-consul reads a key that is not there off the status.
            if error.kind == "missing":
                return callback(base.Response(404, {"X-Consul-Index": "0"}, ""))
            raise
        capital = {name.title(): value for name, value in reply.headers.items()}
        try:
            return callback(base.Response(reply.status, capital, reply.body))
        except (ConsulException, ValueError) as error:
            raise ApiError("unreadable", f"Consul: {method} {path}", what(str(error))) from None
