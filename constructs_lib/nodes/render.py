"""render(): what the components declare and the plan decides, as the files of one node. Pure."""

from __future__ import annotations

from collections.abc import Container, Iterable, Iterator, Mapping
from dataclasses import replace

from constructs_lib.components import COMPONENTS, components_of, platform_backup
from constructs_lib.components.model import (
    AptPackages,
    AptRepository,
    Component,
    Directory,
    File,
    ResolvedSoftware,
    Role,
    Secret,
)
from constructs_lib.errors import RenderError
from constructs_lib.nodes.carried import part_of_backups
from constructs_lib.nodes.health import checks_of
from constructs_lib.nodes.metrics import scrapes
from constructs_lib.nodes.model import NodeFile, NodeFiles, NodePackages, NodeSecret, Stage
from constructs_lib.nodes.templates import holds, render_expression, render_template
from constructs_lib.plan import app_secrets
from constructs_lib.plan.model import NodePlan, PlannedSecret, PoolPlan, SitePlan
from constructs_lib.spec.model import ConsulSpec, GatewaySpec, MastersSpec

NODE_NAME = "@@node:name@@"
NODE_ADDRESS = "@@node:address@@"
"""What agents fill in for themselves, in every file, when the files are put in place."""

_PORTS = {component.name: {p.name: p.number for p in component.ports} for component in COMPONENTS}
_INTERFACES = {component.name: component.interface for component in COMPONENTS}

__all__ = ["NODE_ADDRESS", "NODE_NAME", "NodeFile", "NodeFiles", "render"]


def render(plan: SitePlan, node: NodePlan | PoolPlan, *, without: Container[str] = frozenset()) -> NodeFiles:
    """Everything that `node` (or every agent of a pool) of the site `plan` gets.

    `without` names components that are left out, on machines that can't have their software. RenderError
    when a template lacks a value, when two components put a file at one path, or when the firewall would
    lock the operators out.
    """
    role = Role.AGENT if isinstance(node, PoolPlan) else node.role
    components = tuple(one for one in _components(plan, role, node) if one.name not in without)
    context = _context(plan, node, role, components)
    files = tuple(
        file for component in components for file in _files(component, context | _own(plan, component))
    )
    _refuse_twice(files)
    _refuse_lockout(plan, role)
    volume = node.data_volume if isinstance(node, NodePlan) else None
    texts = "".join(file.content for file in files) + (volume.marker if volume else "")
    return NodeFiles(
        cluster=plan.cluster,
        site=plan.name,
        name=node.name,
        role=role,
        hostname=node.name if isinstance(node, NodePlan) else None,
        admin_user=plan.admin.user,
        ssh_keys=plan.admin.ssh_keys,
        users=tuple(user for component in components for user in component.users),
        directories=(
            *(
                directory
                for component in components
                for directory in component.directories
                if directory.on is None or role in directory.on
            ),
            *([Directory(path=app_secrets.FOLDER, mode=0o700)] if any(_app_secrets(plan, node)) else []),
        ),
        files=files,
        secrets=(
            *_secrets(plan, role, components),
            *_app_secrets(plan, node),
            *_backup_secrets(plan, role),
        ),
        base_packages=_unique(
            render_expression(name, context) for component in components for name in component.packages
        ),
        packages=_packages(plan, components),
        stages=tuple(
            Stage(
                component=component.name,
                units=_units(component, files),
                checks=checks_of(component),
                ready_within=component.ready_within,
            )
            for component in components
            if component.units or component.health
        ),
        boot_units=tuple(unit for component in components for unit in component.boot_units),
        data_volume=volume,
        late_values=tuple(late for late in plan.late_values if late.marker in texts),
        apt_mirror=plan.software_mirrors.apt_mirror,
        apt_security_mirror=plan.software_mirrors.apt_security_mirror,
        proxy=plan.software_mirrors.proxy,
        cloud_config=plan.cloud_config.get(role, {}),
    )


def _components(plan: SitePlan, role: Role, node: NodePlan | PoolPlan) -> tuple[Component, ...]:
    """What runs on this very node."""
    first = isinstance(node, PoolPlan) or node.number == 1
    context = _context(plan, node, role, ())
    return tuple(
        component
        for component in components_of(role)
        if plan.has(component)
        and (first or not component.first_node_only)
        and holds(component.only_where, context)
    )


def _units(component: Component, files: Iterable[NodeFile]) -> tuple[str, ...]:
    """The component's units, without those whose own file it has for other nodes and not for this one."""
    here = {file.path for file in files}
    declared = {file.to for file in component.files}
    paths = {unit: f"/etc/systemd/system/{unit}" for unit in component.units}
    return tuple(unit for unit, path in paths.items() if path in here or path not in declared)


def _context(
    plan: SitePlan, node: NodePlan | PoolPlan, role: Role, components: tuple[Component, ...]
) -> dict[str, object]:
    """The names that every template knows; docs/adding-a-component.md lists them."""
    planned = isinstance(node, NodePlan)
    return {
        "plan": plan,
        "node": node if planned else None,
        "pool": None if planned else node,
        "role": role,
        "node_name": node.name if isinstance(node, NodePlan) else NODE_NAME,
        "node_address": str(node.address) if isinstance(node, NodePlan) else NODE_ADDRESS,
        "memory_mib": _memory_gib(plan, node) * 1024,
        "components": [component.name for component in components],
        "ports": [port for component in components for port in component.ports],
        "traffic": plan.traffic_to(role),
        "port_of": _PORTS,
        "interface_of": _INTERFACES,
        "zookeeper_hosts": ",".join(f"{master}:{_PORTS['zookeeper']['client']}" for master in plan.masters),
        "scrapes": scrapes(plan, {component.name for component in components}),
    }


def _own(plan: SitePlan, component: Component) -> dict[str, object]:
    """The names that only the component's own templates know."""
    software = plan.software.get(component.name, ResolvedSoftware(source="none", version=None))
    return {"component": component, "software": software, "port": {p.name: p.number for p in component.ports}}


def _memory_gib(plan: SitePlan, node: NodePlan | PoolPlan) -> int:
    if isinstance(node, PoolPlan):
        return node.spec.memory_gib
    if node.role is Role.EDGE and plan.edge_spec:
        return plan.edge_spec.memory_gib
    shapes: Mapping[Role, MastersSpec | ConsulSpec | GatewaySpec] = {
        Role.MASTER: plan.masters_spec,
        Role.CONSUL: plan.consul_spec,
        Role.GATEWAY: plan.gateway_spec,
    }
    return shapes[node.role].memory_gib


def _files(component: Component, context: dict[str, object]) -> Iterator[NodeFile]:
    for file in component.files:
        yield from _rendered(file, component, context)
    yield from _backup(component, context)


def _rendered(file: File, component: Component, context: dict[str, object]) -> Iterator[NodeFile]:
    if file.on is not None and context["role"] not in file.on:
        return
    content = render_template(f"{component.name}/{file.template}", context)
    if content.strip():
        yield _node_file(file, content, context)


def _backup(component: Component, context: dict[str, object]) -> Iterator[NodeFile]:
    """The component's own part of the platform's backups, where there are any."""
    part, plan = part_of_backups(component), context["plan"]
    if part is None or not isinstance(plan, SitePlan) or plan.platform_backup is None:
        return
    if component.backup and holds(component.backup.only_where, context):
        yield from _rendered(part, component, context)


def _node_file(file: File, content: str, context: dict[str, object]) -> NodeFile:
    return NodeFile(
        path=render_expression(file.to, context),
        content=content,
        mode=file.mode,
        owner=render_expression(file.owner, context),
        group=render_expression(file.group, context),
        restarts=file.restarts,
        reloads=file.reloads,
        live_keys=file.live_keys,
    )


def _secrets(plan: SitePlan, role: Role, components: tuple[Component, ...]) -> tuple[NodeSecret, ...]:
    wanted = {secret for component in components for secret in component.secrets}
    return tuple(
        _node_secret(secret, declared)
        for secret in plan.secrets_of(role)
        for declared in secret.read_by(role)
        if declared in wanted
    )


def _node_secret(secret: PlannedSecret, declared: Secret) -> NodeSecret:
    return NodeSecret(
        name=secret.name,
        kind=declared.kind,
        path=declared.to.replace("{site}", secret.site or ""),
        owner=declared.owner,
        mode=declared.mode,
        restarts=declared.restarts,
        reloads=declared.reloads,
    )


def _app_secrets(plan: SitePlan, node: NodePlan | PoolPlan) -> Iterator[NodeSecret]:
    """Those of applications, which no component declares."""
    if not isinstance(node, PoolPlan):
        return
    for secret in plan.secrets_of(Role.AGENT, node.name):
        if secret.pools is not None:
            yield _node_secret(secret, secret.declared)


def _backup_secrets(plan: SitePlan, role: Role) -> Iterator[NodeSecret]:
    """What reaches the target of the platform's backups, which no component declares."""
    for secret in plan.secrets_of(role):
        for declared in secret.read_by(role):
            if declared.to.startswith(f"{platform_backup.SECRETS}/"):
                yield _node_secret(secret, declared)


def _packages(plan: SitePlan, components: Iterable[Component]) -> tuple[NodePackages, ...]:
    found: list[NodePackages] = []
    for component in components:
        software = plan.software.get(component.name)
        if software is None or software.source != "apt":
            continue
        repository = _repository(component, software)
        found.append(
            NodePackages(
                component=component.name,
                names=software.packages,
                version=software.version,
                repository=repository,
                source=next(
                    (one.source for one in found if _same(one.repository, repository)), component.name
                ),
                held=bool(component.restart_ends),
            )
        )
    return tuple(found)


def _repository(component: Component, software: ResolvedSoftware) -> AptRepository | None:
    declared = component.software
    if not isinstance(declared, AptPackages) or software.packages != declared.names:
        return None
    return _mirrored(declared.repository, software)


def _same(one: AptRepository | None, other: AptRepository | None) -> bool:
    return one is not None and other is not None and (one.uri, one.suite) == (other.uri, other.suite)


def _mirrored(repository: AptRepository | None, software: ResolvedSoftware) -> AptRepository | None:
    """The repository at the mirror's address, with the owner's key: most mirrors sign nothing themselves."""
    if repository is None:
        return None
    fingerprint = software.fingerprint or repository.fingerprint
    if software.mirror is None:
        return replace(repository, fingerprint=fingerprint)
    key = repository.key.rsplit("/", 1)[-1]
    return replace(repository, uri=software.mirror.rstrip("/"), key=key, fingerprint=fingerprint)


def _refuse_twice(files: Iterable[NodeFile]) -> None:
    seen: set[str] = set()
    for file in files:
        if file.path in seen:
            raise RenderError(f"{file.path}: two components put a file there; each path belongs to one")
        seen.add(file.path)


def _refuse_lockout(plan: SitePlan, role: Role) -> None:
    """Every node but the gateway must let the gateway in by SSH, or nobody ever reaches it again."""
    rules = plan.traffic_to(role)
    if role is Role.GATEWAY or not plan.nodes_of(Role.GATEWAY):
        return
    if not any(rule.port == 22 and rule.source is Role.GATEWAY for rule in rules):
        raise RenderError(f"{role} nodes: no rule lets the gateway in on port 22, so nobody could log in")


def _unique(names: Iterable[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(names))
