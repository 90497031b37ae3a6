"""Numbers that a request leaves out: what an id has is known, and what nobody knows is not sure."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from foretell.predictor import Prediction, Predictor
from foretell.schema import Feature, Metric, Schema
from tests.unit.engine.synthetic import Workload

SIZES = {f"m{i}": float(2**i) for i in range(10)}
"""Of each model, in parameters: what its runs take grows with it."""


@pytest.fixture(scope="module")
def predictor(tmp_path_factory: pytest.TempPathFactory) -> Predictor:
    """A bundle of runs that were all sent with their model's size and their batch."""
    rng = np.random.default_rng(4)
    model = rng.choice(list(SIZES), 600)
    size = np.array([SIZES[m] for m in model])
    batch = np.exp(rng.uniform(0, 5, len(model)))
    seconds = size * batch * np.exp(rng.normal(0, 0.05, len(model)))
    schema = Schema(
        workload="models",
        features=(
            Feature(name="model", kind="category", required=True),
            Feature(name="size", kind="number", scale="log"),
            Feature(name="batch", kind="number", scale="log"),
        ),
        metrics=(Metric(name="seconds"),),
        groups=(("model",),),
    )
    features = {"model": model.tolist(), "size": size.tolist(), "batch": batch.tolist()}
    folder: Path = tmp_path_factory.mktemp("models")
    Workload(schema, features, seconds[:, None]).train(folder)
    return Predictor.load(folder / "bundle")


def asked(predictor: Predictor, **features: str | float) -> Prediction:
    """Forecast one row."""
    return predictor.forecast(predictor.encoder.encode(features))


@pytest.mark.parametrize("model", ["m0", "m9"])
def test_what_an_id_has_need_not_be_sent(predictor: Predictor, model: str) -> None:
    """A model's own size is taken from its runs, and makes the same forecast as if it were sent."""
    short = asked(predictor, model=model, batch=8.0)
    whole = asked(predictor, model=model, batch=8.0, size=SIZES[model])
    np.testing.assert_array_equal(short.forecasts.location, whole.forecasts.location)
    np.testing.assert_array_equal(short.forecasts.scale, whole.forecasts.scale)
    assert short.forecasts.median()[0, 0] == pytest.approx(8 * SIZES[model], rel=0.15)


@pytest.mark.parametrize("batch", [1.5, 12.0, 130.0])
def test_what_nobody_knows_is_not_sure(predictor: Predictor, batch: float) -> None:
    """Every row had its batch: a request without one has an interval for any, little support."""
    short, whole = asked(predictor, model="m4"), asked(predictor, model="m4", batch=batch)
    lower, upper = (bound[0, 0] for bound in short.forecasts.interval(0.9))
    assert lower < batch * SIZES["m4"] < upper
    assert short.forecasts.confidence(0.2)[0, 0] < 0.3 < whole.forecasts.confidence(0.2)[0, 0]
    assert short.support[0] < 0.2 < whole.support[0]
