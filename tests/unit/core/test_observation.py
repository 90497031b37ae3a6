"""Observations: their wire form, and what cannot be learned from."""

from __future__ import annotations

import json
from typing import Any

import pytest
from pydantic import ValidationError

from foretell.observation import Observation, ObservationChecker, check
from foretell.parcel import pack, unpack
from foretell.schema import Schema

GOOD: dict[str, Any] = {
    "id": "run-1",
    "workload": "rendering",
    "time": "2025-01-31T12:00:00+01:00",
    "features": {"scene": "attic", "samples": 16, "texture": "1 GB", "denoise": False},
    "metrics": {"duration_s": 2.5},
}


def fields(schema: Schema, **changes: object) -> dict[str, str]:
    observation = Observation.model_validate({**GOOD, **changes})
    return {violation.field: violation.message for violation in check(observation, schema)}


def test_a_good_observation_has_no_violations(schema: Schema) -> None:
    """New categories are no violation: the model has to learn them."""
    assert fields(schema) == {}


def test_json_round_trip() -> None:
    """An observation is the same after it has travelled as JSON, types of values included."""
    observation = Observation.model_validate(GOOD)
    again = Observation.model_validate_json(observation.model_dump_json())
    assert again == observation
    assert again.features == GOOD["features"]
    assert type(again.features["denoise"]) is bool
    assert type(again.features["samples"]) is int
    assert json.loads(observation.model_dump_json())["id"] == "run-1"


@pytest.mark.parametrize(
    ("changes", "field", "message"),
    [
        ({"workload": "other"}, "workload", "'other' is not 'rendering'"),
        ({"features": {}}, "features[scene]", "'scene' is required and missing"),
        ({"metrics": {"duration_s": 0.0}}, "metrics[duration_s]", "0 must be above 0"),
        ({"metrics": {"duration_s": -1.0}}, "metrics[duration_s]", "-1 is not at least 0"),
        ({"metrics": {"score": 200.0}}, "metrics[score]", "200 is not between 0 and 100"),
        ({"metrics": {"duration_s": "nan"}}, "metrics[duration_s]", "nan is not a finite number"),
        ({"metrics": {"speed": 1.0}}, "metrics[speed]", "has no metric 'speed'; known: duration_s"),
        ({"metrics": {}}, "metrics", "a completed run measures at least one of duration_s, score"),
        ({"lower_bounds": {"duration_s": 1.0}}, "lower_bounds", "a completed run has no lower"),
    ],
)
def test_what_cannot_be_learned_from_is_told(
    schema: Schema, changes: dict[str, object], field: str, message: str
) -> None:
    """Each reason names the field and what is allowed."""
    assert message in fields(schema, **changes)[field]


def test_a_killed_run_may_have_bounds_only(schema: Schema) -> None:
    """A run that was killed needs no metric; what it had reached is a lower bound."""
    assert fields(schema, outcome="timeout", metrics={}, lower_bounds={"duration_s": 30.0}) == {}


@pytest.mark.parametrize(
    "changes", [{"time": "2025-01-31T12:00:00"}, {"id": ""}, {"outcome": "lost"}, {"extra": 1}]
)
def test_what_is_no_observation_is_refused(changes: dict[str, object]) -> None:
    """A time has an offset, an id is not empty, outcomes are known, fields are those there are."""
    with pytest.raises(ValidationError):
        Observation.model_validate({**GOOD, **changes})


def test_many_are_judged_as_each_would_be(schema: Schema) -> None:
    """What is wrong with one of many is said of that one alone, wherever it stands."""
    wrong: list[dict[str, Any]] = [
        {"metrics": {"duration_s": "nan"}},
        {"features": {**GOOD["features"], "samples": 10**400}},
        {"features": {**GOOD["features"], "colour": "red"}},
        {"features": {"samples": 16}},
        {"time": "2999-01-01T00:00:00Z"},
    ]
    rows: list[dict[str, Any]] = [{} for _ in range(40)]
    for place, changes in zip((0, 7, 8, 21, 39), wrong, strict=True):
        rows[place] = changes
    many = [Observation.model_validate({**GOOD, **changes}) for changes in rows]
    found = ObservationChecker(schema).check_many(many)
    assert found == [check(one, schema) for one in many]
    assert [bool(violations) for violations in found] == [bool(changes) for changes in rows]


def test_a_parcel_holds_what_was_packed() -> None:
    """Observations are the same after they have crossed the broker, also what is wrong in them."""
    wrong = {**GOOD, "metrics": {"duration_s": float("inf")}, "features": {"scene": {}}}
    assert json.loads(unpack(pack([GOOD, wrong]))) == [GOOD, wrong]
    with pytest.raises(ValueError, match=r"padding|base64"):
        unpack("no parcel")
