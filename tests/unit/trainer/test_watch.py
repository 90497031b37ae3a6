"""How answers do in the world: scores, alarms, regressions, and candidates that answer along."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest

from foretell.corrections import Correction, Corrections
from foretell.events import Event
from foretell.predictor import Predictor
from foretell_trainer.corrections.outcomes import About, Outcomes
from foretell_trainer.watch.monitor import Monitor
from foretell_trainer.watch.regressions import Run, find_regression
from tests.bundles import SCALE, tiny_bundle

# The tiny bundle is made in 2030; what is received later, it cannot have learned.
NOON = datetime(2031, 1, 31, 12)  # noqa: DTZ001 -- the store's times are UTC, unmarked


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A bundle that forecasts `size` for every metric, with a standard deviation of 0.1 in log."""
    folder = tmp_path_factory.mktemp("watch") / "bundle"
    tiny_bundle(folder)
    return folder


@pytest.fixture
def monitor(bundle: Path) -> Monitor:
    """A monitor that has seen nothing."""
    return Monitor(Predictor.load(bundle), 20.0)


@pytest.fixture
def noise() -> np.random.Generator:
    """Noise that is the same in each run."""
    return np.random.default_rng(7)


class Reports:
    """Makes outcomes whose `seconds` are `factor` times the forecast, give or take its doubt."""

    def __init__(self, noise: np.random.Generator) -> None:
        self._noise = noise
        self.made = 0

    def __call__(
        self, count: int, factor: float = 1.0, kind: str = "big", tag: str = "", spread: float = 1
    ) -> Outcomes:
        errors = spread * SCALE * self._noise.standard_normal(count)
        about = [self._about(i, tag) for i in range(self.made + 1, self.made + count + 1)]
        self.made += count
        seconds = 10 * factor * np.exp(errors)
        return Outcomes(
            {"size": [10.0] * count, "kind": [kind] * count},
            np.column_stack([seconds, np.full(count, np.nan)]),
            np.full((count, 2), np.nan),
            ["completed"] * count,
            about,
        )

    @staticmethod
    def _about(number: int, tag: str) -> About:
        at = NOON + timedelta(seconds=number)
        return About(number, at, at, tag)


@pytest.fixture
def reports(noise: np.random.Generator) -> Reports:
    """Outcomes in order."""
    return Reports(noise)


def kinds(events: Sequence[Event], group: dict[str, str]) -> Iterator[str]:
    """Yield what is said of a group."""
    return (f"{'no ' if e.recovered else ''}{e.kind}" for e in events if e.group == group)


def test_calm_outcomes_are_scored_and_nothing_is_said(monitor: Monitor, reports: Reports) -> None:
    """Where forecasts hold, live scores say so, and there is no alarm in 1,000 outcomes."""
    for _ in range(10):
        events, impossible = monitor.take(reports(100))
        assert not events
        assert not impossible
    overall, big = monitor.scores()
    assert (overall.group, big.group) == ({}, {"kind": "big"})
    assert overall.outcomes == 200
    assert 0.83 < overall.coverage < 0.97
    assert overall.median_ratio == pytest.approx(1.0, abs=0.03)
    assert overall.median_error == pytest.approx(0.067, abs=0.02)
    assert overall.alarms == ()


def test_a_group_that_changes_is_noticed_and_no_other(monitor: Monitor, reports: Reports) -> None:
    """A factor of 2 is drift, bias and lost coverage of its group, within 20 outcomes."""
    monitor.take(reports(100))
    monitor.take(reports(100, kind="small"))
    events, _ = monitor.take(reports(20, factor=2.0, kind="small"))
    assert set(kinds(events, {"kind": "small"})) >= {"drift"}
    events += monitor.take(reports(60, factor=2.0, kind="small"))[0]
    assert {"drift", "bias", "coverage"} <= set(kinds(events, {"kind": "small"}))
    assert not set(kinds(events, {"kind": "big"}))
    small = next(score for score in monitor.scores() if score.group == {"kind": "small"})
    assert set(small.alarms) == {"drift", "bias", "coverage"}
    assert any("seconds of kind small" in event.message for event in events)
    assert not set(kinds(monitor.take(reports(5, factor=2.0, kind="small"))[0], {"kind": "small"}))


def test_alarms_end_when_corrections_have_put_answers_right(
    monitor: Monitor, reports: Reports
) -> None:
    """Coverage and bias are of the answers that were given: corrected ones end the alarms."""
    monitor.take(reports(100, factor=2.0))
    entry = Correction(("kind",), ("big",), (np.log(2.0), 0.0), (1.0, 1.0))
    given = Corrections("toy", monitor.predictor.version, 1, (entry,))
    monitor.predictor.corrections = monitor.predictor.compile(given)
    events, _ = monitor.take(reports(200, factor=2.0))
    assert {"no bias", "no coverage"} <= set(kinds(events, {"kind": "big"}))
    score = next(iter(monitor.scores()))
    assert score.median_ratio == pytest.approx(1.0, abs=0.03)


def test_intervals_that_are_too_narrow_are_noticed(monitor: Monitor, reports: Reports) -> None:
    """Twice the spread leaves the median alone, and is an alarm of coverage."""
    events, _ = monitor.take(reports(200, spread=2.5))
    assert "coverage" in set(kinds(events, {"kind": "big"}))
    assert "bias" not in set(kinds(events, {"kind": "big"}))


def test_what_the_bundle_may_have_learned_is_not_scored(bundle: Path, reports: Reports) -> None:
    """Outcomes from before a bundle was made are the baseline of regressions, and no more."""
    monitor = Monitor(Predictor.load(bundle), 20.0)
    outcomes = reports(50)
    old = [about._replace(received_at=datetime(2029, 1, 1)) for about in outcomes.about]  # noqa: DTZ001
    monitor.take(Outcomes(outcomes.features, outcomes.metrics, outcomes.lower_bounds,
                          outcomes.outcomes, old))  # fmt: skip
    assert list(monitor.scores()) == []


def test_one_that_is_impossible_is_flagged_and_many_are_a_change(
    monitor: Monitor, reports: Reports
) -> None:
    """A single outcome 1000 times beyond the forecast is kept out; a series of them is believed."""
    monitor.take(reports(30))
    outcomes = reports(1, factor=1000.0)
    _, impossible = monitor.take(outcomes)
    assert list(impossible) == [outcomes.about[0].number]
    assert "seconds is" in impossible[outcomes.about[0].number]
    events, impossible = monitor.take(reports(30, factor=1000.0))
    assert len(impossible) <= 1
    assert "drift" in set(kinds(events, {"kind": "big"}))


def test_a_slower_version_is_a_regression_since_its_first_run(
    monitor: Monitor, reports: Reports
) -> None:
    """By tag, the newest version is compared with those before; being as fast again ends it."""
    monitor.take(reports(40, tag="v1"))
    first = reports.made + 1
    events, _ = monitor.take(reports(15, factor=1.5, tag="v2"))
    assert "regression" in set(kinds(events, {"kind": "big"}))
    (found,) = monitor.regressions.values()
    assert found.ratio == pytest.approx(1.5, rel=0.1)
    assert (found.tag, found.baseline_tag, found.outcomes, found.baseline) == ("v2", "v1", 15, 40)
    assert found.since == (NOON + timedelta(seconds=first)).replace(tzinfo=UTC)
    events, _ = monitor.take(reports(60, tag="v3"))
    assert "no regression" in set(kinds(events, {"kind": "big"}))
    assert not monitor.regressions


@pytest.mark.parametrize(
    ("factor", "found"), [(1.0, False), (1.1, False), (1.4, True), (0.7, False)]
)
def test_without_versions_the_moment_is_found(
    noise: np.random.Generator, factor: float, found: bool
) -> None:
    """A change of at least the percentage is found with since-when; less, and faster, is none."""
    errors = SCALE * noise.standard_normal(120)
    errors[70:] += np.log(factor)
    runs = [Run(NOON + timedelta(seconds=i), "", e) for i, e in enumerate(errors.tolist())]
    change = find_regression(runs, 20.0)
    assert (change is not None) is found
    if change is not None:
        assert change.ratio == pytest.approx(factor, rel=0.1)
        assert abs((change.since - NOON).total_seconds() - 70) <= 3


def test_a_steady_group_has_no_regression(noise: np.random.Generator) -> None:
    """Of 200 groups that never changed, none is reported."""
    for _ in range(200):
        errors = (SCALE * noise.standard_t(3, 60)).tolist()
        runs = [Run(NOON + timedelta(seconds=i), "", e) for i, e in enumerate(errors)]
        assert find_regression(runs, 20.0) is None
