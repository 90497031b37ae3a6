"""Reports: what was measured, checked one by one, and handed to the broker as one message."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import compress
from typing import Any

from pydantic import TypeAdapter, ValidationError

from foretell.errors import InvalidInput, NotFound, Violation
from foretell.observation import Observation, ObservationChecker
from foretell_server.outbox import Outbox
from foretell_server.reported import Reported
from foretell_server.schemas import Schemas

SCHEMA_KEPT_S = 2.0

ObservationJson = Mapping[str, Any]
"""What `foretell.observation.Observation` is made of, right or wrong."""


@dataclass(frozen=True, slots=True)
class Recalled:
    """What is known of a prediction of the past."""

    features: Mapping[str, Any]
    bundle_version: str


_MANY = TypeAdapter(list[Observation])

Recall = Callable[[str, str], Recalled | None]
"""Returns what a workload's prediction was asked with, by its id; None if unknown."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """What became of one observation: accepted, or rejected for these reasons."""

    observation_id: str
    violations: tuple[Violation, ...] = ()
    already_reported: bool = False
    """Whether its answer's outcome was reported before, by the same id: that one is kept."""


class Reporter:
    """Takes observations. Blocking: runs in a thread."""

    def __init__(
        self, schemas: Schemas, outbox: Outbox, reported: Reported, max_rows: int, recall: Recall
    ) -> None:
        self._schemas = schemas
        self._reported = reported
        self._recall = recall
        self._outbox = outbox
        self._max_rows = max_rows
        self._checkers: dict[str, tuple[float, ObservationChecker]] = {}

    def report(self, observations: Sequence[ObservationJson]) -> list[Verdict]:
        """Return one verdict per observation, once the broker holds them all.

        The rejected ones go to the trainer too: it checks by the same rules
        (`foretell_trainer.messages`), and stores them apart, with the reason. Raises
        Unavailable when the broker does not have all of them; reporting again is safe.
        """
        if not observations:
            message = "at least 1 observation is needed"
            raise InvalidInput([Violation("observations", "", message)])
        if len(observations) > self._max_rows:
            count = len(observations)
            message = f"{count} are more than the {self._max_rows} that one call may have"
            raise InvalidInput([Violation("observations", str(count), message)])
        observations = [self._filled(o) if o["prediction_id"] else o for o in observations]
        by_workload: dict[str, list[ObservationJson]] = {}
        for observation in observations:
            by_workload.setdefault(str(observation["workload"]), []).append(observation)
        verdicts = self._verdicts(observations, by_workload)
        for workload, batch in by_workload.items():
            self._outbox.ingest(workload, batch)
        return self._with_repeats(observations, verdicts)

    def _with_repeats(
        self, observations: Sequence[ObservationJson], verdicts: Sequence[Verdict]
    ) -> list[Verdict]:
        """Return the verdicts, those marked that are about an answer whose outcome is known."""
        told = list(verdicts)
        places: dict[str, list[int]] = {}
        for i, (observation, verdict) in enumerate(zip(observations, verdicts, strict=True)):
            if observation["prediction_id"] and not verdict.violations:
                places.setdefault(str(observation["workload"]), []).append(i)
        for workload, which in places.items():
            known = self._reported.note(workload, [told[i].observation_id for i in which])
            for i in compress(which, known):
                told[i] = replace(told[i], already_reported=True)
        return told

    def _filled(self, observation: ObservationJson) -> ObservationJson:
        """Return an observation with the features that its prediction was asked with.

        Without any of its own, that is, and with the version that answered; as it is when the
        prediction is not known any more.
        """
        found = self._recall(str(observation["workload"]), str(observation["prediction_id"]))
        if found is None:
            return observation
        features = observation["features"] or found.features
        return {**observation, "features": features, "answered_by": found.bundle_version}

    def _verdicts(
        self,
        observations: Sequence[ObservationJson],
        by_workload: Mapping[str, Sequence[ObservationJson]],
    ) -> list[Verdict]:
        """Return what is wrong with each; they are read only where something may be wrong."""
        if all(self._are_plain(workload, batch) for workload, batch in by_workload.items()):
            return [Verdict(str(observation["id"])) for observation in observations]
        try:
            read = _MANY.validate_python(observations)
        except ValidationError:
            return [self._verdict(observation) for observation in observations]
        return [self._checked(observation) for observation in read]

    def _are_plain(self, workload: str, batch: Sequence[ObservationJson]) -> bool:
        checker = self._checker(workload)
        return not isinstance(checker, Violation) and checker.are_plain(batch)

    def _verdict(self, observation: ObservationJson) -> Verdict:
        name = str(observation["id"])
        checker = self._checker(str(observation["workload"]))
        if isinstance(checker, Violation):
            return Verdict(name, (checker,))
        try:
            return self._checked(Observation.model_validate(observation))
        except ValidationError as error:
            faults = error.errors(include_url=False, include_context=False)
            return Verdict(name, tuple(map(_violation, faults)))

    def _checked(self, observation: Observation) -> Verdict:
        checker = self._checker(observation.workload)
        if isinstance(checker, Violation):
            return Verdict(observation.id, (checker,))
        found = checker.check(observation)
        if not found:
            return Verdict(observation.id)
        return Verdict(observation.id, tuple(replace(v, field=_public(v.field)) for v in found))

    def _checker(self, workload: str) -> ObservationChecker | Violation:
        """Return what checks a workload's observations, or why there is nothing."""
        now = time.monotonic()
        made_at, checker = self._checkers.get(workload, (0.0, None))
        if checker is not None and now - made_at <= SCHEMA_KEPT_S:
            return checker
        try:
            found = ObservationChecker(self._schemas.get(workload))
        except NotFound as error:
            return Violation("workload", workload, error.message)
        self._checkers[workload] = (now, found)
        return found


def _violation(fault: Mapping[str, Any]) -> Violation:
    first, *rest = [str(part) for part in fault["loc"]] or [""]
    return Violation(".".join([_public(first), *rest]), "", str(fault["msg"]))


def _public(field: str) -> str:
    """Return a field's name as in observation.proto: callers know no others."""
    return "observe_time" if field == "time" else field
