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


def check_messages(schema: Schema, observations: Sequence[object] | bytes) -> Batch:
    """Check the observations of one message, in their JSON form or as its text."""
    parsed = _parse(observations)
    accepted = [one for one in parsed if not isinstance(one, str)]
    violations = ObservationChecker(schema).check_many(accepted)
    rejected: list[RejectedRow] = []
    if len(accepted) < len(parsed) or any(violations):
        found = iter(violations)
        reasons = [o if isinstance(o, str) else "; ".join(map(str, next(found))) for o in parsed]
        raws = _listed(observations)
        rejected = [_rejection(raw, why) for raw, why in zip(raws, reasons, strict=True) if why]
        accepted = [o for o, wrong in zip(accepted, violations, strict=True) if not wrong]
    builder = BatchBuilder(schema.workload, Identities(schema).complaint if schema.links else None)
    builder.extend(accepted)
    return builder.build(rejected)


def _listed(observations: Sequence[object] | bytes) -> Sequence[object]:
    """Return the observations of one message one by one; their text is a list's, if it is JSON."""
    if not isinstance(observations, bytes):
        return observations
    try:
        read = json.loads(observations)
    except ValueError:
        read = observations.decode(errors="replace")
    return read if isinstance(read, list) else [read]


def reject_messages(workload: str, observations: Sequence[object] | bytes, reason: str) -> Batch:
    """Return a batch that rejects all of a message's observations for one reason."""
    rejected = [_rejection(raw, reason) for raw in _listed(observations)]
    return BatchBuilder(workload).build(rejected)


def reason_of(error: ForetellError) -> str:
    """Return an error as the text that stands in the rejected observations."""
    return f"{error.reason}: {error.message}"


def _parse(observations: Sequence[object] | bytes) -> Sequence[Observation | str]:
    """Parse all at once; only when that fails, one by one, to tell which are wrong."""
    try:
        if isinstance(observations, bytes):
            return _MANY.validate_json(observations)
        return _MANY.validate_python(observations)
    except ValidationError:
        return [_parse_one(raw) for raw in _listed(observations)]


def _parse_one(raw: object) -> Observation | str:
    try:
        return Observation.model_validate(raw)
    except ValidationError as error:
        faults = (
            f"{'.'.join(map(str, fault['loc'])) or 'observation'}: {fault['msg']}"
            for fault in error.errors(include_url=False)
        )
        return "; ".join(faults)


def _rejection(raw: object, reason: str) -> RejectedRow:
    fields = cast("dict[str, object]", raw) if isinstance(raw, dict) else {}
    return RejectedRow(
        source=str(fields.get("source", "")),
        line=None,
        reason=reason,
        content=json.dumps(raw, default=str, ensure_ascii=False),
        observation_id=str(fields.get("id", "")),
    )
