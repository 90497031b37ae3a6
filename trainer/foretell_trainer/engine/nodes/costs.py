"""Costs as nodes: amounts times prices, what a place makes of each, and what it adds."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from foretell_trainer.engine.costs import LARGEST, LEAST, Costs
from foretell_trainer.engine.graph import GraphBuilder
from foretell_trainer.engine.inputs import Floats
from foretell_trainer.engine.nodes.look_ups import LookUps


class CostNodes:
    """The costs of one metric."""

    def __init__(self, costs: Costs, look_ups: LookUps, *, floor: bool) -> None:
        """Add what they need to what is looked up; with or without the floors of places."""
        self._costs = costs
        self._floor = floor
        tables: dict[int, Floats] = {costs.amounts.where: costs.where}
        if costs.kind is not None and costs.amounts.kind is not None:
            tables[costs.amounts.kind] = costs.kind
        width = costs.where.shape[1] - (not floor)
        tables = {category: table[:, :width] for category, table in tables.items()}
        self._shares = look_ups.add(width, tables)

    def to_onnx(self, graph: GraphBuilder, standard: str, found: Sequence[str]) -> str:
        """Add `Costs.predict`, or `work`, from standardised numbers and look-ups; double [n, 1]."""
        amounts, prices = self._costs.amounts, self._costs.prices
        logs = graph.columns(standard, amounts.numbers)
        logs = graph.add("Mul", logs, graph.constant(amounts.spread))
        logs = graph.add("Add", logs, graph.constant(amounts.centre))
        each = graph.add("Exp", graph.add("Min", logs, graph.constant(np.array(LARGEST))))
        weights, constants = prices, -(amounts.more @ prices)
        if self._floor:
            # The last column is what is added, at a price of 1.
            weights, constants = np.pad(prices, [(0, 0), (0, 1)]), np.append(constants, 1.0)
        sums = graph.add("Gemm", each, graph.constant(weights), graph.constant(constants))
        shares = graph.add("Max", found[self._shares], graph.constant(np.array(LEAST)))
        found_sum = graph.sum_over(graph.add("Mul", sums, shares), 1, keep=True)
        if not self._floor:
            found_sum = graph.add("Add", found_sum, graph.constant(np.array(LEAST)))
        return graph.add("Log", found_sum)
