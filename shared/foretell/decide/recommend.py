"""Which candidate is best: limits first, then the objective over the whole distribution."""

from __future__ import annotations

from collections.abc import Container, Sequence
from dataclasses import dataclass

import numpy as np

from foretell.decide.comparing import pareto_front, probability_best
from foretell.decide.limits import Bound, Keeping
from foretell.decide.quantities import Quantity
from foretell.decide.questions import COST, ENERGY, Recommend
from foretell.decide.results import (
    Excluded,
    ExclusionReason,
    Infeasible,
    LimitCheck,
    Ranked,
    Recommendation,
    Regret,
    Verdict,
)
from foretell.decide.risk import Loss, LossTerm
from foretell.decide.roster import Roster
from foretell.decide.rows import Rows, plain
from foretell.forecast import Floats

CLEAR = 0.8
"""A first choice that is best with less than this probability is `close` to others."""

TELLING = 0.2
"""Where hindsight would save more than this share, the evidence does not tell candidates apart."""


@dataclass(frozen=True)
class Judgement:
    """The rows of all candidates, judged."""

    rows: Rows
    keeping: tuple[Keeping, ...]
    measured: Floats
    """[n], what they are ranked by; NaN where it cannot be known."""
    losses: Floats
    """[n, outcomes]"""
    front: Floats | None
    """[n, K], what the Pareto front is taken of, small is good; None if it is not asked for."""


def judge(
    rows: Rows, loss: Loss, bounds: Sequence[Bound], front: Sequence[Quantity] = ()
) -> Judgement:
    """Return what the objective, every limit and the front's quantities say about all rows."""
    losses = loss.losses({q.name: rows.values(q) for q in loss.quantities})
    return Judgement(
        rows,
        tuple(bound.keeping(rows) for bound in bounds),
        loss.measure(losses),
        losses,
        _front_losses(rows, loss, front) if front else None,
    )


def _front_losses(rows: Rows, loss: Loss, front: Sequence[Quantity]) -> Floats:
    terms = [Loss((LossTerm(q, 1.0, 1.0),), loss.risk, loss.quantile) for q in front]
    columns = [t.measure(t.losses({q.name: rows.values(q) for q in t.quantities})) for t in terms]
    return np.column_stack(columns)


class Ranking:
    """Answers one question about candidates that are judged."""

    def __init__(
        self,
        question: Recommend,
        roster: Roster,
        judged: Judgement,
        loss: Loss,
        bounds: tuple[Bound, ...],
    ) -> None:
        self._question = question
        self._roster = roster
        self._judged = judged
        self._loss = loss
        self._bounds = bounds
        # Lists are read one by one ten times faster than arrays are, and after a run of the graph
        # each call to numpy costs more than a pass over some dozens of numbers.
        self._measured: list[float] = judged.measured.tolist()
        self._support: list[float] = judged.rows.prediction.support.tolist()
        self._reasons = self._judge()
        self._told = [
            (str(b), k.holds.tolist(), *map(plain, (k.probability, k.bounds, k.needed)), unit)
            for b, k, unit in ((b, k, b.quantity.unit) for b, k in self._pairs())
        ]
        self._order = [i for i, reason in enumerate(self._reasons) if reason is None]
        self._order.sort(key=self._measured.__getitem__)
        self._name, self._unit = loss.name, "" if loss.unit == "1" else f" {loss.unit}"

    def recommendation(self, workload: str, version: str) -> Recommendation:
        """Return the whole answer."""
        order = self._order
        best, regret = self._chances() if order else ([], None)
        front = self._front()
        ranked = self._ranked(best, front)
        excluded = tuple(
            self._excluded(i, reason)
            for i, reason in enumerate(self._reasons)
            if reason is not None
        )
        return Recommendation(
            workload=workload,
            bundle_version=version,
            objective=self._loss.name,
            objective_unit=self._loss.unit,
            verdict=self._verdict(best, regret),
            ranked=ranked,
            ranked_count=len(order),
            excluded=excluded,
            regret=regret,
            infeasible=None if len(order) else self._infeasible(),
            front=tuple(i for i in order if i in front),
            candidate_count=len(self._roster),
        )

    def _judge(self) -> list[ExclusionReason | None]:
        """Return why each candidate is not ranked: the first of the reasons that there are."""
        keeping, floor = self._judged.keeping, self._question.support_floor
        reasons: list[ExclusionReason | None] = [None] * len(self._measured)
        if floor > 0:
            reasons = ["evidence" if support < floor else None for support in self._support]
        for kept in keeping:
            _give(reasons, "limit", (~kept.holds).tolist())
        for i, value in enumerate(self._measured):
            if value != value:  # noqa: PLR0124 -- only NaN is not what it is
                reasons[i] = "unknown"
        for kept in keeping:
            _give(reasons, "unknown", kept.unknown.tolist())
        for i in self._roster.taken:
            reasons[i] = "unavailable"
        return reasons

    def _chances(self) -> tuple[list[float], Regret]:
        """Return how probable it is that each turns out best, in their order, and the regret."""
        losses, places = self._judged.losses, self._order
        if len(places) < len(losses):
            losses, places = losses[places], list(range(len(places)))
        # What is not cut short need not be put in order: that would be a copy.
        least = np.minimum.reduce(losses, axis=0)
        best = probability_best(losses, least).tolist()
        return [best[i] for i in places], self._regret(best[places[0]], losses[places[0]], least)

    def _verdict(self, best: Sequence[float], regret: Regret | None) -> Verdict:
        if regret is None:
            only = set(self._reasons)
            return "insufficient_evidence" if only == {"evidence"} else "infeasible"
        if regret.relative is not None and regret.relative > TELLING:
            return "insufficient_evidence"
        return "clear" if best[0] >= CLEAR else "close"

    def _front(self) -> frozenset[int]:
        """Return which of all candidates are on the Pareto front; none unless one was asked for."""
        losses, order = self._judged.front, self._order
        if losses is None or not order:
            return frozenset()
        known = np.array(order)[~np.isnan(losses[order]).any(axis=1)]
        return frozenset(known[pareto_front(losses[known])].tolist())

    def _ranked(self, best: Sequence[float], front: Container[int]) -> tuple[Ranked, ...]:
        shown = self._order[: self._question.max_results]
        rows = self._judged.rows
        prediction = rows.prediction
        forecasts = rows.estimates(shown, self._question.interval_level)
        costs, energies = rows.expected(COST), rows.expected(ENERGY)
        told: list[float] = self._loss.told(self._judged.measured).tolist()
        found = [
            Ranked(
                rank=rank + 1,
                name=self._roster.given[i].name,
                index=i,
                objective=told[i],
                estimates=forecasts[rank],
                cost=costs[i],
                energy_j=energies[i],
                limits=self._checks(i),
                probability_best=best[rank],
                support=self._support[i],
                tier=prediction.tier[i],
                unknown_features=prediction.unknown[i],
                on_front=i in front,
                why=self._why(rank, told[i], best),
            )
            for rank, i in enumerate(shown)
        ]
        return tuple(found)

    def _checks(self, i: int) -> tuple[LimitCheck, ...]:
        if not self._told:
            return ()
        return tuple(
            LimitCheck(label, number, holds[i], share[i], bound[i], needed[i], unit)
            for number, (label, holds, share, bound, needed, unit) in enumerate(self._told)
        )

    def _why(self, rank: int, told: float, best: Sequence[float]) -> str:
        what = f"{self._name} {told:.4g}{self._unit}"
        if rank == 0:
            return f"{what}; best of {len(best)} with probability {best[0]:.2f}"
        first, mine = (self._measured[self._order[place]] for place in (0, rank))
        worse = f"{100 * (mine / first - 1):.3g} % worse than the first" if first > 0 else "worse"
        return f"{what}, {worse}; best with probability {best[rank]:.2f}"

    def _excluded(self, i: int, reason: ExclusionReason) -> Excluded:
        checks, prediction = self._checks(i), self._judged.rows.prediction
        return Excluded(
            name=self._roster.given[i].name,
            index=i,
            reason=reason,
            why=self._why_not(i, reason, checks),
            limits=checks,
            support=self._support[i],
            tier=prediction.tier[i],
        )

    def _why_not(self, i: int, reason: ExclusionReason, checks: Sequence[LimitCheck]) -> str:
        if reason == "unavailable":
            return "none of it is free"
        if reason == "evidence":
            support, floor = self._support[i], self._question.support_floor
            return f"not enough evidence: support {support:.2f} is below {floor:g}"
        if reason == "unknown":
            missing = [c.limit for c in checks if c.probability is None]
            return f"what it needs is not known: {'; '.join(missing) or self._loss.name}"
        return "; ".join(
            f"{c.limit}: holds with {c.probability:.3f}, {c.needed:.4g} {c.unit} would hold"
            for c in checks
            if not c.holds
        )

    def _regret(self, sure: float, losses: Floats, least: Floats) -> Regret:
        """Return the regret of a choice that is best with probability `sure`, by its losses."""
        # The choice against that of hindsight, which turns out the best whatever happens.
        mine, perfect = (float(np.add.reduce(one)) / len(one) for one in (losses, least))
        told, hindsight = self._loss.told(np.array([mine, perfect])).tolist()
        share = (mine - perfect) / mine if mine > 0 else None
        return Regret(1.0 - sure, abs(told - hindsight), share)

    def _infeasible(self) -> Infeasible:
        judged = [i for i, reason in enumerate(self._reasons) if reason in ("limit", "evidence")]
        kept = tuple(int(k.holds[judged].sum()) for k in self._judged.keeping)
        if not kept or not judged:
            return Infeasible(-1, kept, "", -1, None, self._why_unjudged())
        binding = int(np.argmin(kept))
        misses = [max(self._miss(b, k, i) for b, k in self._pairs()) for i in judged]
        nearest = judged[int(np.argmin(misses))]
        miss, name = min(misses), self._roster.given[nearest].name
        if miss <= 0:
            lacking = "what keeps the limits has not enough evidence"
            return Infeasible(-1, kept, name, nearest, 0.0, lacking)
        pairs = self._pairs()
        worst, keeping = max(pairs, key=lambda pair: self._miss(pair[0], pair[1], nearest))
        would = f"{keeping.needed[nearest]:.4g} {worst.quantity.unit}"
        why = (
            f"{self._bounds[binding]} is kept by {kept[binding]} of {len(judged)} candidates; "
            f"{name!r} comes nearest: it would keep {would} for {worst.quantity.name}"
        )
        return Infeasible(binding, kept, name, nearest, miss, why)

    def _why_unjudged(self) -> str:
        """Return why no candidate could be held to the limits, or there are none."""
        lacking = [str(b) for b, k in self._pairs() if k.unknown.any()] or [self._loss.name]
        said: dict[ExclusionReason, str] = {
            "unavailable": "not free",
            "unknown": f"without what is needed for {'; '.join(lacking)}",
            "evidence": "with too little evidence",
        }
        counts = {text: self._reasons.count(reason) for reason, text in said.items()}
        told = ", ".join(f"{count} {text}" for text, count in counts.items() if count)
        return f"no candidate could be judged: {told}"

    def _pairs(self) -> list[tuple[Bound, Keeping]]:
        return list(zip(self._bounds, self._judged.keeping, strict=True))

    def _miss(self, bound: Bound, keeping: Keeping, i: int) -> float:
        if keeping.holds[i]:
            return 0.0
        return max(bound.miss(float(keeping.bounds[i]), float(keeping.needed[i])), 0.0)


def _give(
    reasons: list[ExclusionReason | None], reason: ExclusionReason, where: Sequence[bool]
) -> None:
    for i, there in enumerate(where):
        if there:
            reasons[i] = reason
