"""Corrections: how they are applied, and how they travel."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from foretell.corrections import Correction, Corrections, CorrectionTable
from foretell.errors import InvalidInput

NAMES = ("kind", "color", "place")
GROUPS = (("kind",), ("place",), ("kind", "place"))
MET = {"kind": {"met": -3}, "place": {"met too": -4}}
VOCABULARY = {"kind": ("a", "b", "c"), "color": ("red",), "place": ("x", "y")}
CORRECTIONS = Corrections(
    "toy",
    "v1",
    7,
    (
        Correction(("kind",), ("b",), (0.5, -0.5), (1.0, 2.0)),
        Correction(("place",), ("y",), (0.25, 0.0), (3.0, 1.0)),
        Correction(("kind", "place"), ("b", "y"), (1.0, 1.0), (1.5, 1.5)),
        Correction(("kind",), ("unheard of",), (9.0, 9.0), (9.0, 9.0)),
        Correction(("kind",), ("met",), (0.5, 0.5), (0.2, 2.0)),
        Correction(("place",), ("met too",), (0.0, 0.0), (0.5, 1.0)),
        Correction(("kind", "place"), ("met", "x"), (0.0, 0.0), (1.5, 1.0)),
    ),
)


def compiled() -> CorrectionTable:
    return CorrectionTable(CORRECTIONS, NAMES, VOCABULARY, 2, met=MET, groups=GROUPS)


def test_shifts_add_up_and_the_largest_widening_holds() -> None:
    """A row is shifted by all that its categories say, and widened by the most."""
    location, scale = compiled().row([1, 0, 1], [1.0, 1.0], [0.1, 0.1], [9, 9, 9])
    assert location == pytest.approx([2.75, 1.5])
    assert scale == pytest.approx([0.3, 0.2])


def test_what_the_bundle_does_not_know_is_not_corrected() -> None:
    """Entries for unknown values are left out, and rows with unknown values find none."""
    assert len(compiled()) == 6
    location, scale = compiled().row([-1, -1, -1], [1.0, 1.0], [0.1, 0.1], [0, 0, 0])
    assert (location, scale) == ([1.0, 1.0], [0.1, 0.1])


def test_intervals_narrow_where_all_names_were_met() -> None:
    """The least that a row's names narrow by holds, times what widens; nothing narrows a row that
    has another name which nobody has met."""
    scales = {
        place: compiled().row([-3, 0, place], [1.0, 1.0], [0.1, 0.1], [0, trained, 0])[1]
        for place, trained in ((-1, 0), (-4, 0), (0, 5), (1, 0), (2, 0))
    }
    assert scales[-4] == pytest.approx([0.05, 0.2])
    assert scales[0] == pytest.approx([0.03, 0.2])
    assert scales[1] == pytest.approx([0.06, 0.2])
    assert scales[-1] == scales[2] == pytest.approx([0.1, 0.2])


@given(st.lists(st.tuples(*[st.integers(-5, 2)] * 3), min_size=1, max_size=20))
def test_many_rows_are_corrected_as_each_by_itself(rows: list[tuple[int, int, int]]) -> None:
    """Arrays and single rows are corrected by the same numbers."""
    location = np.arange(2.0 * len(rows)).reshape(-1, 2)
    scale = np.full_like(location, 0.1)
    trained = np.array(rows) % 2.0
    moved, widened = compiled().rows(np.array(rows), location, scale, trained)
    for i, row in enumerate(rows):
        one = compiled().row(row, location[i].tolist(), scale[i].tolist(), trained[i].tolist())
        assert moved[i] == pytest.approx(one[0])
        assert widened[i] == pytest.approx(one[1])


def test_corrections_travel_as_text() -> None:
    """What is written is what is read."""
    assert Corrections.from_json(CORRECTIONS.to_json()) == CORRECTIONS


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"entries": [{"shift": 1}]}'])
def test_other_texts_are_refused(text: str) -> None:
    """A text that holds no corrections is an error that says so, whatever it is."""
    with pytest.raises(InvalidInput):
        Corrections.from_json(text)
