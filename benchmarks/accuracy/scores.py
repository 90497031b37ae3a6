"""Scores: what is said of one metric on one split, ours in full and the baselines' in short."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.accuracy.baselines import Guess
from foretell.forecast import Forecasts
from foretell_trainer.engine.evaluation import GROUP_ROWS, compare
from foretell_trainer.engine.inputs import Floats

CONFORMAL_LEVEL = 0.9


def our_scores(
    forecasts: Forecasts,
    actual: Floats,
    metric: int,
    groups: Mapping[str, Sequence[str | None]],
) -> dict[str, Any]:
    """Return what `compare` does, with what this report adds to it.

    `confidence_gap` is the largest difference between asked and true confidence in a tenth of
    the scale with 100 rows or more, None when there is none; `conformal_width` is the width, as
    in `width`, that split conformal prediction needs around the same medians.
    """
    found = compare(forecasts, actual[:, metric], metric, groups)
    if not found["rows"]:
        return found
    table = found.pop("confidence")
    gaps = [abs(b["asked"] - b["true"]) for b in table if b["rows"] >= GROUP_ROWS]
    found["confidence_gap"] = max(gaps, default=None)
    found["conformal_width"] = _conformal_width(forecasts, actual[:, metric], metric)
    if found["worst_group"] and found["worst_group"]["rows"] < GROUP_ROWS:
        found["worst_group"] = None
    return found


def baseline_scores(guess: Guess, actual: Floats, *, log: bool) -> dict[str, Any]:
    """Return errors of a baseline, and its interval's coverage and width when it has one.

    All are None when the model diverged.
    """
    known = np.isfinite(actual)
    truth, value = actual[known], guess.value[known]
    if not np.isfinite(value).all():
        return {"mape": None, "median_ape": None, "r2": None}
    ratio = np.abs(value - truth) / np.maximum(np.abs(truth), 1e-300)
    total = ((truth - truth.mean()) ** 2).sum()
    found: dict[str, Any] = {
        "mape": float(ratio.mean()),
        "median_ape": float(np.median(ratio)),
        "rmse": float(np.sqrt(((value - truth) ** 2).mean())),
        "r2": float(1 - ((value - truth) ** 2).sum() / total) if total > 0 else None,
    }
    if guess.lower is not None and guess.upper is not None:
        lower, upper = guess.lower[known], guess.upper[known]
        found["coverage"] = float(((truth >= lower) & (truth <= upper)).mean())
        found["width"] = float(np.median(np.log(upper / lower) if log else upper - lower))
    return found


def _conformal_width(forecasts: Forecasts, actual: Floats, metric: int) -> float:
    """Return the width of split conformal intervals at `CONFORMAL_LEVEL`, constant per half.

    Half of the tested rows calibrate for the other half, and the other way round. Rows held
    back from training would not be exchangeable with rows of unseen groups, so this is the
    narrowest constant width that covers at its level.
    """
    known = np.flatnonzero(np.isfinite(actual))
    predicted = forecasts.take(known).median()[:, metric]
    truth = actual[known]
    residual = np.abs(np.log(truth / predicted) if forecasts.log[metric] else truth - predicted)
    shuffled = np.random.default_rng(0).permutation(residual)
    halves = np.array_split(shuffled, 2)
    return float(np.mean([2 * _corrected_quantile(half) for half in halves if len(half)]))


def _corrected_quantile(sizes: NDArray[np.float64]) -> float:
    rank = min(int(np.ceil((len(sizes) + 1) * CONFORMAL_LEVEL)), len(sizes))
    return float(np.sort(sizes)[rank - 1])
