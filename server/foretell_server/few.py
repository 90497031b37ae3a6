"""The answers about few rows, read one by one in plain numbers.

Up to some dozens of rows, the calls to numpy that answer a table take longer than this.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from foretell.encoding import EncodedRow
from foretell.forecast import Floats, QuantileTables
from foretell.predictor import Predictor, RowOutputs
from foretell.row_forecast import RowReader
from foretell_server.answers import Answers, MetricAnswer
from foretell_server.options import MetricPlan, Plan

FEW_ROWS = 48
"""More are cheaper as a table."""


class AskedMetric(NamedTuple):
    """What is asked about a metric, and what reads it from one row's distribution."""

    plan: MetricPlan
    reader: RowReader
    """Its quantiles: median, lower and upper end, those asked for, reservations."""

    @classmethod
    def compile(cls, plan: Plan, asked: MetricPlan, tables: QuantileTables) -> AskedMetric:
        """Return the reader of what a plan asks about one of its metrics."""
        places = asked.quantiles + asked.reservations
        reader = RowReader(
            tables,
            asked.index,
            log=asked.metric.scale == "log",
            levels=[*plan.levels[1:3], *(plan.levels[i] for i in places)],
            tolerance=plan.options.confidence_tolerance,
            deadlines=asked.deadlines,
        )
        return cls(asked, reader)


class FewRows:
    """Answers few rows; compiled for one plan of one bundle.

    MUST say the same as `answers.read_answers`; a test compares them.
    """

    def __init__(self, plan: Plan, predictor: Predictor) -> None:
        self._plan = plan
        self._tier_of = predictor.tier_of
        manifest = predictor.manifest
        self._workload, self._version = manifest.workload, manifest.version
        self._groups = manifest.groups
        self._metrics = [AskedMetric.compile(plan, m, predictor.tables) for m in plan.metrics]

    def answers(
        self, rows: Sequence[EncodedRow], outputs: Sequence[RowOutputs], name: str
    ) -> Answers:
        """Return the answers about encoded rows, from what the graph said of each."""
        options = self._plan.options
        return Answers(
            workload=self._workload,
            bundle_version=self._version,
            prediction_id=name,
            interval_level=options.interval_level,
            metrics=tuple(self._metric(metric, outputs) for metric in self._metrics),
            support=np.array([row.support for row in outputs]),
            support_floor=options.support_floor,
            tiers=list(map(self._tier_of, outputs)),
            groups=self._groups,
            rows=np.array([row.rows for row in outputs]),
            unknown=tuple(row.unknown for row in rows),
            correction=outputs[0].correction,
        )

    def _metric(self, metric: AskedMetric, outputs: Sequence[RowOutputs]) -> MetricAnswer:
        (asked, reader), levels = metric, self._plan.levels
        at = asked.index
        where = [(row.location[at], row.scale[at], row.table[at]) for row in outputs]
        values = _columns([reader.quantiles(*row) for row in where])
        deadlines = _columns([reader.deadlines(*row) for row in where]) if asked.deadlines else ()
        further = iter(values[3:])
        return MetricAnswer(
            metric=asked.metric,
            median=values[0],
            lower=values[1],
            upper=values[2],
            confidence=np.array([reader.confidence(*row) for row in where]),
            quantiles=tuple((levels[i], next(further)) for i in asked.quantiles),
            deadlines=tuple(zip(asked.deadlines, deadlines, strict=True)),
            reservations=tuple((cost, next(further)) for cost in asked.costs),
        )


def _columns(rows: Sequence[Sequence[float]]) -> Floats:
    return np.array(rows).T
