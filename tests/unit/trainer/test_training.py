"""Training as a whole; what is fitted is tested with the engine."""

from __future__ import annotations

from collections.abc import Mapping

from foretell_trainer.training import fitting


def test_progress_never_goes_back() -> None:
    """Whatever a fit says of how far it is, the bar only rises, and stages are told as they are."""
    told: list[tuple[str, float]] = []

    def progress(stage: str, fraction: float, _numbers: Mapping[str, float]) -> None:
        told.append((stage, fraction))

    tell = fitting(progress)
    for stage, fraction in (("a", 0.1), ("b", 0.3), ("a", 0.05), ("b", 0.31), ("c", 1.0)):
        tell(stage, fraction, {})
    assert [stage for stage, _ in told] == ["a", "b", "a", "b", "c"]
    assert sorted(told, key=lambda one: one[1]) == told
    assert told[1][1] == told[2][1] < told[3][1] < told[4][1] < 1
