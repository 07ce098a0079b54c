"""``make demo`` and ``make demo-destroy``: cluster.yaml's cluster in an AWS API double, by the real cdktf.

    python -m scripts.demo deploy|destroy

``VERBOSE=1`` shows all that Terraform prints. Only a cluster whose every site names an AWS endpoint on this
machine is deployed or destroyed by these two commands.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from urllib.parse import urlsplit

from constructs_lib.errors import ClusterMesosError
from constructs_lib.hooks.simulated import VARIABLE
from constructs_lib.spec.load import load
from constructs_lib.spec.model import ClusterSpec
from constructs_lib.spec.workspace import Workspace
from scripts import cdktf
from scripts.embedded_aws import HOST, WHAT, EmbeddedAws
from scripts.environment import VENV
from scripts.progress import StepError, already, one_line_errors, step
from scripts.simulated_platform import WHAT as SIMULATOR
from scripts.simulated_platform import SimulatedPlatform


def embedded_port(spec: ClusterSpec) -> int:
    """The port of the one AWS endpoint on this machine that all sites name.

    Raises:
        StepError: a site would be deployed somewhere else.
    """
    ports = set()
    for name, site in spec.sites.items():
        endpoint = site.aws.endpoint if site.aws else None
        address = urlsplit(endpoint or "")
        if address.hostname not in (HOST, "localhost") or address.port is None:
            raise StepError(
                f"sites.{name}.aws.endpoint: got {endpoint!r}, expected http://{HOST}:PORT; "
                "`make demo` deploys to this machine only, your own account takes `cdktf deploy` (README)"
            )
        ports.add(address.port)
    if len(ports) != 1:
        raise StepError(f"sites.*.aws.endpoint: got the ports {sorted(ports)}, expected one for all sites")
    return int(ports.pop())


def deploy(workspace: Workspace) -> None:
    """Start the double, deploy, and show what was built.

    Raises:
        StepError: with the one line to show.
        ClusterMesosError: cluster.yaml is wrong.
    """
    port = embedded_port(load(workspace.cluster_file))
    double = EmbeddedAws()
    where = f"{WHAT}, on http://{HOST}:{port}"
    if double.running():
        double.start(port)
        already(where, "runs")
    else:
        with step(where):
            double.start(port)
        _set_state_aside(workspace)
    platform = SimulatedPlatform()
    with step(f"{SIMULATOR}, for the applications"):
        platform.start()
    # Hooks and commands ask it instead of machines that never boot.
    os.environ[VARIABLE] = str(platform.endpoints)
    with step("cdktf deploy"):
        cdktf.run("deploy", verbose=_verbose())
    with step("clustermesos show"):
        _show("show")
    with step("clustermesos status"):
        _show("status")
    print("The API is a double that starts no machine: nothing answers at these addresses, and the")
    print("applications run in a SIMULATOR. Ask it further, and change contracts/ and `make demo` again:")
    print(f"  {VARIABLE}={os.path.relpath(platform.endpoints)} .venv/bin/clustermesos explain shop")
    print("Destroy it with: make demo-destroy", flush=True)


def destroy(workspace: Workspace) -> None:
    """Destroy what was deployed and stop the double.

    Raises:
        StepError: with the one line to show.
        ClusterMesosError: cluster.yaml is wrong.
    """
    embedded_port(load(workspace.cluster_file))
    double = EmbeddedAws()
    if not double.running():
        already(WHAT, "not running, so there is nothing to destroy")
        return
    with step("cdktf destroy"):
        cdktf.run("destroy", verbose=_verbose())
    double.stop()
    already(WHAT, "stopped")
    SimulatedPlatform().stop()
    already(SIMULATOR, "stopped")


def _set_state_aside(workspace: Workspace) -> None:
    """A new double knows nothing of what Terraform remembers of the former one."""
    for state in sorted(workspace.state_folder.glob("*.tfstate")):
        if not json.loads(state.read_text() or "{}").get("resources"):
            continue
        state.replace(state.with_suffix(".tfstate.former-double"))
        already(f"state {state.name}", "set aside, the double that it describes has ended")


def _show(command: str) -> None:
    shown = subprocess.run([VENV / "bin" / "clustermesos", command], env=cdktf.environment(), check=False)
    if shown.returncode != 0:
        raise StepError(f"clustermesos {command} ended with {shown.returncode}")


def _verbose() -> bool:
    return os.environ.get("VERBOSE", "") not in ("", "0")


def main(arguments: list[str]) -> int:
    """Run one command; returns the exit code: 0 fine, 1 failed, 2 cluster.yaml or the arguments are wrong."""
    commands = {"deploy": deploy, "destroy": destroy}
    if len(arguments) != 1 or arguments[0] not in commands:
        print("usage: python -m scripts.demo deploy|destroy", file=sys.stderr)
        return 2
    # make, a closed terminal and CI end a run by these; Terraform must get to save its state then as well.
    for sign in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(sign, signal.default_int_handler)
    try:
        commands[arguments[0]](Workspace.find())
    except ClusterMesosError as error:
        print(error, file=sys.stderr)
        return error.exit_code
    return 0


if __name__ == "__main__":
    with one_line_errors():
        sys.exit(main(sys.argv[1:]))
