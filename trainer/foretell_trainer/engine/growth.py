"""Growth: ids whose metric grows exponentially with a number, as what a recursion takes does.

A trend in logs of both cannot follow that, nor can trees between the values they have seen.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from foretell_trainer.engine.folds import turns
from foretell_trainer.engine.inputs import Floats, Inputs, Integers
from foretell_trainer.engine.linear import GROWTH, Growth, Layout, fit_linear

_TRIED_ROWS = 5000
WORTHWHILE = 0.95
"""The error that growths have to come down to, as a share, to be worth their columns."""
_LEAST_SPREAD = 1e-9


def choose_growth(
    inputs: Inputs, target: Floats, layout: Layout, log_columns: Integers, seed: int
) -> Layout:
    """Return the layout with a growth of each id along the numbers that it has a trend along.

    Where that predicts held-out rows better, that is; else the layout as it is. `log_columns` are
    the numbers that `Inputs.clipped` holds.
    """
    logs = log_columns.tolist()
    growths = tuple(
        _growth(inputs, layout, category, number, logs.index(number))
        for category, number, power in layout.slopes
        if power == 1 and number in logs
    )
    if not growths:
        return layout
    slopes = ((growth.category, growth.number, GROWTH) for growth in growths)
    grown = replace(layout, slopes=(*layout.slopes, *slopes), growths=growths)
    tried = turns(len(target), _TRIED_ROWS, seed)

    def error(layout: Layout) -> float:
        found = []
        for kept, out in tried:
            base = fit_linear(inputs.take(kept), target[kept], layout)
            size = np.abs(target[out] - base.predict(inputs.take(out)))
            found.append(np.minimum(size, 1.0).mean())
        return float(np.mean(found))

    return grown if error(grown) < WORTHWHILE * error(layout) else layout


def _growth(inputs: Inputs, layout: Layout, category: int, number: int, column: int) -> Growth:
    place, values = inputs.codes[:, category] + 1, inputs.clipped[:, column]
    size = layout.sizes[category] + 1
    rows = np.maximum(np.bincount(place, minlength=size), 1)
    centre = np.bincount(place, values, size) / rows
    spread = np.sqrt(np.bincount(place, (values - centre[place]) ** 2, size) / rows)
    # An id with one value has nothing to grow along.
    spread[spread <= _LEAST_SPREAD] = np.inf
    return Growth(category, number, column, centre, spread)
