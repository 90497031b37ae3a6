"""What-if: who is better, by how much, and whether that is certain."""

from __future__ import annotations

import pytest

from foretell.decide import Comparison, Configuration, Decider, Objective, Term, WhatIf


def compare(decider: Decider, *hardware: str, batch: float = 4.0) -> Comparison:
    """Compare hardware by latency."""
    sides = tuple(Configuration(h, {"hardware": h, "batch_size": batch}) for h in hardware)
    return decider.what_if(WhatIf(sides, Objective((Term("latency_ms"),))))


def test_a_large_difference_is_certain(decider: Decider) -> None:
    """Four times the latency is worse for certain, and the ratio says so."""
    (difference,) = compare(decider, "fast", "old").differences
    assert difference.certain
    assert difference.probability_better < 0.01
    assert difference.ratio == pytest.approx(4.0, rel=0.05)
    assert difference.ratio_lower is not None
    assert difference.ratio_upper is not None
    assert difference.ratio_lower < 4 < difference.ratio_upper


def test_a_better_median_may_be_uncertain(decider: Decider) -> None:
    """Where one forecast is wide, which of two is better remains open."""
    answer = compare(decider, "fast", "vague")
    (difference,) = answer.differences
    assert not difference.certain
    assert 0.4 < difference.probability_better < 0.6
    assert answer.best == "fast"
    assert "perhaps" in difference.why


def test_turning_a_comparison_around_turns_its_probability_around(decider: Decider) -> None:
    """P(A better than B) and P(B better than A) add up to one."""
    one = compare(decider, "fast", "huge").differences[0]
    other = compare(decider, "huge", "fast").differences[0]
    total = one.probability_better + other.probability_better
    assert total == pytest.approx(1.0, abs=0.03)


def test_several_sides_are_each_held_to_the_first(decider: Decider) -> None:
    """Three configurations give two differences and probabilities that add up."""
    answer = compare(decider, "old", "fast", "huge")
    assert [d.name for d in answer.differences] == ["fast", "huge"]
    assert sum(side.probability_best for side in answer.sides) == pytest.approx(1.0)
    assert all(d.certain for d in answer.differences)
