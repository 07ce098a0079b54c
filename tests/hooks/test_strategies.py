"""Strategies over a model of a cluster: they always end, never too few serve, nothing in use is killed."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from constructs_lib.contracts.compiled import Deployment
from constructs_lib.hooks import observed as ob
from constructs_lib.hooks.failing import HOPELESS_SECONDS
from constructs_lib.hooks.progress import forgiven, paused, promoted, resumed
from constructs_lib.hooks.steps import Create, Delete, End, Kill, Scale, SetRoute, Step
from constructs_lib.hooks.strategies import step
from tests.hooks.model_cluster import TICK, Model

ZERO_LOSS = ("rolling", "blue-green", "canary")
LONGEST = 400
"""Ticks: several times the deadlines of every phase."""


def deployment(strategy: Any, **other: Any) -> Deployment:
    times = {"progress_deadline": 200.0, "drain_timeout": 50.0, "canary_seconds": 40.0, **other}
    return Deployment(strategy=strategy, **times)


def wanted(strategy: Any, count: int, version: str = "new", **other: Any) -> ob.Wanted:
    return ob.Wanted(version=version, count=count, deployment=deployment(strategy, **other))


def end_of(model: Model, want: ob.Wanted, faults: Any = None) -> End:
    """Run until it ends; `faults` may do something at each tick."""
    steps: list[Step] = []
    for tick in range(LONGEST):
        seen = model.observed()
        steps.append(step(want, seen))
        dies_after = faults(tick) if faults else None
        model.act(steps[-1], seen, dies_after=dies_after)
        if steps[-1].end is not None and dies_after is None:
            return steps[-1].end
        model.tick()
    raise AssertionError(f"no end after {LONGEST} ticks: {steps[-1]}")


@pytest.mark.parametrize("strategy", [*ZERO_LOSS, "recreate"])
@pytest.mark.parametrize(("old", "new"), [(0, 3), (1, 1), (3, 3), (4, 2), (2, 6)])
def test_every_strategy_replaces_a_version(strategy: str, old: int, new: int) -> None:
    model = Model({"old": old} if old else {}, room=20)

    end = end_of(model, wanted(strategy, new))

    assert (end.good, end.why) == (True, "version new runs")
    assert {name: (app.asked, len(app.tasks)) for name, app in model.apps.items()} == {"new": (new, new)}
    assert dict(model.route.weights) == {"new": 100}
    assert model.problems == []
    if strategy in ZERO_LOSS:
        assert model.fewest is not None and model.fewest >= (old if old <= new else min(old, new))


@pytest.mark.parametrize("strategy", ZERO_LOSS)
@pytest.mark.parametrize("new", ["crashes", "never happy"])
def test_a_version_that_never_works_leaves_the_old_one_as_it_was(strategy: str, new: Any) -> None:
    model = Model({"old": 3}, room=20, new=new)
    untouched = list(model.apps["old"].tasks)

    end = end_of(model, wanted(strategy, 3))

    assert not end.good and not end.gave_up
    assert ("crash loop" if new == "crashes" else "no progress for 200 s") in end.why
    assert model.apps["old"].tasks == untouched
    assert (model.apps["new"].asked, model.apps["new"].tasks) == (0, []), "kept for explain"
    assert (model.fewest, model.problems) == (3, [])


def test_a_recreated_version_that_fails_brings_the_old_one_back() -> None:
    model = Model({"old": 3}, room=3, new="crashes")

    end = end_of(model, wanted("recreate", 3))

    assert "version old runs again" in end.why
    assert (model.apps["old"].asked, len(model.apps["old"].tasks)) == (3, 3)
    assert dict(model.route.weights) == {"old": 100}


def test_recreate_starts_nothing_while_an_old_instance_is_left() -> None:
    model = Model({"old": 3}, room=3)

    def never_both(tick: int) -> None:
        assert not (model.apps["old"].tasks and "new" in model.apps) if "old" in model.apps else True

    assert end_of(model, wanted("recreate", 3), never_both).good


def test_a_crash_loop_turns_round_long_before_the_deadline() -> None:
    model = Model({"old": 3}, room=20, new="crashes")

    end_of(model, wanted("rolling", 3, progress_deadline=1e6))

    assert model.now < 40


@pytest.mark.parametrize("strategy", ZERO_LOSS)
def test_a_placement_that_is_hopeless_turns_round_long_before_the_deadline(strategy: str) -> None:
    model = Model({"old": 3}, room=20)
    model.hopeless_until = 10**6
    untouched = list(model.apps["old"].tasks)

    end = end_of(model, wanted(strategy, 3, progress_deadline=1e6))

    assert "turned round: hopeless: cpus: 64 asked; version old runs again" in end.why
    assert HOPELESS_SECONDS <= model.now * TICK <= HOPELESS_SECONDS + 5 * TICK
    assert model.apps["old"].tasks == untouched
    assert (model.fewest, model.problems) == (3, [])


def test_an_agent_that_is_away_for_a_moment_makes_no_placement_hopeless() -> None:
    model = Model({"old": 3}, room=20)
    model.hopeless_until = int(HOPELESS_SECONDS / TICK) - 1

    def again(tick: int) -> None:
        if tick == 8:
            model.hopeless_until = tick + 4

    assert end_of(model, wanted("rolling", 3, surge=1), again).good
    assert model.progress.hopeless_since is None


def test_a_recreated_version_that_is_hopeless_brings_the_old_one_back() -> None:
    model = Model({"old": 2}, room=2)
    model.hopeless_until = 10**6

    end = end_of(model, wanted("recreate", 2, progress_deadline=1e6))

    assert "hopeless" in end.why and "version old runs again" in end.why
    assert len(model.apps["old"].tasks) == 2 and dict(model.route.weights) == {"old": 100}


def test_more_instances_that_are_hopeless_end_and_take_nothing_away() -> None:
    model = Model({}, room=20)
    assert end_of(model, wanted("rolling", 2, version="same")).good
    model.hopeless_until = 10**6

    end = end_of(model, wanted("rolling", 5, version="same", progress_deadline=1e6))

    assert end.gave_up and end.why == "hopeless: cpus: 64 asked"
    assert len(model.apps["same"].tasks) == 2


def test_tasks_that_fail_everywhere_are_no_crash_loop_of_the_new_version() -> None:
    model = Model({"old": 2}, room=20, new="crashes")
    model.apps["old"].failed = 1000

    assert "no progress" in end_of(model, wanted("rolling", 2)).why


def test_the_same_version_is_not_tried_again_by_itself_but_when_somebody_says_so() -> None:
    model = Model({"old": 2}, room=20, new="crashes")
    end_of(model, wanted("rolling", 2))

    seen = model.observed()
    again = step(wanted("rolling", 2), seen)
    assert again.actions == () and again.end is not None and not again.end.good
    assert "turned round: crash loop" in again.end.why

    model.progress = forgiven(model.progress, "new")
    model.new = model.apps["new"].behaviour = "good"
    model.apps["new"].failed = 0
    assert end_of(model, wanted("rolling", 2)).good


def test_a_third_version_goes_ahead_where_the_second_one_stopped_half_way() -> None:
    model = Model({"old": 4}, room=20, new="never happy")
    for _ in range(6):
        seen = model.observed()
        model.act(step(wanted("rolling", 4, version="second"), seen), seen)
        model.tick()
    model.new = "good"

    end = end_of(model, wanted("rolling", 4, version="third"))

    assert end.good and set(model.apps) == {"third"}
    assert (model.fewest, model.problems) == (4, [])


@pytest.mark.parametrize(("before", "after"), [(2, 5), (5, 2)])
@pytest.mark.parametrize("strategy", [*ZERO_LOSS, "recreate"])
def test_another_number_of_the_same_version_replaces_nothing(strategy: str, before: int, after: int) -> None:
    model = Model({"same": before}, room=20)
    kept = {task.name for task in model.apps["same"].tasks}

    end = end_of(model, wanted(strategy, after, version="same"))

    assert end.good
    names = {task.name for task in model.apps["same"].tasks}
    assert len(names) == after and (names <= kept or kept <= names)
    assert model.problems == []


def test_more_instances_than_there_is_room_for_ends_and_takes_nothing_away() -> None:
    model = Model({"same": 2}, room=3)

    end = end_of(model, wanted("rolling", 5, version="same"))

    assert end.gave_up and "3 of 5 instances are happy, 2 not started" in end.why
    assert len(model.apps["same"].tasks) == 3


def test_a_canary_has_its_share_whatever_the_number_of_instances_and_is_promoted_by_itself() -> None:
    model = Model({"old": 10}, room=30)
    shares: set[tuple[tuple[str, int], ...]] = set()

    def look(tick: int) -> None:
        if model.apps.get("new") and len(model.apps["new"].tasks) == 1 and len(model.apps["old"].tasks) == 10:
            shares.add(tuple(sorted(model.route.weights.items())))

    assert end_of(model, wanted("canary", 10, canary_percent=3), look).good
    assert (("new", 3), ("old", 97)) in shares
    assert model.fewest == 10


def test_a_canary_that_is_worse_turns_round_without_the_old_version_being_touched() -> None:
    model = Model({"old": 4}, room=30)
    untouched = list(model.apps["old"].tasks)
    model.judgement = ob.Judgement(says="bad", why="errors 7 %, at most 1 %")

    end = end_of(model, wanted("canary", 4))

    assert "the canary is worse: errors 7 %, at most 1 %" in end.why
    assert model.apps["old"].tasks == untouched
    assert (model.fewest, model.problems) == (4, [])


def test_an_undecided_canary_waits_and_is_not_promoted_and_ends() -> None:
    model = Model({"old": 2}, room=30)
    model.judgement = ob.Judgement(says="undecided", why="12 of 100 requests")

    end = end_of(model, wanted("canary", 2))

    assert "undecided for 240 s: 12 of 100 requests" in end.why
    assert len(model.apps["old"].tasks) == 2


def test_a_manual_canary_waits_for_its_promotion_without_a_deadline() -> None:
    model = Model({"old": 2}, room=30)
    want = wanted("canary", 2, promote="manual")
    for _ in range(300):
        seen = model.observed()
        last = step(want, seen)
        model.act(last, seen)
        model.tick()
    assert last.wait is not None and last.wait.person and last.end is None
    assert len(model.apps["old"].tasks) == 2

    model.progress = promoted(model.progress, model.now * 10.0)

    assert end_of(model, want).good


def test_a_paused_deployment_does_nothing_until_it_is_resumed() -> None:
    model = Model({"old": 2}, room=30)
    want = wanted("rolling", 2)
    seen = model.observed()
    model.act(step(want, seen), seen)
    model.progress = paused(model.progress)
    model.tick()

    halted = step(want, model.observed())
    assert halted.actions == () and halted.wait is not None and halted.wait.person

    model.progress = resumed(model.progress, model.now * 10.0)
    assert end_of(model, want).good


def test_an_edge_that_refuses_the_configuration_stops_everything_before_the_first_kill() -> None:
    model = Model({"old": 3}, room=30)
    model.edges[0].broken = True

    end = end_of(model, wanted("blue-green", 3))

    assert not end.good and "edge0 to take over generation" in end.why
    assert len(model.apps["old"].tasks) == 3 and model.problems == []


@pytest.mark.parametrize(("mode", "cut"), [("cut", True), ("wait", False)])
def test_connections_that_do_not_end_are_cut_and_counted_or_waited_for(mode: str, cut: bool) -> None:
    model = Model({"old": 2}, room=30, edges=((0, 30),))

    assert end_of(model, wanted("blue-green", 2, on_drain_timeout=mode)).good
    assert (model.cut > 0) is cut
    assert model.now > 30 or cut


def test_nobody_knows_after_a_change_of_leader_so_nothing_is_drained_or_killed() -> None:
    model = Model({"old": 3}, room=30)
    want = wanted("rolling", 3)
    for _ in range(4):
        seen = model.observed()
        model.act(step(want, seen), seen)
        model.tick()
    model.unknown_until = model.now + 5

    for _ in range(4):
        seen = model.observed()
        now = step(want, seen)
        assert not [one for one in now.actions if isinstance(one, SetRoute) and one.drain - seen.route.drain]
        model.act(now, seen)
        model.tick()
    assert end_of(model, want).good
    assert model.fewest == 3 and model.problems == []


def test_a_process_that_just_began_to_look_takes_nothing_out_of_the_route() -> None:
    model = Model({"old": 2}, room=30)
    model.young_until = 3

    assert end_of(model, wanted("rolling", 2)).good
    assert (model.fewest, model.problems) == (2, [])


def test_what_gets_no_requests_from_an_edge_is_ended_without_a_route() -> None:
    model = Model({"old": 2}, room=30, edges=())
    want = replace(wanted("rolling", 2), routed=False)

    assert end_of(model, want).good
    assert model.route.generation == 1


FAULTS = st.lists(
    st.tuples(
        st.integers(0, 60),
        st.sampled_from(
            ["kill", "leader", "young", "silent", "edge dies", "operator dies", "stale operator", "hopeless"]
        ),
        st.integers(0, 50),
    ),
    max_size=6,
)


@pytest.mark.slow
@settings(max_examples=100, deadline=None)
@given(
    strategy=st.sampled_from([*ZERO_LOSS, "recreate"]),
    old=st.dictionaries(st.sampled_from(["old", "older"]), st.integers(1, 5), max_size=2),
    count=st.integers(1, 6),
    new=st.sampled_from(["good", "crashes", "never happy"]),
    spare=st.integers(0, 12),
    edges=st.lists(st.tuples(st.integers(0, 2), st.integers(0, 4)), min_size=1, max_size=3),
    slow=st.integers(0, 3),
    surge=st.integers(1, 3),
    judgement=st.sampled_from(["good", "bad", "undecided"]),
    faults=FAULTS,
)
@example(
    strategy="rolling",
    old={"old": 1},
    count=1,
    new="crashes",
    spare=1,
    edges=[(0, 0)],
    slow=0,
    surge=1,
    judgement="good",
    faults=[(1, "hopeless", 2)],
)
def test_any_finite_faults_end_and_never_cost_more_instances_than_they_took(
    strategy: str,
    old: dict[str, int],
    count: int,
    new: Any,
    spare: int,
    edges: list[tuple[int, int]],
    slow: int,
    surge: int,
    judgement: Any,
    faults: list[tuple[int, str, int]],
) -> None:
    floor = sum(old.values())
    model = Model(old, room=max(floor, count) + spare, edges=tuple(edges), new=new, slow=slow)
    model.judgement = ob.Judgement(says=judgement, why="drawn")
    want = wanted(strategy, count, surge=surge)
    stale: list[ob.Observed] = []

    def inject(tick: int) -> int | None:
        dies = None
        stale.append(model.observed())
        for when, kind, number in faults:
            if when != tick:
                continue
            everyone = [(app, task) for app in model.apps.values() for task in app.tasks]
            if kind == "kill" and everyone:
                app, task = everyone[number % len(everyone)]
                app.tasks.remove(task)
                app.failed += 1
                model.faults += 1
            elif kind == "leader":
                model.unknown_until = model.now + 3
            elif kind == "young":
                model.young_until = model.now + 2
            elif kind == "silent":
                model.edges[number % len(model.edges)].silent_until = model.now + number
            elif kind == "edge dies" and len(model.edges) > 1:
                model.edges.pop(number % len(model.edges))
            elif kind == "hopeless":
                model.hopeless_until = model.now + number
            elif kind == "operator dies":
                dies = number % 2
            elif kind == "stale operator" and tick:
                seen = stale[max(0, tick - 1 - number % 3)]
                model.act(step(want, seen), seen)
        return dies

    end = end_of(model, want, inject)

    assert model.problems == []
    if strategy != "recreate" and floor:
        assert model.fewest is not None and model.fewest >= min(floor, count) - model.faults
    if end.good:
        assert set(model.apps) == {"new"} and model.apps["new"].asked == count
    elif not end.gave_up:
        kept = model.apps.get("new")
        assert kept is None or (kept.asked, kept.tasks) == (0, []), "kept for explain"
        assert max((app.asked for name, app in model.apps.items() if name != "new"), default=0) == floor


@given(progress=st.just(ob.Progress()), count=st.integers(0, 3))
def test_the_same_picture_gives_the_same_step(progress: ob.Progress, count: int) -> None:
    seen = replace(Model({"old": 2}, room=9).observed(), progress=progress)

    assert step(wanted("rolling", count), seen) == step(wanted("rolling", count), seen)


def test_actions_are_named_for_reading() -> None:
    """The order in which a rolling deployment of one instance is told."""
    model = Model({"old": 1}, room=9, edges=((0, 0),))
    told: list[type] = []

    def tell(tick: int) -> None:
        told.extend(type(one) for one in step(wanted("rolling", 1), model.observed()).actions)

    end_of(model, wanted("rolling", 1), tell)

    assert told == [Create, SetRoute, Kill, Delete]
    assert Scale not in told
