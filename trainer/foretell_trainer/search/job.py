"""One search from a snapshot to its verdict, alone or with the workers of a broker."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from foretell.catalog import CatalogTable
from foretell.schema import Schema
from foretell_trainer.crew.sharing import Help, helped
from foretell_trainer.engine.training_set import FitSettings, Progress
from foretell_trainer.search.budget import Budget, Verdict
from foretell_trainer.search.parts import told_trials
from foretell_trainer.search.search import search
from foretell_trainer.search.trials import Ground
from foretell_trainer.snapshot import Snapshot, read_snapshot


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

    Raises InvalidInput for a family of which nothing can be tuned, and Cancelled.
    """
    ground = Ground.of(schema, read_snapshot(snapshot, schema), catalogs, settings)
    with helped(helped_by, told_trials(schema, snapshot, catalogs, ground)) as others:
        return search(ground, budget, folder, others, progress, should_stop)
