"""The bad files and exactly what is said to each; the good ones; what is no file at all."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from ipaddress import IPv4Network
from pathlib import Path

import pytest
import yaml

from constructs_lib.components import component_names
from constructs_lib.errors import SpecFileError
from constructs_lib.spec import document
from constructs_lib.spec.load import from_dict, load, parse
from constructs_lib.spec.model import ClusterSpec, HttpState, S3State
from constructs_lib.spec.wording import one_of

HERE = Path(__file__).parent
BAD = sorted(path for path in (HERE / "bad").iterdir() if path.suffix != ".expected")
GOOD = sorted((HERE / "good").glob("*.yaml"))


def problems_of(data: bytes | str) -> str:
    with pytest.raises(SpecFileError) as caught:
        parse(data, "cluster.yaml")
    return str(caught.value)


def expected(path: Path) -> str:
    text = path.with_suffix(".expected").read_text(encoding="utf-8")
    # The one thing that a new component changes.
    return text.replace("{components}", one_of(component_names()))


@pytest.mark.parametrize("path", BAD, ids=lambda path: path.name)
def test_every_problem_of_a_bad_file_is_told_in_these_words(path: Path) -> None:
    assert problems_of(path.read_bytes()) + "\n" == expected(path)


@pytest.mark.slow
@pytest.mark.parametrize("path", BAD, ids=lambda path: path.name)
def test_the_words_are_the_same_where_libyaml_is_missing(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(document, "_Parser", yaml.SafeLoader)
    assert problems_of(path.read_bytes()) + "\n" == expected(path)


def test_there_are_many_bad_files_and_no_expectation_without_one() -> None:
    assert len(BAD) >= 200
    assert {path.stem for path in BAD} == {path.stem for path in (HERE / "bad").glob("*.expected")}


@pytest.mark.parametrize("path", sorted((HERE / "bad").glob("*.expected")), ids=lambda path: path.stem)
def test_messages_are_short_plain_and_without_secrets(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    for never in (
        "Input should",
        "https://errors.pydantic",
        "Traceback",
        "hunter2",
        "b3Blbn",
        "ghp_0",
        "wJalr",
    ):
        assert never not in text
    for line in text.splitlines():
        assert line.startswith("cluster.yaml")
        assert len(line) < 350


@pytest.mark.parametrize("path", GOOD, ids=lambda path: path.stem)
def test_a_good_file_is_loaded(path: Path) -> None:
    assert isinstance(load(path), ClusterSpec)


def test_what_is_not_said_has_its_default() -> None:
    site = load(HERE / "good" / "smallest.yaml").sites["eu"]
    assert (site.zones, site.masters.count, site.consul.count, site.edge, site.mtu) == (1, 3, 1, None, None)


def test_every_setting_arrives_as_its_type() -> None:
    spec = load(HERE / "good" / "everything.yaml")
    site = spec.sites["eu"]
    assert site.zones == ("a", "c")
    assert site.network == IPv4Network("10.20.0.0/16")
    assert site.masters.disk_gib == 100
    assert isinstance(spec.state, S3State)
    assert isinstance(load(HERE / "good" / "joins-existing.yaml").state, HttpState)


def test_components_stand_beside_the_global_software_settings() -> None:
    software = load(HERE / "good" / "everything.yaml").software
    assert software.components["zookeeper"].version == "3.9.5"
    assert software.image_prefix == "registry.example.org:5000/mirror"


def test_a_merge_key_takes_what_the_pool_does_not_say_itself() -> None:
    batch = load(HERE / "good" / "everything.yaml").sites["eu"].agents["batch"]
    assert (batch.count, batch.cpus, batch.attributes, batch.spot) == (0, 8, {"tier": "batch"}, True)


def test_a_byte_order_mark_and_windows_line_ends_are_fine() -> None:
    data = (HERE / "good" / "demo.yaml").read_bytes()
    assert parse(b"\xef\xbb\xbf" + data.replace(b"\n", b"\r\n")) == parse(data)
    assert parse("\ufeff" + data.decode()) == parse(data)


def test_problems_carry_file_line_and_path() -> None:
    with pytest.raises(SpecFileError) as caught:
        parse((HERE / "bad" / "masters-two.yaml").read_bytes(), "infra/cluster.yaml")
    (problem,) = caught.value.problems
    assert (problem.file, problem.line, problem.path) == ("infra/cluster.yaml", 8, "sites.eu.masters.count")
    assert caught.value.exit_code == 2


def test_settings_from_python_are_checked_alike_without_lines() -> None:
    data = {
        "name": "demo",
        "sites": {
            "eu": {
                "platform": "aws",
                "aws": {"region": "eu-west-3"},
                "network": IPv4Network("10.20.0.0/16"),
                "zones": ("a", "b"),
            }
        },
        "admin": {"networks": ["203.0.113.0/24"], "ssh_keys": ["ssh-ed25519 short"]},
        3: "three",
    }
    with pytest.raises(SpecFileError) as caught:
        from_dict(data)  # type: ignore[arg-type]
    assert [(problem.line, problem.path) for problem in caught.value.problems] == [
        (0, ""),
        (0, "admin.ssh_keys[0]"),
    ]


def test_settings_that_contain_themselves_are_refused() -> None:
    data: dict[str, object] = {"name": "demo"}
    data["sites"] = data
    with pytest.raises(SpecFileError, match="nested deeper"):
        from_dict(data)


def test_the_model_itself_refuses_what_does_not_fit_together() -> None:
    good = load(HERE / "good" / "demo.yaml").model_dump()
    good["sites"]["eu"]["agents"]["batch"]["min"] = 30
    with pytest.raises(ValueError, match=r"sites\.eu\.agents\.batch\.min: got 30, expected at most max"):
        ClusterSpec.model_validate(good)


def refusal_of(path: Path) -> str:
    with pytest.raises(SpecFileError) as caught:
        load(path)
    assert len(caught.value.problems) == 1
    return caught.value.problems[0].message


def test_a_missing_file_says_where_else_to_name_one(tmp_path: Path) -> None:
    assert refusal_of(tmp_path / "cluster.yaml").startswith("no such file; name it")


def test_a_folder_is_no_file(tmp_path: Path) -> None:
    assert refusal_of(tmp_path) == f"is a folder, expected a file such as {tmp_path}/cluster.yaml"


def test_a_pipe_that_nobody_writes_to_does_not_hang(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    assert "pipe or a device" in refusal_of(tmp_path / "pipe")


def test_a_device_without_an_end_does_not_hang() -> None:
    assert "pipe or a device" in refusal_of(Path("/dev/zero"))


def test_a_large_file_is_not_read(tmp_path: Path) -> None:
    (tmp_path / "cluster.yaml").write_bytes(b"#" * 10_000_000)
    assert "larger than 1 MiB" in refusal_of(tmp_path / "cluster.yaml")


def test_the_largest_file_is_read_to_its_end(tmp_path: Path) -> None:
    data = (HERE / "good" / "demo.yaml").read_bytes()
    (tmp_path / "cluster.yaml").write_bytes(data + b"#" * (1024 * 1024 - len(data)))
    assert load(tmp_path / "cluster.yaml").name == "demo"


@contextmanager
def without_privileges() -> Iterator[None]:
    """Root reads every file: become nobody for a while."""
    if os.geteuid() != 0:
        yield
        return
    os.seteuid(65534)
    try:
        yield
    finally:
        os.seteuid(0)


def test_an_unreadable_file_says_so(tmp_path: Path) -> None:
    (tmp_path / "cluster.yaml").touch(mode=0o000)
    with without_privileges():
        refusal = refusal_of(tmp_path / "cluster.yaml")
    assert refusal == "may not be read; look at its permissions (ls -l)"


def test_a_file_below_a_file_and_a_name_with_nul_are_refused(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    assert refusal_of(tmp_path / "file" / "cluster.yaml").startswith("can't be read")
    assert refusal_of(Path("cluster\0.yaml")).startswith("can't be read")


def test_a_loop_of_links_is_refused(tmp_path: Path) -> None:
    (tmp_path / "cluster.yaml").symlink_to(tmp_path / "cluster.yaml")
    assert refusal_of(tmp_path / "cluster.yaml").startswith("can't be read")


@pytest.mark.parametrize(
    "text",
    [
        "name: " + "[" * 1_000_000,
        "name: " + "{a: " * 250_000,
        "- " * 500_000,
        "? " * 500_000,
        "name: " + "a" * 1_000_000,
        "name: " + "a-" * 500_000,
        "name: " + "9" * 1_000_000,
        "name: " + "1." * 500_000,
        "a" * 1_000_000 + ": 1",
        "name: '" + "a://" * 250_000 + "'",
        "".join(f"k{i}: &a{i} 1\n" for i in range(60_000)),
        "software: {proxy: " + "a" * 1_000_000 + "}",
        "admin: {ssh_keys: [" + "A" * 1_000_000 + "]}",
        "admin: {networks: [" + "1" * 1_000_000 + "]}",
        "tags: {a: " + "a:" * 500_000 + "a}",
    ],
    ids=lambda text: text[:24],
)
def test_a_hostile_megabyte_is_refused_in_bounded_time(text: str) -> None:
    assert len(problems_of(text)) < 3000  # a quadratic search would take hours here
