"""Newcomers: ids with few of many rows are less well known, and no burden on the others."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from foretell.predictor import Prediction, Predictor
from foretell.schema import Feature, Metric, Schema
from tests.unit.engine.synthetic import Workload

MODELS, HOSTS = 15, 8
NOISE, ASKED = 0.05, 3000
SCHEMA = Schema(
    workload="hosts",
    features=(
        Feature(name="model", kind="category", required=True),
        Feature(name="host", kind="category", required=True),
        Feature(name="size", kind="number", scale="log"),
    ),
    metrics=(Metric(name="seconds"),),
    groups=(("model",), ("host",), ("model", "host")),
)


class World:
    """Hosts that are quite unlike each other, of all of which there are many runs."""

    def __init__(self, seed: int) -> None:
        self.rng = np.random.default_rng(seed)
        self.model = self.rng.normal(0, 1, MODELS)
        self.host = self.rng.normal(0, 1, HOSTS)
        self.pair = self.rng.normal(0, 0.3, (MODELS, HOSTS))
        self.slope = self.rng.normal(1, 0.3, HOSTS)

    def runs(self, host: np.ndarray) -> Workload:
        """Return runs of any model on the given hosts [n]."""
        model = self.rng.integers(0, MODELS, len(host))
        size = np.exp(self.rng.uniform(0, 3, len(host)))
        logs = self.model[model] + self.host[host] + self.pair[model, host]
        logs += self.slope[host] * np.log(size) + self.rng.normal(0, NOISE, len(host))
        features = {
            "model": [f"m{i}" for i in model],
            "host": [f"h{i}" for i in host],
            "size": size.tolist(),
        }
        return Workload(SCHEMA, features, np.exp(logs)[:, None])

    def any_runs(self, count: int) -> Workload:
        """Return runs on hosts at random."""
        return self.runs(self.rng.integers(0, HOSTS, count))


def forecast(folder: Path, learnt: Workload, asked: Workload) -> Prediction:
    """Learn from some runs and forecast others."""
    learnt.train(folder)
    predictor = Predictor.load(folder / "bundle")
    encoded = predictor.encoder.encode_columns(asked.features, len(asked))
    return predictor.forecast(encoded)


def test_what_is_not_known_of_a_newcomer_does_not_widen_the_rest(tmp_path: Path) -> None:
    """Rehearsals of a host with few runs go astray far; runs of well known hosts do not."""
    levels = (0.8, 0.9)
    covered = []
    for seed in (1, 2, 3):
        world = World(seed)
        learnt, asked = world.any_runs(1200), world.any_runs(ASKED)
        found = forecast(tmp_path / str(seed), learnt, asked)
        for level in levels:
            lower, upper = found.forecasts.interval(level)
            covered.append(((lower <= asked.metrics) & (asked.metrics <= upper)).mean())
    assert np.reshape(covered, (3, 2)).mean(axis=0) == pytest.approx(levels, abs=0.04)


def test_a_host_with_a_few_of_many_runs_is_less_well_known(tmp_path: Path) -> None:
    """A host with 12 runs, where others have 150, has wider intervals, which hold."""
    world = World(4)
    hosts = np.concatenate([np.repeat(np.arange(1, HOSTS), 150), np.zeros(12, np.int64)])
    asked = world.runs(np.repeat(np.arange(HOSTS), 50))
    found = forecast(tmp_path, world.runs(hosts), asked)
    lower, upper = (bound[:, 0] for bound in found.forecasts.interval(0.9))
    width, truth = np.log(upper / lower), asked.metrics[:, 0]
    assert np.median(width[:50]) > 1.5 * np.median(width[50:])
    assert ((lower <= truth) & (truth <= upper))[:50].mean() > 0.8
