"""One node with slots: tasks arrive, wait, and run to their end; a policy picks who is next."""

from __future__ import annotations

import heapq
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from foretell.forecast import Forecasts
from foretell_trainer.engine.inputs import Floats, Integers

Policy = Callable[[float, Sequence[int]], int]
"""From the time and the waiting tasks, in the order they came, to the place of the next one."""


@dataclass(frozen=True)
class Workload:
    """Which tasks arrive when, and by when they should be done; [n] each."""

    task: Integers
    """Which of the measured tasks each one is."""
    duration_s: Floats
    arrival_s: Floats
    deadline_s: Floats


@dataclass(frozen=True)
class Outcome:
    """How a replay went."""

    mean_slowdown: float
    """Mean of (waiting + running) / running."""
    late: float
    """Share of the tasks that missed their deadline."""


def draw(durations: Floats, count: int, slots: int, load: float, seed: int) -> Workload:
    """Return so many tasks that arrive at random, at a load of all slots together.

    Each has a deadline of its own: between 1.5 and 6 times what it takes, and 2 s.
    """
    rng = np.random.default_rng(seed)
    repeats = -(-count // len(durations))
    order = [rng.permutation(len(durations)) for _ in range(repeats)]
    task = np.concatenate(order)[:count]
    took = durations[task]
    arrival = np.cumsum(rng.exponential(took.mean() / (slots * load), count))
    return Workload(task, took, arrival, arrival + rng.uniform(1.5, 6.0, count) * took + 2.0)


def replay(work: Workload, slots: int, policy: Policy) -> Outcome:
    """Run all tasks; nothing that has begun is interrupted."""
    start = np.zeros(len(work.task))
    busy: list[float] = []
    waiting: list[int] = []
    coming, now = 0, 0.0
    while coming < len(work.task) or waiting:
        if not waiting:
            now = max(now, work.arrival_s[coming])
        if len(busy) == slots:
            now = max(now, heapq.heappop(busy))
        while coming < len(work.task) and work.arrival_s[coming] <= now:
            waiting.append(coming)
            coming += 1
        if waiting:
            chosen = waiting.pop(policy(now, waiting))
            start[chosen] = now
            heapq.heappush(busy, now + work.duration_s[chosen])
    end = start + work.duration_s
    slowdown = (end - work.arrival_s) / work.duration_s
    return Outcome(float(slowdown.mean()), float((end > work.deadline_s).mean()))


def first_come(_now: float, _waiting: Sequence[int]) -> int:
    """Take who came first."""
    return 0


def shortest(predicted: Floats) -> Policy:
    """Take what is predicted to be shortest, [n] by task of the workload."""

    def pick(_now: float, waiting: Sequence[int]) -> int:
        return int(np.argmin(predicted[list(waiting)]))

    return pick


def earliest_feasible(work: Workload, probability: Callable[[float, Integers], Floats]) -> Policy:
    """Take the earliest deadline that can probably still be met; without any, the latest late one.

    `probability` says with what probability tasks take at most so many seconds each.
    """

    def pick(now: float, waiting: Sequence[int]) -> int:
        here = np.array(waiting)
        deadlines = work.deadline_s[here]
        hopeful = probability(now, here) >= 0.5
        if hopeful.any():
            return int(np.argmin(np.where(hopeful, deadlines, np.inf)))
        return int(np.argmin(deadlines))

    return pick


def by_point(work: Workload, predicted: Floats) -> Callable[[float, Integers], Floats]:
    """Return the certainty of one who has a number: 1 if it fits, else 0."""
    return lambda now, here: (now + predicted[here] <= work.deadline_s[here]).astype(np.float64)


def by_forecast(
    work: Workload, forecasts: Forecasts, metric: str
) -> Callable[[float, Integers], Floats]:
    """Return the probability that a distribution gives."""

    def probability(now: float, here: Integers) -> Floats:
        left = work.deadline_s[here] - now
        return forecasts.take(work.task[here]).probability_within(metric, np.maximum(left, 1e-9))

    return probability
