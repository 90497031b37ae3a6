"""Guessed schemas: sensible, readable back, and said to be guesses."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from foretell.encoding import Encoder
from foretell.errors import InvalidInput, NotFound
from foretell.schema import Schema
from foretell.schema_file import parse_schema
from foretell.schema_guess import guess_schema
from foretell.table_columns import build_vocabulary

RNG = np.random.default_rng(7)
ROWS = 240


def table() -> dict[str, Any]:
    machine = [f"m{i % 8}" for i in range(ROWS)]
    return {
        "run id": [f"r{i}" for i in range(ROWS)],
        "started_at": [f"2025-01-01T00:00:{i % 60:02}Z" for i in range(ROWS)],
        "model": [f"net-{i % 30}" for i in range(ROWS)],
        "machine": machine,
        "cores": [int(m[1]) * 8 + 8 for m in machine],
        "precision": ["fp16" if i % 3 else "fp32" for i in range(ROWS)],
        "batch size": [2 ** (i % 9) for i in range(ROWS)],
        "temperature": (20 + RNG.random(ROWS)).tolist(),
        "weights": [f"{i % 30 + 1} MB" for i in range(ROWS)],
        "input": [f"3x{64 * (i % 4 + 1)}x64" for i in range(ROWS)],
        "compiled": ["yes" if i % 2 else "no" for i in range(ROWS)],
        "same": [1] * ROWS,
        "nothing": [None] * ROWS,
        "energy_j": RNG.random(ROWS).tolist(),
        "latency_ms": np.exp(RNG.normal(size=ROWS)),
        "requests_per_s": np.exp(RNG.normal(size=ROWS)),
        "delta": RNG.normal(size=ROWS),
    }


METRICS = {"latency_ms": None, "requests_per_s": None, "delta": "furlong"}


@pytest.fixture(scope="module")
def text() -> str:
    """The schema guessed for the table."""
    return guess_schema("mine", table(), METRICS)


@pytest.fixture(scope="module")
def guessed(text: str) -> Schema:
    """The same, read back."""
    return parse_schema(text, "mine.yaml")


def test_kinds_and_formats(guessed: Schema) -> None:
    """Texts, words for yes and no, numbers and numbers in disguise are told apart."""
    kinds = {f.name: (f.kind, f.format) for f in guessed.features}
    assert kinds == {
        "model": ("category", "plain"),
        "machine": ("category", "plain"),
        "cores": ("number", "plain"),
        "precision": ("category", "plain"),
        "batch_size": ("number", "plain"),
        "temperature": ("number", "plain"),
        "weights": ("number", "quantity"),
        "input": ("number", "dimensions"),
        "compiled": ("flag", "plain"),
    }


def test_scales_ranges_and_trends(guessed: Schema) -> None:
    """What spans orders of magnitude is on a log scale; counts begin at 1."""
    batch = guessed.feature("batch_size")
    assert (batch.column, batch.scale, batch.minimum, batch.extrapolate) == (
        "batch size",
        "log",
        1,
        True,
    )
    assert guessed.feature("temperature").scale == "linear"


def test_ids_times_and_groups(guessed: Schema) -> None:
    """Columns that tell rows apart, times, and the categories that name what is run."""
    assert guessed.id_column == "run id"
    assert guessed.time_column == "started_at"
    assert guessed.groups == (("model",), ("machine",), ("model", "machine"))
    assert guessed.feature("model").required


def test_metrics(guessed: Schema) -> None:
    """Units come from the user or the name, directions from the name, scales from the values."""
    found = {m.name: (m.unit, m.direction, m.scale) for m in guessed.metrics}
    assert found == {
        "latency_ms": ("ms", "lower", "log"),
        "requests_per_s": ("1/s", "higher", "log"),
        "delta": ("furlong", "lower", "linear"),
    }


def test_guesses_say_that_they_are(text: str) -> None:
    """Every guess has a comment, and what was left out is named with the reason."""
    kinds = [line for line in text.splitlines() if line.strip().startswith("kind:")]
    assert len(kinds) == 9
    assert all("# guess:" in line for line in kinds)
    assert '# left out (guess): "same" is the same' in text
    assert '# left out (guess): "energy_j" looks measured' in text
    assert "each machine has one value of this; it could be a fact in a catalog" in text


def test_the_table_can_be_encoded_with_its_guess(guessed: Schema) -> None:
    """No row of the table that the guess was made from is rejected by it."""
    encoder = Encoder(guessed, build_vocabulary(guessed, table()))
    encoded, rejections = encoder.encode_table(table())
    assert rejections == []
    assert not np.isnan(encoded.numbers).any()
    assert (encoded.categories >= 0).all()


def test_tables_that_give_nothing_to_guess_are_refused() -> None:
    """A metric that is no column or no number, no rows, no columns: each is told."""
    with pytest.raises(NotFound, match="no column named 'speed'"):
        guess_schema("mine", table(), {"speed": None})
    with pytest.raises(InvalidInput, match="is not a number"):
        guess_schema("mine", table(), {"model": None})
    with pytest.raises(InvalidInput, match="no rows"):
        guess_schema("mine", {"a": [], "m": []}, {"m": None})
    with pytest.raises(InvalidInput, match="no column is left"):
        guess_schema("mine", {"a": [1, 1], "m": [1.0, 2.0]}, {"m": None})
    with pytest.raises(InvalidInput, match="workload"):
        guess_schema("My Table", table(), METRICS)


def test_what_nobody_knows_before_the_run_can_be_left_out() -> None:
    """A column that is measured with the run is named, and is no feature; a wrong name is told."""
    columns = {**table(), "cpu_s": RNG.random(ROWS)}
    text = guess_schema("mine", columns, METRICS, ["cpu_s"])
    assert '# left out: "cpu_s" is not known before the run' in text
    assert "cpu_s" not in [f.name for f in parse_schema(text, "mine.yaml").features]
    with pytest.raises(NotFound, match="no column named 'gpu_s'"):
        guess_schema("mine", columns, METRICS, ["gpu_s"])


def test_awkward_names_become_usable_ones() -> None:
    """Columns whose names no schema may use keep their column and get a name."""
    columns: dict[str, Any] = {
        "1st": ["a", "b", "c"],
        "a b": [1, 2, 3],
        "a-b": [4, 5, 6],
        "A-B": [7, 8, 8],
        "m": [1.0, 2.0, 3.0],
    }
    guessed = parse_schema(guess_schema("mine", columns, {"m": None}), "mine.yaml")
    names = {f.name: f.source_column for f in guessed.features}
    assert names["a_b"] == "a b"
    assert names["a_b_2"] == "a-b"
    assert names["A_B_3"] == "A-B"


def test_times_are_not_features() -> None:
    """A column of times is the time column whatever its name; further ones are left out."""
    columns: dict[str, Any] = {
        "submitted": [f"2026-10-{day:02}T00:00:00Z" for day in range(1, 29)],
        "begun": [f"2026-10-{day:02} 10:00:00" for day in range(1, 29)],
        "host": ["a", "b"] * 14,
        "seconds": [float(i) for i in range(1, 29)],
    }
    text = guess_schema("jobs", columns, {"seconds": "s"})
    schema = parse_schema(text, "jobs.yaml")
    assert schema.time_column == "submitted"
    assert [feature.name for feature in schema.features] == ["host"]
    assert '"begun" is a time' in text
