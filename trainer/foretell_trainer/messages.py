"""From a message's observations to a batch: each one is stored, or rejected with its reason."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import cast

from pydantic import TypeAdapter, ValidationError

from foretell.errors import ForetellError
from foretell.observation import Observation, ObservationChecker
from foretell.schema import Schema
from foretell_trainer.anomalies.identities import Identities
from foretell_trainer.batches import Batch, BatchBuilder, RejectedRow

_MANY = TypeAdapter(list[Observation])


def check_messages(schema: Schema, observations: Sequence[object]) -> Batch:
    """Check the observations of one message, in their JSON form, against the schema."""
    checker = ObservationChecker(schema)
    rejected: list[RejectedRow] = []
    accepted: list[Observation] = []
    for raw, parsed in zip(observations, _parse(observations), strict=True):
        why = parsed if isinstance(parsed, str) else _violations(checker, parsed)
        if isinstance(parsed, str) or why:
            rejected.append(_rejection(raw, why))
        else:
            accepted.append(parsed)
    builder = BatchBuilder(schema.workload, Identities(schema).complaint if schema.links else None)
    builder.extend(accepted)
    return builder.build(rejected)


def reject_messages(workload: str, observations: Sequence[object], reason: str) -> Batch:
    """Return a batch that rejects all of a message's observations for one reason."""
    return BatchBuilder(workload).build([_rejection(raw, reason) for raw in observations])


def reason_of(error: ForetellError) -> str:
    """Return an error as the text that stands in the rejected observations."""
    return f"{error.reason}: {error.message}"


def _parse(observations: Sequence[object]) -> Sequence[Observation | str]:
    """Parse all at once; only when that fails, one by one, to tell which are wrong."""
    try:
        return _MANY.validate_python(observations)
    except ValidationError:
        return [_parse_one(raw) for raw in observations]


def _parse_one(raw: object) -> Observation | str:
    try:
        return Observation.model_validate(raw)
    except ValidationError as error:
        faults = (
            f"{'.'.join(map(str, fault['loc'])) or 'observation'}: {fault['msg']}"
            for fault in error.errors(include_url=False)
        )
        return "; ".join(faults)


def _violations(checker: ObservationChecker, observation: Observation) -> str:
    found = checker.check(observation)
    return "; ".join(map(str, found)) if found else ""


def _rejection(raw: object, reason: str) -> RejectedRow:
    fields = cast("dict[str, object]", raw) if isinstance(raw, dict) else {}
    return RejectedRow(
        source=str(fields.get("source", "")),
        line=None,
        reason=reason,
        content=json.dumps(raw, default=str, ensure_ascii=False),
        observation_id=str(fields.get("id", "")),
    )
