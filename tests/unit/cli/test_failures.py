"""Wrong arguments and wrong input, in one line each."""

from __future__ import annotations

from pathlib import Path

import click
import pytest

from foretell.cli.app import run
from foretell.cli.failures import failure_of
from foretell.errors import Cancelled, InvalidInput, SchemaError, Violation


@pytest.mark.parametrize(
    ("args", "code", "said"),
    [
        (("trian",), 2, "no command 'trian'"),
        (("train", "serverless"), 2, "Missing option '--data'"),
        (("train", "nope", "--data", "x.csv"), 1, "no workload named 'nope'; known: inference"),
        (("train", "serverless", "--data", "x.csv"), 1, "x.csv"),
        (("train", "serverless", "--data", "empty.csv"), 1, "the file is empty"),
        (("train", "no.yaml", "--data", "empty.csv"), 1, "no schema named 'no.yaml'"),
        (("train", "serverless", "--data", "wrong.csv"), 1, "lacks this required column"),
        (
            ("train", "serverless", "--data", "x", "--catalog", "y", "--catalog", "z"),
            1,
            "'z' is not",
        ),
        (("evaluate", "serverless", "--data", "wrong.csv"), 1, "has no bundle yet"),
        (("evaluate", "nope", "--data", "wrong.csv"), 1, "no workload named 'nope'"),
        (("predict", "serverless"), 2, "give either --data FILE"),
        (("predict", "serverless", "--data", "wrong.csv"), 2, "Missing option '--out'"),
        (("predict", "x", "--data", "wrong.csv", "--out", "o.xls"), 1, "must end in one of"),
        (("predict", "x", "--set", "a=1", "--address", "localhost:1"), 1, "is unavailable"),
        (("serve", "--port", "70000"), 1, "port: 70000"),
        (("serve", "--host", "192.0.2.1"), 1, "not a loopback address"),
        (("up", "--retrain-at", "61 * * * *"), 1, "Invalid end range: 61"),
        (("measure", "wasm", "--task", "nope"), 1, "no task named 'nope'"),
        (("workload", "init", "a", "--from", "wrong.csv", "--metric", "z"), 1, "no column named"),
        (("demo", "--task", "nope"), 1, "no task named 'nope'"),
        (("demo", "--keep", "wrong.csv/x"), 1, "Not a directory"),
    ],
)
def test_a_failure_is_one_line_and_an_exit_code(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    args: tuple[str, ...],
    code: int,
    said: str,
) -> None:
    """Whatever goes wrong, standard error has one line with the reason and the code is not 0."""
    (tmp_path / "empty.csv").touch()
    (tmp_path / "wrong.csv").write_text("a,b\n1,2\n")
    monkeypatch.chdir(tmp_path)
    assert run(args) == code
    err = capsys.readouterr().err
    assert err.startswith("error: ")
    assert err.count("\n") == 1
    assert said in err


def test_the_demo_says_when_the_disk_is_full(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Before anything is begun, in one line, with what can be done about it."""
    monkeypatch.setattr("foretell.demo.story.NEEDED_BYTES", 2**80)
    assert run(["demo", "--json"]) == 1
    last = capsys.readouterr().err.splitlines()[-1]
    assert "MB are free and the demo needs" in last
    assert "set TMPDIR" in last


def test_the_end_of_a_file_is_not_told_as_ctrl_c(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """What finds a file cut short says so: nobody pressed a key."""

    def cut_short(_name: str) -> None:
        raise EOFError("marshal data too short")

    monkeypatch.setattr("foretell.cli.tables.check_writable", cut_short)
    assert run(["predict", "x", "--data", "a.csv", "--out", "b.csv"]) == 1
    assert "EOFError: marshal data too short" in capsys.readouterr().err


def test_a_missing_extra_is_named_with_what_installs_it() -> None:
    """A module that is not installed becomes the extra that has it."""
    failure = failure_of(ModuleNotFoundError("No module named 'duckdb'", name="duckdb"), "trainer")
    assert failure.line == (
        "this command needs the extra trainer: pip install 'foretell[trainer]' (no module 'duckdb')"
    )


def test_the_unexpected_says_how_to_see_where() -> None:
    """An exception that nobody thought of is one line, and tells how to get its traceback."""
    failure = failure_of(RuntimeError("two\nlines"))
    assert failure.line == "RuntimeError: two lines (set FORETELL_TRACEBACK=1 to see where)"


def test_many_problems_are_the_first_and_a_count() -> None:
    """A schema with three problems names the first, and what names the two others."""
    problems = [Violation("a", "", f"x.yaml:{line}: wrong") for line in (3, 5, 8)]
    line = failure_of(SchemaError("x.yaml", problems)).line
    assert line == "x.yaml:3: wrong (and 2 more: `foretell workload check` names them)"


def test_the_value_is_shown_when_the_message_lacks_it() -> None:
    """Whoever reads the line must see which value was wrong."""
    found = failure_of(InvalidInput([Violation("data", "runs.csv", "no such file")]))
    assert found.line == "data: no such file (runs.csv)"


@pytest.mark.parametrize(
    ("error", "code"),
    [(click.UsageError("x"), 2), (Cancelled(), 3), (OSError(28, "No space left on device"), 1)],
)
def test_exit_codes_tell_usage_from_failure_from_cancelled(error: Exception, code: int) -> None:
    """2 is wrong usage, 3 that what was waited for was cancelled, 1 all else; 130 is Ctrl-C's."""
    assert failure_of(error).code == code


def test_measurements_are_not_replaced_unasked(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A folder that holds measurements already is refused, and keeps them."""
    kept = tmp_path / "observations.parquet"
    kept.write_bytes(b"measured before")
    assert run(("measure", "wasm", "--out", str(tmp_path))) == 2
    assert "--force replaces them" in capsys.readouterr().err
    assert kept.read_bytes() == b"measured before"
