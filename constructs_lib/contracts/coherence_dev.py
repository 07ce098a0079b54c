"""What doesn't fit together in `dev:` of one contract."""

from __future__ import annotations

import re
from collections.abc import Iterator

from constructs_lib.contracts.dev import HealthSpec, ReadinessSpec
from constructs_lib.contracts.findings import Settings
from constructs_lib.contracts.runtimes import VARIABLES
from constructs_lib.contracts.secret_values import secret_in, secret_in_command, secrets_in_arguments
from constructs_lib.spec.findings import Finding, Path
from constructs_lib.spec.wording import did_you_mean, one_of

SECRET_NAME = re.compile(
    r"passw(or)?d|passphrase|secret|token|credential|private_?key|api_?key|access_?key|_pwd$", re.IGNORECASE
)
RESERVED = re.compile(r"(SERVICE|MARATHON|MESOS|LIBPROCESS|CLUSTERMESOS)_.*|PORT\d*|PORTS|PORT_.*|HOST")
"""Set by Marathon, Mesos or the compiler."""
_NOT_A_SECRET = re.compile(r".*_(FILE|PATH|URL|NAME|ID|TTL|SECONDS|HEADER|ISSUER)", re.IGNORECASE)
_SYSTEM = ("/proc", "/sys", "/dev", "/run/secrets", "/etc/hosts", "/etc/resolv.conf")


def _what_runs(settings: Settings) -> Iterator[Finding]:
    dev = settings.dev
    if not settings.intact("dev.image", "dev.command", "dev.args"):
        return
    if dev.image is None and dev.command is None:
        yield Finding(
            ("dev",), "got neither image nor command, expected `image: registry.example.org/shop:1.4.2`"
        )
    if dev.command and dev.args:
        yield Finding(
            ("dev", "args"),
            "got args beside command, expected one of them: a command takes the place of the image's entry "
            "point, args are given to it",
        )
    elif dev.args and dev.image is None:
        yield Finding(
            ("dev", "args"), "got args without image, expected command: args are for an entry point"
        )


def _tag(settings: Settings) -> Iterator[Finding]:
    image = settings.dev.image
    if image is None or settings.dev.allow_latest or not settings.intact("dev.image", "dev.allow_latest"):
        return
    name = image.rpartition("/")[2]
    tag = name.partition("@")[0].partition(":")[2]
    if "@" not in name and tag in ("", "latest"):
        got = f"got {image}" if tag else f"got {image} without a tag, which means latest"
        yield Finding(
            ("dev", "image"),
            f"{got}, expected a tag that stays, such as :1.4.2, or a digest: nobody can say later what "
            "latest was, or go back to it; `allow_latest: true` takes it anyway",
        )


def _ports(settings: Settings) -> Iterator[Finding]:
    dev = settings.dev
    if not settings.intact("dev.ports", "dev.host_ports", "dev.udp_ports"):
        return
    for name in dev.host_ports:
        yield from _known(("dev", "host_ports", name), name, dev.ports)
    for index, name in enumerate(dev.udp_ports):
        yield from _known(("dev", "udp_ports", index), name, dev.ports)
    yield from _once(("dev", "ports"), {n: (p, n in dev.udp_ports) for n, p in dev.ports.items()})
    yield from _once(("dev", "host_ports"), {n: (p, n in dev.udp_ports) for n, p in dev.host_ports.items()})
    if dev.image is None and dev.host_ports.keys() != dev.ports.keys() and dev.command:
        yield Finding(
            ("dev", "ports"),
            "got ports without host_ports for a command without an image, expected the same number in both: "
            "it runs on the agent itself, where a port can't be another one outside",
        )


def _known(path: Path, name: str, ports: dict[str, int]) -> Iterator[Finding]:
    if name not in ports:
        near = did_you_mean(name, ports)
        words = f"did you mean {near}?" if near else f"expected {one_of(ports)}, as in dev.ports"
        yield Finding(path, f"got the port {name}, which dev.ports doesn't name; {words}")


def _once(path: Path, numbers: dict[str, tuple[int, bool]]) -> Iterator[Finding]:
    seen: dict[tuple[int, bool], str] = {}
    for name, number in numbers.items():
        first = seen.setdefault(number, name)
        if first != name:
            yield Finding((*path, name), f"got {number[0]}, which {first} is too, expected another port")


def _checks(settings: Settings) -> Iterator[Finding]:
    for word in ("health", "readiness"):
        spec: HealthSpec | ReadinessSpec | None = getattr(settings.dev, word)
        if spec and settings.intact(f"dev.{word}", "dev.ports", "dev.udp_ports"):
            yield from _check(settings, ("dev", word), spec)
    readiness = settings.dev.readiness
    if readiness and settings.dev.image is None and settings.intact("dev.image"):
        yield Finding(
            ("dev", "readiness"),
            "got a route check for a command without an image, expected none: Registrator tells Consul of "
            "Docker containers only",
        )


def _ends_nothing(path: Path, spec: HealthSpec, used: list[str]) -> Iterator[Finding]:
    if used == ["command"]:
        yield Finding(
            (*path, "restart"),
            "got false for a command, expected true, or path or tcp: the agent that runs a command ends "
            "whoever fails it",
        )
    if "failures" in spec.model_fields_set:
        yield Finding(
            (*path, "failures"),
            f"got {spec.failures} beside `restart: false`, expected none: no number of failures ends an "
            "instance then",
        )


def _check(settings: Settings, path: Path, spec: HealthSpec | ReadinessSpec) -> Iterator[Finding]:
    dev = settings.dev
    ways = {"path": spec.path is not None, "tcp": spec.tcp}
    if isinstance(spec, HealthSpec):
        ways["command"] = spec.command is not None
    used = [way for way, is_used in ways.items() if is_used]
    if len(used) != 1:
        got = f"got {' and '.join(used)}" if used else "got no way to ask"
        yield Finding(path, f"{got}, expected one of {one_of(ways)}, such as `path: /healthz`")
    if spec.timeout_seconds >= spec.interval_seconds:
        yield Finding(
            (*path, "timeout_seconds"),
            f"got {spec.timeout_seconds}, expected less than interval_seconds, "
            f"which is {spec.interval_seconds}",
        )
    if isinstance(spec, HealthSpec) and not spec.restart:
        yield from _ends_nothing(path, spec, used)
    if used == ["command"]:
        return
    port = spec.port or dev.main_port
    if port is None:
        yield Finding(path, "asks a port and dev.ports names none, expected `ports: {http: 8080}`")
    elif spec.port:
        yield from _known((*path, "port"), spec.port, dev.ports)
    if port in dev.udp_ports:
        yield Finding(path, f"asks the port {port}, which is UDP, expected one that is TCP, or a command")


def _metrics(settings: Settings) -> Iterator[Finding]:
    metrics = settings.dev.metrics
    if metrics is None or not settings.intact("dev.metrics", "dev.ports"):
        return
    if metrics.port:
        yield from _known(("dev", "metrics", "port"), metrics.port, settings.dev.ports)
    elif settings.dev.main_port is None:
        yield Finding(
            ("dev", "metrics"), "asks a port and dev.ports names none, expected `ports: {http: 8080}`"
        )


def _env(settings: Settings) -> Iterator[Finding]:
    dev = settings.dev
    if not settings.intact("dev.env", "dev.secrets", "dev.runtime"):
        return
    runtime = VARIABLES[dev.runtime.kind] if dev.runtime else ()
    for name, value in dev.env.items():
        path: Path = ("dev", "env", name)
        if RESERVED.fullmatch(name):
            yield Finding(path, "is set by the platform, expected another name")
        elif name in runtime:
            yield Finding(path, "is derived from the memory by dev.runtime, expected one of the two")
        elif value and SECRET_NAME.search(name) and not _NOT_A_SECRET.fullmatch(name):
            yield Finding(
                path,
                "got a value (not shown) under a secret's name, and Marathon shows the environment to all; "
                f"expected `secrets: {{{name}: {settings.contract.name}/…}}`, a reference that "
                f"cluster.yaml's app_secrets names: the application reads the file that {name}_FILE names",
            )
        elif what := secret_in(value):
            yield Finding(
                path,
                f"got {what} (not shown), and Marathon shows the environment to all; expected it without, "
                f"and `secrets: {{NAME: {settings.contract.name}/…}}`, a reference that cluster.yaml's "
                "app_secrets names: the application reads the file that NAME_FILE names",
            )
    for name in dev.secrets:
        for taken in {name, f"{name}_FILE"} & dev.env.keys():
            yield Finding(("dev", "secrets", name), f"sets {name}_FILE, and dev.env has {taken}: remove one")
        if RESERVED.fullmatch(name):
            yield Finding(("dev", "secrets", name), "is set by the platform, expected another name")


def _commands(settings: Settings) -> Iterator[Finding]:
    dev, backup = settings.dev, settings.ops.backup
    texts: dict[Path, str | None] = {
        ("dev", "command"): dev.command,
        ("dev", "health", "command"): dev.health.command if dev.health else None,
        ("ops", "backup", "verify"): backup.verify if backup else None,
    }
    if backup and backup.before:
        texts["ops", "backup", "before", "command"] = backup.before.command
        texts["ops", "backup", "before", "load"] = backup.before.load
    for path, text in texts.items():
        if text and settings.intact(".".join(map(str, path))) and (what := secret_in_command(text)):
            yield _shown(settings, path, what)
    if settings.intact("dev.args"):
        for index, what in secrets_in_arguments(dev.args).items():
            yield _shown(settings, ("dev", "args", index), what)


def _shown(settings: Settings, path: Path, what: str) -> Finding:
    return Finding(
        path,
        f"got {what} (not shown), and Marathon and Chronos show commands to all; expected `secrets: "
        f"{{NAME: {settings.contract.name}/…}}`, a reference that cluster.yaml's app_secrets names, "
        'and the file that NAME_FILE names: a shell puts it in as `"$(cat "$NAME_FILE")"`',
    )


def _depends_on(settings: Settings) -> Iterator[Finding]:
    if not settings.intact("dev.depends_on", "name"):
        return
    seen: set[str] = set()
    for index, name in enumerate(settings.dev.depends_on):
        if name == settings.contract.name:
            yield Finding(("dev", "depends_on", index), f"got {name} itself, expected other contracts")
        if name in seen:
            yield Finding(("dev", "depends_on", index), f"got {name} twice, expected every name once")
        seen.add(name)


def _volumes(settings: Settings) -> Iterator[Finding]:
    dev = settings.dev
    if dev.state is None or not settings.intact("dev.state"):
        return
    if not dev.volumes:
        yield Finding(("dev", "state", "volumes"), "got no volume, expected one, or no state at all")
    if dev.image is None and settings.intact("dev.image"):
        yield Finding(("dev", "state"), "got volumes for a command without an image, expected an image")
    taken: dict[str, str] = {}
    for name, volume in dev.volumes.items():
        path: Path = ("dev", "state", "volumes", name, "path")
        if ".." in volume.path.split("/") or "." in volume.path.split("/"):
            yield Finding(path, f"got {volume.path}, expected a path without . and ..")
        elif any(f"{volume.path}/".startswith(f"{system}/") for system in _SYSTEM):
            yield Finding(path, f"got {volume.path}, which is the system's, expected another folder")
        for other, its in taken.items():
            if f"{volume.path}/".startswith(f"{its}/") or f"{its}/".startswith(f"{volume.path}/"):
                yield Finding(
                    path, f"got {volume.path}, which overlaps {other} at {its}, expected folders apart"
                )
        taken[name] = volume.path


CHECKS = (_what_runs, _tag, _ports, _checks, _metrics, _env, _commands, _depends_on, _volumes)
