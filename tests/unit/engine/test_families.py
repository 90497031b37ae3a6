"""Families: whoever learns, the graph says the same as the library, and calibration holds."""

from __future__ import annotations

import importlib.util
from dataclasses import replace

import numpy as np
import pytest

from foretell.errors import Cancelled, InvalidInput
from foretell_trainer.engine.calibration import LEVELS
from foretell_trainer.engine.families import FAMILIES, family_of
from foretell_trainer.engine.learners import grow, held_out_errors
from foretell_trainer.engine.trees import LEAF, Singles, TreeSettings
from tests.unit.engine.synthetic import QUICK, candidate
from tests.unit.engine.test_training import workload

ROWS = 400


def needs(name: str) -> pytest.MarkDecorator:
    """Skip where an optional library is not installed."""
    missing = importlib.util.find_spec(name) is None
    return pytest.mark.skipif(missing, reason=f"the extra {name!r} is not installed")


LEARNERS = [
    "lightgbm",
    "randomised",
    "lightgbm+lightgbm",
    "lightgbm+randomised",
    pytest.param("xgboost", marks=needs("xgboost")),
    pytest.param("catboost", marks=needs("catboost")),
]
OTHERS = [
    "ridge",
    "sgd",
    "ensemble",
    pytest.param("xgboost", marks=needs("xgboost")),
    pytest.param("ensemble:lightgbm+xgboost", marks=needs("xgboost")),
    pytest.param("catboost", marks=needs("catboost")),
]


def settings(learner: str) -> TreeSettings:
    """Return a few small trees."""
    return TreeSettings(
        rounds=25, leaves=8, learning_rate=0.2, smallest_leaf=5, learner=learner, seed=3
    )


def table(seed: int = 0) -> tuple[Singles, np.ndarray]:
    """Return features of which some have few values, and what they make."""
    rng = np.random.default_rng(seed)
    features = np.column_stack(
        [rng.normal(size=ROWS), rng.integers(0, 4, ROWS), np.exp(rng.normal(size=ROWS))]
    ).astype(np.float32)
    target = np.sin(2 * features[:, 0]) + features[:, 1] * (features[:, 2] > 1)
    return features, target + rng.normal(0, 0.05, ROWS)


@pytest.mark.parametrize("learner", LEARNERS)
def test_the_trees_say_what_the_library_says(learner: str) -> None:
    """On any row, and on both sides of every threshold, the nodes add up to the prediction."""
    features, target = table()
    grown = grow(features, target, settings(learner))
    trees = list(grown.trees())
    rows = [features]
    for tree in trees:
        for place in np.flatnonzero(tree.feature != LEAF):
            at = features[:2].copy()
            at[0, tree.feature[place]] = tree.threshold[place]
            at[1, tree.feature[place]] = np.nextafter(tree.threshold[place], np.float32(np.inf))
            rows.append(at)
    asked = np.vstack(rows)
    total = np.sum([tree.predict(asked) for tree in trees], axis=0)
    np.testing.assert_allclose(total, grown.predict(asked), atol=1e-5)
    assert np.abs(total[:ROWS] - target).mean() < 0.6 * np.abs(target - target.mean()).mean()


@pytest.mark.parametrize("learner", LEARNERS)
def test_the_curve_is_that_of_the_trees(learner: str) -> None:
    """The error after the last round is the error of an ensemble grown for as many rounds."""
    (features, target), held_out = table(), table(seed=1)
    curve = held_out_errors(features, target, settings(learner), held_out=held_out, patience=None)
    grown = grow(features, target, settings(learner))
    assert len(curve) == 25
    last = np.abs(grown.predict(held_out[0]) - held_out[1]).mean()
    np.testing.assert_allclose(curve[-1], last, rtol=1e-4)


@pytest.mark.parametrize("learner", LEARNERS)
def test_a_learner_stops_when_asked(learner: str) -> None:
    """A fit that is asked to stop while it grows raises Cancelled, whoever grows."""
    features, target = table()
    many = replace(settings(learner), rounds=10_000)
    with pytest.raises(Cancelled):
        grow(features, target, many, should_stop=lambda: True)
    with pytest.raises(Cancelled):
        held_out_errors(
            features,
            target,
            many,
            held_out=(features, target),
            patience=None,
            should_stop=lambda: True,
        )


@pytest.mark.parametrize("family", OTHERS)
def test_a_familys_graph_says_what_its_models_say(family: str) -> None:
    """Location, scale, support and tables of the graph are the models', for every family."""
    fit = candidate(workload(160), replace(QUICK, family=family))
    fit.assert_agree(fit.encoded.numbers, fit.encoded.categories)
    unknown = np.full_like(fit.encoded.categories, -1)
    fit.assert_agree(fit.encoded.numbers * 3, unknown)


@pytest.mark.parametrize("family", ["ridge", "sgd", "ensemble"])
def test_a_familys_intervals_hold(family: str) -> None:
    """Nine of ten fresh rows lie in the 90 % interval; more, where fewer rows teach worse."""
    fit = candidate(workload(), replace(QUICK, family=family))
    fresh = workload(seed=5)
    encoded, _ = fit.encoder.encode_table(dict(fresh.features), named="name")
    answers = fit.native(encoded.numbers, encoded.categories)
    tables = fit.fitted.metrics[0].tables
    levels = np.searchsorted(LEVELS, [0.05, 0.95])
    low, high = (tables[answers.table[:, 0], level] for level in levels)
    z = (np.log(fresh.metrics[:, 0]) - answers.location[:, 0]) / answers.scale[:, 0]
    covered = ((z >= low) & (z <= high)).mean()
    assert 0.84 < covered < (1.0 if family == "sgd" else 0.98)


@pytest.mark.parametrize(
    ("name", "what"),
    [
        ("forest", "no family"),
        ("ridge:lightgbm", "no family"),
        ("ensemble:lightgbm", "two or more"),
        ("ensemble:lightgbm+ridge", "two or more"),
    ],
)
def test_an_unknown_family_is_refused(name: str, what: str) -> None:
    """A family that is none is refused by its name, with those that there are."""
    with pytest.raises(InvalidInput, match=what) as refused:
        family_of(name)
    assert refused.value.violations[0].value == name


def test_every_family_has_a_line_in_the_table() -> None:
    """The table of families in the module's docstring names them all."""
    from foretell_trainer.engine import families  # noqa: PLC0415

    assert all(f"| `{name}` |" in (families.__doc__ or "") for name in FAMILIES)
