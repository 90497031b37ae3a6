"""Outcomes: what came into the store since, as corrections learn from it."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from foretell.parsing import Value
from foretell.schema import Schema
from foretell_trainer.anomalies.ledger import KEPT_OUT
from foretell_trainer.store import Store

Floats = NDArray[np.float64]


class About(NamedTuple):
    """Which observation an outcome is; times are UTC, unmarked."""

    number: int
    observed_at: datetime
    received_at: datetime
    tag: str


_NEWEST = (
    "SELECT number, observed_at, received_at, tag, outcome, features FROM observations"  # noqa: S608
    f" WHERE workload = ? AND number > ? AND NOT simulated AND number NOT IN ({KEPT_OUT})"
    " ORDER BY number DESC LIMIT ?"
)


@dataclass(frozen=True)
class Outcomes:
    """Runs of one workload, in the order in which they were stored."""

    features: Mapping[str, Sequence[Value]]
    """Each feature and fact that any of them was reported with: n values."""
    metrics: Floats
    """[n, M], NaN where not measured."""
    lower_bounds: Floats
    """[n, M]: what a run that was killed had reached; NaN where that is not known."""
    outcomes: Sequence[str]
    """[n]: how each ended."""
    about: Sequence[About] = ()
    """[n] when read from a store: which observation each is."""

    def __len__(self) -> int:
        return len(self.outcomes)


def read_outcomes(store: Store, schema: Schema, after: int, most: int) -> tuple[Outcomes, int]:
    """Return what was stored after a number, the newest `most` of it, and the newest's number.

    Simulated runs are left out, and anomalies until they are confirmed. Raises Unavailable when
    the store is held by somebody else.
    """
    with store.open() as connection:
        rows = connection.execute(
            _NEWEST,
            [schema.workload, after, most],
        ).fetchall()[::-1]
        first = rows[0][0] if rows else 0
        cells = connection.execute(
            "SELECT observation, metric, value, lower_bound FROM metrics"
            " WHERE observation >= ? AND observation IN"
            " (SELECT number FROM observations WHERE workload = ? AND number >= ?)",
            [first, schema.workload, first],
        ).fetchall()
    places = {row[0]: i for i, row in enumerate(rows)}
    columns = {name: m for m, name in enumerate(schema.metric_names)}
    both = np.full((2, len(rows), len(columns)), np.nan)
    for number, metric, value, is_bound in cells:
        if number in places and metric in columns:
            both[int(is_bound), places[number], columns[metric]] = value
    sent = [json.loads(row[-1]) for row in rows]
    names = {name for features in sent for name in features}
    found = Outcomes(
        {name: [features.get(name) for features in sent] for name in names},
        both[0],
        both[1],
        [row[4] for row in rows],
        [About(*row[:4]) for row in rows],
    )
    return found, rows[-1][0] if rows else after
