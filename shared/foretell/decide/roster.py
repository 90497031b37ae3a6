"""Rosters: the candidates of a question as one bundle sees them, whatever the item of work is.

Schedulers ask about the same nodes again and again. What is made of these alone is made once: what
is wrong with them, their prices, and the columns of the rows that they differ in.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache, partial

from foretell.decide.candidates import check_all, check_prices, prices_of
from foretell.decide.facts import FactBook
from foretell.decide.quantities import Violations
from foretell.decide.questions import Candidate, CandidateSet, Recommend
from foretell.decide.risk import Loss
from foretell.errors import Violation
from foretell.forecast import Floats
from foretell.predictor import Predictor
from foretell.variants import Variants

REMEMBERED_CANDIDATES = 256
"""Of larger sets nothing is remembered."""

REMEMBERED_ROSTERS = 64
"""So many rosters of one bundle are remembered."""


@dataclass(frozen=True)
class Roster:
    """The candidates, as they will be ranked."""

    given: tuple[Candidate, ...]
    fields: tuple[str, ...]
    """How the caller would name each: `candidates[2]`."""
    sent: int
    """How many of them the question has; what comes after is known."""
    prices: Floats
    """[n], per hour; NaN where unknown."""
    wrong: tuple[Violation, ...]
    """What is wrong with them, whatever they are ranked for."""
    variants: Variants

    def __len__(self) -> int:
        return len(self.given)

    @cached_property
    def taken(self) -> tuple[int, ...]:
        """Places of the candidates of which none is free."""
        return tuple(i for i, c in enumerate(self.given) if c.available == 0)

    def check_prices(self, loss: Loss | None, note: Violations) -> None:
        """Note candidates without the price that the objective is made of."""
        check_prices(self.prices[: self.sent], self._prefixes, loss, note)

    @cached_property
    def _prefixes(self) -> list[str]:
        return [f"{field}." for field in self.fields[: self.sent]]


class Rosters:
    """Makes the rosters of one bundle, and remembers those of `CandidateSet`s. Thread-safe."""

    def __init__(self, predictor: Predictor, book: FactBook, most: int) -> None:
        """Allow `most` candidates in a roster."""
        self._vocabulary = predictor.encoder.vocabulary
        self._make = partial(_roster, predictor, book, most)
        self._recall = lru_cache(maxsize=REMEMBERED_ROSTERS)(self._make)

    def of(self, question: Recommend, feature: str) -> Roster:
        """Return the roster of a question whose candidates are values of `feature`."""
        asked, every = question.candidates, question.all_known
        count = len(asked) + (len(self._vocabulary.get(feature, ())) if every else 0)
        lasts = isinstance(asked, CandidateSet) and count <= REMEMBERED_CANDIDATES
        return (self._recall if lasts else self._make)(asked, feature, every)


def _roster(
    predictor: Predictor,
    book: FactBook,
    most: int,
    asked: Sequence[Candidate],
    feature: str,
    every: bool,
) -> Roster:
    note = Violations()
    given = [(c, f"candidates[{i}]") for i, c in enumerate(asked)]
    if every:
        named = {c.name for c in asked}
        known = predictor.encoder.vocabulary.get(feature, ())
        given += [(Candidate(name), f"candidates[{name}]") for name in known if name not in named]
    if not given:
        note.add("candidates", "", "at least one is needed, or all_known")
    if len(given) > most:
        message = f"{len(given)} are more than the {most} that are allowed"
        note.add("candidates", len(given), message)
        given = []
    check_all(given[: len(asked)], feature, book, note)
    candidates = tuple(candidate for candidate, _ in given)
    return Roster(
        candidates,
        tuple(field for _, field in given),
        len(asked),
        prices_of(candidates, book, feature),
        tuple(note.found),
        Variants(predictor.encoder, [{feature: c.name, **c.features} for c in candidates]),
    )
