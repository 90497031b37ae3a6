"""Extents: how much of what was observed a training run learns from."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from foretell.corrections import Correction, Corrections
from foretell.errors import InvalidInput
from foretell_trainer.extent import Ground, choose_extent
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


GROUND = Ground("v1", rows=1000, new=100, family="lightgbm", fit_seconds=60.0)


@pytest.mark.parametrize(
    ("spec", "changes", "why"),
    [
        pytest.param({}, {}, "", id="little is new and a fit takes long"),
        pytest.param({"mode": "update"}, {"fit_seconds": 1.0}, "", id="asked for"),
        pytest.param({}, {"fit_seconds": 3.0}, "3 s", id="a fit is quick"),
        pytest.param({}, {"new": 400}, "400", id="much is new"),
        pytest.param({}, {"new": 10}, "10 new", id="next to nothing is new"),
        pytest.param({}, {"updates": 5}, "5 updates", id="updates are many"),
        pytest.param({}, {"why_not": "no state"}, "no state", id="impossible"),
        pytest.param({"search": "trials=3"}, {}, "search", id="a search"),
        pytest.param({"fit": {"family": "sgd"}}, {}, "family", id="another family"),
        pytest.param({"mode": "full"}, {}, "asked for", id="all is asked for"),
    ],
)
def test_a_bundle_is_updated_where_that_saves_much_and_costs_little(
    spec: dict[str, object], changes: dict[str, Any], why: str
) -> None:
    """An update is for little that is new and fits that take long; otherwise all is learned from
    anew, and why is said."""
    extent = choose_extent(spec, SCHEMA, 1100, 5000, None, replace(GROUND, **changes))
    assert extent.mode == ("full" if why else "update")
    assert why in extent.sentence(1100, 100)
    assert ("v1" in extent.sentence(1100, 100)) == (extent.mode == "update")


@pytest.mark.parametrize("ground", [None, replace(GROUND, why_not="it has no state")])
def test_an_update_of_what_cannot_be_updated_is_refused(ground: Ground | None) -> None:
    """Whoever asks for an update does not get a fit that takes an hour instead."""
    with pytest.raises(InvalidInput, match="no"):
        choose_extent({"mode": "update"}, SCHEMA, 1000, 500, None, ground)


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
