"""Catalogs: facts by key, from files that may be wrong."""

from __future__ import annotations

import numpy as np
import pytest

from foretell.catalog import CatalogTable, empty_catalog, load_catalog
from foretell.encoding import Encoder
from foretell.errors import InvalidInput
from foretell.schema import Schema
from foretell.table_columns import build_vocabulary


def test_a_catalog_is_read_from_columns(schema: Schema) -> None:
    """Keys and facts come from their own columns; an absent column is an unknown fact."""
    table = load_catalog(
        schema.catalog("machines"),
        {
            "machine": ["big-1", "small-1"],
            "cores": ["64", "NA"],
            "runtime": ["fast", ""],
            "ecc": [1, 0],
            "comment": ["x", "y"],
        },
    )
    assert table.keys == ("big-1", "small-1")
    assert table.facts == {
        "cores": (64.0, None),
        "vendor": (None, None),
        "runtime_kind": ("fast", None),
        "ecc": (True, False),
    }
    assert table.describe("big-1") == {"cores": 64.0, "runtime_kind": "fast", "ecc": True}
    assert table.describe("nobody") == {}


def test_facts_as_arrays(schema: Schema) -> None:
    """Facts are arrays with NaN and None for unknown, and keys have rows, -1 for none."""
    table = load_catalog(
        schema.catalog("machines"), {"machine": ["a", "b"], "cores": [2, None], "vendor": ["x", ""]}
    )
    np.testing.assert_array_equal(table.numbers("cores"), [2, np.nan])
    assert table.texts("vendor") == ["x", None]
    assert table.rows_for(["b", "z", None, "a"]).tolist() == [1, -1, -1, 0]


def test_what_is_wrong_with_a_catalog_is_told_by_cell(schema: Schema) -> None:
    """Missing and repeated keys and impossible facts are all listed."""
    with pytest.raises(InvalidInput) as caught:
        load_catalog(
            schema.catalog("machines"),
            {"machine": ["a", "", "a"], "cores": [1, -2, "many"], "ecc": [0, 1, 7]},
        )
    assert {v.field for v in caught.value.violations} == {
        "machines.machine[1]",
        "machines.machine[2]",
        "machines.cores[1]",
        "machines.cores[2]",
        "machines.ecc[2]",
    }


def test_a_catalog_without_its_key_is_refused(schema: Schema) -> None:
    """A file without the key's column is refused, with the columns that it has."""
    with pytest.raises(InvalidInput, match=r"no column 'machine'; its columns: host, cores"):
        load_catalog(schema.catalog("machines"), {"host": ["a"], "cores": [1]})


def test_an_empty_catalog_knows_nothing(schema: Schema) -> None:
    """A catalog that was never loaded has no keys, and all its facts."""
    table = empty_catalog(schema.catalog("machines"))
    assert len(table) == 0
    assert set(table.facts) == {"cores", "vendor", "runtime_kind", "ecc"}
    assert table.numbers("cores").shape == (0,)


def machines(schema: Schema, aliases: list[str] | None) -> CatalogTable:
    """Return two machines, with other names if they have any."""
    columns: dict[str, list[str]] = {"machine": ["Big One", "Big-Two"], "cores": ["64", "8"]}
    if aliases is not None:
        columns["aliases"] = aliases
    return load_catalog(schema.catalog("machines"), columns)


def test_names_are_exact_unless_there_are_aliases(schema: Schema) -> None:
    """Only a catalog with a column of aliases takes other spellings for the same name."""
    exact, lenient = machines(schema, None), machines(schema, ["huge; b1", ""])
    assert exact.rows_for(["Big One", "big_one", "huge"]).tolist() == [0, -1, -1]
    names = ["Big One", "big_one", "huge", "HUGE", "b1", "BIG two", "b2", None]
    assert lenient.rows_for(names).tolist() == [0, 0, 0, 0, 0, 1, -1, -1]
    assert lenient.describe("b1") == {"cores": 64.0}


def test_an_alias_of_two_keys_is_refused(schema: Schema) -> None:
    """Another name may belong to one key only; the error has the row and the name."""
    with pytest.raises(InvalidInput, match="'huge' is another name of both") as caught:
        machines(schema, ["huge", "huge"])
    assert caught.value.violations[0].field == "machines.aliases[1]"


def test_the_same_machine_under_another_name_is_the_same_value(schema: Schema) -> None:
    """What the data calls it stays its name; all others, the catalog's included, find it."""
    catalog = machines(schema, ["huge", "small"])
    table = {"machine": ["HUGE", "HUGE"], "scene": ["x", "y"]}
    vocabulary = build_vocabulary(schema, table, [catalog])
    assert vocabulary["machine"] == ("Big-Two", "HUGE")
    encoder = Encoder(schema, vocabulary, [catalog])
    names = ["HUGE", "huge", "Big One", "BIG TWO", "other"]
    column = schema.category_names.index("machine")
    encoded = encoder.encode_columns({"machine": names, "scene": ["x"] * 5}, 5)
    assert encoded.categories[:, column].tolist() == [1, 1, 1, 0, -1]
    assert "machine" in encoded.unknown[4]
    assert "machine" not in encoded.unknown[1]
    one = encoder.encode({"machine": "big_one", "scene": "x"})
    assert one.categories[0, column] == 1
