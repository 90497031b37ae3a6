"""The search: trials until the budget is used up, and then an honest comparison.

The best of many trials is flattered by its luck on their folds. So the winner and the default
are compared once more, on folds that no trial saw; what is not clearly better is not used.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np

from foretell.errors import Cancelled, ForetellError
from foretell_trainer.crew.others import Nobody, Others
from foretell_trainer.engine.training_set import Progress
from foretell_trainer.search.budget import Budget, Verdict, gain_of
from foretell_trainer.search.parts import part_of_trial, result_of, trial_of
from foretell_trainer.search.study import Study
from foretell_trainer.search.trials import Bar, Ground, Result, Tuned, run_trial

_FRESH = 1000
"""What is added to the seed for folds that no trial saw."""
_MOST_FAILURES = 5


def search(
    ground: Ground,
    budget: Budget,
    folder: Path,
    others: Others | None = None,
    progress: Progress = lambda _stage, _fraction, _numbers: None,
    should_stop: Callable[[], bool] = lambda: False,
) -> Verdict:
    """Search within a budget; what was tried on the same ground before, in `folder`, counts.

    Raises Cancelled when `should_stop` says so; the trials until then are kept.
    """
    return _Search(ground, budget, folder, others or Nobody(), progress, should_stop).run()


class _Search:
    def __init__(
        self,
        ground: Ground,
        budget: Budget,
        folder: Path,
        others: Others,
        progress: Progress,
        should_stop: Callable[[], bool],
    ) -> None:
        self._ground = ground
        self._budget = budget
        self._study = Study(ground, folder)
        self._others = others
        self._progress = progress
        self._should_stop = should_stop
        self._began = time.monotonic()
        self._workers: set[str] = set()

    def run(self) -> Verdict:
        self._hand_out()
        self._measure_default()
        while self._may_ask():
            self._hand_out()
            if not self._take_back() and self._may_ask():
                number, tuned = self._study.ask()
                self._try_here(number, tuned, self._study.bar())
            self._collect(0.0)
        while self._others.waiting() and not self._is_over():
            self._collect(0.0 if self._take_back() else 1.0)
        return self._verdict()

    def _measure_default(self) -> None:
        if self._study.default is None:
            # Without it there is nothing to compare with, so it may take longer than the budget.
            self._study.tell_default(run_trial(self._ground, {}, should_stop=self._should_stop))

    def _hand_out(self) -> None:
        """Send the trials that are known now: one for each who is free; the first all at once.

        Those are drawn at random, whatever comes of others. What nobody begins is taken back.
        """
        free = self._others.free()
        if free <= 0 or not self._may_ask():
            return
        left = self._budget.trials - self._begun()
        bar = self._study.bar()
        asked = (self._study.ask() for _ in range(min(max(free, self._study.at_random()), left)))
        self._others.send({number: part_of_trial(tuned, bar) for number, tuned in asked})

    def _take_back(self) -> bool:
        """Run a trial that was sent and that nobody has begun; return whether there is one."""
        taken = self._others.take()
        if taken is not None:
            number, part = taken
            self._try_here(number, *trial_of(part))
        return taken is not None

    def _may_ask(self) -> bool:
        if self._should_stop():
            raise Cancelled
        failing = self._study.count("FAIL") >= _MOST_FAILURES and not self._ended()
        return self._begun() < self._budget.trials and not self._is_late() and not failing

    def _begun(self) -> int:
        return self._ended() + self._others.waiting()

    def _ended(self) -> int:
        return self._study.count("COMPLETE", "PRUNED")

    def _is_late(self) -> bool:
        return time.monotonic() - self._began > self._budget.seconds

    def _try_here(self, number: int, tuned: Tuned, bar: Bar) -> None:
        try:
            result = run_trial(self._ground, tuned, bar, self._is_over)
        except Cancelled:
            self._study.tell(number, None)
            return
        except ForetellError as error:
            result = Result((), failure=error.message)
        self._tell(number, result)

    def _is_over(self) -> bool:
        return self._is_late() or self._should_stop()

    def _collect(self, wait_s: float) -> None:
        for answer in self._others.answers(wait_s):
            self._workers.add(answer.worker)
            self._tell(answer.number, result_of(answer))

    def _tell(self, number: int, result: Result) -> None:
        self._study.tell(number, result)
        spent = (time.monotonic() - self._began) / self._budget.seconds
        share = max(self._ended() / self._budget.trials, spent)
        best, default = self._study.best(), self._study.default
        numbers = {"trials": float(self._ended())}
        if best is not None and default is not None:
            numbers["gain"] = float(-np.expm1(best[1] - default.mean))
        self._progress("searching", min(share, 1.0), numbers)

    def _verdict(self) -> Verdict:
        best, default = self._study.best(), self._study.default
        verdict = Verdict(
            family=self._ground.settings.family,
            trials=self._ended(),
            stopped=self._study.count("PRUNED"),
            failed=self._study.count("FAIL"),
            seconds=time.monotonic() - self._began,
            workers=len(self._workers),
            tuned={},
            gain=0.0,
            doubt=0.0,
        )
        if best is None or default is None or best[1] >= default.mean:
            return verdict
        gain, doubt = self._compared(best[0])
        seconds = time.monotonic() - self._began
        return replace(verdict, tuned=best[0], gain=gain, doubt=doubt, seconds=seconds)

    def _compared(self, tuned: Tuned) -> tuple[float, float]:
        self._progress("comparing", 1.0, {})
        seed = self._ground.settings.seed + _FRESH
        default, best = (
            list(self._ground.errors(settings, seed, self._should_stop)) for settings in ({}, tuned)
        )
        gains: dict[tuple[int, str], list[float]] = {}
        for (kind, before), (_, after) in zip(default, best, strict=True):
            gains.setdefault(kind, []).append(before - after)
        return gain_of(gains.values())
