"""What a search may cost, and what it found."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from foretell.errors import InvalidInput, Violation

FORM = "trials=N,seconds=S"
_SMALLEST_GAIN = 0.005
"""A gain of less is not worth settings of one's own."""


@dataclass(frozen=True)
class Budget:
    """The bounds of a search; the first that is reached ends it."""

    trials: int = 50
    """In all, those of earlier runs on the same data included."""
    seconds: float = 600.0
    """Of this run. The last trials are cut short; the check of the winner comes on top."""

    @classmethod
    def parse(cls, text: str) -> Budget:
        """Return the budget that `trials=N,seconds=S` says; what it does not say is the default."""
        found: dict[str, float] = {}
        for part in filter(None, text.split(",")):
            name, _, value = part.strip().partition("=")
            if name not in ("trials", "seconds") or not _is_positive(value):
                why = f"{part.strip()!r} is not of the form {FORM}, with numbers above 0"
                raise InvalidInput([Violation("search", text, why)])
            found[name] = float(value)
        default = cls()
        trials = int(found.get("trials", default.trials))
        return cls(trials, found.get("seconds", default.seconds))


@dataclass(frozen=True)
class Verdict:
    """What a search won over the default, measured on folds that it had not seen."""

    family: str
    trials: int
    stopped: int
    """How many of the trials were stopped early, for want of prospects."""
    failed: int
    seconds: float
    workers: int
    """How many other workers ended trials of it."""
    tuned: Mapping[str, float]
    """The best settings; empty if no trial was better than the default."""
    gain: float
    """By how much smaller the errors are, as a share; negative if they are larger."""
    doubt: float
    """By how much less the gain would be two standard errors lower, from fold to fold."""

    @property
    def is_better(self) -> bool:
        """Whether the gain is more than noise."""
        return bool(self.tuned) and self.gain - self.doubt > 0 and self.gain > _SMALLEST_GAIN

    @property
    def words(self) -> str:
        """The verdict in a sentence."""
        share = f"{100 * self.gain:+.1f} % ± {100 * self.doubt:.1f} % on fresh folds"
        if not self.tuned:
            return "no trial was better than the default"
        if self.is_better:
            return f"better than the default: errors smaller by {share}"
        return f"within noise: errors smaller by {share}; the default stays"

    def describe(self) -> dict[str, Any]:
        """Return what a report card says of the search."""
        return {
            "verdict": self.words,
            "better": self.is_better,
            "family": self.family,
            "trials": self.trials,
            "stopped_early": self.stopped,
            "failed": self.failed,
            "seconds": round(self.seconds, 1),
            "workers": self.workers,
            "tuned": dict(self.tuned),
            "gain": self.gain,
            "doubt": self.doubt,
        }


def gain_of(kinds: Iterable[Sequence[float]]) -> tuple[float, float]:
    """Return the gain and its doubt from differences of errors in logs, per kind of fold.

    Kinds may gain differently for good reasons, known ids more than new ones; only what varies
    among the folds of one kind is doubt.
    """
    groups = [np.array(differences) for differences in kinds]
    mean = float(np.mean([own.mean() for own in groups]))
    if any(len(own) < 2 for own in groups):
        groups = [np.concatenate(groups)]
    spreads = [own.var(ddof=1) / len(own) if len(own) > 1 else np.inf for own in groups]
    error = float(np.sqrt(np.sum(spreads)) / len(groups))
    gain, least = (float(-np.expm1(-value)) for value in (mean, mean - 2 * error))
    return gain, gain - least


def _is_positive(value: str) -> bool:
    try:
        return 0 < float(value) < float("inf")
    except ValueError:
        return False
