"""Interactions: how far a subject is off in one setting says how far it will be in others."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest
from numpy.typing import NDArray

from foretell.predictor import Predictor
from foretell.schema import Feature, Metric, Schema
from tests.unit.engine.synthetic import Workload

FAMILIES, MEMBERS, HARDWARE, PRECISIONS = 5, 6, 4, ("fp32", "fp16")
NOISE = 0.02

SCHEMA = Schema(
    workload="matched",
    features=(
        Feature(name="model", kind="category", required=True),
        Feature(name="family", kind="category"),
        Feature(name="hardware", kind="category", required=True),
        Feature(name="precision", kind="category"),
    ),
    metrics=(Metric(name="latency_ms"),),
    groups=(("model",), ("hardware",), ("model", "hardware")),
)


@dataclass(frozen=True)
class Matched:
    """A bundle, and what it was not shown: pairs, and a whole model of each family."""

    predictor: Predictor
    pairs: dict[str, list[str]]
    pair_logs: NDArray[np.float64]
    newcomer: dict[str, list[str]]
    newcomer_logs: NDArray[np.float64]
    additive: float
    """The median error, in logs, of the best sum of effects on the pairs."""
    average: float
    """How far, in logs, newcomers' times are from the average model's, but for their level."""


@pytest.fixture(scope="module")
def matched(tmp_path_factory: pytest.TempPathFactory) -> Matched:
    """Models that like fast hardware more or less, as their family does, and each a little so."""
    rng = np.random.default_rng(5)
    fondness = np.repeat(rng.normal(0, 0.5, FAMILIES), MEMBERS)
    fondness = fondness + rng.normal(0, 0.1, FAMILIES * MEMBERS)
    speed = np.linspace(-1.0, 1.0, HARDWARE)[:, None] + np.array([0.0, 0.4])
    model, hardware, precision = (
        axis.ravel() for axis in np.meshgrid(range(30), range(4), range(2), indexing="ij")
    )
    level = rng.normal(0, 1, 30)
    logs = 3 + level[model] - (1 + fondness[model]) * speed[hardware, precision]
    pair_out = (model * 7 + hardware * 3) % 5 == 0
    newcomer = model % MEMBERS == MEMBERS - 1
    kept = np.tile(~pair_out & ~newcomer, 3)
    rows = {
        "model": [f"m{m}" for m in model],
        "family": [f"f{m // MEMBERS}" for m in model],
        "hardware": [f"h{h}" for h in hardware],
        "precision": [PRECISIONS[p] for p in precision],
    }

    def of(use: NDArray[np.bool_]) -> dict[str, list[str]]:
        return {
            name: [v for v, u in zip(values, use, strict=True) if u]
            for name, values in rows.items()
        }

    seen = {name: values * 3 for name, values in of(~pair_out & ~newcomer).items()}
    measured = np.exp(np.tile(logs, 3) + rng.normal(0, NOISE, 3 * len(logs)))[kept]
    folder = tmp_path_factory.mktemp("matched")
    Workload(SCHEMA, seen, measured[:, None]).train(folder)
    asked = pair_out & ~newcomer
    design = np.hstack([np.eye(30)[model], np.eye(8)[hardware * 2 + precision]])
    fitted = ~pair_out & ~newcomer
    effects = np.linalg.lstsq(design[fitted], logs[fitted], rcond=None)[0]
    return Matched(
        predictor=Predictor.load(folder / "bundle"),
        pairs=of(asked),
        pair_logs=logs[asked],
        newcomer=of(newcomer),
        newcomer_logs=logs[newcomer],
        average=spread(design[newcomer, 30:] @ effects[30:] - logs[newcomer]),
        additive=float(np.median(np.abs(design[asked] @ effects - logs[asked]))),
    )


def spread(off: NDArray[np.float64]) -> float:
    """Return how far newcomers' errors are from their mean, each its own; rows are by model."""
    return float(off.reshape(FAMILIES, -1).std(axis=1).mean())


def errors(
    predictor: Predictor, rows: dict[str, list[str]], logs: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Return the errors of the median forecasts, in logs."""
    encoded = predictor.encoder.encode_columns(rows, len(logs))
    return np.asarray(np.log(predictor.forecast(encoded).forecasts.median()[:, 0]) - logs)


def test_a_new_pair_follows_what_both_did_elsewhere(matched: Matched) -> None:
    """A model's hardware that was never measured is foretold far better than effects add up to."""
    found = float(np.median(np.abs(errors(matched.predictor, matched.pairs, matched.pair_logs))))
    assert found < matched.additive / 2


def test_a_new_member_of_a_family_behaves_like_the_family(matched: Matched) -> None:
    """How an unknown model's times spread over the hardware is taken from its relatives."""
    off = errors(matched.predictor, matched.newcomer, matched.newcomer_logs)
    # Its level nobody can know; the family's fondness of fast hardware is what can be.
    assert spread(off) < 0.3 * matched.average
