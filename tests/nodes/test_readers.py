"""Every file that any node gets is read by its own program; one that no program is named for fails the test.

A new component's files need a row in READERS: a function of this page, or the test that starts the real
program with them.
"""

from __future__ import annotations

import copy
import json
import os
import re
import subprocess
import sys
from collections.abc import Callable
from fnmatch import fnmatchcase
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from constructs_lib.components.docker import DOCKER
from constructs_lib.components.model import AptPackages
from constructs_lib.nodes.model import NodeFiles
from constructs_lib.nodes.render import render
from constructs_lib.plan.plan import plan
from constructs_lib.spec.load import load
from constructs_lib.spec.model import ClusterSpec
from constructs_lib.spec.platforms import PLATFORMS
from scripts.progress import ROOT
from tests.conftest import ALLOWED_SKIPS, need, tool
from tests.nodes.clusters import HYBRID, RELAYED, SMALL, WHOLE, nodes
from tests.skip_policy import allowed_skips

COMPONENTS = Path(__file__).parents[1] / "components"
OWN_NAME = "tests/nodes/test_readers.py"


def featured() -> dict[str, Any]:
    """The cluster with everything, and what only some clusters have."""
    spec: dict[str, Any] = copy.deepcopy(WHOLE)
    spec["nodes"] = {
        "time_servers": ["10.20.0.5", "ntp.example.org", "192.0.2.9"],
        "logs": "tcp://logs.example.org:514",
        "alertmanagers": ["http://alerts.example.org:9093"],
        "preflight_warnings": ["clock", "dns"],
    }
    shared = {"source": "10.20.0.5:/export", "options": "vers=4.2,noatime"}
    spec["sites"]["eu"]["agents"]["general"]["shared"] = shared
    ceph = {"type": "ceph", "source": "10.20.0.6:6789:/", "options": "name=agents,secretfile=/etc/ceph/key"}
    spec["sites"]["eu"]["agents"]["batch"]["shared"] = ceph
    spec["sites"]["eu"]["registry"] = {"cache": True}
    spec["backups"] = {
        "offsite": {
            "repository": "rest:https://saved.example.org",
            "password": "backup/platform",
        }
    }
    spec["app_secrets"] = {"backup/platform": {"pools": [], "made": True}}
    spec["platform_backup"] = {"to": "offsite"}
    return spec


def from_packages() -> dict[str, Any]:
    spec: dict[str, Any] = copy.deepcopy(SMALL)
    return spec | {"software": {"components": {"zookeeper": {"source": "apt"}, "docker": {"source": "apt"}}}}


@cache
def every_node() -> tuple[NodeFiles, ...]:
    found: list[NodeFiles] = []
    for spec in (SMALL, WHOLE, featured(), from_packages()):
        planned = plan(ClusterSpec.model_validate(spec)).site("eu")
        found += [render(planned, node) for node in nodes(planned)]
    for spec in (HYBRID, RELAYED):
        for planned in plan(ClusterSpec.model_validate(spec)).sites.values():
            found += [render(planned, node) for node in nodes(planned)]
    return tuple(found)


@cache
def nodes_of_every_platform() -> tuple[NodeFiles, ...]:
    """Of the clusters that each platform's golden stacks are made of."""
    specs = (load(path) for path in sorted(ROOT.glob("tests/*/golden/*/cluster.yaml")))
    sites = [planned for spec in specs for planned in plan(spec).sites.values()]
    assert {planned.platform for planned in sites} == set(PLATFORMS)
    return tuple(render(planned, node) for planned in sites for node in nodes(planned))


def texts() -> dict[str, set[str]]:
    """Path → every text that stands there on some node."""
    found: dict[str, set[str]] = {}
    for files in (*every_node(), *nodes_of_every_platform()):
        for file in files.files:
            found.setdefault(file.path, set()).add(_resolved(file.content))
    return found


def _resolved(text: str) -> str:
    """With a number where a late one stands: as text it would be none that a program takes."""
    return re.sub(r"@@late:network_mtu:[^@]+@@", "9000", text)


def reads(*command: str | Path) -> None:
    done = subprocess.run(
        [str(word) for word in command], capture_output=True, text=True, check=False, timeout=180
    )
    assert done.returncode == 0, done.stdout + done.stderr


def shell(path: Path) -> None:
    reads(need("shellcheck"), path)


def python(path: Path) -> None:
    compile(path.read_text(), str(path), "exec", dont_inherit=True)


def any_script(path: Path) -> None:
    (python if "python" in path.read_text().partition("\n")[0] else shell)(path)


def environment_file(path: Path) -> None:
    """Read by systemd and by shells: assignments, each on its line, that a shell takes too."""
    reads("sh", "-euc", f". {path}")
    lines = path.read_text().splitlines()
    assert all(re.match(r"[A-Z][A-Z0-9_]*=", line) for line in lines if line)


def json_text(path: Path) -> None:
    json.loads(path.read_text())


def docker(path: Path) -> None:
    """By dockerd with the flags of its unit: a setting that is also a flag keeps it from starting."""
    # dockerd looks for its docker-proxy, which comes with it on a node.
    flags = ("-H", "fd://", "--containerd=/run/containerd/containerd.sock", "--userland-proxy-path=/bin/true")
    dockerd = (tool("dockerd"), *flags, "--validate", "--config-file")
    reads(*dockerd, path)
    # It says nothing of a key that is a flag's name and no setting's, such as registry-mirror. No setting is
    # a list of lists: one that it does read is refused as such.
    for key in json.loads(path.read_text()):
        wrong = path.with_name("wrong.json")
        wrong.write_text(json.dumps({key: [[]]}))
        with pytest.raises(AssertionError):
            reads(*dockerd, wrong)


def chrony(path: Path) -> None:
    # -Q would ask the servers; -p prints what was understood.
    reads(need("chronyd"), "-p", "-f", path)


def nftables(path: Path) -> None:
    need("nft")
    if subprocess.run(["nft", "list", "tables"], capture_output=True, check=False).returncode:
        pytest.skip("nft needs root")
    reads("nft", "-c", "-f", path)


def ssh_keys(path: Path) -> None:
    reads(need("ssh-keygen"), "-l", "-f", path)


def apt(path: Path) -> None:
    reads(need("apt-config"), "-c", path, "dump")


def rsyslog(path: Path) -> None:
    whole = path.with_name("rsyslog.conf")
    whole.write_text(f'module(load="imuxsock")\n{path.read_text()}\n')
    reads(need("rsyslogd"), "-N1", "-f", whole)


def logrotate(path: Path) -> None:
    # -d changes nothing; a file that others may write is refused.
    path.chmod(0o644)
    reads(need("logrotate"), "-d", "-s", path.with_name("state"), path)


def hosts(path: Path) -> None:
    """getent reads no other file than /etc/hosts: an address and names on each line."""
    for line in path.read_text().splitlines():
        assert re.fullmatch(r"[0-9a-f:.@a-z]+( [a-z0-9@:.-]+)+", line), line


def number(path: Path) -> None:
    assert 1 <= int(path.read_text()) <= 255


Reader = Callable[[Path], None] | str
READERS: tuple[tuple[str, Reader], ...] = (
    (r"/usr/local/(sbin|libexec(/platform-backup)?)/[^/]+", any_script),
    (r"/etc/systemd/system/.+", "all of a node's units together, below"),
    (r"/etc/clustermesos/firewall(-closed)?\.nft", nftables),
    (r"/etc/clustermesos/(node|platform-backup)\.env", environment_file),
    (r"/etc/clustermesos/site-link\.json", json_text),
    (r"/etc/hosts", hosts),
    (r"/etc/chrony/chrony\.conf", chrony),
    (r"/home/[^/]+/\.ssh/authorized_keys", ssh_keys),
    (r"/etc/ssh/sshd_config\.d/.+", "test_base.py"),
    (r"/etc/needrestart/conf\.d/.+", "test_base.py"),
    (r"/etc/apt/apt\.conf\.d/.+", apt),
    (r"/etc/rsyslog\.d/.+", rsyslog),
    (r"/etc/logrotate\.d/.+", logrotate),
    (r"/etc/default/(mesos-(master|agent)|prometheus-node-exporter)", environment_file),
    (r"/etc/marathon/marathon\.env", environment_file),
    (r"/etc/docker/daemon\.json", docker),
    (r"/etc/mesos/(acls|agent)\.json", json_text),
    (r"/etc/mesos/credentials\.in", "test_mesos_master.py:/run/mesos-master/credentials.json"),
    (r"/etc/mesos/zk\.in", "test_mesos_master.py:/run/mesos-master/zk"),
    (r"/etc/mesos-(master|agent)/\?no-logger", "test_mesos_master.py"),
    (r"/etc/chronos/args", "test_chronos.py"),
    (r"/etc/consul\.d/consul\.json", "test_consul.py"),
    (r"/etc/systemd/resolved\.conf\.d/.+", "test_docker.py"),
    (r"/etc/nginx/nginx\.conf", "test_nginx.py"),
    (r"/etc/consul-template/consul-template\.json", "test_consul_template.py"),
    (r"/etc/consul-template/routes\.ctmpl", "test_consul_template.py"),
    (r"/etc/consul-template/contracts\.ctmpl", "test_prometheus_contracts.py"),
    (r"/etc/prometheus/prometheus\.yml", "test_prometheus.py"),
    (r"/etc/registry/registry\.yml", "test_registry.py"),
    (r"/etc/registry/cache\.yml", "test_registry_hub.py"),
    (r"/etc/zookeeper/zoo\.cfg", "test_zookeeper.py"),
    (r"/srv/data/zookeeper/myid", number),
)
"""Path → who reads it: a function here, or the test below tests/components that has the program; what a
script makes of the file stands after a colon.
"""


def readers(path: str) -> list[Reader]:
    return [reader for pattern, reader in READERS if re.fullmatch(pattern, path)]


@pytest.mark.slow
@pytest.mark.parametrize("path", sorted(texts()))
def test_every_file_is_read_by_its_program(path: str, tmp_path: Path) -> None:
    found = readers(path)
    assert len(found) == 1, f"{path}: READERS names {len(found)} programs for it, expected one"
    [reader] = found
    if isinstance(reader, str):
        test, _, result = reader.partition(":")
        if test.endswith(".py"):
            assert (result or Path(path).name) in (COMPONENTS / test).read_text(encoding="utf-8"), reader
        return
    for order, text in enumerate(sorted(texts()[path])):
        here = tmp_path / f"{order}-{Path(path).name}"
        here.write_text(text)
        reader(here)


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ('{"log-drivers": "local"}', "don't match any configuration option"),
        ('{"mtu": "1500"}', "cannot unmarshal string"),
        ('{"live-restore": 1}', "cannot unmarshal number"),
        ('{"mtu": 1500,}', "invalid character '}'"),
        ('{"dns": ["localhost"]}', "invalid IP address"),
        ('{"registry-mirrors": ["mirror.example.org"]}', "invalid mirror"),
        ('{"hosts": ["unix:///var/run/docker.sock"]}', "both as a flag and in the configuration file"),
    ],
)
def test_a_setting_that_dockerd_would_not_start_with_is_found(wrong: str, said: str, tmp_path: Path) -> None:
    here = tmp_path / "daemon.json"
    here.write_text(wrong)

    with pytest.raises(AssertionError, match=re.escape(said)):
        docker(here)


def test_a_setting_that_dockerd_would_pass_over_is_found(tmp_path: Path) -> None:
    here = tmp_path / "daemon.json"
    here.write_text('{"registry-mirror": ["https://mirror.example.org"]}')

    with pytest.raises(pytest.fail.Exception, match="DID NOT RAISE"):
        docker(here)


def test_the_dockerd_that_reads_is_of_the_line_that_nodes_get() -> None:
    modules = (ROOT / "requirements/dockerd/go.mod").read_text(encoding="utf-8")
    [pinned] = re.findall(r"github\.com/docker/docker v([\d.]+)\+incompatible\n", modules)
    assert isinstance(DOCKER.software, AptPackages)

    assert pinned.startswith(f"{DOCKER.software.version}.")


def test_no_test_that_reads_a_nodes_file_may_be_skipped_in_ci() -> None:
    named = {reader.partition(":")[0] for _, reader in READERS if isinstance(reader, str)}
    ours = {f"tests/components/{name}" for name in named if name.endswith(".py")} | {OWN_NAME}
    files = {
        pattern.partition("::")[0] for pattern in allowed_skips(ALLOWED_SKIPS.read_text(encoding="utf-8"))
    }

    assert [file for file in sorted(ours) if any(fnmatchcase(file, pattern) for pattern in files)] == []


@pytest.mark.slow
@pytest.mark.parametrize(("ci", "code"), [("", pytest.ExitCode.OK), ("true", pytest.ExitCode.TESTS_FAILED)])
def test_a_reader_that_is_not_here_is_skipped_by_name_and_fails_in_ci(
    ci: str, code: pytest.ExitCode, tmp_path: Path
) -> None:
    a_script = "test_every_file_is_read_by_its_program[/usr/local/sbin/consul-snapshot]"
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-rs", "-p", "no:cacheprovider", f"{OWN_NAME}::{a_script}"],
        cwd=ROOT,
        env={**os.environ, "CI": ci, "PATH": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )

    assert "shellcheck is not installed: sudo scripts/system_packages.sh" in done.stdout, (
        done.stdout + done.stderr
    )
    assert done.returncode == code


def test_no_row_is_for_a_file_that_no_node_has() -> None:
    unused = [pattern for pattern, _ in READERS if not any(re.fullmatch(pattern, path) for path in texts())]

    assert unused == []


@pytest.mark.parametrize(
    "files", every_node(), ids=lambda files: f"{files.cluster}-{files.site}-{files.name}"
)
def test_systemd_finds_nothing_wrong_with_all_units_of_a_node_together(
    files: NodeFiles, tmp_path: Path
) -> None:
    analyze = need("systemd-analyze")
    folder = "/etc/systemd/system/"
    own = [file for file in files.files if file.path.startswith(folder)]
    ours = {file.path.removeprefix(folder): file.content for file in own}
    # Programs and units that this machine does not have.
    programs = sorted(
        set(re.findall(r"Exec\w+=[-+@]*(/\S+)", "\n".join(ours.values()))), key=len, reverse=True
    )
    for name, text in ours.items():
        for program in programs:
            text = text.replace(program, "/bin/true")  # noqa: PLW2901 - of the same line
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)
    # A package's unit, for what we add to it.
    added_to = {name.partition(".d/")[0] for name in ours if ".service.d/" in name} - set(ours)
    for name in added_to:
        (tmp_path / name).write_text("[Service]\nExecStart=/bin/true\n")
    units = sorted({*added_to, *(name for name in ours if "/" not in name)})
    done = subprocess.run(
        [
            str(analyze),
            "verify",
            "--man=no",
            "--recursive-errors=no",
            *(str(tmp_path / name) for name in units),
        ],
        capture_output=True,
        text=True,
        check=False,
        timeout=180,
    )
    said = [line for line in done.stderr.splitlines() if any(unit in line for unit in units)]

    assert said == []
    assert done.returncode == 0, done.stderr
