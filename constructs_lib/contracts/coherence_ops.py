"""What doesn't fit together in `ops:` of one contract, or between the two halves."""

from __future__ import annotations

from collections.abc import Iterator

from constructs_lib.contracts.findings import Settings
from constructs_lib.spec.findings import Finding
from constructs_lib.spec.wording import did_you_mean, one_of

_BY_METRICS = (
    "dev.metrics",
    "expected `dev: {metrics: {}}`: by its metrics alone Prometheus knows an instance",
)
_MEASURED_BY = {
    "down_seconds": _BY_METRICS,
    "min_percent": _BY_METRICS,
    "restarts_per_hour": _BY_METRICS,
    "error_percent": ("a route", "expected `route: {host: …}`: the edges count their own answers"),
}
"""Setting of alerts → what its rule stands on, and what to write."""


def _instances(settings: Settings) -> Iterator[Finding]:
    instances = settings.ops.instances
    if not settings.intact("ops.instances"):
        return
    if instances.min > instances.max:
        yield Finding(
            ("ops", "instances", "min"),
            f"got {instances.min}, expected at most max, which is {instances.max}",
        )
    elif instances.min < instances.max and instances.follow is None:
        yield Finding(
            ("ops", "instances"),
            "got min and max without follow, expected what the number follows: `follow: cpu`, memory, or a "
            "PromQL expression",
        )
    elif instances.follow and instances.min == instances.max:
        yield Finding(
            ("ops", "instances", "follow"), "got follow where min is max, expected room between them"
        )
    if instances.offset >= instances.target:
        yield Finding(
            ("ops", "instances", "offset"),
            f"got {instances.offset:g}, expected less than target, which is {instances.target:g}: an "
            "instance that serves nobody would be over it",
        )


def _runtime(settings: Settings) -> Iterator[Finding]:
    runtime = settings.dev.runtime
    if runtime and runtime.kind == "python" and runtime.heap_percent and settings.intact("dev.runtime"):
        yield Finding(
            ("dev", "runtime", "heap_percent"), "got a heap for python, expected none: it has no limit"
        )


def _strategy(settings: Settings) -> Iterator[Finding]:
    strategy = settings.ops.deploy.strategy
    if not settings.intact("ops.deploy", "dev.health", "dev.state", "dev.host_ports"):
        return
    if strategy != "recreate" and settings.dev.health is None:
        yield Finding(
            ("ops", "deploy"),
            f"got {strategy}, which loses no request, without dev.health, expected `health: {{path: "
            "/healthz}` or `strategy: recreate`: without a check nobody knows when the new version is ready",
        )
    local = [
        n for n, volume in settings.dev.volumes.items() if volume.kind == "local" and not volume.read_only
    ]
    if strategy != "recreate" and local:
        yield Finding(
            ("ops", "deploy"),
            f"got {strategy} with the local volume {local[0]}, expected `strategy: recreate`: two versions "
            "at once would write to the same files",
        )


def _canary(settings: Settings) -> Iterator[Finding]:
    deploy = settings.ops.deploy
    if not settings.intact("ops.deploy", "ops.route"):
        return
    if deploy.canary and deploy.strategy != "canary":
        yield Finding(
            ("ops", "deploy", "canary"),
            f"got canary's settings for {deploy.strategy}, expected `strategy: canary`",
        )
    if deploy.strategy == "canary" and settings.ops.route is None:
        yield Finding(
            ("ops", "deploy", "strategy"),
            "got canary without a route, expected `route: {host: …}`: the edge is what gives it a share",
        )
    if "surge" in deploy.model_fields_set and deploy.strategy != "rolling":
        yield Finding(
            ("ops", "deploy", "surge"), f"got surge for {deploy.strategy}, expected it for rolling only"
        )
    seen: set[str] = set()
    for index, check in enumerate(deploy.canary.checks if deploy.canary else ()):
        if check.lower is None and check.upper is None:
            yield Finding(
                ("ops", "deploy", "canary", "checks", index), "got no bound, expected lower or upper"
            )
        elif check.lower is not None and check.upper is not None and check.lower > check.upper:
            yield Finding(
                ("ops", "deploy", "canary", "checks", index), "got lower above upper, expected room"
            )
        if check.name in seen:
            yield Finding(
                ("ops", "deploy", "canary", "checks", index), f"got {check.name} twice, expected it once"
            )
        seen.add(check.name)


def _route(settings: Settings) -> Iterator[Finding]:
    route = settings.ops.route
    if route is None or not settings.intact("ops.route", "dev.ports", "dev.image", "dev.udp_ports"):
        return
    port = settings.dev.main_port
    if port is None:
        yield Finding(("ops", "route"), "got a route and no port, expected `dev: {ports: {http: 8080}}`")
    elif port in settings.dev.udp_ports:
        yield Finding(
            ("ops", "route"), f"got a route to {port}, which is UDP, expected a TCP port called http"
        )
    if settings.dev.image is None and settings.dev.command:
        yield Finding(
            ("ops", "route"),
            "got a route for a command without an image, expected an image: Registrator tells Consul of "
            "Docker containers only",
        )
    if route.smoke and not f"{route.smoke}/".startswith(f"{route.path.rstrip('/')}/"):
        yield Finding(
            ("ops", "route", "smoke"),
            f"got {route.smoke}, expected a path below the route's own, {route.path}",
        )


def _backup(settings: Settings) -> Iterator[Finding]:
    backup = settings.ops.backup
    if backup is None or not settings.intact("ops.backup", "dev.state", "dev.image"):
        return
    volumes = settings.dev.volumes
    if backup.volume not in volumes:
        near = did_you_mean(backup.volume, volumes)
        known = one_of(volumes) if volumes else f"`state: {{volumes: {{{backup.volume}: {{path: …}}}}}}`"
        hint = f"did you mean {near}?" if near else f"expected {known}"
        yield Finding(
            ("ops", "backup", "volume"), f"got {backup.volume}, which dev.state doesn't have; {hint}"
        )
    elif volumes[backup.volume].read_only and backup.before:
        yield Finding(
            ("ops", "backup", "volume"), f"got {backup.volume}, which is read-only, expected one for the dump"
        )
    if backup.what in ("dump", "both") and backup.before is None:
        yield Finding(
            ("ops", "backup", "what"), f"got {backup.what} without before, expected `before: {{command: …}}`"
        )
    if backup.before and backup.before.image is None and settings.dev.image is None:
        yield Finding(("ops", "backup", "before"), "got no image, expected the one that has the command")
    if not any(backup.keep.model_dump().values()):
        yield Finding(("ops", "backup", "keep"), "keeps no snapshot at all, expected one such as `daily: 7`")


def _alerts(settings: Settings) -> Iterator[Finding]:
    if settings.ops.alerts is None or not settings.intact(
        "ops.alerts", "ops.route", "dev.metrics", "ops.backup"
    ):
        return
    if not (settings.dev.metrics or settings.ops.route or settings.ops.backup):
        yield Finding(
            ("ops", "alerts"),
            "got alerts where nothing is measured, expected dev.metrics, a route or a backup beside them",
        )
        return
    there = {"dev.metrics": settings.dev.metrics, "a route": settings.ops.route}
    for word, (needed, expected) in _MEASURED_BY.items():
        if word in settings.ops.alerts.model_fields_set and there[needed] is None:
            value = getattr(settings.ops.alerts, word)
            yield Finding(
                ("ops", "alerts", word), f"got {value} without {needed}, which no rule comes of, {expected}"
            )


def _placement(settings: Settings) -> Iterator[Finding]:
    for word in ("sites", "pools", "nodes"):
        names = [str(each) for each in getattr(settings.ops, word)]
        for index, name in enumerate(names):
            if name in names[:index]:
                yield Finding(("ops", word, index), f"got {name} twice, expected every one once")


def _exceptions(settings: Settings) -> Iterator[Finding]:
    rules = [each.rule for each in settings.ops.exceptions]
    for index, rule in enumerate(rules):
        if rule in rules[:index]:
            yield Finding(
                ("ops", "exceptions", index, "rule"), f"got {rule} twice, expected one exception for it"
            )


CHECKS = (
    _instances,
    _runtime,
    _strategy,
    _canary,
    _route,
    _backup,
    _alerts,
    _placement,
    _exceptions,
)
