"""Marathon, Chronos and Registrator as nodes run them by default: from images, in containers of Docker."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from functools import partial

import pytest

from constructs_lib.lab.keeper import KeptLab
from constructs_lib.rollout.targets import Target
from constructs_lib.simulator.build import default_images
from constructs_lib.spec.load import load
from constructs_lib.spec.workspace import Workspace
from tests.lab.admin import Operator
from tests.lab.asking import LONG, MASTERS, says, seen
from tests.lab.drill import Drill
from tests.lab.healthy import HEALTHY_SECONDS
from tests.lab.telling import lines_of, search, told_elsewhere, values_of

pytestmark = [pytest.mark.root, pytest.mark.slow, pytest.mark.lab]
AGENT, SERVICE, PORT = "general-1", "drill-of-images", 8098
IMAGES = default_images()
PROGRAMS = {AGENT: ("registrator",), "master": ("marathon", "chronos")}
"""What runs from an image, on the agent and on the master whose Mesos leads."""
BOX = "tar -c -C / bin/busybox | docker import - drill"
SERVE = (
    f"docker run -d --name drill --stop-timeout 1 -p {PORT}:{PORT} -e SERVICE_NAME={SERVICE} drill "
    f"/bin/busybox httpd -f -p {PORT} -h /"
)


@pytest.fixture
def operator(lab: KeptLab, workspace: Workspace) -> Iterator[Operator]:
    yield Operator(lab, workspace, load(workspace.cluster_file))
    lab.run(AGENT, "docker", "rm", "--force", "drill", timeout=LONG)


def _leads(lab: KeptLab) -> str:
    """The master whose Mesos leads: Chronos runs there."""
    runs = partial(_active, lab, "chronos.service")
    return seen("Chronos runs on one master", LONG, runs, lambda found: len(found) == 1)[0]


def _active(lab: KeptLab, unit: str) -> list[str]:
    return [master for master in MASTERS if lab.run(master, "systemctl", "is-active", unit).code == 0]


def _containers(lab: KeptLab, name: str) -> dict[str, tuple[str, str]]:
    """Container → its id and image, of those that run on the machine."""
    said = says(lab, name, "docker", "ps", "--format", "{{.Names}} {{.ID}} {{.Image}}")
    return {words[0]: (words[1], words[2]) for words in map(str.split, said.splitlines())}


def _images(containers: dict[str, tuple[str, str]], wanted: dict[str, str]) -> bool:
    """Whether each of `wanted` runs from its image."""
    return wanted.items() <= {name: image for name, (_, image) in containers.items()}.items()


def _registered(lab: KeptLab) -> list[str]:
    """Where Consul says that the service is."""
    url = f"http://127.0.0.1:8500/v1/catalog/service/{SERVICE}"
    token = 'curl -sf -H "X-Consul-Token: $(cat /etc/consul/secrets/management)" "$1"'
    found = json.loads(says(lab, "consul-1", "sh", "-c", token, "sh", url))
    return [f"{one['Node']}:{one['ServicePort']}" for one in found]


def _by_default(operator: Operator, names: tuple[str, ...]) -> list[Target]:
    """What all nodes are to have, these the default source of what runs without an image here."""
    as_they_are, overrides = operator.targets(operator.spec), operator.overrides
    own = {name: settings for name, settings in overrides.software.items() if name not in IMAGES}
    operator.overrides = replace(overrides, software=own)
    by_default = {target.name: target for target in operator.targets(operator.spec)}
    operator.overrides = overrides
    return [by_default[one.name] if one.name in names else one for one in as_they_are]


def test_default_units_run_their_programs_from_images(operator: Operator, drill: Drill) -> None:
    lab, before = operator.lab, operator.targets(operator.spec)
    leads = _leads(lab)
    programs = {AGENT: PROGRAMS[AGENT], leads: PROGRAMS["master"]}
    for name, ours in programs.items():
        for program in ours:
            says(lab, name, "double-image", program, IMAGES[program])
    after = _by_default(operator, (AGENT, leads))
    drill.breaks(
        f"{leads} and {AGENT} get Marathon, Chronos and Registrator from images, as is the default, by nodes "
        "apply; then Registrator's container is killed",
        "all are healthy in containers of these images; Registrator tells Consul what containers publish, "
        "comes back by itself, and nodes rollback leaves no container",
    )

    assert operator.apply(after) == (leads, AGENT)

    lab.wait(HEALTHY_SECONDS, leads, AGENT)
    for name, ours in programs.items():
        wanted = {program: IMAGES[program] for program in ours}
        running = partial(_containers, lab, name)
        seen(f"{name} runs {', '.join(ours)}", LONG, running, partial(_images, wanted=wanted))
    drill.saw(f"healthy: {', '.join(IMAGES.values())}")
    for name in programs:
        with search(lab, name, lines_of(values_of(operator.workspace), operator.plan)):
            assert told_elsewhere(lab, name) == [], name
    drill.saw("their passwords are in no file that others may read, Docker's and containerd's own included")
    says(lab, AGENT, "sh", "-c", f"{BOX} && {SERVE}")
    here = [f"{AGENT}:{PORT}"]
    seen("Consul has the service", LONG, partial(_registered, lab), lambda found: found == here)
    drill.saw("Registrator told Consul of a container that publishes a port")
    killed = _containers(lab, AGENT)["registrator"][0]
    says(lab, AGENT, "docker", "kill", "registrator")
    says(lab, AGENT, "docker", "rm", "--force", "drill", timeout=LONG)
    seen(
        "Registrator is back",
        LONG,
        partial(_containers, lab, AGENT),
        lambda now: now.get("registrator", (killed,))[0] != killed,
    )
    seen("Consul has the service no more", LONG, partial(_registered, lab), lambda found: found == [])
    drill.saw("killed: back by itself, and it took away what had ended meanwhile")

    assert set(operator.back(after)) == {leads, AGENT}

    for name in programs:
        assert not {*_containers(lab, name)} & {*IMAGES}
    assert [state.target.name for state in operator.states(before) if state.changes] == []
    drill.saw("went back: no container of them is left")
