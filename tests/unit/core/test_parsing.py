"""Parsing: what a text stands for."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from foretell.parsing import category_text, parse_dimensions, parse_flag, parse_quantity


@pytest.mark.parametrize(
    ("text", "unit", "expected"),
    [
        ("43.9 MB", "MB", 43.9),
        ("249.96MB", "MB", 249.96),
        ("1.2 GB", "MB", 1200),
        ("1,024 KB", "KB", 1024),
        ("1 KiB", "B", 1024),
        ("2 TB", "GB", 2000),
        ("~6.3 mb", "MB", 6.3),
        ("12", "MB", 12),
    ],
)
def test_quantities(text: str, unit: str, expected: float) -> None:
    """A size with a unit is converted; one without is in the feature's unit already."""
    assert parse_quantity(text, unit) == pytest.approx(expected)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("1x384", 384),
        ("1 x 3 x 512 x 512", 786432),
        ("512X512", 262144),
        ("80x3000 (30 seconds audio)", 240000),
        ("256 tokens", 256),
        ("1x4, 1x8", 12),
        ("416p (416x416)", 173056),
        ("7.5", 7.5),
    ],
)
def test_dimensions(text: str, expected: float) -> None:
    """A shape is its number of elements; several shapes are added."""
    assert parse_dimensions(text) == expected


@pytest.mark.parametrize("text", ["MB", "1,5 MB", "five MB", "nan MB", "1 PB", ""])
def test_what_is_no_quantity_is_refused(text: str) -> None:
    """A text that is no size, a decimal comma included, is an error and not a wrong number."""
    with pytest.raises(ValueError, match=r"convert|finite|neither"):
        parse_quantity(text, "MB")


@pytest.mark.parametrize("text", ["x", "1x", "a x b", "nan", ""])
def test_what_is_no_shape_is_refused(text: str) -> None:
    """A text that is no shape is an error and not a wrong number."""
    with pytest.raises(ValueError, match=r"convert|finite|neither"):
        parse_dimensions(text)


def test_flags() -> None:
    """Words for yes and no are flags, whatever their case; other words are not."""
    assert [parse_flag(t) for t in ("TRUE", "yes", "1", "off", "No", "0.0")] == [1, 1, 1, 0, 0, 0]
    with pytest.raises(ValueError, match=r"convert|finite|neither"):
        parse_flag("maybe")


@given(st.integers(-(2**53), 2**53))
def test_one_category_whether_sent_as_int_float_or_text(value: int) -> None:
    """A number that names a category is the same category in every type."""
    assert category_text(value) == category_text(float(value)) == category_text(str(value))
    assert category_text(np.float64(value)) == category_text(np.int64(value)) == str(value)


def test_category_of_other_types() -> None:
    """Flags are words, nothing is missing, and what has no name is a TypeError."""
    assert category_text(True) == category_text(np.True_) == "true"
    assert category_text(None) is category_text("") is None
    for value in (float("nan"), [1], b"x"):
        with pytest.raises(TypeError):
            category_text(value)
