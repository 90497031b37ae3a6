"""Anomalies: observations that cannot be, as trainer, server and command line speak of them.

The trainer's store has them all. What is open is in the broker as well, for servers, which do
not open the store: one text per workload, the `MOST_SHOWN` found last.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import UTC
from typing import Any, Literal

from pydantic import AwareDatetime, BaseModel, ConfigDict, TypeAdapter

State = Literal["open", "confirmed", "discarded"]
"""Whether somebody looked, and found the observation real or wrong."""

MOST_SHOWN = 1000


class Decision(BaseModel):
    """What is decided about anomalies, by whom and why."""

    model_config = ConfigDict(frozen=True)

    state: Literal["confirmed", "discarded"]
    who: str
    why: str


class Anomaly(BaseModel):
    """One observation that is flagged, and why."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    workload: str
    observation_id: str
    time: AwareDatetime
    """When the run ended."""
    source: str = ""
    tag: str = ""
    reason: str
    """What is wrong with it, in one sentence."""
    state: State = "open"
    found_at: AwareDatetime
    decided_at: AwareDatetime | None = None
    decided_by: str = ""
    decision: str = ""
    """Why it was confirmed or discarded."""
    features: dict[str, Any]
    metrics: dict[str, float]

    @classmethod
    def of_row(cls, row: Sequence[Any]) -> Anomaly:
        """Return the anomaly of a row of the trainer's ledger; its times are UTC, unmarked."""
        values: dict[str, Any] = dict(zip(_COLUMNS, row, strict=True))
        for name in ("time", "found_at", "decided_at"):
            values[name] = values[name] and values[name].replace(tzinfo=UTC)
        for name in ("features", "metrics"):
            values[name] = json.loads(values[name] or "{}")
        return cls.model_validate(values)


# MUST match the columns that foretell_trainer.anomalies.ledger selects.
_COLUMNS = (
    "workload",
    "observation_id",
    "time",
    "source",
    "tag",
    "reason",
    "state",
    "found_at",
    "decided_at",
    "decided_by",
    "decision",
    "features",
    "metrics",
)
_MANY = TypeAdapter(list[Anomaly])


def anomalies_key(workload: str) -> str:
    """Return the broker's key of a workload's open anomalies."""
    return f"foretell:anomalies:{workload}"


def to_json(anomalies: Sequence[Anomaly]) -> str:
    """Return anomalies as they travel."""
    return _MANY.dump_json(list(anomalies)).decode()


def from_json(text: str | bytes | None) -> list[Anomaly]:
    """Return the anomalies that a text holds; none without a text."""
    return _MANY.validate_json(text) if text else []
