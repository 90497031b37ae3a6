"""Extents: how much of what was observed a training run learns from."""

from __future__ import annotations

import math
from pathlib import Path

import pytest

from foretell.corrections import Correction, Corrections
from foretell.errors import InvalidInput
from foretell_trainer.extent import choose_extent
from foretell_trainer.ingest import ingest_messages
from foretell_trainer.snapshot import KEPT_OF_EACH, read_snapshot, take_snapshot
from foretell_trainer.store import Store
from tests.bundles import toy_schema

SCHEMA = toy_schema()


def corrected(factor: float) -> Corrections:
    """Return corrections of one group's seconds by a factor."""
    entry = Correction(("kind",), ("big",), (math.log(factor), 0.0), (1.0, 1.0))
    return Corrections("toy", "v1", 1, (entry,))


@pytest.mark.parametrize(
    ("spec", "stored", "corrections", "window"),
    [
        pytest.param({}, 1000, None, None, id="nothing changed"),
        pytest.param({}, 1000, corrected(1.1), None, id="little changed"),
        pytest.param({}, 1000, corrected(2.0), 500, id="much became slower"),
        pytest.param({}, 1000, corrected(0.5), 500, id="much became faster"),
        pytest.param({}, 400, corrected(2.0), None, id="no more than a window"),
        pytest.param({"mode": "full"}, 1000, corrected(2.0), None, id="all is asked for"),
        pytest.param({"mode": "windowed"}, 1000, None, 500, id="a window is asked for"),
        pytest.param(
            {"mode": "windowed", "window_rows": 200}, 1000, None, 200, id="and how large it is"
        ),
    ],
)
def test_the_extent_is_what_was_asked_for_or_goes_by_how_much_changed(
    spec: dict[str, object], stored: int, corrections: Corrections | None, window: int | None
) -> None:
    """A run learns from the newest when old observations mislead, and says so; else from all."""
    extent = choose_extent(spec, SCHEMA, stored, 500, corrections)
    assert extent.window == window
    assert extent.mode == ("full" if window is None else "windowed")
    assert ("the newest 321" if window else "all 321") in extent.sentence(321)


@pytest.mark.parametrize("spec", [{"mode": "half"}, {"mode": "windowed", "window_rows": 5}])
def test_extents_that_there_are_not_are_refused(spec: dict[str, object]) -> None:
    """What cannot be learned from is an error that names the field."""
    with pytest.raises(InvalidInput) as caught:
        choose_extent(spec, SCHEMA, 1000, 500, None)
    assert caught.value.violations[0].field in spec


def test_a_window_has_the_newest_and_the_newest_few_of_each_id(tmp_path: Path) -> None:
    """What is rare is in a window too, however old; what is neither rare nor new is not."""
    store = Store(tmp_path)
    kinds = ["rare"] * 30 + ["common"] * 200
    ingest_messages(
        store,
        SCHEMA,
        [
            {
                "id": f"run {i}",
                "workload": "toy",
                "time": f"2026-01-01T00:{i // 60:02}:{i % 60:02}Z",
                "features": {"size": 1.0, "kind": kind},
                "metrics": {"seconds": 1.0},
            }
            for i, kind in enumerate(kinds)
        ],
    )
    snapshot = take_snapshot(store, SCHEMA, tmp_path / "snapshots", window=100)
    ids = read_snapshot(snapshot, SCHEMA).ids.tolist()
    rare = [f"run {i}" for i in range(30 - KEPT_OF_EACH, 30)]
    assert ids == [*rare, *(f"run {i}" for i in range(130, 230))]
