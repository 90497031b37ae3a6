"""What choices are worth: the true value of what is chosen, and how often limits are broken."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np

from benchmarks.decisions.cases import About, Case
from foretell.decide import Decider, Limit, Objective, Recommend, Term
from foretell_trainer.engine.inputs import Floats

LIMIT_LEVEL = 0.95
BINDING = 0.02
"""A limit binds a choice that is said to break it with at least this probability."""
_ALL = 10_000


@dataclass(frozen=True)
class Choices:
    """Over many items: what was chosen, against the best of the candidates."""

    share: Floats
    """[items], true value of the choice over that of the best."""
    median_share: Floats
    """The same for a choice by medians alone."""
    stated: Floats
    """[items], probability with which the choice was said to be the best."""
    stated_regret: Floats
    """[items], what hindsight was said to save, as a share of the loss."""

    @property
    def best(self) -> Floats:
        """[items], whether the choice was the best."""
        return (self.share >= 1.0).astype(np.float64)


def choices(decider: Decider, found: Iterable[Case], about: About) -> Choices:
    """Choose for every case by the expected objective, and by its median."""
    rows = []
    metric = decider.predictor.schema.metric_names.index(about.objective)
    for case in found:
        truth = case.truth[:, metric]
        answer, plain = (
            decider.recommend(
                Recommend(
                    case.features,
                    Objective((Term(about.objective),), quantile=quantile),
                    case.candidates,
                )
            )
            for quantile in (None, 0.5)
        )
        chosen, regret = answer.ranked[0], answer.regret
        rows.append(
            (
                truth[chosen.index] / truth.max(),
                truth[plain.ranked[0].index] / truth.max(),
                chosen.probability_best,
                np.nan if regret is None or regret.relative is None else regret.relative,
            )
        )
    return Choices(*np.array(rows).T)


@dataclass(frozen=True)
class Kept:
    """Over many requests with a limit."""

    answered: int
    refused: int
    """Requests for which no candidate was said to keep the limit."""
    refused_wrongly: int
    """Of these, the ones where some candidate would have kept it."""
    broken: float
    """Share of the choices whose true value broke the limit."""
    stated: float
    """The same, by the probabilities that were stated."""
    bound_broken: float
    """Share of all candidates whose true value is beyond the bound that they were said to need."""
    share: float
    """Mean true objective of the choice over that of the best that truly keeps the limit."""
    bound: int
    """Choices that the limit binds. Were bounds chosen because they are too tight, these would
    break it more often than stated."""
    stated_where_bound: float
    """Share of these that was said to break the limit; NaN without any."""
    broken_where_bound: float
    """Share of these that broke it."""


def kept(decider: Decider, found: Iterable[Case], about: About, seed: int) -> Kept:
    """Ask for the best under a limit drawn at random between the candidates' true values."""
    rng = np.random.default_rng(seed)
    names = decider.predictor.schema.metric_names
    objective, limited = names.index(about.objective), names.index(about.limited)
    shares, broken, stated, bounds = [], [], [], []
    refused = wrongly = 0
    for case in found:
        truth = case.truth[:, limited]
        limit = float(np.exp(rng.uniform(*np.log([truth.min(), truth.max()]))))
        answer = decider.recommend(
            Recommend(
                case.features,
                Objective((Term(about.objective),)),
                case.candidates,
                limits=(Limit(about.limited, at_most=limit, probability=LIMIT_LEVEL),),
                max_results=_ALL,
            )
        )
        checks = [(one.index, one.limits[0]) for one in answer.ranked]
        checks += [(one.index, one.limits[0]) for one in answer.excluded]
        bounds += [truth[i] > (check.needed or np.inf) for i, check in checks]
        if not answer.ranked:
            refused += 1
            wrongly += bool((truth <= limit).any())
            continue
        chosen = answer.ranked[0]
        broken.append(truth[chosen.index] > limit)
        stated.append(1 - (chosen.limits[0].probability or 0.0))
        best = case.truth[truth <= limit, objective].max()
        shares.append(min(1.0, case.truth[chosen.index, objective] / best))
    binds = np.array(stated) >= BINDING
    return Kept(
        answered=len(broken),
        refused=refused,
        refused_wrongly=wrongly,
        broken=float(np.mean(broken)),
        stated=float(np.mean(stated)),
        bound_broken=float(np.mean(bounds)),
        share=float(np.mean(shares)),
        bound=int(binds.sum()),
        stated_where_bound=_mean(np.array(stated)[binds]),
        broken_where_bound=_mean(np.array(broken)[binds]),
    )


def _mean(values: Floats) -> float:
    return float(values.mean()) if len(values) else float("nan")


def reliability(choices_: Choices, edges: Mapping[str, tuple[float, float]]) -> list[list[str]]:
    """Return, per range of the stated probability, how often the choice was the best."""
    rows = []
    for name, (low, high) in edges.items():
        inside = (choices_.stated >= low) & (choices_.stated < high)
        if inside.any():
            said, was = choices_.stated[inside].mean(), choices_.best[inside].mean()
            rows.append([name, str(int(inside.sum())), f"{said:.2f}", f"{was:.2f}"])
    return rows
