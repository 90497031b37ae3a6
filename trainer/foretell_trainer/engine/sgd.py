"""The base, learnt row by row: stochastic gradient descent, as the reference notebook does it.

One step after each row and nothing kept but the weights, so that learning never ends and never
costs more. The notebook scales its inputs and steps by a constant; here the inputs come scaled
already (the graph holds the scales), and a row that is so long that its step would overshoot
makes a shorter one (normalised least mean squares; Nagumo and Noda, 1967).
"""

from __future__ import annotations

import numpy as np
import scipy.sparse
from sklearn.linear_model import SGDRegressor

from foretell_trainer.engine.inputs import Floats

PASSES = 10
"""How often a whole training set is gone through, as in the notebook."""

_STEP = 0.03
_SHARE = 0.3
"""The share of a row's error that one step takes away at most; from 2 on, steps diverge."""


class Descent:
    """Weights of a linear model that learn from each row."""

    def __init__(self, width: int, *, seed: int = 0, start: Floats | None = None) -> None:
        """Begin at 0, or go on from the weights [width] that another one ended with."""
        self._model = SGDRegressor(
            learning_rate="constant",
            eta0=_STEP,
            # The rows' first column is 1.
            fit_intercept=False,
            shuffle=False,
            random_state=seed,
        )
        self._width = width
        if start is not None:
            # A row of zeros makes room for the weights, and teaches nothing.
            self._model.partial_fit(np.zeros((1, width)), np.zeros(1))
            self._model.coef_ = np.array(start, dtype=np.float64)

    @property
    def weights(self) -> Floats:
        """[width]; 0 before the first row."""
        coefficients = getattr(self._model, "coef_", None)
        return np.zeros(self._width) if coefficients is None else np.asarray(coefficients)

    def learn(self, rows: scipy.sparse.csr_matrix, target: Floats) -> None:
        """Take one step for each row, in order."""
        lengths = np.asarray(rows.multiply(rows).sum(axis=1)).reshape(-1)
        weights = np.minimum(1.0, _SHARE / (_STEP * np.maximum(lengths, 1.0)))
        self._model.partial_fit(rows, target, weights)


def descend(
    rows: scipy.sparse.csr_matrix, target: Floats, *, seed: int = 0, start: Floats | None = None
) -> Floats:
    """Return weights [F] after `PASSES` passes over rows [n, F], each in another order.

    They begin at 0, or go on from others, [F].
    """
    descent = Descent(rows.shape[1], seed=seed, start=start)
    rng = np.random.default_rng(seed)
    for _ in range(PASSES):
        order = rng.permutation(len(target))
        descent.learn(rows[order], target[order])
    return descent.weights
