"""Numbers that a request lacks though every row of the training had them: what is less known."""

from __future__ import annotations

import numpy as np

from foretell_trainer.engine.inputs import Floats, Inputs
from foretell_trainer.engine.location import Location
from foretell_trainer.engine.scale import SMALLEST

_ROWS = 500
_WIDER = 1.6


def lacking(location: Location, inputs: Inputs, reach: Floats, seed: int) -> Floats | None:
    """Return the logs of how much wider the errors are without each number, [F]; None without any.

    What is typical stands in for such a number. It may be off by as much as the location changes
    for rows of the training when they lack it. `reach` is how far 90 % intervals of rows of known
    ids go to either side.
    """
    mapping = location.inputs
    rng = np.random.default_rng(seed + 3)
    rows = inputs.take(np.sort(rng.permutation(len(inputs))[:_ROWS]))
    said = location.predict(rows)
    usual = max(float(np.median(reach)), SMALLEST)
    found = np.zeros(rows.standard.shape[1])
    for number in mapping.always_sent.tolist():
        change = np.abs(location.predict(mapping.without(rows, number)) - said)
        # Wide rather than exact: scales of single rows may be smaller than the usual one.
        off = _WIDER * float(np.quantile(change, 0.95))
        found[number] = 0.5 * np.log1p((off / usual) ** 2)
    return found if found.any() else None
