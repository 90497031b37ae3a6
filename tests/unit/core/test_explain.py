"""Explanations: effects that add up, and the rows that they are measured by."""

from __future__ import annotations

import itertools
import math
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from foretell.bundle import MODEL_FILE, read_file, read_manifest, write_bundle
from foretell.errors import BundleRejected, Cancelled, InvalidInput, NotExplainable
from foretell.explain import Explainer
from foretell.explain.coalitions import coalitions
from foretell.known import KNOWN_FILE, KnownRows
from foretell.parsing import Value
from foretell.predictor import Predictor
from tests.bundles import tiny_bundle
from tests.lab import LATENCY, lab_known, lab_predictor, lab_schema


@pytest.fixture(scope="module")
def explainer(tmp_path_factory: pytest.TempPathFactory) -> Explainer:
    """An explainer of the workload whose forecasts can be done by hand."""
    return Explainer(lab_predictor(tmp_path_factory.mktemp("lab") / "bundle"))


@given(features=st.integers(1, 12), seed=st.integers(0, 2**32 - 1))
def test_effects_sum_up_and_sums_are_shared_out_exactly(features: int, seed: int) -> None:
    """For any function the values sum up to the difference; of a sum, each gets its own term."""
    rng = np.random.default_rng(seed)
    game = coalitions(features, rng)
    whole = int(np.argmax(game.masks.all(axis=1)))
    none = int(np.argmin(game.masks.any(axis=1)))
    anything = rng.normal(size=len(game.masks))
    total = anything[whole] - anything[none]
    assert (game.weights @ anything).sum() == pytest.approx(total, abs=1e-9)
    terms = rng.normal(size=features)
    np.testing.assert_allclose(game.weights @ (game.masks @ terms), terms, atol=1e-9)
    assert game.exact == (features <= 7)


@given(features=st.integers(1, 4), seed=st.integers(0, 2**32 - 1))
def test_few_features_get_their_shapley_values(features: int, seed: int) -> None:
    """The values are the mean over all orders of what a feature changes when it joins."""
    rng = np.random.default_rng(seed)
    game = coalitions(features, rng)
    values = rng.normal(size=len(game.masks))
    of = {tuple(mask): value for mask, value in zip(game.masks.tolist(), values, strict=True)}
    expected = np.zeros(features)
    orders = list(itertools.permutations(range(features)))
    for order in orders:
        mask = [False] * features
        for feature in order:
            before = of[tuple(mask)]
            mask[feature] = True
            expected[feature] += (of[tuple(mask)] - before) / len(orders)
    np.testing.assert_allclose(game.weights @ values, expected, atol=1e-9)


def test_effects_are_what_the_law_says(explainer: Explainer) -> None:
    """Old hardware is twice the geometric mean of fast and old; what plays no role has x1.00."""
    found = explainer.explain({"hardware": "old", "batch_size": 16.0})
    latency = found["latency_ms"]
    assert latency.kind == "factor"
    assert latency.typical == pytest.approx(math.sqrt(10 * 40) * 2, rel=1e-5)
    assert latency.effect("hardware") == pytest.approx(2.0, rel=1e-5)
    assert latency.effect("batch_size") == pytest.approx(2.0, rel=1e-5)
    assert latency.effect("compiled") == 1.0
    assert latency.effect_text(latency.effect("job")) == "x1.00"
    assert found["power_w"].effect("batch_size") == pytest.approx(1.0, abs=1e-6)
    assert found.exact
    assert found.background_rows == 6


@pytest.mark.parametrize("hardware", ["huge", "never seen"])
def test_typical_effects_and_calibration_make_the_median(
    explainer: Explainer, hardware: str
) -> None:
    """For known and unknown values alike, the product is the median that is predicted."""
    features: dict[str, Value] = {
        "hardware": hardware,
        "batch_size": 5.0,
        "memory_gb": 40.0,
        "compiled": True,
    }
    found = explainer.explain(features)
    predictor = explainer.predictor
    medians = predictor.forecast(predictor.encoder.encode(features)).forecasts.median()[0]
    for metric, median in zip(found.metrics.values(), medians, strict=True):
        effects = math.prod(one.effect for one in metric.contributions)
        assert metric.typical * effects * metric.calibration == pytest.approx(median, rel=1e-6)
    assert found.unknown_features == (() if hardware == "huge" else ("hardware",))


def test_neighbours_are_the_nearest_with_what_they_measured(explainer: Explainer) -> None:
    """The same configuration comes first, at distance 0; another batch is nearer than all else."""
    found = explainer.explain({"hardware": "fast", "batch_size": 4.0}, neighbours=3)
    first, second, third = found.neighbours
    assert first.distance == 0.0
    assert first.features == {"hardware": "fast", "batch_size": 4.0}
    assert first.measured["latency_ms"] == pytest.approx(LATENCY["fast"] * 2)
    assert first.training_rows == 10
    assert 0 < second.distance <= third.distance
    assert explainer.explain({"hardware": "x", "batch_size": 4.0}, neighbours=0).neighbours == ()


def test_only_the_metrics_that_are_asked_for(explainer: Explainer) -> None:
    """Explanations and measured values are of the metrics asked for, in their order."""
    asked = ("power_w", "latency_ms")
    found = explainer.explain({"hardware": "old", "batch_size": 2.0}, metrics=asked)
    assert tuple(found.metrics) == asked
    assert tuple(found.neighbours[0].measured) == asked


@pytest.mark.parametrize(
    ("features", "options", "field"),
    [
        ({"hardware": "old"}, {}, "features[batch_size]"),
        ({"hardware": "old", "batch_size": 1, "color": "red"}, {}, "features[color]"),
        ({"hardware": "old", "batch_size": 1}, {"metrics": ["speed"]}, "metrics[0]"),
        ({"hardware": "old", "batch_size": 1}, {"neighbours": 101}, "neighbours"),
    ],
)
def test_what_cannot_be_explained_is_named(
    explainer: Explainer, features: dict[str, object], options: dict[str, object], field: str
) -> None:
    """Whatever is wrong with a question is said by the name of its field."""
    with pytest.raises(InvalidInput) as refused:
        explainer.explain(features, **options)  # type: ignore[arg-type]  # parametrised
    assert [v.field for v in refused.value.violations] == [field]


def test_nobody_is_explained_to_who_has_gone(explainer: Explainer) -> None:
    """An explanation that nobody waits for stops before it asks the graph."""
    with pytest.raises(Cancelled):
        explainer.explain({"hardware": "old", "batch_size": 1}, gone=lambda: True)


def test_a_bundle_of_old_answers_without_explanations(tmp_path: Path) -> None:
    """A bundle without known rows loads and answers; only explaining it is refused."""
    tiny_bundle(tmp_path)
    predictor = Predictor.load(tmp_path)
    assert predictor.forecast(predictor.encoder.encode({"kind": "big"})).forecasts.median().any()
    with pytest.raises(NotExplainable, match="keeps no rows of its training data"):
        Explainer(predictor)


def test_known_rows_survive_their_file() -> None:
    """What is written is read again, bit by bit, and gives the same bytes once more."""
    schema = lab_schema()
    known = lab_known(schema)
    again = KnownRows.from_bytes(known.to_bytes(), (0, 0, 4, 2), 4, 4)
    for name in ("numbers", "categories", "rows", "metrics"):
        np.testing.assert_array_equal(getattr(again, name), getattr(known, name))
    assert again.to_bytes() == known.to_bytes()


@pytest.mark.parametrize("content", [b"junk", b"", "of another schema", "of more values"])
def test_known_rows_that_do_not_fit_refuse_the_bundle(tmp_path: Path, content: bytes | str) -> None:
    """A file that is no file of known rows, or is another bundle's, is not served."""
    lab_predictor(tmp_path / "good")
    manifest = read_manifest(tmp_path / "good")
    known = lab_known(lab_schema())
    if content == "of another schema":
        content = KnownRows(
            known.numbers[:, 1:], known.categories, known.rows, known.metrics
        ).to_bytes()
    elif content == "of more values":
        content = KnownRows(
            known.numbers, known.categories + 9, known.rows, known.metrics
        ).to_bytes()
    assert isinstance(content, bytes)
    model = read_file(tmp_path / "good", manifest, MODEL_FILE)
    write_bundle(tmp_path / "bad", model, manifest, {KNOWN_FILE: content})
    with pytest.raises(BundleRejected, match=KNOWN_FILE):
        Predictor.load(tmp_path / "bad")
