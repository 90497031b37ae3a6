"""Encoding: the same row gives the same arrays, whichever way it comes in."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from foretell.catalog import CatalogTable
from foretell.columns import Coded
from foretell.encoding import Encoder
from foretell.errors import InvalidInput
from foretell.parsing import Value
from foretell.schema import Schema
from foretell.table_columns import build_vocabulary, columns_by_name, metric_values

ROW: dict[str, Any] = {
    "scene": "kitchen",
    "machine": "small-2",
    "samples": 64,
    "texture": "1.5 GB",
    "frame": "2x3",
    "denoise": True,
    "cores": 8,
    "vendor": "acme",
    "ecc": False,
}

NUMBERS = [64.0, 1500.0, 6.0, 1.0, 8.0, 0.0]
CATEGORIES = [1, 2, 1, 0, -1]

VALUES = st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=5), st.just("forest")
)


def violations(encoder: Encoder, row: dict[str, Any]) -> dict[str, str]:
    with pytest.raises(InvalidInput) as caught:
        encoder.encode(row)
    return {violation.field: violation.message for violation in caught.value.violations}


def test_a_row_is_laid_out_as_the_schema_says(encoder: Encoder) -> None:
    """Numbers, flags and facts, formatted and derived, stand in their places."""
    encoded = encoder.encode(ROW)
    assert encoded.numbers.tolist() == [NUMBERS]
    assert encoded.numbers.dtype == np.float64
    assert encoded.categories.tolist() == [CATEGORIES]
    assert encoded.categories.dtype == np.int64
    assert encoded.unknown == ((),)


def test_missing_means_missing(encoder: Encoder) -> None:
    """What is absent, None or empty text is NaN or -1, and is not unknown."""
    encoded = encoder.encode({"scene": "forest", "samples": None, "machine": ""})
    assert np.isnan(encoded.numbers).all()
    assert encoded.categories.tolist() == [[0, -1, -1, -1, -1]]
    assert encoded.unknown == ((),)


def test_unknown_categories_are_named_and_not_refused(encoder: Encoder) -> None:
    """A value that the training data does not have is -1 and is listed, derived ones included."""
    encoded = encoder.encode({"scene": "attic", "machine": "huge-9", "vendor": "other"})
    assert encoded.categories.tolist() == [[-1] * 5]
    assert set(encoded.unknown[0]) == {"scene", "machine", "family", "vendor"}


def test_values_that_were_met_can_be_told_apart(schema: Schema, encoder: Encoder) -> None:
    """A value that was met since the fit has a code of its own, however it is encoded, and is
    still named as unknown; one that is known, or was met before, keeps its code."""
    mine = Encoder(schema, encoder.vocabulary)
    for text in ("cellar", "attic two", "cellar", "kitchen"):
        mine.meet("scene", text)
    assert mine.met == {"scene": {"cellar": -3, "attic two": -4}}
    scenes = ["kitchen", "cellar", "nowhere", "attic two"]
    rows: list[dict[str, Value]] = [{**ROW, "scene": scene} for scene in scenes]
    columns = {name: [row[name] for row in rows] for name in ROW}
    whole = [mine.encode(row) for row in rows]
    assert [encoded.categories[0, 0] for encoded in whole] == [1, -3, -1, -4]
    assert [encoded.unknown[0] for encoded in whole] == [(), *[("scene",)] * 3]
    for other in (mine.encode_columns(columns, 4), mine.encode_variants(ROW, rows)):
        assert other.categories.tolist() == [one.categories[0].tolist() for one in whole]
        assert other.unknown == tuple(one.unknown[0] for one in whole)


def test_an_unknown_source_may_derive_to_a_known_value(encoder: Encoder) -> None:
    """Of a new machine of a known family, the family is known."""
    encoded = encoder.encode({"scene": "forest", "machine": "small-77"})
    assert encoded.categories[0, 2] == 1
    assert encoded.unknown == (("machine",),)


def test_a_derivation_without_a_match_is_missing(encoder: Encoder) -> None:
    """A text that the pattern does not match derives to nothing."""
    encoded = encoder.encode({"scene": "forest", "machine": "UNNAMED"})
    assert encoded.categories[0, 2] == -1
    assert encoded.unknown == (("machine",),)


def test_all_violations_come_at_once(encoder: Encoder) -> None:
    """A row with many mistakes is answered with all of them, each with field and reason."""
    found = violations(
        encoder,
        {
            "machine": [1],
            "samples": 5000,
            "texture": "big",
            "frame": math.nan,
            "denoise": 2,
            "cores": "8",
            "family": "small",
            "smaples": 1,
        },
    )
    assert found == {
        "features[scene]": "'scene' is required and missing",
        "features[machine]": "[1] is not a text",
        "features[samples]": "5000 is not between 1 and 4096",
        "features[texture]": "'big' is not a number of MB or a text such as \"43.9 MB\"",
        "features[frame]": "nan is not a finite number",
        "features[denoise]": "2 is not true or false",
        "features[cores]": "'8' is not a finite number",
        "features[family]": "'family' is derived from 'machine' and cannot be sent",
        "features[smaples]": "workload 'rendering' has no feature 'smaples'; known: scene, "
        "machine, samples, texture, frame, denoise, cores, vendor, runtime_kind, ecc",
    }


@pytest.mark.parametrize("value", [math.inf, -math.inf, math.nan, True, "1", 10**400, 0, -1])
def test_what_is_no_number_in_range_is_refused(encoder: Encoder, value: object) -> None:
    """Infinity, NaN, flags, text and what is out of range are not numbers of samples."""
    assert "features[samples]" in violations(encoder, {"scene": "forest", "samples": value})


@pytest.mark.parametrize("value", [None, ""])
def test_a_required_category_cannot_be_empty(encoder: Encoder, value: object) -> None:
    """None and empty text are no value for a required feature."""
    assert "features[scene]" in violations(encoder, {"scene": value})


@given(row=st.dictionaries(st.sampled_from([*ROW, "family", "nonsense"]), VALUES))
def test_a_row_is_encoded_or_refused_with_reasons(encoder: Encoder, row: dict[str, Any]) -> None:
    """Whatever comes in, the answer is an encoded row or violations, never another error."""
    if encoder.violations(row):
        with pytest.raises(InvalidInput) as caught:
            encoder.encode(row)
        assert caught.value.violations == encoder.violations(row)
    else:
        assert not np.isinf(encoder.encode(row).numbers).any()


rows = st.fixed_dictionaries(
    {"scene": st.sampled_from(["forest", "kitchen", "attic", "7"])},
    optional={
        "machine": st.sampled_from(["big-1", "small-2", "huge-3", "?"]),
        "samples": st.floats(1, 4096),
        "texture": st.one_of(st.floats(-1e6, 1e6), st.just("2 GB")),
        "denoise": st.booleans(),
        "vendor": st.sampled_from(["acme", "other"]),
        "cores": st.integers(0, 2**60),
    },
)


@given(st.lists(rows, min_size=1, max_size=8))
def test_rows_columns_and_tables_agree(encoder: Encoder, rows: list[dict[str, Any]]) -> None:
    """Row by row, as strict columns, or as a table of a file: the arrays are the same."""
    single = [encoder.encode(row) for row in rows]
    names = {name for row in rows for name in row}
    columns = {name: [row.get(name) for row in rows] for name in names}
    strict = encoder.encode_columns(columns, len(rows))
    table, rejections = encoder.encode_table(columns)
    assert rejections == []
    for whole in (strict, table):
        np.testing.assert_array_equal(whole.numbers, np.concatenate([e.numbers for e in single]))
        np.testing.assert_array_equal(
            whole.categories, np.concatenate([e.categories for e in single])
        )
        assert [set(u) for u in whole.unknown] == [set(e.unknown[0]) for e in single]


@given(st.lists(st.sampled_from(["forest", "kitchen"]), min_size=1))
def test_codes_lead_back_to_the_values(encoder: Encoder, scenes: list[str]) -> None:
    """The vocabulary turns codes back into the values that were sent."""
    encoded = encoder.encode_columns({"scene": scenes}, len(scenes))
    assert [encoder.vocabulary["scene"][code] for code in encoded.categories[:, 0]] == scenes


def test_coded_and_masked_columns(encoder: Encoder) -> None:
    """Dictionary-coded texts and masked numbers are columns, with their own way of missing."""
    scenes = Coded(("attic", "forest"), np.array([1, 0, 1], dtype=np.uint32))
    machines = Coded(("small-1",), np.array([0, -1, 0]))
    samples = np.ma.MaskedArray(np.array([2.0, np.nan, 4.0]), [False, True, False])
    encoded = encoder.encode_columns({"scene": scenes, "machine": machines, "samples": samples}, 3)
    assert encoded.categories[:, 0].tolist() == [0, -1, 0]
    assert encoded.categories[:, 2].tolist() == [1, -1, 1]
    np.testing.assert_array_equal(encoded.numbers[:, 0], [2.0, np.nan, 4.0])
    assert encoded.unknown == ((), ("scene",), ())


def test_strict_columns_name_the_cell(encoder: Encoder) -> None:
    """What is wrong in a column is told by column and row."""
    columns: dict[str, Any] = {
        "scene": Coded(("forest",), np.array([0, 5, -1])),
        "samples": np.array([1.0, np.nan, 9999.0]),
        "cores": ["1", 2, math.inf],
    }
    with pytest.raises(InvalidInput) as caught:
        encoder.encode_columns(columns, 3)
    assert {v.field for v in caught.value.violations} == {
        "columns[scene][1]",
        "columns[scene][2]",
        "columns[samples][1]",
        "columns[samples][2]",
        "columns[cores][0]",
        "columns[cores][2]",
    }


def test_strict_columns_have_one_length_and_known_names(encoder: Encoder) -> None:
    """A column of another length, an unknown column and a missing required one are refused."""
    with pytest.raises(InvalidInput) as caught:
        encoder.encode_columns({"samples": [1, 2], "smaples": [1]}, 1)
    fields = [violation.field for violation in caught.value.violations]
    assert fields == ["columns[smaples]", "columns[samples]", "columns[scene]"]


def test_a_million_wrong_rows_are_not_a_million_violations(encoder: Encoder) -> None:
    """An error lists a bounded number of violations."""
    rows = 20_000
    with pytest.raises(InvalidInput) as caught:
        encoder.encode_columns({"scene": ["forest"] * rows, "samples": np.zeros(rows)}, rows)
    assert len(caught.value.violations) == 100


def test_a_table_keeps_the_good_rows(encoder: Encoder) -> None:
    """A bad row is rejected with its reason, keeps its place, and the others are encoded."""
    table: dict[str, Any] = {
        "scene": ["forest", "kitchen", None, "forest"],
        "samples": ["1", "NA", "3", "many"],
        "resolution": ["2x2", "", "null", "4"],
        "comment": ["x"] * 4,
    }
    encoded, rejections = encoder.encode_table(table)
    assert len(encoded) == 4
    np.testing.assert_array_equal(encoded.numbers[:, 0], [1, np.nan, 3, np.nan])
    np.testing.assert_array_equal(encoded.numbers[:, 2], [4, np.nan, np.nan, 4])
    assert [(r.row, [v.message for v in r.violations]) for r in rejections] == [
        (2, ["'scene' is required and missing"]),
        (3, ["'many' is not a finite number"]),
    ]


def test_columns_of_a_table_must_agree_in_length(encoder: Encoder) -> None:
    """A table is refused when its columns differ in length."""
    with pytest.raises(InvalidInput, match="scene has 1, samples has 2"):
        encoder.encode_table({"scene": ["a"], "samples": [1, 2]})


def test_a_metric_is_never_taken_for_a_fact(schema: Schema) -> None:
    """A data file's `runtime` is the metric, though a fact's column has that name elsewhere."""
    file: dict[str, Any] = {
        "scene": ["forest"],
        "runtime": [2.5],
        "cores": [4],
        "resolution": ["1x1"],
    }
    assert columns_by_name(schema, file) == {
        "scene": ["forest"],
        "duration_s": [2.5],
        "cores": [4],
        "frame": ["1x1"],
    }


def test_a_column_may_be_called_by_the_schemas_own_name(schema: Schema) -> None:
    """Where the declared column is absent, one of the feature's name stands in."""
    assert columns_by_name(schema, {"frame": ["1x1"], "duration_s": [1.0]}) == {
        "frame": ["1x1"],
        "duration_s": [1.0],
    }


def test_vocabulary_comes_from_data_and_catalogs(schema: Schema) -> None:
    """Known are the values of the data and the keys and texts of the catalogs, sorted."""
    catalog = CatalogTable(
        "machines",
        ("big-1", "tiny-1"),
        {
            "cores": (64.0, None),
            "vendor": ("acme", None),
            "runtime_kind": (None, "fast"),
            "ecc": (True, None),
        },
    )
    table: dict[str, Any] = {
        "scene": ["b", "a", None, "b"],
        "machine": ["small-1", "odd", "", "big-1"],
    }
    assert build_vocabulary(schema, table, [catalog]) == {
        "scene": ("a", "b"),
        "machine": ("big-1", "odd", "small-1", "tiny-1"),
        "family": ("big", "small", "tiny"),
        "vendor": ("acme",),
        "runtime_kind": ("fast",),
    }


def test_metric_values(schema: Schema) -> None:
    """Metrics are read from their columns; what cannot be learned from is rejected and missing."""
    table: dict[str, Any] = {
        "runtime": [1.5, None, 0, -1, "NA", math.inf],
        "score": [50, 101, "x", 0, 1, 2],
    }
    values, rejections = metric_values(schema, table)
    np.testing.assert_array_equal(values[:, 0], [1.5, np.nan, np.nan, np.nan, np.nan, np.nan])
    np.testing.assert_array_equal(values[:, 1], [50, np.nan, np.nan, 0, 1, 2])
    assert {r.row: [v.field for v in r.violations] for r in rejections} == {
        1: ["score"],
        2: ["duration_s", "score"],
        3: ["duration_s"],
        5: ["duration_s"],
    }


def test_large_integers_keep_their_value(encoder: Encoder) -> None:
    """A byte count above 2^24 is exact."""
    value = 2**24 + 1
    assert encoder.encode({"scene": "forest", "cores": value}).numbers[0, 4] == value


def test_unknown_categories_come_in_the_schemas_order(encoder: Encoder) -> None:
    """Which of a row's categories are unknown is told in the schema's order, however sent."""
    values: dict[str, Any] = {"vendor": "nobody", "machine": "odd-9", "scene": "nowhere"}
    (unknown,) = encoder.encode(values).unknown
    names = encoder.schema.category_names
    assert set(values) <= set(unknown)
    assert list(unknown) == sorted(unknown, key=names.index)


VARIANTS: list[dict[str, Value]] = [
    {"machine": "big-1", "samples": 4.0},
    {"machine": "new-7", "samples": 8.0, "vendor": "nobody"},
    {"samples": 16.0},
    {"machine": None, "denoise": True},
]


@pytest.mark.parametrize("common", [{"scene": "forest", "samples": 2.0}, {"scene": "attic"}])
def test_variants_are_encoded_as_rows_are(encoder: Encoder, common: dict[str, Value]) -> None:
    """What variants share is read once, and every row is as if it had been encoded alone."""
    found = encoder.encode_variants(common, VARIANTS)
    for i, variant in enumerate(VARIANTS):
        one = encoder.encode({**common, **variant})
        np.testing.assert_array_equal(found.numbers[i], one.numbers[0])
        np.testing.assert_array_equal(found.categories[i], one.categories[0])
        assert found.unknown[i] == one.unknown[0]


@pytest.mark.parametrize(
    "variant", [{"samples": 1e9}, {"scene": ""}, {"scene": None}, {"height": 1.0}, {"samples": "4"}]
)
def test_a_bad_variant_is_refused_as_a_row_is(encoder: Encoder, variant: dict[str, Value]) -> None:
    """A variant that cannot be used raises what its row would."""
    common: dict[str, Value] = {"scene": "forest"}
    with pytest.raises(InvalidInput) as alone:
        encoder.encode({**common, **variant})
    with pytest.raises(InvalidInput) as among:
        encoder.encode_variants(common, [{"samples": 2.0}, variant])
    assert among.value.violations == alone.value.violations
