"""From observations to the messages of ObservationService."""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime
from itertools import islice
from typing import Any

import numpy as np
from pydantic import ValidationError

from foretell.client.requests import fill_features, refuse
from foretell.errors import InvalidInput, Violation
from foretell.observation import Observation
from foretell.v1 import observation_pb2

OBSERVATIONS_PER_CALL = 1000

_OUTCOMES = {
    "completed": observation_pb2.OUTCOME_COMPLETED,
    "timeout": observation_pb2.OUTCOME_TIMEOUT,
    "out_of_memory": observation_pb2.OUTCOME_OUT_OF_MEMORY,
    "cancelled": observation_pb2.OUTCOME_CANCELLED,
    "failed": observation_pb2.OUTCOME_FAILED,
}


def report_requests(
    observations: Iterable[Observation | Mapping[str, Any]],
) -> Iterator[observation_pb2.ReportRequest]:
    """Pack observations into requests.

    A mapping without an id or a time gets a random id and the time of the call; one that has a
    prediction id and no features gets the prediction id, so that the outcome of an answer is one
    observation, however often it is reported. InvalidInput names what is no observation.
    """
    rest = iter(observations)
    first = 0
    while batch := list(islice(rest, OBSERVATIONS_PER_CALL)):
        request = observation_pb2.ReportRequest()
        violations: list[Violation] = []
        for index, given in enumerate(batch, first):
            path = f"observations[{index}]"
            try:
                violations += _fill(request.observations.add(), _observation(given, path), path)
            except InvalidInput as error:
                violations += error.violations
        refuse(violations)
        yield request
        first += len(batch)


def _observation(given: Observation | Mapping[str, Any], path: str) -> Observation:
    if isinstance(given, Observation):
        return given
    by_prediction = "" if given.get("features") else str(given.get("prediction_id") or "")
    fields = {"id": by_prediction or str(uuid.uuid4()), "time": datetime.now(UTC), **given}
    for name in ("features", "metrics", "lower_bounds"):
        if isinstance(fields.get(name), Mapping):
            fields[name] = {key: _plain(value) for key, value in fields[name].items()}
    try:
        return Observation.model_validate(fields)
    except ValidationError as error:
        raise InvalidInput(
            [
                Violation(".".join([path, *map(str, e["loc"])]), repr(e["input"]), e["msg"])
                for e in error.errors(include_url=False)
            ]
        ) from error


def _fill(
    message: observation_pb2.Observation, observation: Observation, path: str
) -> list[Violation]:
    message.id = observation.id
    message.workload = observation.workload
    message.observe_time.FromDatetime(observation.time)
    message.source = observation.source
    message.simulated = observation.simulated
    message.outcome = _OUTCOMES[observation.outcome]
    message.metrics.update(observation.metrics)
    message.lower_bounds.update(observation.lower_bounds)
    message.prediction_id = observation.prediction_id
    message.tag = observation.tag
    return fill_features(message.features, observation.features, f"{path}.features")


def _plain(value: object) -> object:
    return value.item() if isinstance(value, np.generic) else value
