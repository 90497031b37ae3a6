"""The base, learnt row by row: stochastic gradient descent, as the reference notebook does it.

One step after each row and nothing kept but the weights, so that learning never ends and never
costs more. The notebook scales its inputs and steps by a constant; here the inputs come scaled
already (the graph holds the scales), and the step is made small enough for wide rows, which a
constant one diverges on.
"""

from __future__ import annotations

import numpy as np
import scipy.sparse
from sklearn.linear_model import SGDRegressor

from foretell_trainer.engine.inputs import Floats

PASSES = 10
"""How often a whole training set is gone through, as in the notebook."""

_STEP = 0.01
_STABLE = 0.5
"""Steps of 2 over a row's squared length or more diverge."""


class Descent:
    """Weights of a linear model that learn from each row."""

    def __init__(self, width: int, row_length: float, *, seed: int = 0) -> None:
        """`row_length` is the mean of the rows' squared lengths."""
        self._model = SGDRegressor(
            learning_rate="constant",
            eta0=min(_STEP, _STABLE / max(row_length, 1.0)),
            # The rows' first column is 1.
            fit_intercept=False,
            shuffle=False,
            random_state=seed,
        )
        self._width = width

    @property
    def weights(self) -> Floats:
        """[width]; 0 before the first row."""
        coefficients = getattr(self._model, "coef_", None)
        return np.zeros(self._width) if coefficients is None else np.asarray(coefficients)

    def learn(self, rows: scipy.sparse.csr_matrix, target: Floats) -> None:
        """Take one step for each row, in order."""
        self._model.partial_fit(rows, target)


def descend(rows: scipy.sparse.csr_matrix, target: Floats, *, seed: int = 0) -> Floats:
    """Return weights [F] after `PASSES` passes over rows [n, F], each in another order."""
    descent = Descent(rows.shape[1], squared_length(rows), seed=seed)
    rng = np.random.default_rng(seed)
    for _ in range(PASSES):
        order = rng.permutation(len(target))
        descent.learn(rows[order], target[order])
    return descent.weights


def squared_length(rows: scipy.sparse.csr_matrix) -> float:
    """Return the mean of the rows' squared lengths."""
    return float(rows.multiply(rows).sum() / max(rows.shape[0], 1))
