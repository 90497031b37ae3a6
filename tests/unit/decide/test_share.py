"""Sharing a device: what each strategy takes, and which is best under limits."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from foretell.decide import Decider, Item, Limit, Share, Sharing, Strategy
from foretell.decide.sharing.strategies import _together
from foretell.errors import InvalidInput
from foretell.parsing import Value
from foretell.plots import sharing_figure
from tests.lab import OWN_SLOWDOWN, SLOWDOWN, lab_predictor, with_slowdown

ITEM: dict[str, Value] = {"hardware": "fast", "batch_size": 1.0}


def ask(decider: Decider, *work: float, **options: Any) -> Sharing:  # noqa: ANN401 -- of Share
    """Ask for items with so many jobs each."""
    items = tuple(Item(f"i{i}", ITEM, work=w) for i, w in enumerate(work))
    return decider.share(Share(items, **options))


def by_name(answer: Sharing) -> dict[str, Strategy]:
    """Return the strategies by name."""
    return {strategy.name: strategy for strategy in answer.strategies}


def test_one_after_another_takes_the_sum_and_the_largest_memory(decider: Decider) -> None:
    """The shortest goes first; memory is that of one item at a time."""
    one = by_name(ask(decider, 300.0, 100.0))["sequential"]
    assert one.makespan_s == pytest.approx(4.0, rel=0.01)
    assert [part.item for part in one.timeline] == ["i1", "i0"]
    assert one.memory_needed == pytest.approx(1000 * np.exp(2.33 * 0.1), rel=0.05)


def test_times_do_not_hang_on_the_risk_of_the_memory(decider: Decider) -> None:
    """How rarely memory may overflow says nothing of how long the items take."""
    daring, timid = (
        by_name(ask(decider, 300.0, 100.0, overflow_risk=risk))["sequential"]
        for risk in (0.2, 0.0001)
    )
    assert timid.makespan_s == daring.makespan_s
    assert timid.memory_needed is not None
    assert daring.memory_needed is not None
    assert timid.memory_needed > daring.memory_needed


def test_a_picture_shows_every_strategy_to_its_end(decider: Decider) -> None:
    """The axis reaches beyond the last item of the slowest strategy."""
    answer = ask(decider, 300.0, 100.0, slowdown=1.1)
    last = max(part.end_s for one in answer.strategies for part in one.timeline)
    assert all(axes.get_xlim()[1] > last for axes in sharing_figure(answer, "a device").axes)


def test_at_once_takes_the_sum_of_the_memory_and_slows_all_down(decider: Decider) -> None:
    """Two equal items, each 1.5 times as long beside the other, end together."""
    one = by_name(ask(decider, 100.0, 100.0, slowdown=1.5))["parallel"]
    assert one.timeline[0].end_s == pytest.approx(1.5, rel=0.01)
    assert one.timeline[0].slowdown == pytest.approx(1.5, rel=0.01)
    assert one.memory_needed is not None
    assert 2000 < one.memory_needed < 2 * 1000 * np.exp(2.33 * 0.1)


def test_without_knowledge_of_neighbours_nothing_runs_at_once(decider: Decider) -> None:
    """What cannot be judged is left out, and it is said what is missing."""
    answer = ask(decider, 100.0, 100.0)
    assert set(by_name(answer)) == {"sequential", "batched"}
    assert "give `slowdown`" in answer.left_out[0]


def test_batches_are_as_large_as_limit_and_memory_allow(decider: Decider) -> None:
    """The largest batch whose latency and memory hold with their probabilities is used."""
    free = by_name(ask(decider, 100.0, 100.0))["batched"]
    assert {part.batch_size for part in free.timeline} == {256.0}
    limits = (Limit("latency_ms", at_most=45.0),)
    tight = by_name(ask(decider, 100.0, 100.0, limits=limits))["batched"]
    assert {part.batch_size for part in tight.timeline} == {16.0}
    small = by_name(ask(decider, 100.0, 100.0, memory=6000.0))["batched"]
    assert {part.batch_size for part in small.timeline} == {4.0}
    assert small.overflow_probability == 0.0


def test_what_breaks_a_limit_ranks_behind_what_does_not(decider: Decider) -> None:
    """A faster strategy that does not fit is not feasible, and says why."""
    answer = ask(decider, 100.0, 100.0, slowdown=1.1, memory=1900.0, batch_sizes=(1.0,))
    assert [s.name for s in answer.strategies][-1] == "parallel"
    worst = answer.strategies[-1]
    assert not worst.feasible
    assert "memory overflows" in worst.why
    assert worst.value < answer.strategies[0].value


def test_the_goal_decides(decider: Decider) -> None:
    """For memory alone, one after another without batches is best."""
    assert ask(decider, 9.0, 9.0, goal="memory").strategies[0].name == "sequential"
    assert ask(decider, 9.0, 9.0, goal="makespan").strategies[0].name == "batched"


def test_neighbours_slow_each_other_down_as_forecast(decider: Decider) -> None:
    """Beside each other, two jobs take as much longer as the bundle has learned of both."""
    items = tuple(Item(job, {**ITEM, "job": job}, work=1000.0) for job in "ab")
    answer = decider.share(Share(items, neighbour_feature="beside", item_feature="job"))
    one = by_name(answer)["parallel"]
    ends = {part.item: part.end_s for part in one.timeline}
    # `a` runs beside `b`, which slows it by half; `b` ends first, and then `a` runs alone.
    alone = 10.0
    assert ends["b"] == pytest.approx(alone * 1.2, rel=0.02)
    assert ends["a"] == pytest.approx(alone * (1.2 + (1 - 1.2 / 1.5)), rel=0.02)


def test_a_metric_of_slowdown_is_taken_for_it(tmp_path: Path) -> None:
    """Where slowdowns themselves are learned, they are what neighbours do to each other."""
    decider = Decider(lab_predictor(tmp_path / "bundle", with_slowdown()))
    items = tuple(Item(job, {**ITEM, "job": job}, work=1000.0) for job in "ab")
    answer = decider.share(Share(items, neighbour_feature="beside", item_feature="job"))
    first = min(by_name(answer)["parallel"].timeline, key=lambda part: part.end_s)
    assert first.slowdown == pytest.approx(OWN_SLOWDOWN * SLOWDOWN["a"], rel=0.02)


@given(
    st.lists(st.floats(0.1, 10.0), min_size=1, max_size=5),
    st.floats(1.0, 3.0),
)
def test_running_together_lies_between_alone_and_always_slowed(
    seconds: list[float], factor: float
) -> None:
    """No item ends before it would alone, nor later than if all others ran all the time."""
    count = len(seconds)
    factors = np.full((count, count), factor)
    np.fill_diagonal(factors, 1.0)
    ends = _together(np.array(seconds), factors)
    assert (ends >= np.array(seconds) * (1 - 1e-9)).all()
    assert (ends <= np.array(seconds) * factor ** (count - 1) * (1 + 1e-9)).all()
    assert np.argmax(ends) == np.argmax(seconds) or np.isclose(ends.max(), ends[np.argmax(seconds)])


BAD: dict[str, tuple[dict[str, Any], str]] = {
    "a goal that is none": ({"goal": "fun"}, "goal"),
    "a slowdown that speeds up": ({"slowdown": 0.5}, "slowdown"),
    "no memory": ({"memory": 0.0}, "memory"),
    "risk 1": ({"overflow_risk": 1.0}, "overflow_risk"),
    "a limit on memory": ({"limits": (Limit("memory_mb", at_most=1.0),)}, "limits[0]"),
    "a size twice": ({"batch_sizes": (2.0, 2.0)}, "batch_sizes[1]"),
    "a batch of categories": ({"batch_feature": "job", "batch_sizes": (1.0,)}, "batch_feature"),
    "a neighbour that is none": ({"neighbour_feature": "x"}, "neighbour_feature"),
    "no name for neighbours": (
        {"neighbour_feature": "job", "item_feature": "vendor"},
        "item_feature",
    ),
}


@pytest.mark.parametrize("name", BAD)
def test_what_is_wrong_with_a_question_is_named(decider: Decider, name: str) -> None:
    """Nothing is guessed or ignored."""
    options, field = BAD[name]
    with pytest.raises(InvalidInput) as refused:
        ask(decider, 1.0, 1.0, **options)
    assert field in [violation.field for violation in refused.value.violations]


def test_one_item_shares_with_nobody(decider: Decider) -> None:
    """A question about one item is refused."""
    with pytest.raises(InvalidInput, match="from 2 to 32"):
        ask(decider, 1.0)
