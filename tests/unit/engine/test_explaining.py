"""Explanations of fitted bundles: the very terms of the base, and what trees add."""

from __future__ import annotations

import copy
import itertools
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from foretell.encoding import Encoded
from foretell.explain import Explainer
from foretell.known import MOST_BYTES, MOST_ROWS, KnownRows
from foretell.parsing import Value
from foretell.predictor import Predictor
from foretell_trainer.kept import kept_rows
from tests.unit.engine.noise import METRICS, Noise
from tests.unit.engine.synthetic import QUICK, Floats, candidate
from tests.unit.engine.test_training import workload

ROWS = 60
"""So few that all of them are the background."""

ASKED: dict[str, Value] = {"task": "t3", "size": 20.0}


def test_a_linear_bundle_is_explained_by_its_own_terms(tmp_path: Path) -> None:
    """For `ridge`, a task's effect is its effect in the base against the mean one, exactly."""
    work, settings = workload(ROWS), replace(QUICK, family="ridge")
    work.train(tmp_path, settings)
    predictor = Predictor.load(tmp_path / "bundle")
    found = Explainer(predictor).explain(ASKED)["seconds"]
    fitted = candidate(work, settings).fitted
    (metric,) = fitted.metrics
    base, inputs = metric.location.base, fitted.training.inputs
    own = predictor.encoder.encode(ASKED)
    asked = fitted.training.input_map(own.numbers, own.categories)
    effect = base.effects_of(asked.codes)[0, 0] - base.effects_of(inputs.codes)[:, 0].mean()
    rest = base.predict(asked)[0] - base.predict(inputs).mean() - effect
    assert np.log(found.effect("task")) == pytest.approx(effect * metric.unit, abs=1e-5)
    assert np.log(found.effect("size")) == pytest.approx(rest * metric.unit, abs=1e-5)


def test_trees_are_explained_with_the_base(noise: Noise) -> None:
    """With trees on the base, effects are what features change on average over all orders."""
    predictor = copy.copy(noise.predictor)
    known = predictor.known
    assert known is not None
    known = predictor.known = KnownRows(
        known.numbers[:ROWS], known.categories[:ROWS], np.ones(ROWS, np.int64), known.metrics[:ROWS]
    )
    first = {name: column[0] for name, column in noise.random.features.items()}
    own = predictor.encoder.encode(first)
    owned = {"task": (1, 0), "node": (1, 1), "size": (0, 0), "load": (0, 1)}

    def mean_location(taken: frozenset[str]) -> Floats:
        rows = known.numbers.copy(), known.categories.copy()
        for kind, column in (owned[name] for name in taken):
            rows[kind][:, column] = (own.numbers, own.categories)[kind][0, column]
        found: Floats = predictor.run(*rows).location.mean(axis=0)
        return found

    effects = {name: np.zeros(len(METRICS)) for name in owned}
    orders = list(itertools.permutations(owned))
    for order in orders:
        for i, name in enumerate(order):
            after, before = frozenset(order[: i + 1]), frozenset(order[:i])
            effects[name] += (mean_location(after) - mean_location(before)) / len(orders)
    found = Explainer(predictor).explain(first)
    for m, metric in enumerate(METRICS):
        for name, effect in effects.items():
            assert np.log(found[metric].effect(name)) == pytest.approx(effect[m], abs=1e-5)


def test_repeats_are_kept_as_one_row_with_their_median() -> None:
    """Rows that are the same, missing values included, become one; its values are medians."""
    numbers = np.array([[1.0], [np.nan], [1.0], [np.nan], [1.0], [-0.0], [0.0]])
    metrics = np.array([[3.0, np.nan], [5.0, 1.0], [9.0, np.nan], [7.0, np.nan], [4.0, np.nan],
                        [2.0, 2.0], [2.0, 2.0]])  # fmt: skip
    encoded = Encoded(numbers, np.zeros((7, 1), np.int64), ((),) * 7)
    known = kept_rows(encoded, metrics, seed=0)
    found = {
        float(np.nan_to_num(n, nan=-1)): (int(rows), *values)
        for n, rows, values in zip(
            known.numbers[:, 0], known.rows, known.metrics.tolist(), strict=True
        )
    }
    assert sorted(found) == [-1.0, 0.0, 1.0]
    assert found[-1.0] == (2, 6.0, 1.0)
    assert found[0.0] == (2, 2.0, 2.0)
    assert found[1.0][:2] == (3, 4.0)
    assert np.isnan(found[1.0][2])


@pytest.mark.parametrize("columns", [1, 60])
def test_a_bundle_keeps_so_many_rows_and_bytes_at_most(columns: int) -> None:
    """Of many configurations random ones are kept, as many as the bounds allow."""
    rng = np.random.default_rng(0)
    numbers = rng.normal(size=(MOST_ROWS + 500, columns))
    encoded = Encoded(numbers, np.zeros((len(numbers), 0), np.int64), ((),) * len(numbers))
    known = kept_rows(encoded, numbers[:, :1], seed=0)
    assert len(known) == min(MOST_ROWS, MOST_BYTES // (8 * (columns + 1) + 4))
    assert len(known.to_bytes()) <= MOST_BYTES
