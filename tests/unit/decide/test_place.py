"""Placement: what runs where and when, what fits together, how far from the best it is."""

from __future__ import annotations

import itertools
import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from foretell.decide import Decider, Item, Node, Place, Placement
from tests.lab import LATENCY

RATE = {name: 1000.0 / latency for name, latency in LATENCY.items()}
"""Jobs per second at batch size 1, by the median."""


def items(*work: float, **same: Any) -> tuple[Item, ...]:  # noqa: ANN401 -- fields of Item
    """Return items of batch size 1 with so many jobs each."""
    return tuple(Item(f"i{i}", {"batch_size": 1.0}, work=w, **same) for i, w in enumerate(work))


def nodes(*kinds: str, **same: Any) -> tuple[Node, ...]:  # noqa: ANN401 -- fields of Node
    """Return nodes of these kinds."""
    return tuple(Node(f"n{j}", kind, **same) for j, kind in enumerate(kinds))


def place(decider: Decider, *batch: Any, **options: Any) -> Placement:  # noqa: ANN401 -- of Place
    """Place items on nodes, within a second."""
    return decider.place(Place(*batch, **{"seconds": 1.0, **options}))


def on(answer: Placement) -> dict[str, str]:
    """Return the node of every item."""
    return {a.item: a.node for a in answer.assigned}


@given(st.lists(st.integers(1, 20), min_size=1, max_size=5), st.sampled_from(["makespan", "cost"]))
@settings(max_examples=12)
def test_small_batches_are_placed_as_well_as_can_be(
    decider: Decider, work: list[int], goal: str
) -> None:
    """No assignment of all there are has a smaller goal than one that is called exact."""
    prices = {"fast": 9.0, "huge": 7.0, "old": 2.0}
    batch = items(*(100.0 * w for w in work))
    where = tuple(Node(f"n{j}", kind, slots=1, price_per_hour=prices[kind])
                  for j, kind in enumerate(prices))  # fmt: skip
    answer = place(decider, batch, where, goal, seconds=20.0)  # the proof ends long before
    alone = [place(decider, (item,), (node,), goal).value for item in batch for node in where]
    values = np.reshape(alone, (len(batch), len(where)))
    best = math.inf
    for chosen in itertools.product(range(3), repeat=len(batch)):
        per_node = [sum(values[i, c] for i, c in enumerate(chosen) if c == j) for j in range(3)]
        best = min(best, max(per_node) if goal == "makespan" else sum(per_node))
    assert answer.method == "exact"
    assert answer.value == pytest.approx(best, rel=1e-3)
    assert answer.gap == pytest.approx(0.0, abs=1e-6)


def test_memory_is_packed_by_its_joint_distribution(decider: Decider) -> None:
    """Sixteen items fit where the sum of their worst cases would not; the risk is kept."""
    batch = items(*[1000.0] * 16)
    answer = place(decider, batch, nodes("huge", memory=18_500.0), may_wait=False)
    load = answer.nodes[0]
    assert load.item_count == 16
    assert load.overflow_probability <= 0.01
    assert load.memory_needed <= 18_500.0 < load.memory_worst_cases


def test_what_does_not_fit_beside_others_waits(decider: Decider) -> None:
    """Without room for two, the second begins when the first is expected to be done."""
    answer = place(decider, items(1000.0, 500.0), nodes("fast", memory=1800.0))
    first, second = sorted(answer.assigned, key=lambda a: a.start_s)
    assert first.start_s == 0.0
    assert second.start_s == pytest.approx(first.end_s)
    assert answer.nodes[0].memory_needed <= 1800.0


def test_what_may_not_wait_is_not_placed(decider: Decider) -> None:
    """Where all have to begin at once, what is too much stays out, and it is said why."""
    answer = place(decider, items(1000.0, 500.0), nodes("fast", memory=1800.0), may_wait=False)
    assert len(answer.assigned) == 1
    assert "beside fewer others" in answer.unplaced[0].why
    assert answer.bound is None


def test_what_fits_nowhere_is_said(decider: Decider) -> None:
    """An item that takes more than any node has is not placed anywhere."""
    answer = place(decider, items(10.0), nodes("fast", "huge", memory=900.0))
    assert not answer.assigned
    assert "more than any node has" in answer.unplaced[0].why


def test_packing_without_waiting_is_exact_where_it_can_be(decider: Decider) -> None:
    """Four items on two nodes with room for two each are placed two by two."""
    answer = place(
        decider, items(400.0, 300.0, 200.0, 100.0), nodes("fast", "old", memory=2600.0),
        may_wait=False,
    )  # fmt: skip
    assert not answer.unplaced
    assert sorted(load.item_count for load in answer.nodes) == [2, 2]
    assert answer.method == "exact"
    assert {name for name, node in on(answer).items() if node == "n0"} == {"i0", "i1"}


def test_power_is_a_capacity_as_memory_is(decider: Decider) -> None:
    """Two items of 300 W do not run together on a node of 500 W."""
    answer = place(decider, items(10.0, 10.0), nodes("fast", power=500.0))
    assert answer.assigned[0].start_s != answer.assigned[1].start_s
    assert answer.nodes[0].overload_probability <= 0.01


def test_slots_bound_what_runs_at_the_same_time(decider: Decider) -> None:
    """With two slots, three equal items take twice as long as one."""
    answer = place(decider, items(100.0, 100.0, 100.0), nodes("fast", slots=2))
    one = place(decider, items(100.0), nodes("fast"))
    assert answer.value == pytest.approx(2 * one.value, rel=1e-3)


def test_the_expected_makespan_is_more_than_the_largest_expected_time(decider: Decider) -> None:
    """The last of several uncertain items is later than each of them is expected."""
    answer = place(decider, items(1000.0, 1000.0), nodes("vague", "vague"))
    assert answer.makespan_s > answer.value
    assert answer.makespan_lower_s < answer.makespan_s < answer.makespan_upper_s


def test_waiting_counts_for_a_deadline(decider: Decider) -> None:
    """The probability to be late is that of the end, not of the item's own duration."""
    seconds = 1000.0 / RATE["fast"]
    batch = items(1000.0, 1000.0, deadline_s=1.5 * seconds)
    answer = place(decider, batch, nodes("fast", slots=1), "deadline_misses")
    late = sorted(a.probability_late or 0.0 for a in answer.assigned)
    assert late[0] < 0.01
    assert late[1] > 0.99
    assert answer.expected_misses == pytest.approx(sum(late))


def test_an_item_that_makes_others_late_goes_last(decider: Decider) -> None:
    """Where misses count, one long item is late rather than several short ones."""
    seconds = 100.0 / RATE["fast"]
    long = Item("long", {"batch_size": 1.0}, deadline_s=2.0 * seconds, work=1000.0)
    short = items(100.0, 100.0, deadline_s=2.5 * seconds)
    answer = place(decider, (long, *short), nodes("fast", slots=1), "deadline_misses")
    assert answer.value == pytest.approx(1.0, abs=0.05)


def test_cost_goes_where_work_is_cheap(decider: Decider) -> None:
    """The price of a node counts with the time that the item takes there."""
    where = (Node("dear", "fast", price_per_hour=9.0), Node("cheap", "old", price_per_hour=1.0))
    answer = place(decider, items(100.0), where, "cost")
    assert on(answer) == {"i0": "cheap"}
    assert answer.cost == pytest.approx(answer.value)


def test_a_node_that_is_busy_begins_later(decider: Decider) -> None:
    """What a node still has to do counts for its items."""
    where = (Node("n0", "fast", free_in_s=60.0), Node("n1", "old"))
    answer = place(decider, items(100.0), where)
    assert on(answer) == {"i0": "n1"}


@given(
    st.lists(st.floats(1.0, 500.0), min_size=1, max_size=30),
    st.sampled_from(["makespan", "cost", "deadline_misses"]),
    st.integers(1, 3),
)
@settings(max_examples=10)
def test_the_gap_is_stated_and_every_item_is_somewhere(
    decider: Decider, work: list[float], goal: str, slots: int
) -> None:
    """Whatever the batch, the bound is not above the value, and nothing is lost or doubled."""
    where = nodes("fast", "huge", "old", memory=2600.0, slots=slots, price_per_hour=1.0)
    answer = place(decider, items(*work, deadline_s=5.0), where, goal, seconds=0.05)
    assert [a.item for a in answer.assigned] == [f"i{i}" for i in range(len(work))]
    assert answer.bound is not None
    assert answer.bound <= answer.value * (1 + 1e-6) + 1e-9
    assert all(load.overflow_probability <= 0.01 for load in answer.nodes)


def test_without_time_to_search_the_first_that_fits_is_taken(decider: Decider) -> None:
    """Zero seconds is the greedy placement, with its gap."""
    answer = place(decider, items(3.0, 2.0, 2.0, 2.0), nodes("fast", "fast", slots=1), seconds=0.0)
    assert answer.gap is not None
    assert len(answer.assigned) == 4
