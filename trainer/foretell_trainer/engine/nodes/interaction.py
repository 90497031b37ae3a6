"""Interactions as nodes: the likeness of a row's setting with all known ones, times its subject."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np

from foretell_trainer.engine.graph import GraphBuilder
from foretell_trainer.engine.inputs import Floats, Integers
from foretell_trainer.engine.interaction import Interaction
from foretell_trainer.engine.nodes.forms import Forms, distances
from foretell_trainer.engine.nodes.look_ups import Places
from foretell_trainer.engine.plan import SAME_NUMBER, Plan

_NOTHING = -60.0
"""The log of a likeness that is none."""

_NOTHING_IN_SINGLES, _LEAST_IN_SINGLES = -17.0, -80.0
"""Below -87 singles lose digits, and processors take many times as long over them."""

_MOST_IN_SINGLES = 40.0
"""Up to here what settings say may add up, and singles err by 10⁻⁵ in all.

Where many settings say much and nearly cancel out, likeness has to be in doubles.
"""

_OTHER = 0.5 / SAME_NUMBER**2
"""The square of how flags differ, times this, is below one half where they are the same."""

_FINE = 2.0**20
"""Facts are apart by integers, of which so many are 1, so that flags and facts can be rounded."""


class Interactions:
    """The interactions of several metrics, by the metrics' places; all of one plan."""

    def __init__(
        self,
        fitted: Mapping[int, Interaction],
        places: Places,
        forms: Forms,
        largest: Callable[[Interaction], float],
    ) -> None:
        """Add what they need to places and forms; `largest` is `Interaction.largest` on rows."""
        self._fitted = dict(fitted)
        most = max(largest(one) for one in self._fitted.values())
        self._real = np.float32 if most < _MOST_IN_SINGLES else np.float64
        self._plan = next(iter(self._fitted.values())).plan
        plan, width = self._plan, forms.width
        self._width = width
        self._subjects = places.add_rows((plan.subject, *plan.shared), plan.sizes)
        sizes = [len(table) - 1 for table in self._differing]
        self._settings = places.add_rows(plan.setting_categories, sizes)
        self._phases: int | None = None
        if len(plan.subject_numbers):
            waves = _among(width, plan.subject_numbers, plan.waves)
            self._phases = forms.add(waves, np.zeros_like(waves), plan.phases)
        self._gaps: int | None = None
        gaps = _gaps(plan, width)
        if gaps:
            direct, squares, constants = (
                np.concatenate(p, axis=-1) for p in zip(*gaps, strict=True)
            )
            self._gaps = forms.add(direct, squares, constants)

    @property
    def _differing(self) -> list[Floats]:
        """Per category of a setting: 1 where a code is not that of a known setting, [V + 1, S]."""
        plan = self._plan
        found = []
        for values, size in zip(plan.category_values.T, plan.setting_sizes, strict=True):
            codes = np.arange(-1, size)[:, None]
            found.append(np.where((codes == values) & (codes >= 0), 0.0, 1.0))
        return found

    @property
    def metrics(self) -> list[int]:
        """The places of the metrics that have one, in the order of what `to_onnx` gives."""
        return [*self._fitted]

    def to_onnx(
        self, graph: GraphBuilder, standard: str, places: Sequence[str], forms: Sequence[str]
    ) -> str:
        """Add them, from standardised numbers; double [n, M], side by side."""
        count, settings = len(self._fitted), len(self._plan.category_values)
        mixed = self._mixed(graph, standard, places[self._subjects], forms)
        likeness = self._likeness(graph, places[self._settings], forms)
        if count == 1:
            return graph.sum_over(graph.add("Mul", mixed, likeness), 1, keep=True)
        shape = graph.constant(np.array([-1, count, settings], np.int64))
        mixed = graph.add("Reshape", mixed, shape)
        return graph.sum_over(graph.add("Mul", mixed, graph.unsqueezed(likeness, 1)), 2)

    def _mixed(self, graph: GraphBuilder, standard: str, places: str, forms: Sequence[str]) -> str:
        """Add what each known setting says of the subjects with numbers; double [n, M · S]."""
        plan, fitted = self._plan, [*self._fitted.values()]
        tables = [
            np.hstack([one.tables[place] for one in fitted]) for place in range(len(plan.sizes))
        ]
        # The constant part is the same for all subjects, so it goes with the first table.
        tables[0] = tables[0] + np.hstack([one.weights[0] for one in fitted])
        mixed = graph.sum_over(graph.rows_of(np.concatenate(tables), places), 1)
        if self._phases is None:
            return mixed
        dense = graph.side_by_side(standard, graph.add("Cos", forms[self._phases]))
        linear = len(plan.subject_numbers)
        _, straight, smooth = np.split(np.hstack([one.weights for one in fitted]), [1, 1 + linear])
        weights = np.vstack([_among(self._width, plan.subject_numbers, straight), smooth])
        return graph.add("Gemm", dense, graph.constant(weights), mixed)

    def _likeness(self, graph: GraphBuilder, places: str, forms: Sequence[str]) -> str:
        """Add `Plan.likeness`; double [n, S].

        It is a sum of terms, each a product of what two settings have in common. Logs turn the
        products of all terms into one product of matrices. Of all that many rows need, these
        powers are the most, and in singles they take a seventh of the time.
        """
        plan, real = self._plan, self._real
        apart = [graph.rows_of(np.concatenate(self._differing).astype(real), places)]
        if self._gaps is not None:
            apart.append(self._apart(graph, forms[self._gaps]))
        terms, logs = _terms(plan, self._nothing)
        # A constant on the left of the product would not take a batch of no rows.
        every = graph.add("Transpose", graph.side_by_side(*apart), perm=[0, 2, 1])
        found = graph.add("MatMul", every, graph.constant(terms.T.astype(real)))
        found = graph.add("Add", found, graph.constant(logs.astype(real)))
        likeness = graph.sum_over(graph.add("Exp", found), 2)
        return likeness if real is np.float64 else graph.cast(likeness, np.float64)

    def _nothing(self, places: int) -> float:
        """Return the log of no likeness in one of several places that have to agree."""
        if self._real is np.float64:
            return _NOTHING
        return min(_LEAST_IN_SINGLES / max(places, 1), _NOTHING_IN_SINGLES)

    def _apart(self, graph: GraphBuilder, gaps: str) -> str:
        """Add how each flag, and all facts at once, differ from those of each setting.

        [n, flags + 1, S], or [n, flags, S] without facts.
        """
        plan = self._plan
        flags, facts = len(plan.setting_flags), bool(len(plan.setting_numbers))
        shape = np.array([-1, flags + facts, len(plan.category_values)], np.int64)
        found = graph.add("Reshape", gaps, graph.constant(shape))
        if flags:
            most = np.array([1.0] * flags + [np.inf] * facts)[:, None]
            found = graph.add("Round", graph.add("Min", found, graph.constant(most)))
        return found if self._real is np.float64 else graph.cast(found, np.float32)


def _among(width: int, numbers: Integers, values: Floats) -> Floats:
    """Return values of some numbers [k, …] in the places of all, [width, …]; 0 elsewhere."""
    every = np.zeros((width, *values.shape[1:]))
    every[numbers] = values
    return every


def _gaps(plan: Plan, width: int) -> list[tuple[Floats, Floats, Floats]]:
    """Return the forms of how each flag, and all facts at once, differ from those of settings."""

    def form(numbers: Integers, values: Floats, weight: float) -> tuple[Floats, Floats, Floats]:
        weights = _among(width, numbers, np.full(len(numbers), weight))
        return distances(_among(width, numbers, values.T).T, weights)

    found = [
        form(plan.setting_flags[[place]], values[:, None], _OTHER)
        for place, values in enumerate(plan.flag_values.T)
    ]
    if len(plan.setting_numbers):
        found.append(form(plan.setting_numbers, plan.number_values, _FINE))
    return found


def _terms(plan: Plan, nothing: Callable[[int], float]) -> tuple[Floats, Floats]:
    """Return the log of each term per category, flag and gap that differs, [K, Q], and at 0, [K].

    Terms of the same products are one. `nothing` is the log of no likeness in one of some places.
    """
    count = len(plan.setting_categories) + len(plan.setting_flags)
    width = count + bool(len(plan.setting_numbers))
    weights: dict[tuple[float, ...], float] = {}
    for term in plan.all_terms:
        row = np.zeros(width)
        places = list(term.same)
        row[places] = np.log(term.otherwise) if term.otherwise > 0 else nothing(len(places))
        if term.reach is not None and width > count:
            row[count] = -1.0 / term.reach / len(plan.setting_numbers) / _FINE
        key = tuple(row.tolist())
        weights[key] = weights.get(key, 0.0) + term.weight
    return np.array([*weights]), np.log([*weights.values()])
