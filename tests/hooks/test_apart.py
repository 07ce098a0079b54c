"""Restores and deployments of one application, over a real Consul: nothing starts what is restored."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any, cast

import pytest

from constructs_lib.contracts.compiled import Compiled, CompiledContract
from constructs_lib.errors import HookError
from constructs_lib.hooks.apart import BeingRestoredError, ConsulDeployments, RestoreLease, restores, unlock
from constructs_lib.hooks.api_error import ApiError
from constructs_lib.hooks.deploying import rollout_of
from constructs_lib.hooks.lease import LEASES, Lease
from constructs_lib.hooks.restoring import restore
from constructs_lib.hooks.run import Run
from constructs_lib.hooks.scaling_rounds import Rounds
from constructs_lib.simulator.cluster import Profile
from tests.hooks.faulty_consul import FOR_EVER, Fault, faulty
from tests.hooks.rolling_platform import Platform
from tests.hooks.test_restoring import At, interrupted, job

SINCE = r"since 2\d{3}-\d\d-\d\d \d\d:\d\d UTC"


def deployments(platform: Platform) -> ConsulDeployments:
    return ConsulDeployments(platform.consul_client(), platform.consul_client)


def deployed(platform: Platform, version: str = "v1") -> Any:
    return platform.deploy(platform.contract(version), apart=deployments(platform))


def leases(platform: Platform) -> list[str]:
    """Of the contract, by what Consul has of them."""
    _, entries = platform.consul_client().kv.get(LEASES, recurse=True)
    keys = (str(entry["Key"]).removeprefix(LEASES) for entry in entries or ())
    return [key for key in keys if key.split("/")[1:2] == [platform.name]]


def sessions(platform: Platform) -> list[str]:
    found = platform.consul_client().session.list()[1]
    return [str(one["ID"]) for one in found if f"/{platform.name}" in one["Name"]]


def test_nothing_is_deployed_while_its_data_is_restored_and_who_does_it_is_told(platform: Platform) -> None:
    consul, lease = platform.consul_client(), RestoreLease(platform.name, stays=True)
    lease.take(consul)

    with pytest.raises(BeingRestoredError, match=rf"@.*, process \d+, restores its data {SINCE}; next: wait"):
        deployed(platform)

    assert platform.running() == {}
    assert leases(platform) == [f"restore/{platform.name}"]
    lease.end(consul, whole=True)
    assert deployed(platform).good
    assert leases(platform) == sessions(platform) == []


def test_what_is_being_deployed_is_not_restored_and_another_contract_is(platform: Platform) -> None:
    consul = platform.consul_client()

    with deployments(platform).of(platform.name), deployments(platform).of(platform.name):
        with pytest.raises(
            HookError, match=rf"process \d+, deploys or scales it {SINCE}; next: .* pause {platform.name}"
        ):
            RestoreLease(platform.name, stays=True).take(consul)
        other = RestoreLease(f"{platform.name}-2", stays=True)
        other.take(consul)
        other.end(consul, whole=True)

    assert leases(platform) == sessions(platform) == []
    RestoreLease(platform.name, stays=True).take(consul)


def test_two_do_not_restore_one_application(platform: Platform) -> None:
    consul = platform.consul_client()
    RestoreLease(platform.name, stays=True).take(consul)

    with pytest.raises(BeingRestoredError, match=rf"restores its data {SINCE}"):
        RestoreLease(platform.name, stays=True).take(consul)

    assert restores(consul)[platform.name].runs
    with pytest.raises(HookError, match=r"restores its data .*; next: end that one"):
        unlock(consul, platform.name)


def killed(platform: Platform) -> None:
    """As the end of its sessions' time does, once its process is gone without a word."""
    for session in sessions(platform):
        platform.consul_client().session.destroy(session)


def test_after_a_restore_that_was_killed_nothing_starts_it_until_somebody_says_that_it_is_whole(
    platform: Platform,
) -> None:
    consul = platform.consul_client()
    RestoreLease(platform.name, stays=True).take(consul)
    killed(platform)

    redo = f"clustermesos restore {platform.name}"
    with pytest.raises(BeingRestoredError, match=rf"did not end, so nobody knows .*; next: {redo}, which"):
        deployed(platform)

    assert platform.running() == {}
    assert not unlock(consul, platform.name).runs
    with pytest.raises(HookError, match="no restore of it holds anything; nothing was changed"):
        unlock(consul, platform.name)
    assert deployed(platform).good


def test_one_that_restores_nothing_leaves_what_a_former_one_left(platform: Platform) -> None:
    consul = platform.consul_client()
    RestoreLease(platform.name, stays=True).take(consul)
    killed(platform)
    lease = RestoreLease(platform.name, stays=True)

    lease.take(consul)

    assert lease.left
    lease.end(consul, whole=not lease.left)
    assert not restores(consul)[platform.name].runs and sessions(platform) == []


def test_what_a_restore_of_another_node_left_stays_in_doubt_until_that_node_is_restored(
    platform: Platform,
) -> None:
    consul, (first, second) = platform.consul_client(), ("10.20.16.4", "10.20.16.5")
    RestoreLease(platform.name, stays=True, node=first).take(consul)
    killed(platform)
    other = RestoreLease(platform.name, stays=True, node=second)

    other.take(consul)
    assert not other.left
    other.end(consul, whole=True)

    redo = f"clustermesos restore {platform.name} --node {first}, which"
    with pytest.raises(
        BeingRestoredError, match=rf"restore of {first} that .* did not end, .*; next: {redo}"
    ):
        deployed(platform)
    again = RestoreLease(platform.name, stays=True, node=second)
    again.take(consul)
    killed(platform)
    assert restores(consul)[platform.name].holder.about == (first, second)
    for node in (first, second):
        lease = RestoreLease(platform.name, stays=True, node=node)
        lease.take(consul)
        assert lease.left
        lease.end(consul, whole=True)
    assert leases(platform) == sessions(platform) == []


def test_one_whose_answer_was_lost_or_whose_session_ended_leaves_nothing(
    platform: Platform, monkeypatch: pytest.MonkeyPatch
) -> None:
    consul, put = platform.consul_client(), Lease.take

    def lost(self: Lease, consul: Any) -> str | None:
        put(self, consul)
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(Lease, "take", lost)
        with pytest.raises(KeyboardInterrupt):
            RestoreLease(platform.name, stays=True).take(consul)
    assert leases(platform) == sessions(platform) == []

    lease = RestoreLease(platform.name, stays=True)
    lease.take(consul)
    killed(platform)
    lease.end(consul, whole=True)
    assert leases(platform) == []


def test_one_that_ends_late_leaves_the_next_one_s(platform: Platform) -> None:
    consul, late, other = platform.consul_client(), RestoreLease(platform.name, stays=True), "ben@ops"
    late.take(consul)
    killed(platform)
    next_one = Lease(f"restore/{platform.name}", seconds=30, who=other)
    assert next_one.take(consul) is None

    late.end(consul, whole=True)
    assert restores(consul)[platform.name].holder.who == other
    next_one.release(consul)
    late.end(consul, whole=True)
    assert restores(consul)[platform.name].holder.who == other


def test_a_dump_s_restore_that_was_killed_keeps_nobody_away(platform: Platform) -> None:
    RestoreLease(platform.name, stays=False).take(platform.consul_client())
    killed(platform)

    assert deployed(platform).good


def test_a_deployment_whose_lease_ran_out_looks_for_a_restore_before_it_goes_on(platform: Platform) -> None:
    consul = platform.consul_client()
    with deployments(platform).of(platform.name) as still:
        still()
        (lease,) = (one for one in _closure(still) if isinstance(one, Lease))
        killed(platform)
        # As after a computer's sleep, of which nobody has told the thread that renews it.
        lease._renewed_at = 0.0
        assert lease.lost
        still()
        assert not lease.lost
        assert len(leases(platform)) == 1, "it has it again"

        killed(platform)
        lease._renewed_at = 0.0
        RestoreLease(platform.name, stays=True).take(consul)
        with pytest.raises(BeingRestoredError):
            still()


@pytest.mark.parametrize("fails", ["put", "get"])
def test_a_deployment_looks_for_a_restore_until_it_has_heard_of_none(
    platform: Platform, monkeypatch: pytest.MonkeyPatch, fails: str
) -> None:
    consul = platform.consul_client()

    def silent(*_: Any, **__: Any) -> Any:
        raise ApiError("unreachable", "Consul", "no answer")

    with ConsulDeployments(consul, platform.consul_client).of(platform.name) as still:
        (lease,) = (one for one in _closure(still) if isinstance(one, Lease))
        killed(platform)
        RestoreLease(platform.name, stays=True).take(platform.consul_client())
        lease._renewed_at = 0.0
        with monkeypatch.context() as patched, pytest.raises(ApiError):
            patched.setattr(consul.kv, fails, silent)
            still()

        with pytest.raises(BeingRestoredError):
            still()


def _closure(still: Callable[[], None]) -> list[object]:
    return [cell.cell_contents for cell in still.__closure__ or ()]


def with_data(platform: Platform) -> CompiledContract:
    """Deployed, and with a volume to restore."""
    one = platform.contract("v1")
    assert deployed(platform).good
    return replace(one, restores=(job(f"{platform.name}.restore"),), stops_to_restore=True)


def restored(platform: Platform, one: CompiledContract, at: At) -> str:
    shop = Compiled(cluster="shop", contracts=(one,))
    with platform.connected() as connected:
        return restore(connected, shop, one.name, snapshot="latest", node=None, say=at.append)


def test_others_leave_an_application_alone_while_its_restore_runs(platform: Platform) -> None:
    one, seen = with_data(platform), list[object]()
    shop = Compiled(cluster="shop", contracts=(one,))

    def others() -> None:
        with platform.connected() as another:
            with pytest.raises(BeingRestoredError, match="restores its data"):
                rollout_of(another, shop).deploy(one, another.deadline, at.said.append)
            told = Rounds(lease=Lease("scale", seconds=60)).once(another, [one], at.said.append)
            assert not isinstance(told, str)
            seen.append(told[one.name].says)
            pruned = Run.of(another, shop, prune=True).plan()
            seen.extend((one.action, one.details) for one in pruned if one.kind in ("app", "job"))

    at = At(f"{platform.name}.restore: started", others)

    assert restored(platform, one, at).endswith("is back")

    says, (app_left, (why, *_)), job_left = cast("tuple[str, Any, object]", tuple(seen))
    assert says.startswith("not scaled in this round: ") and "restores its data since" in says
    assert app_left == "keep" and "restores its data since" in why
    assert job_left == ("keep", ("a restore that has not ended needs it",))
    assert platform.running() == {"v1": 2}
    assert leases(platform) == sessions(platform) == []


def test_a_restore_that_was_cut_off_for_a_while_goes_on_where_nobody_else_was_there(
    platform: Platform,
) -> None:
    one = with_data(platform)

    def cut_off() -> None:
        killed(platform)
        with pytest.raises(BeingRestoredError, match="did not end"):
            deployed(platform)

    assert restored(platform, one, At(f"{one.name}.restore: started", cut_off)).endswith("is back")

    assert platform.running() == {"v1": 2}
    assert leases(platform) == sessions(platform) == []


@pytest.mark.parametrize("where", ["find: done", "restore: done"])
def test_a_restore_that_was_cut_off_starts_and_stops_nothing_where_somebody_else_has_begun_one(
    platform: Platform, where: str
) -> None:
    one, other = with_data(platform), Lease(f"restore/{platform.name}", seconds=60, who="ben@ops")

    def another() -> None:
        killed(platform)
        other.take(platform.consul_client())

    at = At(f"{one.name}.{where}", another)
    with pytest.raises(
        HookError, match=r"ben@ops, restores its data .* was cut off from Consul for a while"
    ) as e:
        restored(platform, one, at)

    begun = where.startswith("restore")
    assert ("stays stopped" if begun else "nothing was changed") in str(e.value)
    assert platform.running() == {"v1": 0 if begun else 2}
    assert restores(platform.consul_client())[one.name].holder.who == "ben@ops"


def test_an_application_is_started_again_where_consul_fell_silent_once_its_data_was_whole(
    platform: Platform,
) -> None:
    one = with_data(platform)
    shop = Compiled(cluster="shop", contracts=(one,))
    with faulty(platform.consul) as proxy:
        silent = At(
            f"{one.name}.restore: done", lambda: proxy.faults.append(Fault("overloaded", times=FOR_EVER))
        )
        with platform.connected(consul=proxy.server.url) as connected:
            restore(connected, shop, one.name, snapshot="latest", node=None, say=silent.append)

    assert platform.running() == {"v1": 2}
    told = "\n".join(silent.said)
    assert "is started, though nobody knows who else restores it by now: " in told
    assert "others are kept away from it for now: " in told
    assert told.endswith(f"; then: clustermesos restore {one.name} --force-unlock")
    killed(platform)
    unlock(platform.consul_client(), one.name)


def with_dump(platform: Platform) -> CompiledContract:
    """Deployed, and with a dump to restore and to load."""
    jobs = (job(f"{platform.name}.restore"), job(f"{platform.name}.load"))
    return replace(with_data(platform), restores=jobs, stops_to_restore=False)


def test_a_dump_that_is_back_but_not_loaded_for_want_of_an_answer_is_told_to_be(platform: Platform) -> None:
    one = with_dump(platform)
    shop = Compiled(cluster="shop", contracts=(one,))
    with faulty(platform.consul) as proxy:
        silent = At(
            f"{one.name}.restore: done", lambda: proxy.faults.append(Fault("overloaded", times=FOR_EVER))
        )
        with (
            platform.connected(consul=proxy.server.url) as connected,
            pytest.raises(HookError, match=r"^consul.*: .*; the dump is back .* not loaded: restore again$"),
        ):
            restore(connected, shop, one.name, snapshot="latest", node=None, say=silent.append)

    assert not any(".load: " in line for line in silent.said)
    killed(platform)


def test_a_dump_that_is_back_is_not_loaded_beside_somebody_else_s_restore(platform: Platform) -> None:
    one, other = with_dump(platform), Lease(f"restore/{platform.name}", seconds=60, who="ben@ops")

    def another() -> None:
        killed(platform)
        other.take(platform.consul_client())

    at = At(f"{one.name}.restore: done", another)
    with pytest.raises(HookError, match=r"ben@ops, .* leaves it to others; the dump is back .* not loaded$"):
        restored(platform, one, at)

    assert not any(".load: " in line for line in at.said)
    other.release(platform.consul_client())


def test_a_restore_that_was_cut_off_and_unlocked_leaves_it_to_whoever_did_so(platform: Platform) -> None:
    one, consul = with_data(platform), platform.consul_client()

    def unlocked() -> None:
        killed(platform)
        unlock(consul, one.name)

    with pytest.raises(HookError, match="somebody has restored or unlocked it since"):
        restored(platform, one, At(f"{one.name}.find: done", unlocked))

    assert platform.running() == {"v1": 2}
    assert leases(platform) == sessions(platform) == []


def test_a_restore_that_was_cut_off_takes_it_again_in_the_background(
    platform: Platform, monkeypatch: pytest.MonkeyPatch
) -> None:
    consul, lease = platform.consul_client(), RestoreLease(platform.name, stays=True)
    lease.take(consul)
    killed(platform)
    monkeypatch.setattr(lease._lease, "_seconds", 10)

    with lease.kept(platform.consul_client()):
        until = time.monotonic() + 30
        while not restores(consul)[platform.name].runs:
            assert time.monotonic() < until
            time.sleep(0.05)

    lease.end(consul, whole=True)
    assert not lease._lease.again(consul), "whoever let go of it does not take it again"
    assert leases(platform) == sessions(platform) == []


def test_what_somebody_has_just_begun_to_restore_is_not_unlocked(
    platform: Platform, monkeypatch: pytest.MonkeyPatch
) -> None:
    consul = platform.consul_client()
    RestoreLease(platform.name, stays=True).take(consul)
    killed(platform)
    get = consul.kv.get

    def then_taken(*args: Any, **also: Any) -> Any:
        found = get(*args, **also)
        monkeypatch.setattr(consul.kv, "get", get)
        RestoreLease(platform.name, stays=True).take(platform.consul_client())
        return found

    monkeypatch.setattr(consul.kv, "get", then_taken)
    with pytest.raises(HookError, match=r"restores its data .*; nothing was changed"):
        unlock(consul, platform.name)

    assert restores(consul)[platform.name].runs


def test_an_interrupted_restore_gives_it_back_once_it_is_undone(platform: Platform) -> None:
    one = with_data(platform)
    platform.cluster.profile(f"{one.name}.restore*", Profile(runs_seconds=10**5, stop_seconds=8))

    with pytest.raises(KeyboardInterrupt):
        restored(platform, one, At(f"{one.name}.restore: runs, or", interrupted))

    assert platform.running() == {"v1": 2}
    assert leases(platform) == sessions(platform) == []


@pytest.mark.slow
def test_what_could_not_be_undone_is_started_by_nobody_until_a_restore_ended_well(platform: Platform) -> None:
    one = with_data(platform)
    platform.cluster.profile(f"{one.name}.restore*", Profile(runs_seconds=10**5, stop_seconds=8))
    platform.cluster.profile(f"{one.name}.undo*", Profile(fail_rate=1.0))
    with pytest.raises(HookError, match="so it stays stopped"):
        restored(platform, one, At("none", interrupted))

    with pytest.raises(BeingRestoredError, match=f"did not end, .* next: clustermesos restore {one.name}, "):
        deployed(platform)

    assert platform.running() == {"v1": 0} and sessions(platform) == []
    platform.cluster.profile(f"{one.name}.find*", Profile(fail_rate=1.0))
    with pytest.raises(HookError, match="nothing was changed"):
        restored(platform, one, At("none", interrupted))
    with pytest.raises(BeingRestoredError):
        deployed(platform)
    platform.cluster.profile(f"{one.name}.*", Profile())
    assert " is back; no instance of it ran before" in restored(platform, one, At("none", interrupted))
    assert deployed(platform).good and platform.running() == {"v1": 2}


def test_without_consul_nothing_is_stopped_and_nothing_changed(platform: Platform) -> None:
    one, at = with_data(platform), At("none", interrupted)
    shop = Compiled(cluster="shop", contracts=(one,))

    with (
        platform.connected(consul="http://127.0.0.1:1") as connected,
        pytest.raises(HookError, match=r"consul.*refused.*; nothing was changed"),
    ):
        restore(connected, shop, one.name, snapshot="latest", node=None, say=at.append)

    assert at.said == [] and platform.running() == {"v1": 2}


def test_a_contract_that_is_gone_is_pruned_with_what_its_restore_left(platform: Platform) -> None:
    consul, left = platform.consul_client(), RestoreLease(platform.name, stays=True)
    rollout = platform.rollout(apart=deployments(platform))
    left.take(consul)
    with pytest.raises(BeingRestoredError):
        rollout.empty(platform.name, platform.deadline(), platform.told.append)
    left.end(consul, whole=False)

    rollout.empty(platform.name, platform.deadline(), platform.told.append)
    rollout.forget(platform.name, platform.deadline(), platform.told.append)

    assert leases(platform) == []
