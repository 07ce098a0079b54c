"""What the commands after a deploy share: options, contracts, and the way to the platform."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Collection, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from constructs_lib.cli.output import coloured, json_option, print_json
from constructs_lib.errors import HookError
from constructs_lib.spec.workspace import Workspace

if TYPE_CHECKING:
    from constructs_lib.contracts.compiled import Compiled
    from constructs_lib.hooks.endpoints import Endpoints
    from constructs_lib.hooks.finding import Login
    from constructs_lib.hooks.patience import Patience
    from constructs_lib.hooks.platform import Platform
    from constructs_lib.plan.model import ClusterPlan

TOTAL_SECONDS = 3600.0
CHECK = "clustermesos check"


def add_options(parser: argparse.ArgumentParser) -> None:
    """The options that all of them have."""
    json_option(parser)
    parser.add_argument(
        "--timeout",
        type=seconds,
        default=TOTAL_SECONDS,
        metavar="SECONDS",
        help="how long everything may take (default: %(default).0f)",
    )
    parser.add_argument(
        "--simulator",
        type=Path,
        metavar="FILE",
        help="ask the simulator that wrote this file (clustermesos simulate --endpoints FILE) instead of the "
        "cluster (default: $CLUSTERMESOS_SIMULATOR)",
    )
    parser.add_argument(
        "--outdir", type=Path, metavar="DIR", help="the synthesized stacks (default: cdktf.out)"
    )
    parser.add_argument(
        "--file", type=Path, help="cluster.yaml (default: $CLUSTERMESOS_FILE or ./cluster.yaml)"
    )


def seconds(text: str) -> float:
    """The type of an option that takes a time."""
    try:
        value = float(text)
    except ValueError:
        value = -1.0
    if not 0 < value < 10**6:
        raise argparse.ArgumentTypeError(f"got {text!r}, expected seconds above 0, such as 900")
    return value


@dataclass(frozen=True, kw_only=True)
class Cluster:
    """The cluster that the options mean."""

    workspace: Workspace
    plan: ClusterPlan
    outdir: Path
    simulator: Path | None
    timeout: float

    @classmethod
    def of(cls, args: argparse.Namespace) -> Cluster:
        """Load and plan it; SpecFileError, LockError."""
        from constructs_lib.hooks.simulated import VARIABLE
        from constructs_lib.plan.lock import read_lock
        from constructs_lib.plan.plan import plan
        from constructs_lib.spec.load import load
        from constructs_lib.synth import DEFAULT_OUTDIR, OUTDIR_VARIABLE

        workspace = Workspace(args.file) if args.file else Workspace.find()
        named = os.environ.get(VARIABLE)
        return cls(
            workspace=workspace,
            plan=plan(load(workspace.cluster_file), read_lock(workspace.lock_file)),
            outdir=args.outdir or Path(os.environ.get(OUTDIR_VARIABLE) or DEFAULT_OUTDIR),
            simulator=args.simulator or (Path(named) if named else None),
            timeout=args.timeout,
        )

    def answer(self, document: Mapping[str, Any], text: str, *, as_json: bool) -> None:
        """Print what a command found or did; whether a simulator said so is a field, or the first line."""
        from constructs_lib.hooks.report import SIMULATOR_NOTE

        if as_json:
            print_json({"simulator": self.simulator is not None, **document})
            return
        if self.simulator is not None:
            print(SIMULATOR_NOTE)
        print(coloured(text), flush=True)

    def compiled(self) -> Compiled:
        """What the contracts beside cluster.yaml compile to; ContractError with all that is wrong."""
        from constructs_lib.contracts.check import kept
        from constructs_lib.contracts.compile import compile_contracts
        from constructs_lib.contracts.load import read_contracts

        contracts = kept(read_contracts(self.workspace.contracts_folder), self.plan)
        return compile_contracts(contracts, self.plan)

    def compiled_but(self, names: Collection[str] = ()) -> tuple[Compiled, str]:
        """What the contracts that are right compile to, and in a line which are left out; empty for none.

        For what looks, or changes one application alone. ContractError where one of `names` is wrong.
        """
        from constructs_lib.contracts.compile import compile_contracts
        from constructs_lib.contracts.usable import usable_contracts

        found = usable_contracts(self.workspace.contracts_folder, self.plan, names)
        return compile_contracts(found.contracts, self.plan), found.left_out

    def compiled_for(self, *names: str) -> Compiled:
        """`compiled_but`, which says what is left out."""
        compiled, left_out = self.compiled_but(names)
        if left_out:
            say(f"contracts: {left_out} ({CHECK} lists all)")
        return compiled

    @contextmanager
    def connected(self, patience: Patience | None = None) -> Iterator[Platform]:
        """The platform, reached through the gateways or at the simulator; closed at the end.

        Without a `patience` a program that does not answer is waited for until the deadline, and told of.
        """
        from constructs_lib.hooks.deadline import Deadline
        from constructs_lib.hooks.patience import Patience
        from constructs_lib.hooks.platform import Platform

        with self._endpoints() as endpoints:
            simulated = endpoints.simulator
            tokens = self._simulators_tokens() if simulated else self._tokens()
            login = None if simulated else self._login()
            waits = patience or Patience(say=say)
            deadline = Deadline(self.timeout)
            with Platform(self.plan, endpoints, deadline, tokens, waits, login=login) as platform:
                yield platform

    def looked_at(self) -> AbstractContextManager[Platform]:
        """`connected`, for what changes nothing: no program that is down is waited for for long."""
        from constructs_lib.hooks.patience import LOOK_SECONDS, Patience

        return self.connected(Patience(LOOK_SECONDS, say))

    @contextmanager
    def _endpoints(self) -> Iterator[Endpoints]:
        from constructs_lib.hooks.simulated import read_endpoints

        if self.simulator is not None:
            yield read_endpoints(self.simulator)
            return
        from constructs_lib.access.deployed import read_saved
        from constructs_lib.access.ssh import Ssh
        from constructs_lib.hooks.endpoints import through_gateways
        from constructs_lib.roll.site import stack_folders, write_ssh

        for site in self.plan.sites:
            if read_saved(self.workspace.outputs_folder, site) is None:
                raise HookError(
                    f"{site}: nothing of it is known here: cdktf deploy '*', or, where it was deployed from "
                    "elsewhere, clustermesos synth and clustermesos show; to try contracts without a "
                    "cluster, clustermesos simulate --endpoints FILE, and then --simulator FILE"
                )
        stacks = stack_folders(self.plan, self.outdir)
        folder = write_ssh(self.plan, self.workspace, stacks, os.environ)
        with through_gateways(self.plan, Ssh(folder=folder)) as endpoints:
            yield endpoints

    def _simulators_tokens(self) -> Mapping[str, str]:
        """Of the real Consul that a simulator may register its tasks at."""
        token = os.environ.get("CONSUL_HTTP_TOKEN")
        return dict.fromkeys(self.plan.sites, token) if token else {}

    def _tokens(self) -> Mapping[str, str]:
        from constructs_lib.hooks.platform import TOKEN

        found = {site: self._secret(site, TOKEN) for site in self.plan.sites}
        return {site: token for site, token in found.items() if token}

    def _login(self) -> Login | None:
        """Of the home site's registry; None where its password or the authority's certificate is not here."""
        from constructs_lib.components.consul import AUTHORITY
        from constructs_lib.components.registry import PASSWORD
        from constructs_lib.hooks.finding import Login

        home = next(iter(self.plan.sites.values())).home
        password = self._secret(home, PASSWORD)
        authority = self._secret(home, f"{AUTHORITY}_certificate")
        return Login(password=password, authority=authority) if password and authority else None

    def _secret(self, site: str, declared: str) -> str:
        """Of a site, from the environment or the store; empty where it is not here."""
        from constructs_lib.secrets.ensure import VARIABLE_PREFIX
        from constructs_lib.secrets.store import read_store

        held = read_store(self.workspace.secrets_file)
        names = (one.name for one in self.plan.site(site).secrets if one.declared.name == declared)
        return next((os.environ.get(VARIABLE_PREFIX + name) or held.get(name, "") for name in names), "")


def say(line: str) -> None:
    """Progress goes to standard error, so that standard output is the answer alone.

    A terminal that is gone (SIGHUP) ends nothing: what is tidied up then still has to be.
    """
    with suppress(OSError):
        print(line, file=sys.stderr, flush=True)
