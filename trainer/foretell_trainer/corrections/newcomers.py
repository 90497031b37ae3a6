"""Newcomers: names that the bundle does not know, such as a function that arrived since the fit.

What the bundle says of them is what functions like this one take, and its interval is as wide as
functions differ. Their first outcomes say more than that. The shift of a newcomer is the mean of
its posterior, where the bundle's interval is the prior, shrunken as other shifts are. What remains
is how far runs of one function scatter, which is taken to be what the bundle says of functions
that it knows, or more: if the outcomes themselves scatter more, and while they are few.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from foretell.predictor import Predictor
from foretell_trainer.corrections.levels import Floats, Newest, find_levels
from foretell_trainer.corrections.residuals import noise_of

PRIOR_ROWS = 4.0
"""So many outcomes are taken to have scattered as usual, before any is seen."""
MOST = 1000
"""So many names of one category are corrected, those with the most outcomes first."""
KNOWN_WELL = 20
"""Training rows behind each id of a row that says what is usual."""
CAUTION = 9.0
"""Shifts are shrunken as those of known names are: one within three standard errors is none."""
DOUBT = 3.0
"""With few outcomes, runs may scatter more than these: after so many, by twice the variance."""
NARROWEST = 0.05


@dataclass(frozen=True)
class Newcomer:
    """What outcomes say of one name, for one metric."""

    shift: float
    widening: float
    """What the bundle's scale is to be multiplied by; at most 1."""


def usual_noise(predictor: Predictor) -> Floats:
    """Return the standard deviation [M] of errors where the bundle knows all ids.

    NaN where none of its golden rows is such.
    """
    numbers, categories = predictor.manifest.golden.inputs()
    outputs = predictor.run(numbers, categories)
    ids = [i for i, group in enumerate(predictor.manifest.groups) if len(group) == 1]
    known = np.all(outputs.rows[:, ids] >= KNOWN_WELL, axis=1)
    noise = noise_of(predictor.tables, outputs)[known]
    return np.median(noise, axis=0) if len(noise) else np.full(noise.shape[1], np.nan)


def judge(error: Floats, noise: Floats, usual: float) -> Newcomer | None:
    """Return what a newcomer's outcomes [n], the newest first, say; None if nothing.

    ``error`` and ``noise`` are as in `Residuals`, ``usual`` as from `usual_noise`.
    """
    prior = float(np.mean(noise**2))
    apart = prior - usual**2
    if not len(error) or not apart > 0:
        return None
    centre, window = _level(error, usual)
    count = len(window)
    scatter = (PRIOR_ROWS * usual**2 + np.sum((window - centre) ** 2)) / (PRIOR_ROWS + count)
    within = max(float(scatter), usual**2)
    trust = count * apart / (count * apart + within)
    noise_of_mean = within / count
    sure = 1.0 - CAUTION * noise_of_mean / max(centre**2, CAUTION * noise_of_mean)
    shift = sure * trust * centre
    left = within * (1 + DOUBT / count) + apart * (1 - trust) + (trust * centre - shift) ** 2
    return Newcomer(shift, float(np.clip(np.sqrt(left / prior), NARROWEST, 1.0)))


def _level(error: Floats, usual: float) -> tuple[float, Floats]:
    """Return where the errors stand now, and the newest of them, which agree about it."""
    rows = Newest(np.zeros(1, dtype=np.int64), np.arange(len(error))[None, :])
    level = find_levels(error, np.full(len(error), usual), rows)
    length = int(level.length[0])
    if not length:  # too few to tell one from the other
        return float(np.mean(error)), error
    return float(level.shift[0]), error[:length]
