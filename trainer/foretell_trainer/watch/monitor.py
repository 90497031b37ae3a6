"""The monitor of one bundle: follows its groups, and says what begins and ends."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from foretell.events import Event, EventKind
from foretell.live import LiveReport, LiveScore, Regression
from foretell.predictor import Predictor
from foretell_trainer.corrections.outcomes import Outcomes
from foretell_trainer.watch.blame import Blame, Id, Key
from foretell_trainer.watch.groups import ALARMS, Watched
from foretell_trainer.watch.regressions import Run
from foretell_trainer.watch.scored import Score, Scored, score_outcomes

MOST_GROUPS = 2000
"""Beyond these, groups are not watched: each costs memory and time."""
REMEMBERED = 400
"""So many outcomes of a group, the newest, are searched for a regression."""
SINGLE = 1
"""Of the last 10 outcomes so many may be impossible; more of them are a change of the world."""

_SENTENCES: Mapping[EventKind, str] = {
    "drift": "errors are distributed otherwise than before",
    "bias": "forecasts are {side}: measured is {median_ratio:.3g} times the forecast",
    "coverage": "90 % intervals hold for {coverage:.0%} of the last {outcomes:.0f} outcomes",
    "regression": "worse than before",
}


@dataclass
class Monitor:
    """Follows the groups of one bundle. One thread uses it."""

    predictor: Predictor
    regression_percent: float
    regressions: dict[Key, Regression] = field(default_factory=dict)
    _told: dict[Key, frozenset[str]] = field(default_factory=dict)
    _groups: dict[Key, Watched] = field(default_factory=dict)
    _runs: dict[Key, deque[Run]] = field(default_factory=dict)
    _far: dict[tuple[str, ...], deque[bool]] = field(default_factory=dict)

    def take(self, outcomes: Outcomes) -> tuple[list[Event], dict[int, str]]:
        """Take further outcomes into account.

        Returns what is to be told, and which observations are impossible, by number.
        """
        scored = score_outcomes(self.predictor, outcomes)
        impossible: dict[int, str] = {}
        touched: set[Key] = set()
        drifted: dict[Key, None] = {}
        for row in range(len(scored)):
            why = self._impossible(scored, row)
            if why:
                impossible[_about(scored, row)] = why
                continue
            ids = tuple(
                (names[0], values[0]) for names, values in scored.of_groups(row) if len(names) == 1
            )
            for key, score in self._cells(scored, row):
                touched.add(key)
                if self._add(key, score, ids):
                    drifted[key] = None
        events = [self._event(key, "drift", began=True) for key in drifted if self._drifts(key)]
        events += [
            self._event(key, alarm, began=began)
            for key in touched
            if key in self._groups
            for alarm, began in self._groups[key].judge()
        ]
        return events + list(self._compare(touched)), impossible

    def remember(self, report: LiveReport) -> None:
        """Take over what was told already: regressions, and the alarms of this very bundle."""
        for found in report.regressions:
            key = (found.metric, tuple(found.group), tuple(found.group.values()))
            self.regressions[key] = found
        for score in report.scores:
            if score.bundle_version == self.predictor.version and not score.is_shadow:
                key = (score.metric, tuple(score.group), tuple(score.group.values()))
                self._told[key] = frozenset(score.alarms)

    def scores(self, *, is_shadow: bool = False) -> Iterator[LiveScore]:
        """Yield the live scores, the workload's before its groups'."""
        for _, watched in sorted(self._groups.items(), key=lambda item: len(item[0][1])):
            yield watched.score(self.predictor.version, is_shadow=is_shadow)

    def _impossible(self, scored: Scored, row: int) -> str:
        """Return why an outcome is impossible, if it is, and alone among those of its group."""
        finest = max((v[row] for v in scored.values), key=len, default=())
        recent = self._far.setdefault(finest, deque(maxlen=10))
        why = scored.beyond.get(row, "")
        recent.append(bool(why))
        return why if sum(recent) <= SINGLE else ""

    def _cells(self, scored: Scored, row: int) -> Iterator[tuple[Key, Score]]:
        for metric, scores in zip(self.predictor.schema.metrics, scored.scores, strict=True):
            score = scores[row]
            if score is not None:
                for names, values in scored.of_groups(row):
                    yield (metric.name, names, values), score

    def _add(self, key: Key, score: Score, ids: tuple[Id, ...]) -> bool:
        """Add to a group's outcomes; return whether its errors are distributed otherwise now."""
        metric = self.predictor.schema.metric(key[0])
        if key not in self._runs and len(self._runs) >= MOST_GROUPS:
            return False
        if metric.scale == "log":
            sign = 1.0 if metric.direction == "lower" else -1.0
            run = Run(score.about.observed_at, score.about.tag, sign * score.error, ids)
            self._runs.setdefault(key, deque(maxlen=REMEMBERED)).append(run)
        if not score.is_live:
            return False
        watched = self._groups.get(key)
        if watched is None:
            group = dict(zip(key[1], key[2], strict=True))
            told = {alarm for alarm in ALARMS if alarm in self._told.get(key, ())}
            watched = Watched(key[0], group, metric.scale == "log", alarms=told)
            self._groups[key] = watched
        return watched.add(score)

    def _drifts(self, key: Key) -> bool:
        """Note that a group drifts; return whether that is news."""
        alarms = self._groups[key].alarms
        is_news = "drift" not in alarms
        alarms.add("drift")
        return is_news

    def _compare(self, touched: set[Key]) -> Iterator[Event]:
        blame = Blame(self._runs, self.regression_percent)
        for key in sorted(touched):
            # The workload as a whole is a mixture: what runs changes, and is no regression.
            change = blame.change(key) if key[1] else None
            known = self.regressions.get(key)
            if change is None and known is None:
                continue
            if change is None:
                del self.regressions[key]
                yield self._event(key, "regression", began=False)
                continue
            group = dict(zip(key[1], key[2], strict=True))
            self.regressions[key] = found = change.regression(key[0], group)
            if known is None:
                yield _regression_event(self.predictor, found)

    def _event(self, key: Key, kind: EventKind, *, began: bool) -> Event:
        metric, names, values = key
        group = dict(zip(names, values, strict=True))
        watched = self._groups.get(key)
        numbers = {}
        if watched is not None and watched.newest:
            score = watched.score(self.predictor.version)
            numbers = {
                "coverage": score.coverage,
                "median_ratio": score.median_ratio,
                "median_error": score.median_error,
                "outcomes": float(score.outcomes),
            }
        side = "too low" if numbers.get("median_ratio", 1.0) > 1 else "too high"
        sentence = _SENTENCES[kind].format(side=side, **numbers) if began else "right again"
        return Event(
            workload=self.predictor.schema.workload,
            kind=kind,
            metric=metric,
            group=group,
            message=f"{metric} of {_named(group)}: {sentence}",
            numbers=numbers,
            bundle_version=self.predictor.version,
            recovered=not began,
        )


def _regression_event(predictor: Predictor, found: Regression) -> Event:
    versions = f", {found.tag} after {found.baseline_tag}" if found.tag else ""
    return Event(
        workload=predictor.schema.workload,
        kind="regression",
        metric=found.metric,
        group=found.group,
        message=f"{found.metric} of {_named(found.group)} is {found.ratio:.2f} times worse since "
        f"{found.since:%Y-%m-%d %H:%M:%S} UTC{versions}",
        numbers={
            "ratio": found.ratio,
            "outcomes": float(found.outcomes),
            "baseline": float(found.baseline),
        },
        bundle_version=predictor.version,
    )


def _named(group: Mapping[str, str]) -> str:
    return ", ".join(f"{name} {value}" for name, value in group.items()) or "all"


def _about(scored: Scored, row: int) -> int:
    return next(column[row].about.number for column in scored.scores if column[row] is not None)  # type: ignore[union-attr]  # those that are None are left out
