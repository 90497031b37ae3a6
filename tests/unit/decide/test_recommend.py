"""Recommendations: what is ranked, by what, and what is said about it."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from foretell.decide import (
    Candidate,
    CandidateSet,
    Decider,
    Limit,
    Objective,
    Recommend,
    Recommendation,
    Term,
)
from foretell.errors import InvalidInput
from tests.lab import HARDWARE, LATENCY


def ask(decider: Decider, objective: str = "latency_ms", **changes: Any) -> Recommendation:  # noqa: ANN401
    """Ask for one job of batch size 4 on all hardware."""
    risk = {name: changes.pop(name) for name in ("risk", "quantile") if name in changes}
    given_: dict[str, Any] = {
        "features": {"batch_size": 4.0},
        "objective": Objective((Term(objective),), **risk),
        "candidates": tuple(Candidate(name) for name in HARDWARE),
        **changes,
    }
    return decider.recommend(Recommend(**given_))


def order(answer: Recommendation) -> list[str]:
    """Return the names of what is ranked, best first."""
    return [ranked.name for ranked in answer.ranked]


def test_a_lower_median_does_not_win_against_certainty(decider: Decider) -> None:
    """What is best by its median, but hardly known, ranks behind what is surely nearly as good."""
    assert order(ask(decider)) == ["fast", "huge", "vague", "old"]
    assert order(ask(decider, quantile=0.5))[0] == "vague"


def test_ignorance_is_no_merit_where_more_is_better(decider: Decider) -> None:
    """A throughput is weighed by the time per unit of work, so that a wide forecast loses."""
    assert order(ask(decider, "throughput_per_s"))[:2] == ["fast", "huge"]


def test_more_risk_aversion_never_makes_a_choice_look_better(decider: Decider) -> None:
    """The mean over the worst outcomes grows with the share that is left out."""
    costs = [ask(decider, risk=risk).ranked[0].objective for risk in (0.0, 0.5, 0.9, 0.99)]
    assert costs == sorted(costs)
    assert costs[0] == pytest.approx(20 * math.exp(0.05**2 / 2), rel=1e-3)


def test_limits_exclude_and_say_why(decider: Decider) -> None:
    """A candidate that breaks a limit is not ranked; the answer says how it would have held."""
    answer = ask(decider, limits=(Limit("latency_ms", at_most=30.0),))
    assert order(answer) == ["fast", "huge"]
    by_name = {excluded.name: excluded for excluded in answer.excluded}
    assert set(by_name) == {"old", "vague"}
    check = by_name["vague"].limits[0]
    assert by_name["vague"].reason == "limit"
    assert check.probability == pytest.approx(0.716, abs=0.01)
    assert check.needed == pytest.approx(19 * math.exp(1.645 * 0.8), rel=0.02)
    assert "latency_ms <= 30 ms with 95 %" in by_name["vague"].why


def test_a_limit_holds_exactly_where_its_probability_says_so(decider: Decider) -> None:
    """The bound that a candidate is told to need is one that it then keeps, and none below."""
    told = ask(decider, limits=(Limit("latency_ms", at_most=1.0),)).excluded[0]
    needed = told.limits[0].needed
    assert needed is not None
    for factor, kept in ((1.001, True), (0.999, False)):
        limit = Limit("latency_ms", at_most=needed * factor)
        assert (told.name in order(ask(decider, limits=(limit,)))) is kept


def test_memory_is_held_against_the_capacity_of_the_hardware(decider: Decider) -> None:
    """A limit may be a fact of each candidate; where that is not known, it does not hold."""
    limit = Limit("memory_mb", at_most_fact="memory_gb", share=0.9)
    answer = ask(decider, features={"batch_size": 10.0}, limits=(limit,))
    assert order(answer) == ["fast", "huge"]
    reasons = {excluded.name: excluded.reason for excluded in answer.excluded}
    assert reasons == {"old": "limit", "vague": "unknown"}


def test_facts_can_be_limited(decider: Decider) -> None:
    """A limit on a fact of the catalog is certain: it holds or it does not."""
    answer = ask(decider, limits=(Limit("tdp_w", at_most=350.0),))
    assert order(answer) == ["fast", "vague", "old"]
    assert answer.ranked[0].limits[0].probability == 1.0


def test_cost_is_price_times_time(decider: Decider) -> None:
    """The cost of a unit of work is its time, from the throughput, times the price."""
    candidates = (Candidate("fast", price_per_hour=3.6), Candidate("old", price_per_hour=0.36))
    answer = ask(decider, "cost", candidates=candidates)
    assert order(answer) == ["old", "fast"]
    fast = answer.ranked[1]
    seconds = LATENCY["fast"] * 2 / 1000 / 4 * math.exp(0.05**2 / 2)
    assert fast.cost == pytest.approx(3.6 / 3600 * seconds, rel=1e-3)
    assert answer.objective_unit == "price/jobs"
    assert fast.energy_j == pytest.approx(300 * seconds, rel=0.01)


def test_a_mix_weighs_its_terms(decider: Decider) -> None:
    """The weights decide between a fast and a thrifty candidate."""
    picks = []
    for weight in (0.01, 100.0):
        mix = Objective((Term("latency_ms", 1.0, 10.0), Term("power_w", weight, 100.0)))
        picks.append(order(ask_mix(decider, mix))[0])
    assert picks == ["fast", "old"]


def ask_mix(decider: Decider, objective: Objective) -> Recommendation:
    """Ask with an objective of several terms."""
    candidates = tuple(Candidate(name) for name in HARDWARE)
    return decider.recommend(Recommend({"batch_size": 4.0}, objective, candidates))


def test_candidates_may_differ_in_more_than_their_name(decider: Decider) -> None:
    """The same hardware may stand there with several batch sizes."""
    candidates = tuple(Candidate("fast", {"batch_size": size}) for size in (1.0, 16.0, 256.0))
    answer = ask(decider, "throughput_per_s", features={}, candidates=candidates)
    assert [ranked.index for ranked in answer.ranked] == [2, 1, 0]


def test_all_known_hardware_can_be_asked_for(decider: Decider) -> None:
    """`all_known` ranks what the bundle knows, with what is said about some of it."""
    named = (Candidate("old", available=0),)
    answer = ask(decider, candidates=named, all_known=True)
    assert answer.candidate_count == len(HARDWARE)
    assert set(order(answer)) == set(HARDWARE) - {"old"}
    assert answer.excluded[0].reason == "unavailable"


def test_hardware_that_nobody_knows_comes_with_facts(decider: Decider) -> None:
    """An unknown name with facts is ranked, as cold as it is."""
    answer = ask(decider, candidates=(Candidate("new", {"memory_gb": 32.0}),))
    assert answer.ranked[0].tier == "cold"
    assert answer.ranked[0].unknown_features == ("hardware",)


def test_too_little_evidence_is_said(decider: Decider) -> None:
    """Below the support that the caller wants, a candidate is not recommended."""
    answer = ask(decider, support_floor=0.75)
    assert order(answer) == ["fast", "huge"]
    assert {e.reason for e in answer.excluded} == {"evidence"}
    nothing = ask(decider, support_floor=1.0)
    assert nothing.verdict == "insufficient_evidence"


def test_the_verdict_says_how_far_the_first_can_be_relied_on(decider: Decider) -> None:
    """One that is surely best is clear; equals are close; where hindsight pays, evidence lacks."""
    assert ask(decider, candidates=(Candidate("fast"), Candidate("old"))).verdict == "clear"
    equals = (Candidate("fast"), Candidate("fast", {"batch_size": 4.001}))
    assert ask(decider, candidates=equals).verdict == "close"
    vague = tuple(Candidate("vague", {"batch_size": size}) for size in (4.0, 4.1, 4.2))
    assert ask(decider, candidates=vague).verdict == "insufficient_evidence"


def test_regret_is_what_hindsight_would_save(decider: Decider) -> None:
    """A choice that always is the best has no regret; between equals it is the mean gap."""
    sure = ask(decider, candidates=(Candidate("fast"), Candidate("old")))
    assert sure.regret is not None
    assert sure.regret.relative is not None
    assert sure.regret.probability_another_better < 0.01
    assert sure.regret.relative < 1e-3
    equal = ask(
        decider, candidates=(Candidate("fast"), Candidate("fast", {"batch_size": 4.000001}))
    )
    assert equal.regret is not None
    assert equal.regret.relative is not None
    # Two normal errors that correlate by one half: E[max(0, a - b)] = spread / sqrt(2 pi).
    assert equal.regret.relative == pytest.approx(0.05 / math.sqrt(2 * math.pi), rel=0.15)
    assert equal.regret.expected == pytest.approx(20 * equal.regret.relative, rel=0.01)


def test_without_a_feasible_candidate_the_nearest_is_named(decider: Decider) -> None:
    """The answer says which limit binds, and who misses by how much."""
    limits = (Limit("latency_ms", at_most=19.0), Limit("power_w", at_most=1000.0))
    answer = ask(decider, limits=limits, candidates=(Candidate("fast"), Candidate("huge")))
    assert not answer.ranked
    assert answer.regret is None
    assert answer.verdict == "infeasible"
    found = answer.infeasible
    assert found is not None
    assert (found.binding, found.kept_by, found.nearest) == (0, (0, 2), "fast")
    assert found.miss == pytest.approx(20 * math.exp(1.645 * 0.05) / 19 - 1, rel=0.02)


def test_a_limit_that_nobody_can_be_held_to_is_named(decider: Decider) -> None:
    """Where no candidate can be judged, the answer says what is missing, and of how many."""
    limit = Limit("price_per_hour", at_most=3.0)
    unknown = decider.recommend(
        Recommend(
            {"batch_size": 4.0},
            Objective((Term("latency_ms"),)),
            (Candidate("fast"),),
            limits=(limit,),
        )
    )
    assert unknown.infeasible is not None
    said = "no candidate could be judged: 1 without what is needed for price_per_hour <= 3 price/h"
    assert unknown.infeasible.why == said
    taken = (Candidate("fast", available=0), Candidate("old", available=0))
    none = decider.recommend(
        Recommend({"batch_size": 4.0}, Objective((Term("latency_ms"),)), taken)
    )
    assert none.infeasible is not None
    assert none.infeasible.why == "no candidate could be judged: 2 not free"


def test_the_pareto_front_leaves_out_what_is_dominated(decider: Decider) -> None:
    """Who is beaten in everything is not on the front; who is best in one thing is."""
    answer = ask(decider, pareto=("latency_ms", "power_w"))
    assert [HARDWARE[i] for i in answer.front] == ["fast", "vague", "old"]
    assert [r.name for r in answer.ranked if r.on_front] == ["fast", "vague", "old"]


def test_probabilities_of_being_best_add_up(decider: Decider) -> None:
    """Somebody is the best."""
    answer = ask(decider)
    assert sum(r.probability_best for r in answer.ranked) == pytest.approx(1.0)


def test_results_can_be_cut_short(decider: Decider) -> None:
    """Fewer results change what is shown, not what is ranked."""
    answer = ask(decider, max_results=1)
    assert (len(answer.ranked), answer.ranked_count) == (1, 4)
    assert answer.ranked[0] == ask(decider).ranked[0]


@given(st.permutations(HARDWARE))
def test_the_order_of_candidates_changes_no_ranking(decider: Decider, names: list[str]) -> None:
    """Candidates are ranked by what they are, not by where they stand."""
    answer = ask(decider, candidates=tuple(map(Candidate, names)))
    assert order(answer) == ["fast", "huge", "vague", "old"]


def test_the_answer_is_the_same_again(decider: Decider) -> None:
    """The same question has the same answer: nothing is drawn anew."""
    assert ask(decider, risk=0.9) == ask(decider, risk=0.9)
    assert not any(np.isnan(r.objective) for r in ask(decider).ranked)


SETS = [
    [Candidate(name) for name in HARDWARE],
    [Candidate("fast", {"batch_size": size}, price_per_hour=size) for size in (1.0, 8.0, 64.0)],
    [Candidate("fast", available=0), Candidate("new", {"memory_gb": 32.0}), Candidate("old")],
    [Candidate("fast", price_per_hour=-1.0), Candidate("nobody"), Candidate("fast")],
    [],
]
KEPT = [CandidateSet(candidates) for candidates in SETS]


@given(
    which=st.integers(0, len(SETS) - 1),
    every=st.booleans(),
    size=st.sampled_from([0.5, 2.0, 300.0]),
    quantity=st.sampled_from(["latency_ms", "throughput_per_s", "cost", "nothing"]),
    limit=st.sampled_from([None, 10.0, 25.0, -1.0]),
)
def test_candidates_that_are_known_again_are_answered_as_any(
    decider: Decider,
    which: int,
    every: bool,
    size: float,
    quantity: str,
    limit: float | None,
) -> None:
    """What a decider remembers of a set changes no answer and no refusal."""

    def answer(candidates: Any) -> object:  # noqa: ANN401 -- either kind
        limits = () if limit is None else (Limit("latency_ms", at_most=limit),)
        objective = Objective((Term(quantity),))
        features = {"batch_size": size}
        asked = Recommend(features, objective, candidates, all_known=every, limits=limits)
        try:
            return decider.recommend(asked)
        except InvalidInput as error:
            return error.violations

    assert answer(KEPT[which]) == answer(tuple(SETS[which]))
