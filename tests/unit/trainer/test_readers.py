"""Reading files of measurements."""

from __future__ import annotations

from pathlib import Path

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from foretell.errors import InvalidInput
from foretell_trainer.readers import read_table


def written(folder: Path, name: str, content: str | bytes) -> Path:
    path = folder / name
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


def test_csv_knows_physical_lines(tmp_path: Path) -> None:
    """A row's line is where it begins in the file, whatever came before it spans."""
    path = written(tmp_path, "a.csv", 'task,note\na,"two\nlines"\n\nb,x\n')
    table = read_table(path)
    assert table.columns == {"task": ("a", "b"), "note": ("two\nlines", "x")}
    assert list(table.lines) == [2, 5]


def test_csv_ragged_rows_are_rejected_alone(tmp_path: Path) -> None:
    """A row with too few or too many cells is rejected with its line; the others stay."""
    table = read_table(written(tmp_path, "a.csv", "x,y\n1,2\n3\n4,5,6\n7,8\n"))
    assert table.columns["x"] == ("1", "7")
    assert [(row.line, row.reason) for row in table.rejected] == [
        (3, "1 cells, the header has 2"),
        (4, "3 cells, the header has 2"),
    ]


def test_csv_row_in_another_encoding_is_rejected_alone(tmp_path: Path) -> None:
    """A row that is not UTF-8 is rejected and names its column."""
    table = read_table(written(tmp_path, "a.csv", b"task,x\nf\xfcnf,1\nsix,2\n"))
    assert table.columns["task"] == ("six",)
    assert [(row.line, row.reason) for row in table.rejected] == [(2, "task: not UTF-8 text")]


@pytest.mark.parametrize("separator", [";", "\t", ","])
def test_csv_separator_is_read_from_the_header(tmp_path: Path, separator: str) -> None:
    """Tables with semicolons or tabs are read like those with commas; a BOM does not matter."""
    text = "\ufeffa{0}b\n1{0}2\n".replace("{0}", separator)
    table = read_table(written(tmp_path, "a.csv", text))
    assert table.columns == {"a": ("1",), "b": ("2",)}


@pytest.mark.parametrize(
    ("name", "content", "why"),
    [
        ("a.csv", b"", "the file is empty"),
        ("a.csv", b"\n\n", "no header"),
        ("a.csv", "a,a\n1,2\n", "column 'a' appears more than once"),
        ("a.csv", "a,b\n1,2\n".encode("utf-16"), "UTF-16"),
        ("a.csv", b"a,b\n1,\x00\n", "not a text file"),
        ("a.csv", b"f\xfcnf,b\n1,2\n", "the header is not UTF-8"),
        ("a.jsonl", b"\n", "no rows"),
        ("a.jsonl", b"nonsense\n", "no rows; line 1"),
        ("a.parquet", b"PAR1 nonsense", "not a readable Parquet file"),
        ("a.duckdb", b"nonsense", "cannot be opened"),
        ("a.xlsx", b"PK", "no reader for .xlsx"),
    ],
)
def test_useless_file_is_refused_by_name(
    tmp_path: Path, name: str, content: bytes | str, why: str
) -> None:
    """A file that cannot be read as a whole is refused, with its name and the reason."""
    with pytest.raises(InvalidInput, match=why) as caught:
        read_table(written(tmp_path, name, content))
    assert name in caught.value.violations[0].value


def test_missing_file_is_refused(tmp_path: Path) -> None:
    """A file that does not exist is an error of the input."""
    with pytest.raises(InvalidInput, match="no such file"):
        read_table(tmp_path / "none.csv")


def test_csv_without_rows_is_an_empty_table(tmp_path: Path) -> None:
    """A header alone is a table of no rows."""
    table = read_table(written(tmp_path, "a.csv", "x,y\n"))
    assert len(table) == 0
    assert list(table.columns) == ["x", "y"]


def test_json_lines_flattens_observations(tmp_path: Path) -> None:
    """An observation in its own JSON form and a flat row give the same columns."""
    path = written(
        tmp_path,
        "a.jsonl",
        '{"id": "1", "features": {"task": "a"}, "metrics": {"s": 1.5}, "lower_bounds": {"m": 2}}\n'
        '{"id": "2", "task": "b", "s": null}\n',
    )
    table = read_table(path)
    assert table.columns == {
        "id": ["1", "2"],
        "task": ["a", "b"],
        "s": [1.5, None],
        "lb:m": [2, None],
    }


def test_json_lines_rejects_broken_lines_alone(tmp_path: Path) -> None:
    """A line that is no flat object is rejected with its number and its text."""
    path = written(tmp_path, "a.jsonl", '{"x": 1}\n{"x": \n[1]\n{"x": {"y": 1}}\n{"x": 2}\n')
    table = read_table(path)
    assert table.columns == {"x": [1, 2]}
    assert [row.line for row in table.rejected] == [2, 3, 4]
    assert table.rejected[1].content == "[1]"


def test_parquet_and_duckdb_agree(tmp_path: Path) -> None:
    """The same table reads the same from Parquet and from DuckDB; NaN is missing."""
    source = pa.table(
        {
            "x": pa.array([1.5, float("nan"), None]),
            "task": ["a", None, "c"],
            "at": pa.array([0, 1, None], pa.timestamp("us", tz="UTC")),
        }
    )
    pq.write_table(source, tmp_path / "a.parquet")
    with duckdb.connect(str(tmp_path / "a.duckdb")) as connection:
        connection.register("source", source)
        connection.execute("CREATE TABLE t AS FROM source")
    parquet, stored = read_table(tmp_path / "a.parquet"), read_table(tmp_path / "a.duckdb")
    assert parquet.columns["x"] == stored.columns["x"] == [1.5, None, None]
    assert parquet.columns["task"] == stored.columns["task"] == ["a", None, "c"]
    assert list(parquet.lines) == [1, 2, 3]


def test_duckdb_with_several_tables_wants_a_name(tmp_path: Path) -> None:
    """Of several tables in a file one is named after a #; without it, the names are listed."""
    path = tmp_path / "a.duckdb"
    with duckdb.connect(str(path)) as connection:
        connection.execute("CREATE TABLE one AS SELECT 1 AS x; CREATE TABLE two AS SELECT 2 AS x")
    assert read_table(Path(f"{path}#two")).columns == {"x": [2]}
    with pytest.raises(InvalidInput, match="one, two"):
        read_table(path)
