"""One search from a snapshot to its verdict, alone or with the workers of a broker."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import redis

from foretell.catalog import CatalogTable
from foretell.celery_settings import make_app
from foretell.schema import Schema
from foretell_trainer.engine.training_set import FitSettings, Progress
from foretell_trainer.search.budget import Budget, Verdict
from foretell_trainer.search.crew import Crew, crew
from foretell_trainer.search.search import search
from foretell_trainer.search.trials import Ground
from foretell_trainer.snapshot import Snapshot, read_snapshot


@dataclass(frozen=True)
class Help:
    """The broker whose workers of the queue `train` take part."""

    broker_url: str
    is_worker: bool
    """Whether who searches is one of them."""


def search_snapshot(
    schema: Schema,
    snapshot: Snapshot,
    catalogs: Sequence[CatalogTable],
    settings: FitSettings,
    budget: Budget,
    folder: Path,
    *,
    helped_by: Help | None = None,
    progress: Progress = lambda _stage, _fraction, _numbers: None,
    should_stop: Callable[[], bool] = lambda: False,
) -> Verdict:
    """Search for settings that err less on a snapshot; `folder` keeps what was tried.

    With help, the snapshot has to lie where the workers can read it. Raises InvalidInput for a
    family of which nothing can be tuned, and Cancelled.
    """
    ground = Ground.of(schema, read_snapshot(snapshot, schema), catalogs, settings)
    with ExitStack() as stack:
        others: Crew | None = None
        if helped_by is not None:
            app = stack.enter_context(make_app(helped_by.broker_url))
            client = stack.enter_context(redis.Redis.from_url(helped_by.broker_url))
            others = stack.enter_context(
                crew(
                    *(client, app, schema, snapshot, catalogs, ground),
                    is_worker=helped_by.is_worker,
                )
            )
        return search(ground, budget, folder, others, progress, should_stop)
