"""Events: what happens to a workload after its answers, in a stream of the broker.

The trainer appends; every server reads. The broker keeps the newest `KEPT`.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any, Literal

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

from foretell.jobs import reaching_broker

EventKind = Literal["drift", "bias", "coverage", "anomaly", "regression", "shadow"]

EVENTS_KEY = "foretell:events"
KEPT = 10_000


def _now() -> datetime:
    return datetime.now(UTC)


class Event(BaseModel):
    """Something that happened to a workload."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    id: str = ""
    """Its place in the stream, which the broker gives."""
    time: AwareDatetime = Field(default_factory=_now)
    """When it was noticed."""
    workload: str
    kind: EventKind | Literal["unknown"]
    metric: str = ""
    """The metric that it is about; empty for none in particular."""
    group: dict[str, str] = Field(default_factory=dict)
    """Values by category feature; empty for the workload as a whole."""
    message: str
    """What happened, in one sentence."""
    numbers: dict[str, float] = Field(default_factory=dict)
    bundle_version: str = ""
    recovered: bool = False
    """Whether something that was wrong is right again."""


# Any: redis types every reply as bytes or text, awaited or not.
def publish(client: Any, event: Event) -> None:  # noqa: ANN401
    """Append an event to the stream; Unavailable without a broker."""
    text = event.model_dump_json(exclude={"id"})
    with reaching_broker():
        client.xadd(EVENTS_KEY, {"event": text}, maxlen=KEPT, approximate=True)


def read_entries(entries: Sequence[Any] | None) -> list[Event]:
    """Return the events of the stream's entries: pairs of an id and its fields."""
    return [
        Event.model_validate_json(fields["event"]).model_copy(update={"id": position})
        for position, fields in entries or ()
    ]
