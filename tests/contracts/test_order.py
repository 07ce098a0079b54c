from __future__ import annotations

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from constructs_lib.contracts.order import cycles, started_first

names = st.sampled_from("abcdef")
graphs = st.dictionaries(names, st.lists(names, max_size=3, unique=True), max_size=6)


@given(graphs)
def test_either_all_come_after_what_they_need_or_there_is_a_cycle(needs: dict[str, list[str]]) -> None:
    order = started_first(needs)
    assert sorted(order) == sorted(needs)
    if not cycles(needs):
        for name, others in needs.items():
            assert all(order.index(other) < order.index(name) for other in others if other in needs)


@given(graphs)
def test_a_cycle_is_a_way_that_exists_and_ends_where_it_began(needs: dict[str, list[str]]) -> None:
    for cycle in cycles(needs):
        assert cycle[0] == cycle[-1]
        assert all(after in needs[before] for before, after in pairwise(cycle))


def test_names_decide_where_nothing_else_does() -> None:
    assert started_first({"web": ["db"], "db": [], "a": []}) == ("a", "db", "web")
