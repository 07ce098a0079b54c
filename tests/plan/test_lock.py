from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from constructs_lib.errors import LockError
from constructs_lib.plan.lock import IF_NEVER_DEPLOYED, Lock, additions, complete, read_lock, write_lock
from tests.plan.clusters import cluster

THREE_POOLS = {"general": {"count": 3}, "batch": {"count": 1}, "gpu": {"count": 1}}
RANGES = {
    zone: {
        "public": f"10.20.{64 * index + 48}.0/20",
        "control": f"10.20.{64 * index}.0/20",
        "agents": f"10.20.{64 * index + 16}.0/20",
    }
    for index, zone in enumerate("abc")
}


def test_a_first_lock_holds_only_what_cannot_be_recomputed() -> None:
    lock = complete(cluster(agents={"general": {"count": 3}}), None)
    assert lock.model_dump() == {
        "version": 1,
        "cluster": "demo",
        "sites": {
            "eu": {
                "platform": "aws",
                "region": "eu-west-3",
                "network": "10.20.0.0/16",
                "ranges": {},
                "zones": ["a", "b", "c"],
                "masters": 3,
                "consul": 1,
                "placed": {
                    "gateway-1": "a",
                    "master-1": "a",
                    "master-2": "b",
                    "master-3": "c",
                    "consul-1": "a",
                },
                "pools": {"general": 0},
                "spread": {},
                "hosts": {},
                "images": {},
                "disks": {"masters": 50, "consul": 50},
            }
        },
        "secrets": [],
    }


def test_completing_a_complete_lock_changes_nothing() -> None:
    spec = cluster(agents=THREE_POOLS)
    lock = complete(spec, None)
    assert complete(spec, lock) == lock
    assert additions(lock, lock) == []


def test_removing_a_pool_from_the_middle_keeps_its_slot_and_every_other() -> None:
    lock = complete(cluster(agents=THREE_POOLS), None)
    fewer = complete(cluster(agents={"general": {"count": 3}, "gpu": {"count": 1}}), lock)
    assert fewer.sites["eu"].pools == {"general": 0, "batch": 1, "gpu": 2}


def test_a_slot_is_free_again_once_its_line_is_deleted() -> None:
    lock = complete(cluster(agents={"general": {"count": 3}, "gpu": {"count": 1}}), None)
    site = lock.sites["eu"].model_copy(update={"pools": {"gpu": 1}})
    again = complete(
        cluster(agents={"new": {"count": 1}, "gpu": {"count": 1}}),
        lock.model_copy(update={"sites": {"eu": site}}),
    )
    assert again.sites["eu"].pools == {"gpu": 1, "new": 0}


def test_new_zones_join_behind_and_move_no_placed_node() -> None:
    lock = complete(cluster(zones=1, edge={"count": 1}), None)
    grown = complete(cluster(zones=3, edge={"count": 2}), lock)
    assert grown.sites["eu"].placed == {
        **lock.sites["eu"].placed,
        "edge-2": "b",
    }
    assert additions(lock, grown) == ["zone eu/b", "zone eu/c", "node eu/edge-2"]


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (
            {"masters": {"count": 5}},
            "sites.eu.masters.count: locked 3, cluster.yaml says 5; the running masters must",
        ),
        (
            {"masters": {"count": 1}},
            "sites.eu.masters.count: locked 3, cluster.yaml says 1; a master leaves only",
        ),
        (
            {"network": "10.30.0.0/16"},
            "sites.eu.network: locked 10.20.0.0/16, cluster.yaml says 10.30.0.0/16",
        ),
        (
            {"zones": ("b", "a", "c")},
            "sites.eu.zones: locked ['a', 'b', 'c'], cluster.yaml says ['b', 'a', 'c']",
        ),
        (
            {"aws": {"region": "eu-west-1"}},
            "sites.eu.aws.region: locked eu-west-3, cluster.yaml says eu-west-1; nothing moves",
        ),
        (
            {"ranges": RANGES},
            "sites.eu.ranges.a: locked the network's own cut, cluster.yaml says 10.20.48.0/20 10.20.0.0/20",
        ),
        (
            {"masters": {"count": 3, "disk_gib": 40}},
            "sites.eu.masters.disk_gib: locked 50, cluster.yaml says 40; a volume can't become smaller",
        ),
        ({"consul": {"disk_gib": 49}}, "sites.eu.consul.disk_gib: locked 50, cluster.yaml says 49"),
        ({"zones": 2}, "sites.eu.zones: locked ['a', 'b', 'c'], cluster.yaml says ['a', 'b']"),
        ({"consul": {"count": 3}}, "sites.eu.consul.count: locked 1, cluster.yaml says 3"),
        ({"name": "other"}, "cluster: locked 'demo', cluster.yaml says 'other'"),
    ],
)
def test_fails_with_what_to_do_when_the_lock_does_not_fit(change: dict[str, Any], says: str) -> None:
    lock = complete(cluster(), None)
    with pytest.raises(LockError) as error:
        complete(cluster(**change), lock)
    assert str(error.value).startswith(f"cluster.lock.json: {says}")


ON_OPENSTACK: dict[str, Any] = {
    "platform": "openstack",
    "aws": None,
    "openstack": {
        "external_network": "public",
        "image": "ubuntu-24.04",
        "availability_zones": ["az1", "az2", "az3"],
    },
}


def test_a_site_does_not_move_to_another_platform() -> None:
    lock = complete(cluster(), None)
    with pytest.raises(LockError) as error:
        complete(cluster(**ON_OPENSTACK), lock)
    first, *more = str(error.value).splitlines()
    assert first.startswith("cluster.lock.json: sites.eu.platform: locked aws, cluster.yaml says openstack;")
    # No further line tells of a region that was lost.
    assert more == [f"cluster.lock.json: {IF_NEVER_DEPLOYED}"]


def test_the_zones_of_a_pool_are_kept_where_its_agents_have_planned_addresses() -> None:
    pools = {"general": {"count": 3}}
    two = ON_OPENSTACK | {"openstack": ON_OPENSTACK["openstack"] | {"availability_zones": ["az1", "az2"]}}
    lock = complete(cluster(**two, zones=2, agents=pools), None)
    assert lock.sites["eu"].spread == {"general": ["a", "b"]}

    grown = complete(cluster(**ON_OPENSTACK, agents=pools | {"batch": {"count": 1}}), lock)

    assert grown.sites["eu"].spread == {"general": ["a", "b"], "batch": ["a", "b", "c"]}


def test_ranges_that_were_locked_fit_themselves_and_no_others() -> None:
    lock = complete(cluster(ranges=RANGES), None)
    assert complete(cluster(ranges=RANGES), lock) == lock
    with pytest.raises(LockError, match=r"sites\.eu\.ranges\.a: locked 10\.20\.48\.0/20 .* own cut; nodes"):
        complete(cluster(), lock)


def test_an_older_lock_without_a_region_gets_it_and_says_so() -> None:
    lock = complete(cluster(), None)
    old = lock.model_copy(update={"sites": {"eu": lock.sites["eu"].model_copy(update={"region": None})}})
    assert complete(cluster(), old) == lock
    assert additions(old, lock) == ["region eu/eu-west-3"]


def test_a_site_that_cluster_yaml_no_longer_names_is_refused_since_nothing_would_destroy_it() -> None:
    lock = complete(cluster(), None)
    both = lock.model_copy(update={"sites": {"old": lock.sites["eu"], **lock.sites}})
    with pytest.raises(LockError, match=r"sites\.old: locked, but cluster\.yaml has no such site") as refused:
        complete(cluster(), both)
    assert "-old` alone (with --ignore-missing-stack-dependencies where" in str(refused.value)


def test_a_node_that_is_locked_into_an_unknown_zone_is_refused() -> None:
    lock = complete(cluster(), None)
    placed = {**lock.sites["eu"].placed, "master-1": "z"}
    site = lock.sites["eu"].model_copy(update={"placed": placed})
    with pytest.raises(LockError, match=r"sites\.eu\.placed\.master-1: got 'z', expected one of the locked"):
        complete(cluster(), lock.model_copy(update={"sites": {"eu": site}}))


def test_a_data_volume_grows_and_stays_as_large() -> None:
    lock = complete(cluster(), None)
    grown = complete(cluster(masters={"count": 3, "disk_gib": 80}), lock)
    assert grown.sites["eu"].disks == {"masters": 80, "consul": 50}
    assert additions(lock, grown) == ["disk eu/masters"]
    with pytest.raises(
        LockError, match=r"masters\.disk_gib: locked 80, .*put 80 back\. .*eu\.disks\.masters"
    ):
        complete(cluster(), grown)


def test_an_older_lock_without_sizes_gets_them_and_says_so() -> None:
    lock = complete(cluster(), None)
    old = lock.model_copy(update={"sites": {"eu": lock.sites["eu"].model_copy(update={"disks": {}})}})
    assert complete(cluster(), old) == lock
    assert additions(old, lock) == ["disk eu/masters", "disk eu/consul"]


def test_a_smaller_disk_of_agents_is_for_those_that_are_made_from_then_on() -> None:
    lock = complete(cluster(agents={"general": {"count": 3, "disk_gib": 100}}), None)
    assert complete(cluster(agents={"general": {"count": 3, "disk_gib": 50}}), lock) == lock


@pytest.mark.parametrize("platform", [{}, ON_OPENSTACK], ids=["aws", "openstack"])
@pytest.mark.parametrize("setting", ["masters", "consul"])
def test_a_smaller_count_of_nodes_with_data_is_refused_so_that_no_data_volume_goes(
    setting: str, platform: dict[str, Any]
) -> None:
    with_three: dict[str, Any] = {**platform, setting: {"count": 3}}
    with_one: dict[str, Any] = {**platform, setting: {"count": 1}}
    lock = complete(cluster(**with_three), None)
    with pytest.raises(LockError, match=rf"eu\.{setting}\.count: locked 3, cluster\.yaml says 1"):
        complete(cluster(**with_one), lock)


def test_one_master_cannot_become_three_in_place() -> None:
    lock = complete(cluster(masters={"count": 1}), None)
    with pytest.raises(LockError, match="one master can't become several in place"):
        complete(cluster(masters={"count": 3}), lock)


def test_fails_with_every_misfit_at_once() -> None:
    lock = complete(cluster(), None)
    with pytest.raises(LockError) as error:
        complete(cluster(network="10.30.0.0/16", masters={"count": 5}), lock)
    lines = str(error.value).splitlines()
    assert len(lines) == 3
    assert "if nothing was ever deployed by this lock, delete it" in lines[-1]


def test_what_is_written_is_read_back_equal(tmp_path: Path) -> None:
    lock = complete(cluster(agents=THREE_POOLS), None).with_secrets(["b", "a"])
    write_lock(tmp_path / "cluster.lock.json", lock)
    assert read_lock(tmp_path / "cluster.lock.json") == lock
    assert [path.name for path in tmp_path.iterdir()] == ["cluster.lock.json"]


def test_a_missing_file_is_no_lock(tmp_path: Path) -> None:
    assert read_lock(tmp_path / "cluster.lock.json") is None


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("{", "cluster.lock.json:1: not JSON"),
        ("[]", "cluster.lock.json: the file:"),
        ('{"version": 2, "cluster": "demo"}', "version: got 2, expected 1; a newer clustermesos wrote it"),
        ('{"version": 1}', "cluster: field required"),
        ('{"version": 1, "cluster": "demo", "sites": {"eu": {}}}', "sites.eu.network: field required"),
        ("<<<<<<< HEAD\n", "not JSON"),
    ],
)
def test_fails_in_one_line_on_a_file_that_is_no_lock(tmp_path: Path, text: str, says: str) -> None:
    path = tmp_path / "cluster.lock.json"
    path.write_text(text)
    with pytest.raises(LockError) as error:
        read_lock(path)
    assert says in str(error.value)
    assert "\n" not in str(error.value)


def test_secrets_are_listed_sorted_and_once() -> None:
    lock = Lock(cluster="demo").with_secrets(["b"]).with_secrets(["a", "b"])
    assert lock.secrets == ["a", "b"]
    assert json.loads(lock.model_dump_json())["secrets"] == ["a", "b"]


def test_a_lock_that_cannot_be_written_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(
        LockError, match=r"^cluster\.lock\.json: can't be written beside cluster\.yaml: No such"
    ):
        write_lock(tmp_path / "gone" / "cluster.lock.json", complete(cluster(), None))
