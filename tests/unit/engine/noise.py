"""A workload whose noise is known: heteroscedastic, heavy-tailed, and shared by ids and pairs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from foretell.forecast import Forecasts
from foretell.predictor import Prediction, Predictor
from foretell.schema import Feature, Metric, Schema
from foretell_trainer.engine.training_set import FitSettings
from tests.conftest import MadeOnce
from tests.unit.engine.synthetic import Floats, Workload

TASKS, NODES = 60, 8
NEW_TASKS, NEW_NODES = 300, 100
"""Many more than are trained on, so that the unseen ones are a fair sample."""
ROWS, FRESH = 1200, 2000
LAWS = 3
"""How many worlds are drawn and fitted: one fit's coverage varies by more than its rows do."""
METRICS = ("duration_s", "memory_kb")
"""The first has normal noise that grows with the load; the second has t3's heavy tails."""

SETTINGS = FitSettings(most_rounds=60, random_folds=4, grouped_folds=3, threads=1)


def schema() -> Schema:
    """Return the workload's schema."""
    return Schema(
        workload="noisy",
        features=(
            Feature(name="task", kind="category", required=True),
            Feature(name="node", kind="category", required=True),
            Feature(name="size", kind="number", scale="log"),
            Feature(name="load", kind="number"),
        ),
        metrics=tuple(Metric(name=name) for name in METRICS),
        groups=(("task",), ("node",), ("task", "node")),
    )


@dataclass(frozen=True)
class Runs:
    """Some runs, what was forecast for them, and what was then measured."""

    features: Mapping[str, Sequence[Any]]
    prediction: Prediction
    metrics: Floats

    @property
    def forecasts(self) -> Forecasts:
        """The distributions that were forecast."""
        return self.prediction.forecasts


@dataclass(frozen=True)
class Noise:
    """A fitted bundle, and fresh runs of every regime."""

    predictor: Predictor
    random: Runs
    """The pairs of the training, again."""
    unseen_pair: Runs
    """Known tasks on known nodes, but not yet together."""
    unseen_task: Runs
    unseen_node: Runs


class Law:
    """Draws runs; every task, node and pair has an effect that never changes."""

    def __init__(self, seed: int, tasks: int, nodes: int) -> None:
        rng = np.random.default_rng(seed)
        self.task = rng.normal(0, 0.7, (tasks, 2))
        self.node = rng.normal(0, 0.4, (nodes, 2))
        self.pair = rng.normal(0, 0.1, (tasks, nodes, 2))

    def runs(self, rng: np.random.Generator, pairs: NDArray[np.int64]) -> Workload:
        """Run pairs of a task and a node, [n, 2], with random sizes and loads."""
        n, (task, node) = len(pairs), pairs.T
        size, load = np.exp(rng.uniform(0, 6, n)), rng.uniform(0, 1, n)
        centre = self.task[task] + self.node[node] + self.pair[task, node]
        centre = centre + np.outer(np.log(size), [0.7, 0.4]) + 0.5 * np.outer(load**2, [1, 0])
        normal = (0.05 + 0.35 * load) * rng.normal(size=n)
        heavy = 0.1 * rng.standard_t(3, n)
        features = {
            "task": [f"task {i}" for i in task],
            "node": [f"node {i}" for i in node],
            "size": size.tolist(),
            "load": load.tolist(),
        }
        return Workload(schema(), features, np.exp(centre + np.column_stack([normal, heavy])))


def noisy(made_once: MadeOnce, seed: int) -> Noise:
    """Fit one world on 70 % of the pairs of some tasks and nodes, and draw fresh runs of it."""
    law = Law(seed, TASKS + NEW_TASKS, NODES + NEW_NODES)
    rng = np.random.default_rng(seed + 1000)
    known = rng.random((TASKS, NODES)) < 0.7
    pairs = np.argwhere(known)
    others = np.argwhere(~known)

    def pick(pool: NDArray[np.int64], n: int) -> Workload:
        chosen = pool[rng.integers(0, len(pool), n)]
        return law.runs(rng, chosen)

    training = pick(pairs, ROWS)
    folder = made_once(f"noise-{seed}", lambda folder: training.train(folder, SETTINGS))
    predictor = Predictor.load(folder / "bundle")
    new_tasks = np.argwhere(np.ones((NEW_TASKS, NODES))) + np.array([TASKS, 0])
    new_nodes = np.argwhere(np.ones((TASKS, NEW_NODES))) + np.array([0, NODES])

    def runs(workload: Workload) -> Runs:
        encoded, _ = predictor.encoder.encode_table(dict(workload.features), named="name")
        return Runs(workload.features, predictor.forecast(encoded), workload.metrics)

    return Noise(
        predictor,
        *(runs(pick(pool, FRESH)) for pool in (pairs, others, new_tasks, new_nodes)),
    )
