"""The plan of interactions: which inputs say what runs and which say where, and who is alike.

A *subject* is what runs (a model, a workload); a *setting* is what it runs on and how (hardware,
precision, framework), each with its own facts. The plan holds what is assumed of the covariance of
subjects and of settings before any data, and what was learnt of the latter.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from foretell.schema import Schema
from foretell_trainer.engine.inputs import Floats, Inputs, Integers
from foretell_trainer.engine.likeness import (
    Term,
    blended,
    learn_terms,
    mean_products,
    scaled,
)
from foretell_trainer.engine.linear import huber_weights

FEWEST_ROWS = 400
"""With fewer rows there is nothing to learn of who does how well where."""

MOST_SETTINGS = 400
_MOST_SUBJECTS = 4000
_FEWEST_SUBJECTS = 8
_FEW_VALUES = 12
_WAVES = 48
_DIRECTIONS = 16
_LEAST_SPREAD = 0.05
_SAME_SHARE = 0.98
_SUBJECT_SPREAD, _FACT_SPREAD = 0.5, 1e-3
SAME_NUMBER = 5e-5
"""Standardised flags that differ by less are the same."""

# Shares of the variance. What is known of the covariance before any data, for subjects ...
_ALL, _OWN, _SHARED, _LINEAR, _SMOOTH = 1.0, 0.1, 0.6, 0.2, 1.0
_KIN, _KIN_REACH = 1.0, 0.3
"""Of subjects near each other in their numbers: to exp(-mean square / reach)."""
# ... and for settings: alike by any category, by numbers, and by all of them together.
_EVERY, _ANY, _NEAR, _TOGETHER = 0.1, 0.5, 0.3, 0.3
_REACH = 2.0
_FLOOR = 0.3
"""What is left of the likeness of two settings for each category in which they differ."""

_LEARNT = 0.5
"""How much of the likeness is as residuals show it, where they do; the rest is as assumed."""

Bend = Callable[[Floats], tuple[Floats, Floats]]
"""Turns what is added to the base of some rows into their location, and says which share of a
small addition arrives there; [n] each."""


@dataclass(frozen=True)
class Plan:
    """Which inputs say what runs and which say where, and the settings of the training."""

    subject: int
    """The category that names what runs."""
    shared: tuple[int, ...]
    """The categories that subjects share, such as a family."""
    subject_numbers: Integers
    sizes: tuple[int, ...]
    """The number of known values of the subject and of each shared category."""
    waves: Floats
    """[numbers, W]: frequencies of the random Fourier features."""
    phases: Floats
    """[W]"""
    setting_categories: tuple[int, ...]
    setting_sizes: tuple[int, ...]
    """The number of known values of each of them."""
    setting_flags: Integers
    """The numbers of few values that say how it runs, such as whether the model is compiled."""
    setting_numbers: Integers
    """The facts of a setting's categories."""
    category_values: Integers
    """[S, categories] of each known setting."""
    flag_values: Floats
    """[S, flags] of each known setting, standardised."""
    number_values: Floats
    """[S, numbers] of each known setting, standardised."""
    terms: tuple[Term, ...] = ()
    """What was learnt about which settings are alike, weights adding to 1; empty for nothing."""

    @property
    def dense_priors(self) -> Floats:
        """The prior variances of the dense features: constant, linear, smooth; [D]."""
        linear, waves = len(self.subject_numbers), len(self.phases)
        return (
            np.concatenate(
                [
                    [_ALL],
                    np.full(linear, _LINEAR / max(linear, 1)),
                    np.full(waves, _SMOOTH * 2.0 / max(waves, 1)),
                ]
            )
            / self._total
        )

    @property
    def table_priors(self) -> tuple[float, ...]:
        """The prior variances of the subject's own part and of each shared category's."""
        each = _SHARED / max(len(self.shared), 1)
        return tuple(v / self._total for v in (_OWN, *(each for _ in self.shared)))

    @property
    def _total(self) -> float:
        numbers = _LINEAR + _SMOOTH if len(self.subject_numbers) else 0.0
        return _ALL + _OWN + (_SHARED if self.shared else 0.0) + numbers

    def dense(self, inputs: Inputs) -> Floats:
        """Return the dense features of each row's subject, [n, D]."""
        numbers = inputs.standard[:, self.subject_numbers]
        smooth = np.cos(numbers @ self.waves + self.phases)
        return np.hstack([np.ones((len(inputs), 1)), numbers, smooth])

    def tables(self, inputs: Inputs) -> Integers:
        """Return the codes of the subject and of what it shares, [n, 1 + shared]."""
        return inputs.codes[:, [self.subject, *self.shared]]

    def kinship(self, subjects: Inputs) -> Floats | None:
        """Return the covariance of the subject's known values that only near ones share, [V, V].

        None where subjects have no numbers. Waves, which are for new subjects too, are too few to
        say who is near; where subjects are few, this says it of each two of them.
        """
        codes = subjects.codes[:, self.subject]
        known, first = np.unique(codes, return_index=True)
        known, first = known[known >= 0], first[known >= 0]
        if not len(self.subject_numbers):
            return None
        numbers = subjects.standard[first][:, self.subject_numbers]
        squares = (numbers**2).sum(axis=1)
        gaps = np.maximum(squares[:, None] + squares - 2 * numbers @ numbers.T, 0.0)
        found = np.zeros((self.sizes[0], self.sizes[0]))
        near = np.exp(-gaps / (_KIN_REACH * numbers.shape[1]))
        found[np.ix_(known, known)] = _KIN / self._total * near
        return found

    def likeness(self, inputs: Inputs) -> Floats:
        """Return the covariance of each row's setting with each known one, [n, S]."""
        codes = inputs.codes[:, self.setting_categories]
        numbers = inputs.standard[:, np.r_[self.setting_flags, self.setting_numbers]]
        # Many rows are of few settings.
        described, place = np.unique(np.hstack([codes, numbers]), axis=0, return_inverse=True)
        ends = np.cumsum([len(self.setting_categories), len(self.setting_flags)])
        codes, flags, facts = np.split(described, ends, axis=1)
        return self._likeness(codes, flags, facts)[place.reshape(-1)]

    def _likeness(self, codes: Integers, flags: Floats, numbers: Floats) -> Floats:
        return blended(self.all_terms, *self._common(codes, flags, numbers))

    @property
    def all_terms(self) -> tuple[Term, ...]:
        """The terms of the likeness, weights adding to 1: what was learnt, or what is assumed."""
        return self.terms or self._assumed

    @property
    def _assumed(self) -> tuple[Term, ...]:
        count = len(self.setting_categories) + len(self.setting_flags)
        terms = [
            Term((), None, _EVERY),
            *(Term((place,), None, _ANY / count) for place in range(count)),
            Term((), _REACH, _NEAR),
            Term(tuple(range(count)), _REACH, _TOGETHER, otherwise=_FLOOR),
        ]
        return scaled(terms, 1.0)

    def _common(
        self, codes: Integers, flags: Floats, numbers: Floats
    ) -> tuple[list[Floats], Floats | None]:
        """Return what settings have in common with known ones, and how far facts are apart."""
        values = self.category_values.T
        same = [((codes[:, [c]] == v) & (codes[:, [c]] >= 0)) * 1.0 for c, v in enumerate(values)]
        known = self.flag_values.T
        same += [(np.abs(flags[:, [f]] - v) < SAME_NUMBER) * 1.0 for f, v in enumerate(known)]
        if not len(self.setting_numbers):
            return same, None
        squares = (numbers**2).sum(axis=1, keepdims=True) + (self.number_values**2).sum(axis=1)
        gaps = np.maximum(squares - 2 * numbers @ self.number_values.T, 0.0)
        return same, gaps / len(self.setting_numbers)

    def learnt(self, inputs: Inputs, target: Floats, bend: Bend) -> Plan:
        """Return the plan with the likeness that residuals of the same subjects show."""
        located, share = bend(np.zeros(len(target)))
        weights = share**2 * huber_weights(target - located)
        settings = self.likeness(inputs).argmax(axis=1)
        sums, behind = mean_products(
            inputs.codes[:, self.subject],
            settings,
            len(self.category_values),
            (target - located) / share,
            weights,
        )
        own = (self.category_values, self.flag_values, self.number_values)
        found = learn_terms(*self._common(*own), sums, behind)
        if not found:
            return self
        return replace(self, terms=(*scaled(self._assumed, 1.0 - _LEARNT), *scaled(found, _LEARNT)))

    @property
    def own_likeness(self) -> Floats:
        """The covariance of the known settings with one another, [S, S]."""
        return self._likeness(self.category_values, self.flag_values, self.number_values)


def plan_interaction(
    schema: Schema, sizes: Sequence[int], extrapolated: Sequence[int], inputs: Inputs, seed: int
) -> Plan | None:
    """Return who meets whom, from the schema's groups of several categories and from the data.

    None where no such group is declared, or where there is too little of either side.
    """
    subject = _subject(schema, inputs)
    if subject is None or len(inputs) < FEWEST_ROWS:
        return None
    shared, others = _sides(schema, subject, inputs)
    chosen: list[int] = []
    for category in sorted(others, key=lambda c: len(np.unique(inputs.codes[:, c]))):
        if _distinct(inputs.codes[:, [*chosen, category]]) <= MOST_SETTINGS:
            chosen.append(category)
    if not chosen or _distinct(inputs.codes[:, chosen]) < 2:
        return None
    own, flags, settled = _numbers(subject, chosen, extrapolated, inputs)
    described = np.column_stack([inputs.codes[:, chosen], rounded(inputs, flags)])
    _, first = np.unique(described, axis=0, return_index=True)
    rng = np.random.default_rng(seed)
    waves = _waves(np.unique(inputs.standard[:, own], axis=0), rng)
    plan = Plan(
        subject=subject,
        shared=shared,
        subject_numbers=own,
        sizes=tuple(sizes[c] for c in (subject, *shared)),
        waves=waves,
        phases=rng.uniform(0, 2 * np.pi, _WAVES) if len(own) else np.zeros(0),
        setting_categories=tuple(chosen),
        setting_sizes=tuple(sizes[c] for c in chosen),
        setting_flags=flags,
        setting_numbers=settled,
        category_values=inputs.codes[first][:, chosen],
        flag_values=inputs.standard[first][:, flags],
        number_values=inputs.standard[first][:, settled],
    )
    return plan if len(first) >= 2 else None


def _subject(schema: Schema, inputs: Inputs) -> int | None:
    """Return the id with the most values among the members of groups of several categories."""
    members = {name for group in schema.groups if len(group) > 1 for name in group}
    found = [(len(np.unique(inputs.codes[:, c])), -c) for c in map(_places(schema), members)]
    if not found:
        return None
    most, place = max(found)
    return -place if _FEWEST_SUBJECTS <= most <= min(_MOST_SUBJECTS, len(inputs) / 2) else None


def _places(schema: Schema) -> Callable[[str], int]:
    return schema.category_names.index


def _sides(schema: Schema, subject: int, inputs: Inputs) -> tuple[tuple[int, ...], list[int]]:
    """Return the categories that a subject determines, and the others; constant ones in neither."""
    shared, others = [], []
    for category in range(len(schema.category_names)):
        codes = inputs.codes[:, category]
        if category == subject or len(np.unique(codes)) < 2:
            continue
        if _agreeing(inputs.codes[:, subject], codes) >= _SAME_SHARE:
            shared.append(category)
        else:
            others.append(category)
    return tuple(shared), others


def _agreeing(keys: Integers, values: Integers) -> float:
    """Return the share of rows whose value is the most frequent one of their key."""
    pairs, rows = np.unique(np.column_stack([keys, values]), axis=0, return_counts=True)
    starts = np.flatnonzero(np.r_[True, pairs[1:, 0] != pairs[:-1, 0]])
    return float(np.maximum.reduceat(rows, starts).sum() / len(keys))


def _numbers(
    subject: int, setting: Sequence[int], extrapolated: Sequence[int], inputs: Inputs
) -> tuple[Integers, Integers, Integers]:
    """Return the numbers of the subject, the flags of the setting, and its categories' facts."""
    settings = np.unique(inputs.codes[:, setting], axis=0, return_inverse=True)[1].reshape(-1)
    own: list[int] = []
    flags: list[int] = []
    facts: list[int] = []
    for number in range(inputs.standard.shape[1]):
        values = inputs.standard[:, number]
        total = float(np.var(values))
        if number in extrapolated or total < 1e-12:
            continue
        of_subject = _spread_within(inputs.codes[:, subject], values) / total
        if _spread_within(settings, values) / total <= _FACT_SPREAD:
            facts.append(number)
        elif of_subject <= _SUBJECT_SPREAD:
            own.append(number)
        elif len(np.unique(values)) <= _FEW_VALUES:
            grown = np.column_stack([settings, rounded(inputs, np.array([*flags, number]))])
            if _distinct(grown) <= MOST_SETTINGS:
                flags.append(number)
    return np.array(own, np.int64), np.array(flags, np.int64), np.array(facts, np.int64)


def _waves(numbers: Floats, rng: np.random.Generator) -> Floats:
    """Return the frequencies [numbers, W] for a covariance that is smooth in whitened numbers.

    Numbers of subjects go up and down together; what tells two of them apart is how they differ
    otherwise, so all directions count alike, but for those that hardly vary.
    """
    if not numbers.shape[1]:
        return np.zeros((0, 0))
    spread, directions = np.linalg.eigh(np.cov(numbers.T).reshape(numbers.shape[1], -1))
    spread, directions = spread[::-1][:_DIRECTIONS], directions[:, ::-1][:, :_DIRECTIONS]
    whitened = directions / np.sqrt(spread + _LEAST_SPREAD * spread.mean())
    steps = rng.standard_normal((whitened.shape[1], _WAVES)) / np.sqrt(whitened.shape[1])
    return np.asarray(whitened @ steps)


def _spread_within(keys: Integers, values: Floats) -> float:
    """Return the mean square of what is left of values when each key's mean is taken off."""
    _, place = np.unique(keys, return_inverse=True)
    rows = np.bincount(place)
    means = np.bincount(place, values) / rows
    return float(((values - means[place]) ** 2).mean())


def rounded(inputs: Inputs, numbers: Integers) -> Integers:
    """Return some numbers as integers that can be told apart, [n, len(numbers)]."""
    return np.round(inputs.standard[:, numbers] * 1e6).astype(np.int64)


def _distinct(rows: Integers) -> int:
    return len(np.unique(rows, axis=0))
