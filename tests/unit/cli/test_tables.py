"""Tables written by ending."""

from __future__ import annotations

from pathlib import Path

import pyarrow.parquet as pq
import pytest

from foretell.cli.tables import check_writable, read_tables, write_table
from foretell.errors import InvalidInput


def test_numbers_of_a_text_file_are_numbers_in_parquet(tmp_path: Path) -> None:
    """Whole and broken numbers get their types; names that look like numbers stay texts."""
    columns: dict[str, list[str | None]] = {
        "whole": ["1", "20", ""],
        "broken": ["1.5", "2e3", None],
        "name": ["007", "12", "3"],
        "empty": ["", None, ""],
    }
    write_table(tmp_path / "t.parquet", columns)
    found = pq.read_table(tmp_path / "t.parquet")
    assert [str(field.type) for field in found.schema] == ["int64", "double", "string", "string"]
    assert found["whole"].to_pylist() == [1, 20, None]
    assert found["name"].to_pylist() == ["007", "12", "3"]


@pytest.mark.parametrize("suffix", [".csv", ".tsv", ".jsonl", ".parquet"])
def test_what_is_written_is_read_again(tmp_path: Path, suffix: str) -> None:
    """Every kind of file keeps the columns in order, and a text with a comma whole."""
    path = tmp_path / f"t{suffix}"
    write_table(path, {"b": ["x, y", "z"], "a": [1, 2]})
    table = read_tables([path])
    assert list(table.columns) == ["b", "a"]
    assert list(table.columns["b"]) == ["x, y", "z"]
    assert [int(value) for value in table.columns["a"]] == [1, 2]
    assert [file.name for file in tmp_path.iterdir()] == [path.name]


def test_a_column_that_one_file_lacks_is_missing_there(tmp_path: Path) -> None:
    """Files are put below each other by the names of their columns."""
    write_table(tmp_path / "one.csv", {"a": [1], "b": [2]})
    write_table(tmp_path / "two.csv", {"b": [3]})
    table = read_tables([tmp_path / "one.csv", tmp_path / "two.csv"])
    assert {name: list(values) for name, values in table.columns.items()} == {
        "a": ["1", None],
        "b": ["2", "3"],
    }


@pytest.mark.parametrize("path", ["out.xls", "nowhere/out.csv"])
def test_an_output_that_cannot_be_written_is_refused_first(tmp_path: Path, path: str) -> None:
    """Before any work is done."""
    with pytest.raises(InvalidInput):
        check_writable(tmp_path / path)
