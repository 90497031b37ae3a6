"""Observations that come in messages."""

from __future__ import annotations

from typing import Any

from foretell.schema import Schema
from foretell_trainer.messages import check_messages


def wire(**changes: object) -> dict[str, Any]:
    good = {
        "id": "o1",
        "workload": "runs",
        "time": "2026-01-31T12:00:00Z",
        "features": {"task": "fib", "size": 3, "warm": None},
        "metrics": {"duration_s": 0.5},
    }
    return {**good, **changes}


def test_good_observations_are_kept_as_sent(schema: Schema) -> None:
    """A checked observation keeps its features as sent, without those that are missing."""
    batch = check_messages(schema, [wire()])
    assert batch.rejected == ()
    assert batch.observations["features"].to_pylist() == ['{"task":"fib","size":3}']


def test_each_bad_observation_is_rejected_alone(schema: Schema) -> None:
    """Every observation that cannot be used is kept with its reason; the others are stored."""
    bad: dict[str, object] = {
        "metrics": wire(metrics={"duration_s": -1}),
        "features[size]": wire(features={"task": "fib", "size": "three"}),
        "workload": wire(workload="others"),
        "time": wire(time="2026-01-31T12:00:00"),
        "colour": wire(colour="red"),
        "observation": "nonsense",
    }
    batch = check_messages(schema, [*bad.values(), wire(id="good")])
    assert batch.observations["observation_id"].to_pylist() == ["good"]
    assert len(batch.rejected) == len(bad)
    for name, row in zip(bad, batch.rejected, strict=True):
        assert name in row.reason
        assert row.line is None
    assert batch.rejected[0].observation_id == "o1"
    assert batch.rejections.num_rows == len(bad)
