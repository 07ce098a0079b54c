"""Which services a container is, by Registrator's rules (`bridge/bridge.go`, `bridge/util.go`)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Service:
    """One published port of a container, as it goes to Consul."""

    id: str
    name: str
    address: str
    port: int
    tags: tuple[str, ...]
    attributes: Mapping[str, str] = field(default_factory=dict)

    def registration(self, ttl: int = 0) -> dict[str, Any]:
        """The body for `/v1/agent/service/register`."""
        body: dict[str, Any] = {
            "ID": self.id,
            "Name": self.name,
            "Address": self.address,
            "Port": self.port,
            "Tags": list(self.tags),
            "Meta": {k: v for k, v in self.attributes.items() if not k.startswith("check_")},
        }
        if (check := _check(self, ttl)) is not None:
            body["Check"] = check
        return body


@dataclass(frozen=True)
class Rules:
    """The flags that decide what a container becomes."""

    ip: str = ""
    internal: bool = False
    explicit: bool = False
    tags: str = ""
    ip_from_label: str = ""


def services(container: Mapping[str, Any], rules: Rules, hostname: str) -> list[Service]:
    """The services of an inspected container: its published ports, with host networking its exposed ones."""
    config = container["Config"]
    # Exposed ports first, as they are; those of a network with its own addresses replace them.
    exposed = {
        key: [{"HostIp": "", "HostPort": key.split("/")[0]}] for key in config.get("ExposedPorts") or {}
    }
    ports = exposed | (container["NetworkSettings"].get("Ports") or {})
    published = [
        (key, binding[0] if binding else None)
        for key, binding in ports.items()
        if rules.internal or (binding and binding[0].get("HostPort"))
    ]
    found = []
    for key, binding in published:
        number, _, protocol = key.partition("/")
        metadata, of_port = _metadata(config, number)
        service = _service(container, rules, hostname, (number, protocol, binding), metadata)
        if service is None:
            continue
        group = len(published) > 1 and "name" not in of_port
        name = f"{service.name}-{number}" if group else service.name
        found.append(Service(**{**service.__dict__, "name": name}))
    return found


def _service(
    container: Mapping[str, Any],
    rules: Rules,
    hostname: str,
    port: tuple[str, str, Mapping[str, str] | None],
    metadata: dict[str, str],
) -> Service | None:
    number, protocol, binding = port
    name = metadata.pop("name", "")
    if metadata.get("ignore") or (rules.explicit and not name):
        return None
    image = str(container["Config"]["Image"]).rsplit("/", 1)[-1].partition(":")[0]
    udp = protocol == "udp"
    tags = [*metadata.pop("tags", "").split(","), *rules.tags.split(","), *(["udp"] if udp else [])]
    id = f"{hostname}:{container['Name'].lstrip('/')}:{number}" + (":udp" if udp else "")
    networks = container["NetworkSettings"].get("Networks") or {}
    inside = next((one.get("IPAddress", "") for one in networks.values()), "")
    host = rules.ip or (binding or {}).get("HostIp", "")
    address = inside if rules.internal else host
    label = (container["Config"].get("Labels") or {}).get(rules.ip_from_label, "")
    return Service(
        id=metadata.pop("id", "") or id,
        name=name or image,
        address=label.partition("/")[0] or address,
        port=int(number) if rules.internal else int((binding or {})["HostPort"]),
        tags=tuple(tag for tag in tags if tag),
        attributes=metadata,
    )


def _metadata(config: Mapping[str, Any], port: str) -> tuple[dict[str, str], set[str]]:
    """`SERVICE_X` and `SERVICE_<port>_X` of environment and labels, and which of them are the port's own."""
    pairs = [entry.partition("=")[::2] for entry in config.get("Env") or []]
    pairs += list((config.get("Labels") or {}).items())
    metadata: dict[str, str] = {}
    own: dict[str, str] = {}
    for name, value in pairs:
        if not name.startswith("SERVICE_"):
            continue
        key = name.removeprefix("SERVICE_").lower()
        head, _, rest = key.partition("_")
        if not head.isdecimal():
            metadata[key] = value
        elif head == port and rest:
            own[rest] = value
    return {**metadata, **own}, set(own)


def _check(service: Service, ttl: int) -> dict[str, Any] | None:
    get = service.attributes.get
    check: dict[str, Any]
    if path := get("check_http"):
        check = {"HTTP": f"http://{service.address}:{service.port}{path}"}
    elif path := get("check_https"):
        check = {"HTTP": f"https://{service.address}:{service.port}{path}"}
    elif get("check_tcp"):
        check = {"TCP": f"{service.address}:{service.port}"}
    elif seconds := get("check_ttl"):
        return {"TTL": seconds}
    elif ttl:
        return {"TTL": f"{ttl}s"}
    else:
        return None
    check |= {"Interval": get("check_interval", "10s")}
    for name, key in (
        ("check_timeout", "Timeout"),
        ("check_initial_status", "Status"),
        ("check_deregister_after", "DeregisterCriticalServiceAfter"),
    ):
        if value := get(name):
            check[key] = value
    return check
