from __future__ import annotations

import dataclasses
import json
import re
import subprocess
from functools import lru_cache
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import example, given, settings
from hypothesis import strategies as st

from constructs_lib.components.model import Role
from constructs_lib.errors import RenderError
from constructs_lib.nodes.cloud_init import check_size, gzip_size, pack
from constructs_lib.nodes.generation import INCOMING
from constructs_lib.nodes.late import resolve_for_terraform
from constructs_lib.nodes.model import NodeFile, NodeFiles
from constructs_lib.nodes.render import render
from constructs_lib.plan.model import SitePlan
from constructs_lib.plan.plan import plan
from constructs_lib.rollout.wanted import secret_source
from constructs_lib.spec.load import from_dict
from constructs_lib.spec.model import ClusterSpec
from constructs_lib.spec.platforms import PLATFORMS
from tests.conftest import need
from tests.nodes.clusters import CASES, HYBRID, KEY, RELAYED, SMALL, SOURCE, nodes, on, site
from tests.nodes.test_readers import featured

LIMIT = 16_384
WITHOUT_FILES = dataclasses.replace(SOURCE, files=())


@lru_cache
def files_of(case: str, name: str) -> NodeFiles:
    planned = site(case)
    return render(planned, next(node for node in nodes(planned) if node.name == name))


def config(files: NodeFiles) -> dict[str, Any]:
    loaded: dict[str, Any] = yaml.safe_load(pack(files, SOURCE))
    return loaded


def with_file(content: str) -> NodeFiles:
    return dataclasses.replace(
        files_of("small", "general"), files=(NodeFile(path="/etc/any", content=content),)
    )


def test_the_text_is_cloud_config_and_says_whose_it_is() -> None:
    lines = pack(files_of("whole", "master-2"), SOURCE).splitlines()

    assert lines[0] == "#cloud-config"
    assert lines[1].startswith("# master master-2, cluster whole, site eu;")


def test_planned_nodes_have_their_planned_name_and_agents_keep_their_own() -> None:
    assert config(files_of("whole", "master-2"))["hostname"] == "master-2"
    assert "hostname" not in config(files_of("whole", "batch"))
    assert config(files_of("whole", "batch"))["manage_etc_hosts"] is False


def test_the_admin_logs_in_by_key_alone() -> None:
    loaded = config(files_of("whole", "master-1"))

    [user] = loaded["users"]
    assert (user["name"], user["ssh_authorized_keys"], user["lock_passwd"]) == ("deploy", [KEY], True)
    assert loaded["ssh_pwauth"] is False
    assert loaded["disable_root"] is True


def test_the_manifest_is_written_last_and_a_failing_command_fails_the_boot() -> None:
    loaded = config(files_of("whole", "master-1"))

    assert loaded["write_files"][-1]["path"] == f"{INCOMING}/manifest.json"
    assert loaded["runcmd"][0] == "set -e"
    assert loaded["runcmd"][-1].startswith("/usr/local/sbin/clustermesos-apply first-boot || ")


def test_the_operators_cloud_config_is_merged_after_ours() -> None:
    loaded = config(files_of("whole", "general"))

    assert loaded["packages"] == ["nfs-common"]
    assert loaded["timezone"] == "Europe/Paris"
    assert "timezone" not in config(files_of("whole", "master-1"))


def test_mirror_and_proxy_are_honoured() -> None:
    assert config(files_of("whole", "master-1"))["apt"] == {
        "primary": [{"arches": ["default"], "uri": "http://mirror.example.org/ubuntu"}],
        "http_proxy": "http://proxy.example.org:3128",
        "https_proxy": "http://proxy.example.org:3128",
    }
    assert "apt" not in config(files_of("small", "master-1"))


SOURCES = """
import sys
from types import SimpleNamespace
import yaml
from cloudinit import templater
from cloudinit.config import cc_apt_configure
text, template, codename = sys.argv[1:]
nothing = SimpleNamespace(get_package_mirror_info=dict)
cloud = SimpleNamespace(datasource=nothing)
mirrors = cc_apt_configure.find_apt_mirror_info(yaml.safe_load(text)["apt"], cloud, arch="amd64")
names = {name.lower(): mirror for name, mirror in mirrors.items()} | {"codename": codename}
print(templater.render_string(open(template).read(), names))
"""
"""The sources.list that cloud-init's own module makes of a node's text, by its template of a distribution."""


@pytest.mark.parametrize(
    ("distribution", "codename", "mirrors", "security"),
    [
        ("debian", "bookworm", ("debian", "debian-security"), "debian-security"),
        ("ubuntu", "noble", ("ubuntu",), "ubuntu"),
        ("ubuntu", "noble", ("ubuntu", "ubuntu-security"), "ubuntu-security"),
    ],
)
def test_cloud_init_takes_security_updates_from_where_the_mirror_has_them(
    distribution: str, codename: str, mirrors: tuple[str, ...], security: str
) -> None:
    need("cloud-init")
    settings = ("apt_mirror", "apt_security_mirror")
    software = {s: f"http://mirror.example.org/{name}" for s, name in zip(settings, mirrors, strict=False)}
    planned = plan(from_dict(SMALL | {"software": software})).site("eu")
    text = pack(render(planned, planned.nodes[0]), SOURCE)
    template = f"/etc/cloud/templates/sources.list.{distribution}.tmpl"

    done = subprocess.run(
        ["/usr/bin/python3", "-c", SOURCES, text, template, codename],
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.returncode == 0, done.stderr
    lines = [line.split() for line in done.stdout.splitlines() if line.startswith("deb ")]
    found = {suite: uri for _, uri, suite, *_ in lines}
    assert found[codename] == f"http://mirror.example.org/{distribution}"
    assert found[f"{codename}-security"] == f"http://mirror.example.org/{security}"


def test_what_is_not_text_is_refused_by_name() -> None:
    with pytest.raises(RenderError, match="/etc/any: its content is not text"):
        pack(with_file("\ud800"), SOURCE)
    with pytest.raises(RenderError, match="/etc/any: its content holds a NUL character"):
        pack(with_file("a\0b"), SOURCE)


def test_a_secret_source_may_not_take_a_components_path() -> None:
    taken = dataclasses.replace(SOURCE, files=(NodeFile(path="/etc/hosts", content="x"),))

    with pytest.raises(RenderError, match="/etc/hosts: the secret source puts a file where"):
        pack(files_of("small", "master-1"), taken)


BOUND = 12 * 1024
"""Bytes of each role's text on each platform; the tightest one is AWS, with 16,384."""


@lru_cache
def everywhere() -> dict[str, SitePlan]:
    """Sites of every platform with what their nodes get secrets and program with: small, whole, with every
    option, and beside others.
    """
    unsaved = {key: value for key, value in featured().items() if key != "platform_backup"}
    unsaved["app_secrets"] = {"backup/platform": {"pools": ["general"]}}
    specs = CASES | {"featured": unsaved, "saved": featured()}
    found = {
        f"{case}, {platform}": on(platform, spec) for case, spec in specs.items() for platform in PLATFORMS
    }
    for name, spec in {"hybrid": HYBRID, "relayed": RELAYED}.items():
        planned = plan(ClusterSpec.model_validate(spec))
        found |= {f"{name}, {site.name}": site for site in planned.sites.values()}
    return found


@pytest.mark.parametrize("where", everywhere())
def test_every_text_leaves_a_quarter_of_the_tightest_platforms_limit(where: str) -> None:
    planned = everywhere()[where]
    for node in nodes(planned):
        text = pack(render(planned, node), secret_source(planned))
        check_size(text, planned.late_values, BOUND, f"{where}, {node.name}")


def test_a_text_over_the_limit_is_refused_with_its_size_and_its_biggest_files() -> None:
    incompressible = "".join(f"{number * 7919 % 104729:x}" for number in range(30_000))
    text = pack(with_file(incompressible), SOURCE)

    with pytest.raises(RenderError) as raised:
        check_size(text, (), LIMIT, "small/eu/general")

    message = str(raised.value)
    assert message.startswith(f"user data of small/eu/general: {gzip_size(text):,} bytes compressed")
    assert "takes at most 16,384; biggest: /files/etc/any (" in message


def test_late_values_count_with_their_longest_sample() -> None:
    planned = site("whole")
    text = pack(render(planned, planned.nodes_of(Role.MASTER)[0]), secret_source(planned))

    assert check_size(text, planned.late_values, LIMIT, "x") > gzip_size(text)


def test_the_margin_covers_terraforms_own_compressor(tmp_path: Path) -> None:
    terraform = need("terraform")
    planned = site("whole")
    text = pack(render(planned, planned.nodes_of(Role.MASTER)[0]), SOURCE)
    (tmp_path / "text").write_text(text)
    done = subprocess.run(
        [terraform, "console"],
        cwd=tmp_path,
        input='length(base64gzip(file("text")))',
        capture_output=True,
        text=True,
        check=True,
    )

    compressed = int(done.stdout) * 3 // 4
    assert compressed <= gzip_size(text) <= compressed * 1.05


CLOUD_INIT_VALIDATES = """
import sys
from cloudinit.config import schema
whole = schema.get_schema()
for path in sys.argv[1:]:
    try:
        schema.validate_cloudconfig_file(path, whole)
    except schema.SchemaValidationError as error:
        print("refused:", path)
        print(path, error, file=sys.stderr)
"""
"""What `cloud-init schema -c FILE` does, in one process for all files."""


@pytest.mark.slow
def test_cloud_init_itself_accepts_every_text_of_every_platform(tmp_path: Path) -> None:
    need("cloud-init")
    for where, planned in everywhere().items():
        for node in nodes(planned):
            text = pack(render(planned, node), secret_source(planned))
            (tmp_path / f"{where}-{node.name}").write_text(text)
    wrong = tmp_path / "wrong"
    wrong.write_text("#cloud-config\nruncmd: {}\n")

    done = subprocess.run(
        ["/usr/bin/python3", "-c", CLOUD_INIT_VALIDATES, *sorted(tmp_path.iterdir())],
        capture_output=True,
        text=True,
        check=False,
        timeout=180,
    )

    refused = [line for line in done.stdout.splitlines() if line.startswith("refused: ")]
    assert (done.returncode, refused) == (0, [f"refused: {wrong}"]), done.stderr


AWKWARD = st.text(
    st.one_of(
        st.characters(exclude_categories=["Cs"], exclude_characters="\0"),
        st.sampled_from("\r\n\t :#'\"-|>%@`$"),
    )
)


@pytest.mark.slow
@settings(max_examples=300, deadline=None)
@given(AWKWARD)
@example("\x85")
@example("a\u2028b")
@example("\rstart")
@example("ends\n\n\n...\n\n")
@example("...\n")
@example("- path: /etc/other\n")
def test_any_content_arrives_through_yaml_byte_for_byte(content: str) -> None:
    loaded = yaml.safe_load(pack(with_file(content), WITHOUT_FILES))

    assert loaded["write_files"][0]["content"] == content


CLOUD_INIT_READS = """
import json, sys
from cloudinit import util
texts = json.load(sys.stdin)
print(json.dumps([util.load_yaml(text)["write_files"][0]["content"] for text in texts]))
"""


def test_any_content_arrives_through_cloud_inits_own_parser() -> None:
    need("cloud-init")
    contents = [
        "quotes \" and ' \\ back\\slash\n",
        "${shell} %{directive} $${escaped} $(sub) `tick` %%\n",
        "key: [not, {yaml: really}]\n- item\n# comment\n--- \n...\n&anchor *alias !tag\n",
        "trailing spaces   \nand tabs\t\n\n\n",
        "windows\r\nlines\r\n",
        "no newline at the end",
        "\n\nnewlines first\n",
        "   indented first line\nthen not\n",
        "\tnaïve ß, 中文, é, 😀, \u2028, \x85, \ufeff\n",
        "",
        "\n",
        " ",
        "null",
        "yes",
        "1_000",
        "=",
        "<<",
        "0x1F\n",
        "@@late:data_volume_id:master-1@@",
        "x" * 5_000,
        "\n".join(f"line {n}: 'a' \"b\" | > %" for n in range(500)),
        "\x07bell \x1b[0m escape",
    ]
    texts = [pack(with_file(content), WITHOUT_FILES) for content in contents]
    done = subprocess.run(
        ["/usr/bin/python3", "-c", CLOUD_INIT_READS],
        input=json.dumps(texts),
        capture_output=True,
        text=True,
        check=True,
    )

    assert json.loads(done.stdout) == contents


CLOUD_INIT_WRITES = """
import json, os, sys, tempfile
from cloudinit import util
from cloudinit.config import cc_write_files
written = []
with tempfile.TemporaryDirectory() as folder:
    for text in json.load(sys.stdin):
        entry = util.load_yaml(text)["write_files"][0]
        path = os.path.join(folder, "file")
        content = cc_write_files.extract_contents(entry["content"], [])
        util.write_file(path, content, mode=int(entry["permissions"], 8))
        with open(path, "rb") as file:
            written.append(file.read().hex())
print(json.dumps(written))
"""
"""As cloud-init does it, but for the path."""

PIECES = st.sampled_from(
    [
        "$",
        "${",
        "$${",
        "%{",
        "%%{",
        "${x}",
        "TfToken[",
        "TOKEN",
        '"',
        "'",
        "\\",
        "\n",
        "\r\n",
        ": ",
        "- ",
        "|",
        "#",
    ]
)
NASTY = st.lists(st.one_of(PIECES, AWKWARD), max_size=12).map("".join)


def terraform_gives(template: str) -> str:
    """What a template of Terraform gives that has no expression but texts (the real one: test_late.py)."""
    sequences = {"$${": "${", "%%{": "%{"}
    return re.sub(
        r'\$\$\{|%%\{|\$\{"([^"]*)"\}', lambda found: sequences.get(found[0], found[1] or ""), template
    )


@pytest.mark.slow
@settings(max_examples=10, deadline=None)
@given(st.lists(NASTY, min_size=20, max_size=40))
@example(["$TfToken[a", "%TfToken[", "$$", "${"])
def test_any_content_arrives_on_the_node_through_terraform_and_cloud_init(contents: list[str]) -> None:
    need("cloud-init")
    texts = [resolve_for_terraform(pack(with_file(content), WITHOUT_FILES), {}) for content in contents]
    done = subprocess.run(
        ["/usr/bin/python3", "-c", CLOUD_INIT_WRITES],
        input=json.dumps([terraform_gives(text) for text in texts]),
        capture_output=True,
        text=True,
        check=True,
    )

    assert [bytes.fromhex(text).decode() for text in json.loads(done.stdout)] == contents
