"""Numbers and JSON as commands print them."""

from __future__ import annotations

import json

import numpy as np
import pytest

from foretell.cli.output import duration, print_json, short


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (1.234e-5, "12.3 µs"),
        (0.0456, "45.6 ms"),
        (1.5, "1.5 s"),
        (99.5, "99.5 s"),
        (250.4, "250 s"),
    ],
)
def test_a_duration_has_the_unit_that_suits_it(seconds: float, text: str) -> None:
    """Three digits, in microseconds, milliseconds or seconds."""
    assert duration(seconds) == text


@pytest.mark.parametrize(
    ("value", "text"), [(0.123456, "0.1235"), (4321.5, "4322"), (float("nan"), "-"), (7, "7")]
)
def test_a_short_number_has_four_digits(value: float, text: str) -> None:
    """Four digits, and a dash for what is no number."""
    assert short(value) == text


def test_json_has_no_nan(capsys: pytest.CaptureFixture[str]) -> None:
    """What JSON cannot say becomes null, arrays become lists."""
    print_json({"a": float("nan"), "b": np.array([1.0, np.inf]), "c": (1, "x")})
    assert json.loads(capsys.readouterr().out) == {"a": None, "b": [1.0, None], "c": [1, "x"]}
