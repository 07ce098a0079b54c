"""cluster.yaml → cdktf.out: one TerraformStack per site, called <cluster>-<site>.

Where there are contracts, a last one, <cluster>-platform, depends on all others and runs the hooks.

The order is the road of the design: load, lock, plan, secrets, constructs, and only then files. But for new
secrets in the private folder nothing is written before everything has been checked, and each file is replaced
in one step.
"""

from __future__ import annotations

import hashlib
import importlib
import json
import os
import sys
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

from constructs_lib.errors import ClusterMesosError, ToolError, UserDataError
from constructs_lib.nodes.cloud_init import SecretSource, pack
from constructs_lib.nodes.render import render
from constructs_lib.plan.lock import additions, read_lock, write_lock
from constructs_lib.plan.model import ClusterPlan, LateValue, NodePlan, PoolPlan, SitePlan
from constructs_lib.plan.plan import plan
from constructs_lib.scan.declared import write_policy_files
from constructs_lib.spec.load import load, with_line
from constructs_lib.spec.model import HttpState, LocalState, S3State, StateSpec
from constructs_lib.spec.workspace import Workspace
from constructs_lib.terraform.engine import warm_engine
from constructs_lib.terraform.policy import exceptions_of

if TYPE_CHECKING:
    from constructs_lib.contracts.compiled import Compiled

DEFAULT_OUTDIR = "cdktf.out"
LAST = "platform"
"""What stands in the last stack's name where a site's is in the others'; no site may be called so."""
OUTDIR_VARIABLE = "CDKTF_OUTDIR"
"""Set by the cdktf command when it calls the app."""


@dataclass(frozen=True, kw_only=True)
class Synthesis:
    """What was synthesized."""

    plan: ClusterPlan
    outdir: Path
    stacks: Mapping[str, str]
    """Site name → stack name."""
    last: str | None
    """The stack that runs the hooks, None without contracts."""
    notes: tuple[str, ...]
    """Lines that the user has to see."""


def synthesize(workspace: Workspace, *, outdir: Path | None = None, with_secrets: bool = True) -> Synthesis:
    """Write `outdir` (default: what cdktf asks for, else cdktf.out in the current folder).

    `with_secrets=False` needs and writes no secret and no lock: the stacks can be scanned but not deployed.
    Raises SpecFileError, LockError, SecretsError, RenderError or ResourceError, and ToolError where `outdir`
    cannot be written; no stack and no lock is written then.
    """
    warm_engine()
    outdir = outdir or Path(os.environ.get(OUTDIR_VARIABLE) or DEFAULT_OUTDIR)
    spec = load(workspace.cluster_file)
    locked = read_lock(workspace.lock_file)
    planned = plan(spec, locked)
    compiled = _contracts(planned, workspace)
    lock, notes = planned.lock, []
    values: Mapping[str, str] = {}
    if with_secrets:
        from constructs_lib.secrets.ensure import ensure

        workspace.make_private()
        values = ensure(planned.secrets, lock.secrets, workspace.secrets_file, os.environ)
        lock = lock.with_secrets(secret.name for secret in planned.secrets)
    _render_ahead(planned)
    _make_outdir(outdir)
    try:
        app, stacks = _build(planned, workspace, outdir)
    except UserDataError as error:
        raise with_line(workspace.cluster_file, error.setting, str(error)) from None
    last = _put_last(app, planned, compiled, stacks, workspace, outdir) if compiled else None
    app.synth()
    write_policy_files(outdir, {stack.name: exceptions_of(stack.construct) for stack in stacks.values()})
    if with_secrets:
        if lock != locked:
            write_lock(workspace.lock_file, lock)
            new = ", ".join(additions(locked, lock))
            notes.append(f"{workspace.lock_file.name}: added {new}; commit this file")
        _write_secrets(planned, stacks, outdir, values)
    names = {site: stack.name for site, stack in stacks.items()}
    return Synthesis(plan=planned, outdir=outdir, stacks=names, last=last, notes=tuple(notes))


def stack_name(planned: ClusterPlan, site: str) -> str:
    """The stack of a site: `demo-eu`."""
    return f"{planned.name}-{site}"


def main() -> int:
    """Synthesize for `python -m stacks`; a user's mistake is one or more lines on stderr and exit code 2."""
    try:
        synthesis = synthesize(Workspace.find())
    except ClusterMesosError as error:
        sys.stderr.write(f"{error}\n")
        return error.exit_code
    sys.stderr.writelines(f"{note}\n" for note in synthesis.notes)
    return 0


@dataclass(frozen=True)
class _Stack:
    name: str
    construct: Any
    cluster: Any


def _make_outdir(outdir: Path) -> None:
    """The engine's own words for a folder that can't be written are a JavaScript traceback."""
    try:
        (outdir / "stacks").mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ToolError(f"{outdir}: can't be made ({error.strerror}); name another folder") from None
    for folder in (outdir, outdir / "stacks"):
        if not os.access(folder, os.W_OK | os.X_OK):
            raise ToolError(f"{folder}: can't be written; name another folder, or make it yours")


def _render_ahead(planned: ClusterPlan) -> None:
    """Fill what `nodes` remembers of templates, scripts and files while Node still starts.

    The constructs, which can't be imported before it has, then take a third of the time for their user data.
    """
    for site in planned.sites.values():
        machines: list[NodePlan | PoolPlan] = [*site.nodes, *site.pools]
        for machine in machines:
            pack(render(site, machine), SecretSource(command=""))


def _build(planned: ClusterPlan, workspace: Workspace, outdir: Path) -> tuple[Any, dict[str, _Stack]]:
    """The app with a stack per site. A site's platform is the module of that name beside this one."""
    from constructs_lib.terraform import App, Offered, TerraformStack, offer, take

    app = App(outdir=str(outdir))
    wanted = {value for site in planned.sites.values() for value in _taken(site)}
    stacks: dict[str, _Stack] = {}
    offered: dict[str, Offered] = {}
    for name in planned.order:
        site = planned.site(name)
        platform = importlib.import_module(f"constructs_lib.{site.platform}")
        stack = TerraformStack(app, stack_name(planned, name))
        _place_state(stack, planned, stack_name(planned, name), workspace, outdir)
        platform.site_provider(stack, site)
        late = {value: take(stack, value, offered[value]) for value in _taken(site)}
        cluster = platform.MesosCluster(stack, planned.name, plan=site, late=late)
        for value, expression in cluster.gateway.late_values.items():
            if value in wanted:
                offered[value] = offer(stack, value, expression)
        stacks[name] = _Stack(stack_name(planned, name), stack, cluster)
    return app, stacks


def _taken(site: SitePlan) -> tuple[str, ...]:
    """The late values of other sites that the site's texts ask for."""
    peers = site.link.peers if site.link else ()
    return tuple(peer.address.name for peer in peers if isinstance(peer.address, LateValue))


def _contracts(planned: ClusterPlan, workspace: Workspace) -> Compiled | None:
    """What the contracts compile to; None, and nothing imported, where there are none."""
    if not workspace.contracts_folder.is_dir():
        return None
    from constructs_lib.contracts.check import kept
    from constructs_lib.contracts.compile import compile_contracts
    from constructs_lib.contracts.load import read_contracts

    contracts = kept(read_contracts(workspace.contracts_folder), planned)
    compiled = compile_contracts(contracts, planned)
    return compiled if compiled.contracts else None


def _put_last(
    app: Any,
    planned: ClusterPlan,
    compiled: Compiled,
    stacks: Mapping[str, _Stack],
    workspace: Workspace,
    outdir: Path,
) -> str:
    """The stack that runs the hooks once all sites are deployed; its name."""
    from constructs_lib.sites.last_stack import run_hooks
    from constructs_lib.terraform import TerraformStack, offer, take

    name = stack_name(planned, LAST)
    stack = TerraformStack(app, name)
    _place_state(stack, planned, name, workspace, outdir)
    described = {
        site: take(stack, f"deployed:{site}", offer(one.construct, "deployed", one.cluster.described))
        for site, one in stacks.items()
    }
    run_hooks(
        stack,
        cluster=planned.name,
        digest=_digest(planned, compiled),
        described=described,
        folder=os.path.relpath(workspace.folder, outdir.resolve() / "stacks" / name),
    )
    return name


def _digest(planned: ClusterPlan, compiled: Compiled) -> str:
    """Of everything that the hooks act on, what is deployed aside.

    The lock is none of it: what it fixes is in the plan, and the first deploy itself adds the secrets to it.
    """
    wanted = json.dumps(asdict(compiled), sort_keys=True)
    parts = {
        field.name: repr(getattr(planned, field.name)) for field in fields(planned) if field.name != "lock"
    }
    return hashlib.sha256(f"{wanted}{parts}".encode()).hexdigest()


def _place_state(stack: Any, planned: ClusterPlan, name: str, workspace: Workspace, outdir: Path) -> None:
    from constructs_lib.terraform import backend

    kind, settings = _backend(planned.state, name)
    if kind == "local":
        settings["path"] = os.path.relpath(workspace.state_file(name), outdir.resolve() / "stacks" / name)
    backend(stack, kind, **settings)


_NOT_AWS = {
    "use_path_style": True,
    "skip_credentials_validation": True,
    "skip_metadata_api_check": True,
    "skip_region_validation": True,
    "skip_requesting_account_id": True,
    # Stores other than AWS' own may know no checksums.
    "skip_s3_checksum": True,
}
"""For Terraform's S3 backend, where there is no account and no service but S3."""


def _backend(state: StateSpec, stack: str) -> tuple[str, dict[str, Any]]:
    """Terraform's own settings for the stack's state, `path` of a local one left to the caller."""
    if isinstance(state, LocalState):
        return "local", {}
    if isinstance(state, S3State):
        settings = state.model_dump(exclude={"kind", "prefix", "endpoint"}, exclude_none=True)
        if state.endpoint:
            settings |= {"endpoints": {"s3": state.endpoint}, **_NOT_AWS}
        # Two operators at once would spoil a state that nothing locks.
        if state.dynamodb_table is None:
            settings.setdefault("use_lockfile", True)
        return "s3", settings | {"key": f"{state.prefix}/{stack}.tfstate"}
    if isinstance(state, HttpState):
        settings = state.model_dump(exclude={"kind", "encrypted"}, exclude_none=True)
        return "http", {key: value.replace("{stack}", stack) for key, value in settings.items()}
    settings = state.model_dump(exclude={"kind", "prefix"}, exclude_none=True)
    if state.kind == "gcs":
        return "gcs", settings | {"prefix": f"{state.prefix}/{stack}"}
    return "azurerm", settings | {"key": f"{state.prefix}/{stack}.tfstate"}


def _write_secrets(
    planned: ClusterPlan, stacks: Mapping[str, _Stack], outdir: Path, values: Mapping[str, str]
) -> None:
    """A 0600 file of Terraform variables beside each stack, with the secrets of that site."""
    from constructs_lib.secrets.ensure import write_tfvars

    for site, stack in stacks.items():
        names = _site_secrets(planned.site(site))
        write_tfvars(
            outdir / "stacks" / stack.name,
            {name: values[name] for name in names if name in values},
        )


def _site_secrets(site: SitePlan) -> tuple[str, ...]:
    return tuple(secret.name for secret in site.secrets)
