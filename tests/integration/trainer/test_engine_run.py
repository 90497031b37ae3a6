"""From messages to a bundle that answers, with the real workers and the real engine."""

from __future__ import annotations

import math
import random

import pytest
from celery import Celery
from foretell.jobs import JobStore
from foretell.predictor import Predictor
from foretell.registry import FolderRegistry
from foretell.settings import Settings
from foretell_trainer.store import Store

from tests.bundles import WORKLOAD
from tests.integration.trainer.conftest import (
    StartWorkers,
    eventually,
    finished,
    observation,
    send,
    stored_ids,
    submit,
)

pytestmark = pytest.mark.process

ROWS = 300


def measured(number: int, rng: random.Random) -> dict[str, object]:
    """Return a run that takes 3 microseconds per unit of size, and twice that when big."""
    size = math.exp(rng.uniform(0, 10))
    kind = rng.choice(["big", "small"])
    seconds = 3e-6 * size * (2 if kind == "big" else 1) * math.exp(rng.gauss(0, 0.05))
    return observation(
        f"o{number}",
        features={"size": size, "kind": kind},
        metrics={"seconds": seconds, "kb": 100 + size},
    )


def test_what_was_observed_is_predicted(
    workers: StartWorkers, app: Celery, jobs: JobStore, store: Store, settings: Settings
) -> None:
    """Observations that were sent are learned by a job, whose bundle then predicts the like."""
    workers("ingest", "train")
    rng = random.Random(1)  # noqa: S311 -- no secret
    send(app, [measured(number, rng) for number in range(ROWS)])
    eventually(lambda: len(stored_ids(store)) == ROWS)
    job = finished(jobs, submit(app, jobs))
    assert (job.state, job.error) == ("SUCCEEDED", "")
    predictor = Predictor.load(FolderRegistry(settings.registry).path(WORKLOAD, job.bundle_version))
    encoded = predictor.encoder.encode({"size": 1000.0, "kind": "big"})
    median = predictor.forecast(encoded).forecasts.median()[0, 0]
    assert median == pytest.approx(6e-3, rel=0.25)
    assert predictor.manifest.lineage.rows == ROWS
