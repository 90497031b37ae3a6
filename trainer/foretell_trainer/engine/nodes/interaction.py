"""Interactions as nodes: the likeness of a row's setting with all known ones, times its subject."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from foretell_trainer.engine.graph import GraphBuilder
from foretell_trainer.engine.inputs import Floats
from foretell_trainer.engine.interaction import Interaction
from foretell_trainer.engine.nodes.inputs import NumberNodes
from foretell_trainer.engine.nodes.look_ups import Places
from foretell_trainer.engine.plan import SAME_NUMBER, Plan

_NOTHING = -60.0
"""The log of a likeness that is none."""


class Interactions:
    """The interactions of several metrics, by the metrics' places; all of one plan."""

    def __init__(self, fitted: Mapping[int, Interaction], places: Places) -> None:
        self._fitted = dict(fitted)
        self._plan = next(iter(self._fitted.values())).plan
        plan = self._plan
        self._subjects = places.add_rows((plan.subject, *plan.shared), plan.sizes)
        sizes = [len(table) - 1 for table in self._differing]
        self._settings = places.add_rows(plan.setting_categories, sizes)

    @property
    def _differing(self) -> list[Floats]:
        """Per category of a setting: 1 where a code is not that of a known setting, [V + 1, S]."""
        plan = self._plan
        found = []
        for values, size in zip(plan.category_values.T, plan.setting_sizes, strict=True):
            codes = np.arange(-1, size)[:, None]
            found.append(np.where((codes == values) & (codes >= 0), 0.0, 1.0))
        return found

    def to_onnx(
        self, graph: GraphBuilder, numbers: NumberNodes, places: list[str]
    ) -> dict[int, str]:
        """Add them; a double [n, 1] each, by the metric's place."""
        count, settings = len(self._fitted), len(self._plan.category_values)
        plan = self._plan
        parts = [plan.subject_numbers, plan.setting_flags, plan.setting_numbers]
        columns = graph.columns(numbers.standard, np.concatenate(parts).astype(np.int64))
        own, flags, facts = graph.split(columns, [len(part) for part in parts])
        mixed = self._mixed(graph, own, places[self._subjects])
        likeness = self._likeness(graph, flags, facts, places[self._settings])
        if count > 1:
            shape = graph.constant(np.array([-1, count, settings], np.int64))
            mixed = graph.add("Reshape", mixed, shape)
            likeness = graph.unsqueezed(likeness, 1)
        product = graph.add("Mul", mixed, likeness)
        if count == 1:
            return dict.fromkeys(self._fitted, graph.sum_over(product, 1, keep=True))
        found = graph.split(graph.sum_over(product, 2), [1] * count)
        return dict(zip(self._fitted, found, strict=True))

    def _mixed(self, graph: GraphBuilder, own: str, places: str) -> str:
        """Add what each known setting says of the subjects with numbers; double [n, M · S]."""
        plan, fitted = self._plan, [*self._fitted.values()]
        tables = [
            np.hstack([one.tables[place] for one in fitted]) for place in range(len(plan.sizes))
        ]
        # The constant part is the same for all subjects, so it goes with the first table.
        tables[0] = tables[0] + np.hstack([one.weights[0] for one in fitted])
        mixed = graph.sum_over(graph.rows_of(np.concatenate(tables), places), 1)
        if not len(plan.subject_numbers):
            return mixed
        phases = graph.add("Gemm", own, graph.constant(plan.waves), graph.constant(plan.phases))
        dense = graph.side_by_side(own, graph.add("Cos", phases))
        weights = graph.constant(np.hstack([one.weights[1:] for one in fitted]))
        return graph.add("Gemm", dense, weights, mixed)

    def _likeness(self, graph: GraphBuilder, flags: str, facts: str, places: str) -> str:
        """Add `Plan.likeness` from the numbers of a setting; double [n, S].

        It is a sum of terms, each a product of what two settings have in common. Logs turn the
        products of all terms into one product of matrices.
        """
        apart = [graph.rows_of(np.concatenate(self._differing), places)]
        plan = self._plan
        if len(plan.setting_flags):
            apart.append(_differing_flags(graph, flags, plan))
        if len(plan.setting_numbers):
            apart.append(graph.unsqueezed(_gaps(graph, facts, plan), 1))
        every = graph.side_by_side(*apart)
        terms, logs = _terms(plan)
        # A constant on the left of the product would not take a batch of no rows.
        every = graph.add("Transpose", every, perm=[0, 2, 1])
        found = graph.add("MatMul", every, graph.constant(terms.T))
        powers = graph.add("Exp", graph.add("Add", found, graph.constant(logs)))
        return graph.sum_over(powers, 2)


def _terms(plan: Plan) -> tuple[Floats, Floats]:
    """Return the log of each term per category, flag and gap that differs, [K, Q], and at 0, [K].

    Terms of the same products are one.
    """
    count = len(plan.setting_categories) + len(plan.setting_flags)
    width = count + bool(len(plan.setting_numbers))
    weights: dict[tuple[float, ...], float] = {}
    for term in plan.all_terms:
        row = np.zeros(width)
        row[list(term.same)] = np.log(term.otherwise) if term.otherwise > 0 else _NOTHING
        if term.reach is not None and width > count:
            row[count] = -1.0 / term.reach / len(plan.setting_numbers)
        key = tuple(row.tolist())
        weights[key] = weights.get(key, 0.0) + term.weight
    return np.array([*weights]), np.log([*weights.values()])


def _differing_flags(graph: GraphBuilder, flags: str, plan: Plan) -> str:
    """Add whether each flag is another than that of each setting, as 0 and 1; [n, flags, S]."""
    own, known = graph.unsqueezed(flags, 2), graph.constant(plan.flag_values.T)
    gap = graph.add("Abs", graph.add("Sub", own, known))
    other = graph.add("GreaterOrEqual", gap, graph.constant(np.array(SAME_NUMBER)))
    return graph.cast(other, np.float64)


def _gaps(graph: GraphBuilder, facts: str, plan: Plan) -> str:
    """Add the squared distances of facts from those of each setting; [n, S]."""
    values = plan.number_values
    lengths = graph.constant((values**2).sum(axis=1))
    crossed = graph.add("Gemm", facts, graph.constant(-2 * values.T), lengths)
    own = graph.add("ReduceSumSquare", facts, graph.constant(np.array([1], np.int64)))
    return graph.add("Add", crossed, own)
