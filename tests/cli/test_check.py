from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from constructs_lib.cli.main import main

SPEC = Path(__file__).parents[1] / "spec"
DEMO = SPEC / "good" / "demo.yaml"
ON_OPENSTACK = SPEC / "good" / "openstack.yaml"


def test_a_good_file_is_one_line_and_exit_code_0(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["check", str(DEMO)]) == 0
    shown = capsys.readouterr()
    assert shown.out == f"{DEMO}: ok (1 site, 3 masters, 1 Consul node, 2 pools)\n"
    assert shown.err == ""


def test_all_files_are_checked_even_after_a_bad_one(capsys: pytest.CaptureFixture[str]) -> None:
    bad = SPEC / "bad" / "masters-two.yaml"
    assert main(["check", str(bad), str(DEMO), "/dev/zero"]) == 2
    shown = capsys.readouterr()
    assert shown.out.startswith(f"{DEMO}: ok")
    assert shown.err.splitlines()[0].startswith(f"{bad}:8: sites.eu.masters.count: got 2, expected 1, 3 or 5")
    assert shown.err.splitlines()[1].startswith("/dev/zero: ")


def test_without_an_argument_the_variable_names_the_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("CLUSTERMESOS_FILE", str(DEMO))
    assert main(["check"]) == 0
    assert str(DEMO) in capsys.readouterr().out


def test_without_both_it_is_cluster_yaml_in_this_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("CLUSTERMESOS_FILE", raising=False)
    assert main(["check"]) == 2
    assert capsys.readouterr().err.startswith("cluster.yaml: no such file")
    (tmp_path / "cluster.yaml").write_bytes(DEMO.read_bytes())
    assert main(["check"]) == 0


def test_existing_masters_are_counted(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["check", str(SPEC / "good" / "joins-existing.yaml")]) == 0
    assert "(1 site, 3 masters, 1 Consul node, 1 pool)" in capsys.readouterr().out


@pytest.mark.parametrize("flavors", [True, False], ids=["named", "sized"])
def test_a_site_on_openstack_tells_what_it_needs_of_the_quota(
    flavors: bool, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "cluster.yaml"
    text = ON_OPENSTACK.read_text()
    file.write_text(
        text if flavors else re.sub(r"flavor: SCS-(\d)V-(\d+)", r"cpus: \1, memory_gib: \2", text)
    )

    assert main(["check", str(file)]) == 0

    ok, shown = capsys.readouterr().out.split("\n\n")
    assert ok == f"{file}: ok (1 site, 3 masters, 3 Consul nodes, 1 pool)"
    lines = shown.splitlines()
    assert lines[0].split() == ["QUOTA", "dc1", "NEEDED"]
    told = dict(re.split(r"  +", line) for line in lines[1:])
    assert (told["instances"], told["volumes"], told["floating-ips"]) == ("49", "55", "2")
    assert int(told["secgroup-rules"]) > 100  # neutron's own default
    if flavors:
        assert told["cores"] == "6, and those of the flavors below"
        assert (told["flavor SCS-8V-32"], told["flavor SCS-1V-2"]) == ("40 machines", "1 machine")
    else:
        assert told["cores"] == str(3 * 2 + 3 * 2 + 1 + 2 * 2 + 40 * 8)
        assert told["ram"] == f"{(3 * 8 + 3 * 8 + 2 + 2 * 4 + 40 * 32) * 1024} MiB"


def test_a_site_whose_agents_find_no_room_is_told_before_any_synth(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "cluster.yaml"
    file.write_text(ON_OPENSTACK.read_text().replace("count: 40", "count: 9999"))

    assert main(["check", str(file)]) == 2

    shown = capsys.readouterr()
    assert shown.out == ""
    assert shown.err.startswith(f"{file}: sites.dc1.agents.general.count: got 9999, expected at most ")


def test_a_group_on_aws_with_more_rules_than_its_quota_takes_is_told_before_any_synth(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    document = yaml.safe_load(DEMO.read_text())
    home = document["sites"]["eu"]
    document["sites"] |= {
        f"site{number}": {
            "platform": "aws",
            "aws": home["aws"],
            "network": f"10.{100 + number}.0.0/16",
            "zones": 3,
            "agents": {"general": {"count": 1, "cpus": 2, "memory_gib": 4}},
        }
        for number in range(1, 6)
    }
    file = tmp_path / "cluster.yaml"
    file.write_text(yaml.safe_dump(document))

    assert main(["check", str(file)]) == 2

    shown = capsys.readouterr()
    assert shown.out == ""
    assert shown.err.startswith(f"{file}: sites.eu.aws.rules_per_group: got 60, expected at least ")
    home["aws"]["rules_per_group"] = 200
    for site in document["sites"].values():
        site["aws"] = home["aws"]
    file.write_text(yaml.safe_dump(document))
    assert main(["check", str(file)]) == 0


@pytest.mark.parametrize("file", [DEMO, ON_OPENSTACK], ids=["aws", "openstack"])
def test_checking_imports_neither_the_engine_nor_other_heavy_libraries(file: Path) -> None:
    program = (
        "import sys; from constructs_lib.cli.main import main; code = main(['check', sys.argv[1]]); "
        "heavy = {'cdktf', 'cdktn', 'jsii', 'jinja2', 'boto3', 'jsonschema', 'cryptography', 'requests'}; "
        "print(sorted(heavy & set(sys.modules))); sys.exit(code)"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, str(file)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1] == "[]"


EXAMPLES = Path(__file__).parents[2] / "examples" / "contracts"
HYBRID = Path(__file__).parents[1] / "contracts" / "hybrid.yaml"


def test_contracts_beside_the_file_are_checked_in_the_same_run(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "cluster.yaml").write_bytes(HYBRID.read_bytes())
    shutil.copytree(EXAMPLES, tmp_path / "contracts")
    assert main(["check", str(tmp_path / "cluster.yaml")]) == 0
    checked, quota = capsys.readouterr().out.split("\n\n")
    assert quota.startswith("QUOTA home ")
    assert checked.splitlines() == [
        f"{tmp_path}/cluster.yaml: ok (2 sites, 3 masters, 2 Consul nodes, 3 pools)",
        f"{tmp_path}/contracts: ok (5 contracts)",
    ]


def test_what_the_cluster_cant_keep_is_told_with_its_line(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["check", str(DEMO), "--contracts", str(EXAMPLES)]) == 2
    shown = capsys.readouterr()
    assert shown.out.startswith(f"{DEMO}: ok")
    assert f"{EXAMPLES}/db.yaml:24: ops.backup: has nowhere to go" in shown.err


def test_contracts_are_looked_at_beside_a_bad_cluster_too(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "cluster.yaml").write_text("name: demo\n", encoding="utf-8")
    (tmp_path / "contracts").mkdir()
    (tmp_path / "contracts" / "shop.yaml").write_text("name: shop\n", encoding="utf-8")
    assert main(["check", str(tmp_path / "cluster.yaml")]) == 2
    shown = capsys.readouterr()
    assert "cluster.yaml: sites: missing" in shown.err
    assert "shop.yaml: owner: missing" in shown.err
    assert shown.out == ""


def test_json_holds_every_problem_by_file(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["check", str(DEMO), "--contracts", str(EXAMPLES), "--json"]) == 2
    shown = capsys.readouterr()
    document = json.loads(shown.out)
    cluster, contracts = document["checked"]
    assert (document["ok"], cluster["ok"], contracts["ok"], shown.err) == (False, True, False, "")
    assert {"file", "line", "path", "message"} == contracts["problems"][0].keys()


def test_json_holds_what_is_needed_of_the_quota_by_site(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["check", str(ON_OPENSTACK), "--json"]) == 0
    (checked,) = json.loads(capsys.readouterr().out)["checked"]
    assert checked["quota"]["dc1"]["flavors"]["SCS-8V-32"] == 40
