"""The reference notebook's model: StandardScaler + SGDRegressor, ten `partial_fit` passes."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from sklearn.linear_model import SGDRegressor
from sklearn.preprocessing import StandardScaler

from foretell_trainer.engine.inputs import Floats

PASSES = 10


def fit_sgd(inputs: Floats, target: Floats) -> Callable[[Floats], Floats]:
    """Fit on inputs [n, F] and a target [n], not in logs; return the function that predicts.

    Where the passes diverge, which constant steps do on many inputs, predictions are NaN.
    """
    scaler = StandardScaler().fit(inputs)
    model = SGDRegressor(learning_rate="constant", random_state=42)
    scaled = scaler.transform(inputs)
    try:
        for _ in range(PASSES):
            model.partial_fit(scaled, target)
    except ValueError:  # scikit-learn's word for coefficients that overflow
        return lambda rows: np.full(len(rows), np.nan)
    return lambda rows: np.asarray(model.predict(scaler.transform(rows)), dtype=np.float64)
