"""From encoded rows to what the models see: facts joined, logs taken, scales made equal.

The same steps exist twice, here for training and as nodes for serving (`nodes.inputs`); the proof
of export compares them on every row of the snapshot.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from foretell.catalog import CatalogTable
from foretell.encoding import Vocabulary
from foretell.schema import Schema

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]
Flags = NDArray[np.bool_]

MISSING_MARK = -12.0
"""What the trees see for a missing value: below every standardised one, so a split finds it."""

_OFF_CENTRE = 1e-3
"""By how many deviations numbers are centred beside their mean.

LightGBM likes to split at 0, and a value that is the mean would come out as 0 give or take its
last digit, in which the logs of two libraries differ. Evenly measured powers of 2 are like that.
"""

_FARTHEST = 1e6
"""How many standard deviations out of range count at most, and how far a number that is not in
logs extrapolates; more would overflow somewhere, and say no more."""

_MOST_BEYOND_FACTS = 0.5
"""In standard deviations."""

_FEWEST_ROWS_OF_EACH = 3
"""With fewer rows of an id, on average, what is the same in all of them may be so by chance."""

_ROOM_BELOW = 1024.0
"""How far, as a factor, the trend of an extrapolated number goes on below the data."""


@dataclass(frozen=True)
class Inputs:
    """Rows as the models see them."""

    standard: Floats
    """[n, F]: numbers, in logs where the schema says so, centred and scaled; missing is 0."""
    clipped: Floats
    """[n, L]: the log-scaled numbers again, not in logs; beyond the range along the tangent."""
    missing: Flags
    """[n, F]"""
    codes: Integers
    """[n, C]: categories with the catalogs' facts filled in; -1 is unknown or missing."""
    beyond: Floats
    """[n, F]: how many standard deviations a number lies out of the range of the training."""

    def __len__(self) -> int:
        return len(self.standard)

    @property
    def excess(self) -> Floats:
        """How many standard deviations, summed over the numbers, a row lies out of range, [n]."""
        return np.asarray(self.beyond.sum(axis=1))

    def take(self, rows: NDArray[np.int64] | Flags) -> Inputs:
        """Return some of the rows."""
        return Inputs(
            self.standard[rows],
            self.clipped[rows],
            self.missing[rows],
            self.codes[rows],
            self.beyond[rows],
        )

    def with_codes(self, codes: Integers) -> Inputs:
        """Return the same rows with other categories."""
        return Inputs(self.standard, self.clipped, self.missing, codes, self.beyond)


@dataclass(frozen=True)
class Fact:
    """One fact of a catalog, as the graph looks it up."""

    column: int
    """Where it stands in numbers or categories."""
    key: int
    """Where its key stands in categories."""
    table: NDArray[np.float64] | NDArray[np.int64]
    """[V + 1]: first the value for an unknown key, then one per known key."""


@dataclass(frozen=True)
class InputMap:
    """The transformation from the encoder's arrays to `Inputs`, fitted on the training rows."""

    number_facts: tuple[Fact, ...]
    category_facts: tuple[Fact, ...]
    is_log: Flags
    floor: Floats
    """[F]: logs are taken of at least this much, which is below the smallest seen value above 0."""
    mean: Floats
    deviation: Floats
    lowest: Floats
    """[F]: of the standardised values; far off where the schema allows extrapolation."""
    highest: Floats
    seen_lowest: Floats
    seen_highest: Floats
    had_missing: Flags
    log_columns: Integers
    """[L]: which columns are log-scaled."""
    raw_mean: Floats
    raw_deviation: Floats
    raw_lowest: Floats
    raw_highest: Floats
    category_count: int
    learnt_facts: tuple[Fact, ...] = ()
    """Numbers that were the same in all rows of an id: what it has where a request says nothing."""

    @property
    def all_number_facts(self) -> tuple[Fact, ...]:
        """The numbers that a request may leave out, because an id has them."""
        return (*self.number_facts, *self.learnt_facts)

    @property
    def most_beyond(self) -> Floats:
        """How far out of its range each number counts at most, [F]."""
        most = np.full(len(self.mean), _FARTHEST)
        # A name with facts like no other is new, and its intervals are those of new names.
        most[[fact.column for fact in self.number_facts]] = _MOST_BEYOND_FACTS
        return most

    def __call__(self, numbers: Floats, categories: Integers) -> Inputs:
        """Transform rows as the encoder made them."""
        values, codes = self.joined(numbers, categories)
        missing = np.isnan(values)
        standard = np.where(missing, 0.0, self._standardised(values))
        beyond = np.maximum(self.seen_lowest - standard, standard - self.seen_highest)
        beyond = np.minimum(np.maximum(beyond, 0.0), self.most_beyond)
        standard = np.minimum(np.maximum(standard, self.lowest), self.highest)
        raw = np.where(missing, self.typical, values)[:, self.log_columns]
        raw = np.minimum(np.maximum(raw, self.raw_lowest), self.raw_highest)
        clipped = (raw - self.raw_mean) / self.raw_deviation
        over = np.maximum(standard - self.seen_highest, 0.0)[:, self.log_columns]
        clipped = clipped + over * self.tangent
        return Inputs(standard, clipped, missing, codes, beyond)

    @property
    def tangent(self) -> Floats:
        """How fast `clipped` grows with the standardised log at the upper end, [L].

        Beyond it `clipped` goes on along this line: a trend that bends within the data then
        leaves it with the slope that it has there.
        """
        return self.raw_highest * self.deviation[self.log_columns] / self.raw_deviation

    def ending(self, inputs: Inputs, number: int, kept: Flags) -> Inputs:
        """Return inputs as they would be, had the kept rows, a mask [n], been all of the training.

        That is, with one number beyond the range of these rows as it is beyond that of all.
        """
        (places,) = np.nonzero(self.log_columns == number)
        if not len(places):
            return inputs
        place = int(places[0])
        last = inputs.clipped[kept, place].max()
        raw = last * self.raw_deviation[place] + self.raw_mean[place]
        tangent = raw * self.deviation[number] / self.raw_deviation[place]
        over = np.maximum(inputs.standard[:, number] - inputs.standard[kept, number].max(), 0.0)
        clipped = inputs.clipped.copy()
        clipped[:, place] = np.minimum(clipped[:, place], last) + over * tangent
        return replace(inputs, clipped=clipped)

    def without(self, inputs: Inputs, number: int) -> Inputs:
        """Return the same rows as they would be if a number had been left out."""
        standard, clipped = inputs.standard.copy(), inputs.clipped.copy()
        missing, beyond = inputs.missing.copy(), inputs.beyond.copy()
        standard[:, number] = np.clip(0.0, self.lowest[number], self.highest[number])
        missing[:, number], beyond[:, number] = True, 0.0
        for place in np.flatnonzero(self.log_columns == number):
            raw = np.clip(self.typical[number], self.raw_lowest[place], self.raw_highest[place])
            clipped[:, place] = (raw - self.raw_mean[place]) / self.raw_deviation[place]
        return Inputs(standard, clipped, missing, inputs.codes, beyond)

    @property
    def always_sent(self) -> Integers:
        """The numbers that every row of the training had, and that nothing else knows."""
        other = [fact.column for fact in self.all_number_facts]
        return np.setdiff1d(np.flatnonzero(~self.had_missing), other)

    @property
    def typical(self) -> Floats:
        """What a missing number is taken for where one is needed: the mean, [F]."""
        logs = np.exp(np.where(self.is_log, self.mean, 0.0))
        return np.where(self.is_log, logs, self.mean)

    def for_trees(self, inputs: Inputs) -> Floats:
        """Return the numbers for the trees: missing is a mark, if it was ever seen missing."""
        marked = inputs.missing & self.had_missing
        return np.where(marked, MISSING_MARK, inputs.standard)

    def joined(self, numbers: Floats, categories: Integers) -> tuple[Floats, Integers]:
        """Return numbers and categories with the catalogs' facts filled in."""
        numbers, categories = numbers.copy(), categories.copy()
        for fact in self.category_facts:
            own = categories[:, fact.column]
            looked_up = fact.table[categories[:, fact.key] + 1]
            categories[:, fact.column] = np.where(own < 0, looked_up, own)
        for fact in self.all_number_facts:
            own_number = numbers[:, fact.column]
            looked_up = fact.table[categories[:, fact.key] + 1]
            numbers[:, fact.column] = np.where(np.isnan(own_number), looked_up, own_number)
        return numbers, categories

    def _standardised(self, values: Floats) -> Floats:
        with np.errstate(invalid="ignore"):
            logs = np.log(np.maximum(values, self.floor))
        return np.asarray((np.where(self.is_log, logs, values) - self.mean) / self.deviation)


def fit_inputs(
    schema: Schema,
    vocabulary: Vocabulary,
    catalogs: Sequence[CatalogTable],
    numbers: Floats,
    categories: Integers,
) -> InputMap:
    """Learn ranges and scales from the training rows."""
    number_facts, category_facts = _facts(schema, vocabulary, catalogs)
    features = [f for f in schema.inputs if f.is_numeric]
    width = len(features)
    sizes = [len(vocabulary[name]) for name in schema.category_names]
    unfitted = InputMap(
        number_facts=number_facts,
        category_facts=category_facts,
        learnt_facts=learnt_facts(schema, number_facts, sizes, numbers, categories),
        is_log=np.array([f.scale == "log" for f in features], dtype=bool),
        floor=np.ones(width),
        mean=np.zeros(width),
        deviation=np.ones(width),
        lowest=np.full(width, -np.inf),
        highest=np.full(width, np.inf),
        seen_lowest=np.full(width, -np.inf),
        seen_highest=np.full(width, np.inf),
        had_missing=np.zeros(width, bool),
        log_columns=np.zeros(0, np.int64),
        raw_mean=np.zeros(0),
        raw_deviation=np.ones(0),
        raw_lowest=np.zeros(0),
        raw_highest=np.zeros(0),
        category_count=len(schema.category_names),
    )
    values, _ = unfitted.joined(numbers, categories)
    open_ended = np.array([f.extrapolate for f in features], dtype=bool)
    return _fitted(unfitted, values, open_ended)


def _fitted(unfitted: InputMap, values: Floats, open_ended: Flags) -> InputMap:
    present = ~np.isnan(values)
    # Only a zero needs the floor; a number that may be asked beyond the data needs room below.
    distant = open_ended & ~(values == 0).any(axis=0)
    floor = _smallest_above_zero(values) / np.where(distant, _ROOM_BELOW, 2.0)
    with np.errstate(invalid="ignore", divide="ignore"):
        logs = np.log(np.maximum(values, floor))
    scaled = np.where(unfitted.is_log, logs, values)
    mean, deviation = _moments(scaled, present)
    mean = mean + _OFF_CENTRE * deviation
    standard = (scaled - mean) / deviation
    lowest, highest = _extremes(standard, present)
    farthest = np.where(unfitted.is_log, np.inf, _FARTHEST)
    log_columns = np.flatnonzero(unfitted.is_log)
    raw, known = values[:, log_columns], present[:, log_columns]
    raw_mean, raw_deviation = _moments(raw, known)
    raw_lowest, raw_highest = _extremes(raw, known)
    return InputMap(
        number_facts=unfitted.number_facts,
        category_facts=unfitted.category_facts,
        is_log=unfitted.is_log,
        floor=floor,
        mean=mean,
        deviation=deviation,
        lowest=np.where(open_ended, -farthest, lowest),
        highest=np.where(open_ended, farthest, highest),
        seen_lowest=lowest,
        seen_highest=highest,
        had_missing=np.asarray((~present).any(axis=0) & present.any(axis=0)),
        log_columns=log_columns,
        raw_mean=raw_mean,
        raw_deviation=raw_deviation,
        raw_lowest=raw_lowest,
        raw_highest=raw_highest,
        category_count=unfitted.category_count,
        learnt_facts=unfitted.learnt_facts,
    )


def learnt_facts(
    schema: Schema, known: Sequence[Fact], sizes: Sequence[int], numbers: Floats, codes: Integers
) -> tuple[Fact, ...]:
    """Return the numbers that are an id's own, as a model's parameters, from the training rows.

    They were sent with every row, and were the same in all rows of each value of the id. Taken
    for the typical number, one that a later request leaves out would make a sure forecast of
    another model. `known` are facts of catalogs, `sizes` [C] the numbers of known values.
    """
    ids = [schema.category_names.index(group[0]) for group in schema.groups if len(group) == 1]
    columns = {fact.column for fact in known}
    found: list[Fact] = []
    for key in ids:
        for column in range(numbers.shape[1]):
            if column not in columns:
                table = _of_each(sizes[key], codes[:, key], numbers[:, column])
                if table is not None:
                    columns.add(column)
                    found.append(Fact(column, key, np.insert(table, 0, np.nan)))
    return tuple(found)


def _of_each(size: int, codes: Integers, values: Floats) -> Floats | None:
    """Return the one number of each code [size], NaN without rows; None where some have more."""
    if len(values) == 0 or np.isnan(values).any() or (codes < 0).any():
        return None
    lowest, highest = np.full(size, np.inf), np.full(size, -np.inf)
    np.minimum.at(lowest, codes, values)
    np.maximum.at(highest, codes, values)
    seen = np.isfinite(lowest)
    enough = len(values) >= _FEWEST_ROWS_OF_EACH * seen.sum()
    if not enough or (lowest[seen] != highest[seen]).any() or len(np.unique(lowest[seen])) < 2:
        return None
    return np.where(seen, lowest, np.nan)


def _facts(
    schema: Schema, vocabulary: Vocabulary, catalogs: Sequence[CatalogTable]
) -> tuple[tuple[Fact, ...], tuple[Fact, ...]]:
    tables: Mapping[str, CatalogTable] = {table.name: table for table in catalogs}
    numeric: list[Fact] = []
    categorical: list[Fact] = []
    for catalog in schema.catalogs:
        if catalog.name not in tables:
            continue
        table = tables[catalog.name]
        key = schema.category_names.index(catalog.key)
        rows = table.rows_for(vocabulary[catalog.key])
        for fact in catalog.facts:
            if fact.is_numeric:
                column = schema.number_names.index(fact.name)
                known = np.append(table.numbers(fact.name), np.nan)[rows]
                numeric.append(Fact(column, key, np.insert(known, 0, np.nan)))
            else:
                column = schema.category_names.index(fact.name)
                codes = _codes(table.texts(fact.name), vocabulary[fact.name])[rows]
                categorical.append(Fact(column, key, np.insert(codes, 0, -1)))
    return tuple(numeric), tuple(categorical)


def _codes(texts: Sequence[str | None], values: Sequence[str]) -> Integers:
    """Return the code of each text, and after the last one the code of nothing."""
    index = {text: code for code, text in enumerate(values)}
    found = [-1 if text is None else index.get(text, -1) for text in texts]
    return np.array([*found, -1], dtype=np.int64)


def _smallest_above_zero(values: Floats) -> Floats:
    with np.errstate(invalid="ignore"):
        positive = np.where(values > 0, values, np.inf)
    smallest = positive.min(axis=0, initial=np.inf)
    return np.where(np.isfinite(smallest), smallest, 1.0)


def _moments(values: Floats, present: Flags) -> tuple[Floats, Floats]:
    count = np.maximum(present.sum(axis=0), 1)
    filled = np.where(present, values, 0.0)
    mean = filled.sum(axis=0) / count
    spread = np.sqrt((np.where(present, values - mean, 0.0) ** 2).sum(axis=0) / count)
    # A constant column says nothing; dividing by 1 keeps it at 0 instead of at infinity.
    return mean, np.where(spread > 1e-9 * np.maximum(np.abs(mean), 1), spread, 1.0)


def _extremes(values: Floats, present: Flags) -> tuple[Floats, Floats]:
    lowest = np.where(present, values, np.inf).min(axis=0, initial=np.inf)
    highest = np.where(present, values, -np.inf).max(axis=0, initial=-np.inf)
    seen = present.any(axis=0)
    return np.where(seen, lowest, 0.0), np.where(seen, highest, 0.0)
