"""The verdict on a candidate: whether it takes over, and why not if it does not."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from foretell.predictor import Predictor
from foretell_trainer.gate.scores import Margins, Scores, complaint, score

OVERALL = "all rows"
MOST_REASONS = 3
_OF_OVERALL = 0.5
"""The part of the error probability that the tests on all rows share; the groups' have the rest."""


@dataclass(frozen=True)
class Strictness:
    """The settings of the gate."""

    margin: float = 0.05
    group_margin: float = 0.1
    coverage_margin: float = 0.05
    significance: float = 0.05
    min_rows: int = 20


@dataclass(frozen=True)
class Part:
    """Rows that neither bundle was fitted on, with what was measured."""

    name: str
    """golden or newest."""
    features: Mapping[str, NDArray[Any]]
    metrics: Mapping[str, NDArray[np.float64]]
    """[n] by metric, NaN where it was not measured."""
    groups: Mapping[str, NDArray[np.object_]]
    """The label of each row, [n], by group."""

    def __len__(self) -> int:
        return len(next(iter(self.metrics.values())))


@dataclass(frozen=True)
class Verdict:
    """Whether a candidate takes over."""

    promote: bool
    reasons: tuple[str, ...]
    """Why it does not, the worst first; or why it was not compared."""
    compared_with: str = ""
    """Version of the bundle that it was compared with; empty if with none."""
    scores: Mapping[str, Any] = field(default_factory=dict)
    """By part and metric: rows, and the errors of candidate and current bundle."""

    def describe(self) -> dict[str, Any]:
        """Return what the manifest says of it."""
        return {
            "promoted": self.promote,
            "reasons": list(self.reasons),
            "compared_with": self.compared_with,
            "scores": dict(self.scores),
        }

    def sentence(self) -> str:
        """Return it for people."""
        more = len(self.reasons) - MOST_REASONS
        text = "; ".join(self.reasons[:MOST_REASONS]) + (f"; and {more} more" if more > 0 else "")
        if not self.promote:
            return f"not promoted: {text}"
        if self.reasons:
            return f"promoted without a comparison: {text}"
        if not self.compared_with:
            return "promoted: there was none before"
        return f"promoted: not worse than {self.compared_with}"


@dataclass(frozen=True)
class _Cell:
    """The rows of one group, or all, of one part, with the scores of one metric."""

    part: str
    metric: str
    group: str
    candidate: Scores
    current: Scores

    @property
    def place(self) -> str:
        return f"{self.metric} of {self.group}, {self.part} rows"

    @property
    def loss(self) -> float:
        return float(self.candidate.crps.mean() / max(self.current.crps.mean(), 1e-12))


def compare(
    candidate: Predictor, current: Predictor, parts: Sequence[Part], strictness: Strictness
) -> Verdict:
    """Return whether the candidate is worse than the current bundle anywhere that matters.

    Compared are the metrics that both have, on all rows of a part and on each group of enough
    rows. The tests share `significance`, so that many of them find nothing by chance.
    """
    cells = [
        cell for part in parts for cell in _cells(part, candidate, current, strictness.min_rows)
    ]
    overall = sum(cell.group == OVERALL for cell in cells)
    found: list[tuple[float, str]] = []
    for cell in cells:
        is_overall = cell.group == OVERALL
        tests = overall if is_overall else len(cells) - overall
        margins = Margins(
            strictness.margin if is_overall else strictness.group_margin,
            # Few rows hold less often than they should by chance alone.
            strictness.coverage_margin if is_overall else 2 * strictness.coverage_margin,
            strictness.significance * _OF_OVERALL / (2 * tests),
        )
        why = complaint(cell.candidate, cell.current, margins)
        if why:
            found.append((-cell.loss, f"{cell.place}: {why}"))
    return Verdict(
        promote=not found,
        reasons=tuple(text for _, text in sorted(found)),
        compared_with=current.version,
        scores=_shown(cells),
    )


def _cells(part: Part, candidate: Predictor, current: Predictor, min_rows: int) -> Iterator[_Cell]:
    if not len(part):
        return
    forecasts = [
        predictor.forecast(predictor.encoder.encode_table(part.features, named="name")[0]).forecasts
        for predictor in (candidate, current)
    ]
    shared = set(candidate.schema.metric_names) & set(current.schema.metric_names)
    for metric in sorted(shared):
        known = np.flatnonzero(np.isfinite(part.metrics[metric]))
        if len(known) < min_rows:
            continue
        truth = part.metrics[metric][known]
        mine, theirs = (score(f.take(known), metric, truth) for f in forecasts)
        yield _Cell(part.name, metric, OVERALL, mine, theirs)
        for name, labels in part.groups.items():
            here = labels[known]
            for value, count in zip(*np.unique(here, return_counts=True), strict=True):
                if min_rows <= count < len(known):
                    rows = here == value
                    place = f"{name}={value}"
                    yield _Cell(part.name, metric, place, mine.take(rows), theirs.take(rows))


def _shown(cells: Sequence[_Cell]) -> dict[str, Any]:
    shown: dict[str, Any] = {}
    for cell in cells:
        if cell.group == OVERALL:
            shown.setdefault(cell.part, {})[cell.metric] = {
                "rows": len(cell.candidate),
                "candidate": {
                    "crps": float(cell.candidate.crps.mean()),
                    "coverage_90": float(cell.candidate.inside.mean()),
                },
                "current": {
                    "crps": float(cell.current.crps.mean()),
                    "coverage_90": float(cell.current.inside.mean()),
                },
            }
    return shown
