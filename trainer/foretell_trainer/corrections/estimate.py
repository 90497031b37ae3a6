"""Estimates: which groups the recent residuals speak for, and by how much they are off.

If a function becomes slower, its node and each of its pairs with a node look slower too. So the
group that explains most is taken first, its part is taken off its rows, and what is left has to
speak for the others. A shift is shrunken by how sure it is (James and Stein, 1961, the positive
part): one within the noise is none at all. Names that the bundle does not know come before all
others (`newcomers`).
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from foretell.columns import MISSING
from foretell.corrections import Correction
from foretell.forecast import QuantileTables
from foretell.predictor import Predictor
from foretell_trainer.corrections.levels import (
    Floats,
    Integers,
    Newest,
    find_levels,
    newest_rows,
)
from foretell_trainer.corrections.newcomers import MOST, Newcomer, judge
from foretell_trainer.corrections.residuals import Residuals, links_of, normal_scores

SURE = 9.0
"""A shift of three standard errors; what is below is noise."""
SINGLES_FIRST = 1.4
"""So much better a pair must explain what a single category explains too, to be taken first."""
MOST_ROUNDS = 6

SPREAD_ROWS = 8
"""So many newest outcomes say whether intervals are too narrow now."""
FORGETTING = 0.8
"""Each outcome weighs so much of the one after it."""
PRIOR_ROWS = 2.0
"""As many outcomes are taken to be as expected, before any is seen."""
USUAL_EXCESS = 2.0
"""A mean square of up to so many times the expected is nothing unusual."""
LARGEST_SCORE = 6.0
KILLS_FORGOTTEN = 4.0
"""So many completed runs halve what a kill raised."""

_STEP, _WIDER, _NARROWER = 0.02, 0.1, 0.05
"""What answers are corrected by is rounded to this, so that they do not change for nothing."""


@dataclass
class _Found:
    """What is corrected of one combination: [M] each."""

    shift: Floats
    widening: Floats


@dataclass
class _Groups:
    """The combinations of one group of categories."""

    columns: list[int]
    codes: Integers
    """[K, columns]"""
    numbers: Integers
    """[n]: which combination a row has; -1 where a category is missing."""
    trained: Floats
    """[n]: training rows behind this combination."""
    found: dict[int, _Found] = field(default_factory=dict)

    @classmethod
    def of(cls, columns: Sequence[int], residuals: Residuals, group: int) -> _Groups:
        codes = residuals.categories[:, list(columns)]
        distinct, numbers = np.unique(codes, axis=0, return_inverse=True)
        known = np.all(codes != MISSING, axis=1)
        numbers = np.where(known, numbers.reshape(-1), -1)
        return cls(list(columns), distinct, numbers, residuals.trained[:, group])

    def at(self, number: int, metrics: int) -> _Found:
        return self.found.setdefault(number, _Found(np.zeros(metrics), np.ones(metrics)))


def estimate(predictor: Predictor, residuals: Residuals, usual: Floats) -> tuple[Correction, ...]:
    """Return what is to be corrected, by the residuals in the order of time.

    ``usual`` is as from `usual_noise`.
    """
    schema = predictor.schema
    names = schema.category_names
    groups = [
        _Groups.of([names.index(name) for name in group], residuals, i)
        for i, group in enumerate(predictor.manifest.groups)
    ]
    metrics = len(schema.metrics)
    if len(residuals) and groups:
        for m in range(metrics):
            estimates = _Metric(m, metrics, groups, residuals, predictor.tables)
            estimates.welcome(float(usual[m]))
            estimates.estimate()
        _raise(groups, residuals, metrics)
        for metric, source, power in links_of(schema):
            _link(groups, metric, source, power)
    return tuple(
        entry
        for group in groups
        for entry in _entries(group, [names[column] for column in group.columns], predictor)
    )


class _Metric:
    """The estimates for one metric."""

    def __init__(
        self,
        metric: int,
        metrics: int,
        groups: Sequence[_Groups],
        residuals: Residuals,
        tables: QuantileTables,
    ) -> None:
        self._metric = metric
        self._tables = tables
        self._residuals = residuals
        self._metrics = metrics
        self._groups = groups
        self._error = residuals.error[:, metric].copy()
        self._left = self._error.copy()
        """What is left of the errors when answers are corrected: shifts are shrunken."""
        self._noise = residuals.noise[:, metric].copy()
        self._scale = residuals.scale[:, metric].copy()
        usable = np.isfinite(self._error)
        self._newest = [newest_rows(group.numbers, usable) for group in groups]

    def welcome(self, usual: float) -> None:
        """Take off what is said of names that the bundle does not know, category by category."""
        for group, newest in zip(self._groups, self._newest, strict=True):
            if len(group.columns) > 1:
                continue
            new = np.flatnonzero(group.trained[newest.rows[:, 0]] == 0)
            most = np.argsort(-(newest.rows[new] >= 0).sum(axis=1), kind="stable")[:MOST]
            for k in new[most]:
                rows = newest.rows[k][newest.rows[k] >= 0]
                found = judge(self._error[rows], self._noise[rows], usual)
                if found is not None:
                    self._take(rows, found)
                    at = group.at(int(newest.keys[k]), self._metrics)
                    at.shift[self._metric] = found.shift
                    at.widening[self._metric] = found.widening

    def _take(self, rows: Integers, found: Newcomer) -> None:
        self._error[rows] -= found.shift
        self._left[rows] -= found.shift
        self._noise[rows] *= found.widening
        self._scale[rows] *= found.widening

    def estimate(self) -> None:
        """Find shifts, the strongest first, then how wide what is left scatters."""
        for _ in range(MOST_ROUNDS):
            if not self._round():
                break
        scores = normal_scores(self._tables, self._residuals, self._left, self._scale, self._metric)
        for group, newest in zip(self._groups, self._newest, strict=True):
            widening = _widening(newest.taken(scores)[:, :SPREAD_ROWS])
            for k in np.flatnonzero(widening > 1):
                found = group.at(int(newest.keys[k]), self._metrics)
                found.widening[self._metric] *= widening[k]

    def _round(self) -> bool:
        """Take the shifts that explain most of their rows; return whether there were any."""
        levels = [find_levels(self._error, self._noise, newest) for newest in self._newest]
        scores = [
            np.where(
                level.strength > SURE,
                level.strength * (SINGLES_FIRST if len(group.columns) == 1 else 1.0),
                0.0,
            )
            for group, level in zip(self._groups, levels, strict=True)
        ]
        best = np.zeros(len(self._error))
        for newest, score, level in zip(self._newest, scores, levels, strict=True):
            rows, of = _rows(newest, level.length)
            np.maximum.at(best, rows, score[of])
        any_taken = False
        taken = np.zeros(len(self._error), dtype=bool)
        for group, newest, score, level in zip(
            self._groups, self._newest, scores, levels, strict=True
        ):
            for k in np.flatnonzero(score > 0):
                rows = newest.rows[k, : level.length[k]]
                if np.any(best[rows] > score[k]) or taken[rows].any():
                    continue
                taken[rows] = any_taken = True
                shift = level.shift[k]
                applied = shift * (1 - SURE / level.strength[k])
                self._error[rows] -= shift
                self._left[rows] -= applied
                group.at(int(newest.keys[k]), self._metrics).shift[self._metric] += applied
        return any_taken


def _rows(newest: Newest, length: Integers) -> tuple[Integers, Integers]:
    """Return all rows within the groups' windows, and whose they are."""
    of, place = np.nonzero(np.arange(newest.rows.shape[1]) < length[:, None])
    return newest.rows[of, place], of


def _widening(scores: Floats) -> Floats:
    """Return by how much intervals are too narrow, [K], from scores with the newest first."""
    known = np.isfinite(scores)
    squares = np.clip(np.nan_to_num(scores), -LARGEST_SCORE, LARGEST_SCORE) ** 2
    weights = FORGETTING ** np.arange(scores.shape[1]) * known
    excess = (PRIOR_ROWS + (weights * squares).sum(axis=1)) / (PRIOR_ROWS + weights.sum(axis=1))
    # Nothing up to the usual excess, and from half as much again on, all of it.
    smooth = np.clip(3 * excess - 3 * USUAL_EXCESS, 1.0, None)
    widening: Floats = np.sqrt(np.minimum(np.maximum(excess, 1.0), smooth))
    return widening


def _raise(groups: Sequence[_Groups], residuals: Residuals, metrics: int) -> None:
    """Raise what kills said is too low; runs that complete let it come down again."""
    killed = np.flatnonzero((np.nan_to_num(residuals.missing) > 0).any(axis=1))
    # The group that says most of a row is the one with the most categories that are known.
    ordered = sorted(groups, key=lambda group: len(group.columns), reverse=True)
    needed: dict[tuple[int, int], Floats] = defaultdict(lambda: np.zeros(metrics))
    for row in killed:
        place = next((i for i, group in enumerate(ordered) if group.numbers[row] >= 0), None)
        if place is None:
            continue
        number = int(ordered[place].numbers[row])
        later = residuals.completed[row + 1 :] & (ordered[place].numbers[row + 1 :] == number)
        missing = np.nan_to_num(residuals.missing[row]) * 0.5 ** (later.sum() / KILLS_FORGOTTEN)
        needed[place, number] = np.maximum(needed[place, number], missing)
    for (place, number), missing in needed.items():
        row = np.flatnonzero(ordered[place].numbers == number)[0]
        already = sum(
            (
                group.found[int(n)].shift
                for group in groups
                if (n := group.numbers[row]) in group.found
            ),
            start=np.zeros(metrics),
        )
        ordered[place].at(number, metrics).shift += np.maximum(missing - already, 0.0)


def _link(groups: Sequence[_Groups], metric: int, source: int, power: float) -> None:
    """Correct a metric that follows from another as that one is: they have to agree."""
    for group in groups:
        for found in group.found.values():
            found.shift[metric] = power * found.shift[source]
            found.widening[metric] = found.widening[source]


def _entries(group: _Groups, names: Sequence[str], predictor: Predictor) -> list[Correction]:
    log = np.array([metric.scale == "log" for metric in predictor.schema.metrics])
    vocabulary, met = predictor.manifest.vocabulary, predictor.encoder.met
    new = {name: {code: text for text, code in met.get(name, {}).items()} for name in names}
    entries = []
    for number, found in group.found.items():
        shift = np.where(log, np.round(found.shift / _STEP) * _STEP, found.shift)
        step = np.where(found.widening < 1, _NARROWER, _WIDER)
        widening = np.maximum(np.round(found.widening / step), 1.0) * step
        if np.any(shift) or np.any(widening != 1):
            values = zip(names, group.codes[number].tolist(), strict=True)
            entries.append(
                Correction(
                    tuple(names),
                    tuple(vocabulary[n][code] if code >= 0 else new[n][code] for n, code in values),
                    tuple(map(float, np.round(shift, 6))),
                    tuple(map(float, np.round(widening, 2))),
                )
            )
    return entries
