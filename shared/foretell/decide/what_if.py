"""What-if: configurations side by side, and whether one is really better than another."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from foretell.decide.comparing import probability_best, probability_less
from foretell.decide.quantities import Violations
from foretell.decide.questions import COST, ENERGY, WhatIf
from foretell.decide.results import Estimate
from foretell.decide.risk import Loss
from foretell.decide.rows import Rows
from foretell.forecast import Floats


@dataclass(frozen=True, slots=True)
class Side:
    """One configuration of a comparison."""

    name: str
    objective: float
    """What it is compared by, in the objective's unit."""
    estimates: tuple[Estimate, ...]
    cost: float | None
    """Expected price of a unit of work; None without a price."""
    energy_j: float | None
    """Expected energy of a unit of work, in J; None without a power."""
    probability_best: float
    support: float
    tier: str
    unknown_features: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Difference:
    """How one configuration compares with the first."""

    name: str
    probability_better: float
    """Probability that its loss turns out smaller than that of the first."""
    ratio: float | None
    """The median of its loss over that of the first; below 1 is better. None for a loss that may
    be 0 or below."""
    ratio_lower: float | None
    """The lower end of that ratio's interval."""
    ratio_upper: float | None
    certain: bool
    """Whether it is better, or worse, with the probability asked for."""
    why: str


@dataclass(frozen=True, slots=True)
class Comparison:
    """Configurations side by side, in the order of the question."""

    workload: str
    bundle_version: str
    objective: str
    objective_unit: str
    certainty: float
    interval_level: float
    sides: tuple[Side, ...]
    differences: tuple[Difference, ...]
    """One for every configuration but the first."""
    best: str
    """The configuration that the objective ranks first."""


def check_what_if(question: WhatIf, note: Violations) -> None:
    """Note what is wrong with the sides and levels of a comparison."""
    if len(question.configurations) < 2:
        note.add("configurations", len(question.configurations), "at least two are needed")
    names: dict[str, int] = {}
    features: list[dict[str, object]] = []
    for i, side in enumerate(question.configurations):
        field = f"configurations[{i}]"
        if not side.name:
            note.add(f"{field}.name", "", "a name is needed")
        elif side.name in names:
            message = f"{side.name!r} is the name of configurations[{names[side.name]}] too"
            note.add(f"{field}.name", side.name, message)
        if dict(side.features) in features:
            same = features.index(dict(side.features))
            note.add(f"{field}.features", "", f"are those of configurations[{same}]")
        names.setdefault(side.name, i)
        features.append(dict(side.features))
    note.unless(
        0.5 <= question.certainty < 1, "certainty", question.certainty, "from 0.5 to below 1"
    )
    level = question.interval_level
    note.unless(0 < level < 1, "interval_level", level, "strictly between 0 and 1")


def compare(question: WhatIf, rows: Rows, loss: Loss, workload: str, version: str) -> Comparison:
    """Return the comparison of configurations that are forecast."""
    losses = loss.losses({q.name: rows.values(q) for q in loss.quantities})
    measured = loss.measure(losses)
    told, best = loss.told(measured), probability_best(losses)
    costs, energies = rows.expected(COST), rows.expected(ENERGY)
    forecasts = rows.estimates(range(len(rows)), question.interval_level)
    prediction = rows.prediction
    sides = tuple(
        Side(
            name=side.name,
            objective=float(told[i]),
            estimates=forecasts[i],
            cost=costs[i],
            energy_j=energies[i],
            probability_best=float(best[i]),
            support=float(prediction.support[i]),
            tier=prediction.tier[i],
            unknown_features=prediction.unknown[i],
        )
        for i, side in enumerate(question.configurations)
    )
    differences = tuple(
        _difference(question, i, losses) for i in range(1, len(question.configurations))
    )
    return Comparison(
        workload=workload,
        bundle_version=version,
        objective=loss.name,
        objective_unit=loss.unit,
        certainty=question.certainty,
        interval_level=question.interval_level,
        sides=sides,
        differences=differences,
        best=sides[int(np.argmin(measured))].name,
    )


def _difference(question: WhatIf, i: int, losses: Floats) -> Difference:
    better = probability_less(losses[i], losses[0])
    certain = better >= question.certainty or better <= 1 - question.certainty
    tail = (1 - question.interval_level) / 2
    ratio = lower = upper = None
    if (losses[[0, i]] > 0).all():
        lower, ratio, upper = map(float, np.quantile(losses[i] / losses[0], (tail, 0.5, 1 - tail)))
    mine, first = question.configurations[i].name, question.configurations[0].name
    direction = "better" if better >= 0.5 else "worse"
    sure = max(better, 1 - better)
    said = "certainly" if certain else "perhaps"
    why = f"{mine!r} is {said} {direction} than {first!r}: with probability {sure:.2f}"
    return Difference(mine, better, ratio, lower, upper, certain, why)
