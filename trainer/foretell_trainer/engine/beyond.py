"""Beyond the data: what a location would change there, and where a trial of it is possible."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from foretell_trainer.engine.inputs import Flags, Floats, Inputs
from foretell_trainer.engine.linear import Layout, fit_linear
from foretell_trainer.engine.location import Location
from foretell_trainer.engine.training_set import FEW_LEVELS

_FEWEST_STEPS = 3


def drift(
    location: Location, inputs: Inputs, target: Floats, layout: Layout, extrapolated: Sequence[int]
) -> Floats:
    """Return what a number's trend would change, were it not held to its range, [F].

    It is per standard deviation, and 0 for the numbers whose trend does go on: `extrapolated`.
    `inputs` and `target` [n] are what the location was fitted to.
    """
    base = location.base
    if location.parts is not None:
        # The trends of two parts are as large as they like, where they make up for each other.
        rest = target if location.costs is None else target - location.costs.predict(inputs)
        base = fit_linear(inputs, rest, layout)
    mapping, weights = location.inputs, base.weights
    width, logs = len(mapping.mean), len(mapping.log_columns)
    slopes = weights[:width].copy()
    slopes[mapping.log_columns] += weights[width : width + logs] * mapping.tangent
    if location.costs is not None:
        slopes[location.costs.amounts.numbers] += location.costs.steepness(inputs)
    slopes[list(extrapolated)] = 0.0
    return np.abs(slopes)


def upper_end(values: Floats, missing: Flags) -> Flags | None:
    """Return the upper quarter or so of the rows, None where there is too little below or in it."""
    known = values[~missing]
    if len(known) < FEW_LEVELS or len(np.unique(known)) < _FEWEST_STEPS:
        return None
    cut = float(np.quantile(known, 0.75))
    out = ~missing & ((values > cut) if (known > cut).any() else (values == cut))
    enough = out.sum() >= FEW_LEVELS and len(np.unique(known[known <= cut])) >= _FEWEST_STEPS - 1
    return out if enough else None
