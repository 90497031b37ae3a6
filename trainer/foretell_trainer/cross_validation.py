"""Cross-validation: how good bundles are that did not see the rows, by a split of one's choice.

Each fold goes the whole way, from rows to a bundle that was written, loaded and asked, so that
what is judged is what would be served. The rows of all folds are scored together. With a broker,
the workers of its queue `train` fit folds, too; the result is the same.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from foretell.catalog import CatalogTable
from foretell.errors import Cancelled, InvalidInput, Violation
from foretell.forecast import Floats, Forecasts, QuantileTables
from foretell.schema import Schema
from foretell.splits import Split
from foretell_trainer.crew.others import Nobody, Others
from foretell_trainer.crew.sharing import Help, helped
from foretell_trainer.crew.told import Answer
from foretell_trainer.engine.evaluation import compare
from foretell_trainer.engine.training_set import FitSettings, Progress
from foretell_trainer.folds import Folds, from_part
from foretell_trainer.snapshot import Snapshot
from foretell_trainer.splits import labels_of

_LOOKED_EVERY_S = 1.0


def cross_validate(
    schema: Schema,
    snapshot: Snapshot,
    catalogs: Sequence[CatalogTable],
    split: Split,
    settings: FitSettings | None = None,
    progress: Progress = lambda _stage, _fraction, _numbers: None,
    should_stop: Callable[[], bool] = lambda: False,
    helped_by: Help | None = None,
) -> dict[str, Any]:
    """Return how good forecasts are for rows left out: the split, and per metric what
    `compare` returns, with the schema's ids as groups.

    Raises InvalidInput when the rows cannot be split so, or a fold has too few; Cancelled.
    """
    settings = settings or FitSettings(family=schema.family)
    folds = Folds.of(schema, snapshot, catalogs, split, settings)
    with helped(helped_by, folds.told()) as others:
        forecasts = pooled(fit_folds(folds, others, progress, should_stop))
    tested = np.concatenate([rows.test for rows in folds.rows])
    ids = [group[0] for group in schema.groups if len(group) == 1]
    columns = folds.columns
    groups = {name: labels_of(name, schema, columns, catalogs)[tested].tolist() for name in ids}
    actual = columns.metrics[tested]
    return {
        **replace(split, folds=len(folds)).describe(),
        "rows": len(tested),
        "metrics": {
            metric.name: compare(forecasts, actual[:, m], m, groups)
            for m, metric in enumerate(schema.metrics)
        },
    }


def fit_folds(
    folds: Folds,
    others: Others | None = None,
    progress: Progress = lambda _stage, _fraction, _numbers: None,
    should_stop: Callable[[], bool] = lambda: False,
) -> list[Forecasts]:
    """Return the forecasts of each fold, in their order; raise as `Folds.forecasts` does."""
    return _Fitting(folds, others or Nobody(), progress, should_stop).run()


class _Fitting:
    """Folds, those that are done and those that are left."""

    def __init__(
        self, folds: Folds, others: Others, progress: Progress, should_stop: Callable[[], bool]
    ) -> None:
        self._folds = folds
        self._others = others
        self._progress = progress
        self._should_stop = should_stop
        self._left = list(range(len(folds)))
        self._here: list[int] = []
        self._done: dict[int, Forecasts] = {}

    def run(self) -> list[Forecasts]:
        while len(self._done) < len(self._folds):
            if len(self._left) > 1 and self._others.free() > 0:
                # All of them: those that nobody has begun are taken back one by one.
                self._others.send({fold: {"fold": fold} for fold in self._left})
                self._left.clear()
            fold = self._next()
            if fold is not None:
                self._fit(fold)
            self._collect(0.0 if fold is not None else _LOOKED_EVERY_S)
        return [self._done[fold] for fold in range(len(self._folds))]

    def _next(self) -> int | None:
        for folds in (self._here, self._left):
            if folds:
                return folds.pop(0)
        taken = self._others.take()
        return None if taken is None else taken[0]

    def _fit(self, fold: int) -> None:
        done, count = len(self._done), len(self._folds)

        def tell(stage: str, share: float, numbers: Mapping[str, float]) -> None:
            self._progress(f"fold {fold + 1} of {count}: {stage}", (done + share) / count, numbers)

        self._done[fold] = self._folds.forecasts(fold, tell, self._should_stop)

    def _collect(self, wait_s: float) -> None:
        if self._should_stop():
            raise Cancelled
        for answer in self._others.answers(wait_s):
            self._take_in(answer)

    def _take_in(self, answer: Answer) -> None:
        if answer.result is not None:
            self._done[answer.number] = from_part(answer.result)
            done, count = len(self._done), len(self._folds)
            told = f"fold {answer.number + 1} of {count}: by another worker"
            self._progress(told, done / count, {})
        elif answer.is_given_up:
            why = f"fold {answer.number + 1}: {answer.failure}"
            raise InvalidInput([Violation("split", str(self._folds.split), why)])
        else:
            # What another machine cannot do may be done here; or it fails here, and says why.
            self._here.append(answer.number)


def pooled(parts: Sequence[Forecasts]) -> Forecasts:
    """Return the forecasts of several bundles as one; each row keeps its bundle's tables."""
    tables = [part.tables for part in parts]
    offsets = np.cumsum([0, *(len(table.values) for table in tables[:-1])])
    return Forecasts(
        parts[0].metric_names,
        parts[0].log,
        np.concatenate([part.location for part in parts]),
        np.concatenate([part.scale for part in parts]),
        np.concatenate([p.table + o for p, o in zip(parts, offsets, strict=True)]),
        QuantileTables(
            tables[0].levels,
            np.concatenate([table.values for table in tables]),
            np.concatenate([_dispersion(table) for table in tables]),
        ),
        np.concatenate([part.support for part in parts]),
    )


def _dispersion(tables: QuantileTables) -> Floats:
    known = tables.dispersion
    return np.ones(tables.values.shape[:2]) if known is None else known
