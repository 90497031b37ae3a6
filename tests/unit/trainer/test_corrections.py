"""Corrections: what outcomes say of a bundle's answers, on one whose answers are known.

The tiny bundle foretells the size itself, with a standard deviation of 0.1 in its logarithm.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest

from foretell.corrections import Correction, Corrections
from foretell.parsing import Value
from foretell.predictor import Predictor
from foretell_trainer.corrections.corrector import Corrector
from foretell_trainer.corrections.outcomes import Outcomes
from tests.bundles import SCALE, tiny_bundle, toy_schema

GROUPS = (("kind",), ("color",), ("kind", "color"))
DOUBLE = np.log(2.0)
UNKNOWN_SCALE = 0.8


@pytest.fixture(scope="module")
def predictor(tmp_path_factory: pytest.TempPathFactory) -> Predictor:
    """A bundle with three groups: two categories and their pair."""
    folder = tmp_path_factory.mktemp("bundle")
    units = {"seconds": "s", "kb": "KB"}
    toy = toy_schema()
    metrics = tuple(
        metric.model_copy(update={"unit": units[metric.name]}) for metric in toy.metrics
    )
    schema = toy.model_copy(update={"groups": GROUPS, "metrics": metrics})
    tiny_bundle(folder, schema=schema, unknown_scale=UNKNOWN_SCALE)
    return Predictor.load(folder)


def runs(
    seed: int, kinds: Sequence[str], factor: float = 1.0, outcome: str = "completed"
) -> Outcomes:
    """Return runs of size 10 that took `factor` times what was foretold, but for noise."""
    noise = np.random.default_rng(seed).normal(0, SCALE, (len(kinds), 2))
    metrics = 10 * factor * np.exp(noise)
    nothing = np.full_like(metrics, np.nan)
    features: dict[str, list[Value]] = {
        "size": [10.0] * len(kinds),
        "kind": list(kinds),
        "color": ["red"] * len(kinds),
    }
    return Outcomes(features, metrics, nothing, [outcome] * len(kinds))


def killed(limit_kb: float | None) -> Outcomes:
    """Return one run that was killed when its memory had reached a limit."""
    nothing = np.full((1, 2), np.nan)
    bounds = np.array([[np.nan, np.nan if limit_kb is None else limit_kb]])
    features: dict[str, list[Value]] = {"size": [10.0], "kind": ["big"], "color": ["red"]}
    return Outcomes(features, nothing, bounds, ["out_of_memory"])


def entries(corrector: Corrector) -> dict[tuple[str, ...], Correction]:
    """Return what is corrected, by the values of the categories."""
    return {entry.values: entry for entry in corrector.entries()}


def upper_kb(predictor: Predictor, corrector: Corrector) -> float:
    """Return the 90 % quantile of the memory of the next big, red run of size 10."""
    found = entries(corrector)
    shift = sum(e.shift[1] for values, e in found.items() if values in (("big",), ("big", "red")))
    z = predictor.tables.at(0.9)[0, 1]
    return float(10 * np.exp(shift + SCALE * z))


@pytest.mark.parametrize("seed", range(5))
def test_a_change_is_followed_after_twenty_outcomes(predictor: Predictor, seed: int) -> None:
    """Twice as slow from some moment on: after 20 outcomes answers are, and nothing else is."""
    corrector = Corrector(predictor)
    corrector.learn(runs(seed, ["big", "small"] * 50))
    for i in range(20):
        corrector.learn(runs(1000 * seed + i, ["big"], 2.0))
        corrector.learn(runs(1000 * seed + 500 + i, ["small"]))
    found = entries(corrector)
    shift = {
        kind: sum(e.shift[0] for values, e in found.items() if values in ((kind,), (kind, "red")))
        + (found[("red",)].shift[0] if ("red",) in found else 0.0)
        for kind in ("big", "small")
    }
    assert shift["big"] == pytest.approx(DOUBLE, abs=0.08)
    assert shift["small"] == pytest.approx(0, abs=0.04)


def test_noise_moves_next_to_nothing(predictor: Predictor) -> None:
    """While all is as foretold, shifts stay within a fifth of the noise."""
    worst = 0.0
    for seed in range(20):
        corrector = Corrector(predictor)
        corrector.learn(runs(seed, ["big", "small"] * 60))
        worst = max([worst, *(abs(s) for e in corrector.entries() for s in e.shift)])
    assert worst <= 0.2 * SCALE


def test_intervals_widen_at_once_and_narrow_again(predictor: Predictor) -> None:
    """One outcome far off widens; when answers have followed, intervals are as before."""
    corrector = Corrector(predictor)
    corrector.learn(runs(1, ["big"] * 30))
    corrector.learn(runs(2, ["big"], 2.0))
    assert max(e.widening[0] for e in corrector.entries()) > 1.5
    corrector.learn(runs(3, ["big"] * 40, 2.0))
    assert all(e.widening[0] <= 1.3 for e in corrector.entries())


def test_a_change_back_is_followed_too(predictor: Predictor) -> None:
    """What was slow and is not any more is answered for as before."""
    corrector = Corrector(predictor)
    corrector.learn(runs(1, ["big"] * 40, 2.0))
    corrector.learn(runs(2, ["big"] * 20))
    assert sum(e.shift[0] for e in corrector.entries()) == pytest.approx(0, abs=0.06)


@pytest.mark.parametrize("reached", [20.0, None])
def test_a_kill_raises_the_next_bound_and_completed_runs_lower_it(
    predictor: Predictor, reached: float | None
) -> None:
    """After a kill for memory the next bound is a fifth above what it was killed at, whether or
    not that was said; runs that complete as foretold bring it back."""
    corrector = Corrector(predictor)
    corrector.learn(killed(reached))
    limit = reached or float(10 * np.exp(SCALE * predictor.tables.at(0.9)[0, 1]))
    raised = upper_kb(predictor, corrector)
    assert raised >= limit * 1.17
    corrector.learn(runs(4, ["big"] * 40))
    assert upper_kb(predictor, corrector) < min(raised, 13.0)


def test_runs_that_failed_say_nothing(predictor: Predictor) -> None:
    """What went wrong by itself does not correct what is foretold of runs that do not."""
    corrector = Corrector(predictor)
    corrector.learn(runs(5, ["big"] * 20, 3.0, "failed"))
    assert corrector.entries() == ()


def test_rows_that_cannot_be_asked_about_are_left_out(predictor: Predictor) -> None:
    """An outcome without a required feature is no obstacle to the others."""
    corrector = Corrector(predictor)
    outcomes = runs(6, ["big"] * 21, 2.0)
    kinds = ["big"] * 20 + [None]
    corrector.learn(
        Outcomes({**outcomes.features, "kind": kinds}, *list(vars(outcomes).values())[1:])
    )
    assert corrector.entries()


def newcomer(predictor: Predictor, found: Sequence[Correction]) -> tuple[float, float]:
    """Return median and scale of the next run of the kind `new`, of size 10."""
    corrections = Corrections("", predictor.version, 1, tuple(found))
    predictor.corrections = predictor.compile(corrections)
    encoded = predictor.encoder.encode({"size": 10.0, "kind": "new", "color": "red"})
    assert encoded.unknown == (("kind",),)
    forecasts = predictor.forecast(encoded).forecasts
    predictor.corrections = None
    return float(forecasts.median()[0, 0]), float(forecasts.scale[0, 0])


def test_a_name_that_the_bundle_does_not_know_is_corrected(predictor: Predictor) -> None:
    """Answers about a new name follow its first outcome, and are as sure as its outcomes are
    alike; other new names, and known ones, are answered for as before."""
    corrector = Corrector(predictor)
    corrector.learn(runs(7, ["big", "small"] * 20))
    scales = [UNKNOWN_SCALE]
    for i in range(20):
        corrector.learn(runs(100 + i, ["new"], 3.0))
        median, scale = newcomer(predictor, corrector.entries())
        assert median == pytest.approx(30.0, rel=0.35 if i < 3 else 0.12)
        scales.append(scale)
    assert scales[1] < 0.6 * UNKNOWN_SCALE
    assert SCALE <= scales[-1] <= min(1.4 * SCALE, scales[1])
    assert all(("new" in values) for values in entries(corrector))


def test_a_new_name_that_changes_is_followed_as_others_are(predictor: Predictor) -> None:
    """What became slower after its first outcomes is answered for as slower."""
    corrector = Corrector(predictor)
    corrector.learn(runs(8, ["new"] * 20, 3.0))
    corrector.learn(runs(9, ["new"] * 20, 6.0))
    assert newcomer(predictor, corrector.entries())[0] == pytest.approx(60.0, rel=0.1)


def test_new_names_that_differ_among_themselves_stay_unsure(predictor: Predictor) -> None:
    """Outcomes that scatter leave the interval as wide as they scatter."""
    corrector = Corrector(predictor)
    for i in range(20):
        corrector.learn(runs(200 + i, ["new"], 3.0 * np.exp(0.5 * (-1) ** i)))
    assert newcomer(predictor, corrector.entries())[1] > 0.35
