"""Schemas: what they refuse, and what follows from them."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from foretell.errors import NotFound
from foretell.schema import Feature, Schema
from foretell.schema_file import builtin_schemas

MINIMAL: dict[str, Any] = {
    "workload": "w",
    "features": [{"name": "f", "kind": "category"}, {"name": "n", "kind": "number"}],
    "metrics": [{"name": "m"}],
}


def refused(**changes: object) -> str:
    with pytest.raises(ValidationError) as caught:
        Schema.model_validate({**MINIMAL, **changes})
    return "; ".join(
        ".".join(map(str, error["loc"])) + ": " + error["msg"] for error in caught.value.errors()
    )


def feature(**fields: object) -> dict[str, Any]:
    return {"features": [*MINIMAL["features"], {"name": "x", "kind": "number", **fields}]}


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        (feature(name="f"), "features.2.name: 'f' is used twice"),
        (feature(name="m"), "metrics.0.name: 'm' is used twice"),
        (feature(minimum=2, maximum=1), "features.2.maximum: 1 is below the minimum, 2"),
        (feature(scale="log", minimum=-1), "features.2.minimum: -1 is below 0"),
        (feature(kind="flag", format="quantity"), "features.2.format: is for numbers"),
        (feature(kind="flag", amount="plain"), "features.2.amount: is for numbers"),
        (feature(amount="plain"), "features.2.amount: 'plain' needs scale: log"),
        (feature(scale="log", amount="log1p"), "features.2.amount: 'log1p' is in logs"),
        (
            feature(format="quantity", unit="litre"),
            "features.2.unit: 'litre' is not a unit of quantity; one of B, KB",
        ),
        (feature(derive={"source": "f", "pattern": "(a)"}), "features.2.derive: is for categor"),
        (feature(monotone={"q": "increasing"}), "features.2.monotone.q: 'q' names no metric"),
        (feature(column="m"), "features.2.column: column 'm' is the metric 'm'"),
        (
            feature(kind="category", derive={"source": "f", "pattern": "a"}),
            "features.2.derive.pattern: 'a' has 0 groups",
        ),
        (
            feature(kind="category", derive={"source": "f", "pattern": "(a"}),
            "features.2.derive.pattern: '(a' is not a regular expression",
        ),
        (
            feature(kind="category", derive={"source": "n", "pattern": "(a)"}),
            "features.2.derive.source: 'n' names no category",
        ),
        (
            feature(kind="category", required=True, derive={"source": "f", "pattern": "(a)"}),
            "features.2.required: 'x' is derived, so nobody can send it",
        ),
        (feature(name="F"), "features.2.name: 'F' and 'f' differ in case alone"),
        ({"groups": [["f", "n"]]}, "groups.0.1: 'n' names no category feature; one of f"),
        ({"groups": [["f"], ["f"]]}, "groups.1: [f] is listed twice"),
        ({"groups": [[]]}, "groups.0: a group names at least one"),
        ({"catalogs": [{"name": "c", "key": "n", "facts": []}]}, "catalogs.0.key: 'n' names no"),
        ({"links": [{"metric": "q", "factors": {"n": 1}}]}, "links.0.metric: 'q' names no metric"),
        ({"links": [{"metric": "m", "factors": {"m": 1}}]}, "links.0.factors.m: 'm' names no"),
        ({"links": [{"metric": "m", "factors": {"n": 0}}]}, "links.0.factors.n: 0.0 is not a"),
        ({"workload": "Not This"}, "workload: String should match pattern"),
    ],
)
def test_a_schema_that_contradicts_itself_is_refused(
    changes: dict[str, Any], expected: str
) -> None:
    """Every contradiction is refused with its place, its value and what is allowed."""
    assert expected in refused(**changes)


def test_all_contradictions_are_listed_at_once() -> None:
    """A schema with two mistakes is answered with both."""
    message = refused(groups=[["q"]], links=[{"metric": "q", "factors": {"n": 1}}])
    assert "groups.0.0" in message
    assert "links.0.metric" in message


def test_layout_is_features_then_facts(schema: Schema) -> None:
    """Columns of the encoded arrays are features in order, and then facts in order."""
    assert schema.number_names == ("samples", "texture", "frame", "denoise", "cores", "ecc")
    assert schema.category_names == ("scene", "machine", "family", "vendor", "runtime_kind")


def test_lookups_find_facts_and_name_what_exists(schema: Schema) -> None:
    """Features, facts, metrics and catalogs are found by name, or the known names are told."""
    assert schema.feature("cores").kind == "number"
    assert schema.metric("duration_s").source_column == "runtime"
    assert schema.catalog("machines").source_column == "machine"
    for lookup in (schema.feature, schema.metric, schema.catalog):
        with pytest.raises(NotFound, match="known: "):
            lookup("nothing")


def test_json_round_trip_keeps_the_fingerprint(schema: Schema) -> None:
    """A schema that went through a manifest is the same schema."""
    again = Schema.model_validate_json(schema.model_dump_json())
    assert again == schema
    assert again.fingerprint == schema.fingerprint


def test_fingerprint_sees_every_change(schema: Schema) -> None:
    """Two schemas that differ in anything differ in their fingerprint."""
    other = schema.model_copy(update={"description": "other"})
    assert other.fingerprint != schema.fingerprint


def test_a_schema_cannot_be_changed(schema: Schema) -> None:
    """Schemas are values."""
    with pytest.raises(ValidationError):
        schema.workload = "other"


def test_log_scale_allows_no_negative_numbers() -> None:
    """A number on a log scale is at least 0, unless the schema says at least something else."""
    assert Feature(name="a", kind="number", scale="log").lower_limit == 0
    assert Feature(name="a", kind="number", scale="log", minimum=1).lower_limit == 1
    assert Feature(name="a", kind="number").lower_limit == float("-inf")


def test_built_in_workloads() -> None:
    """The two workloads of the design are built in, with their metrics and their ids."""
    schemas = builtin_schemas()
    assert sorted(schemas) == ["inference", "serverless"]
    assert schemas["serverless"].metric_names == ("duration_s", "memory_kb")
    assert schemas["serverless"].groups == (("function",), ("node",), ("function", "node"))
    assert {"throughput_per_s", "latency_ms", "memory_mb", "power_w"} == set(
        schemas["inference"].metric_names
    )
    assert schemas["inference"].links[0].constant == 1000
