"""Updates: a bundle that goes on from another one with what is new."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest

from foretell.bundle import STATE_FILE, Manifest, read_bundle, read_file
from foretell.errors import BundleRejected, Cancelled, InvalidInput
from foretell.predictor import Predictor
from foretell.schema import Feature, Metric, Schema
from foretell_trainer.engine.state import pack, unpack
from foretell_trainer.engine.training_set import FitSettings
from foretell_trainer.updating import Base, update_bundle
from tests.conftest import MadeOnce
from tests.unit.engine.synthetic import QUICK, Workload

SCHEMA = Schema(
    workload="functions",
    title="Functions on nodes",
    features=(
        Feature(name="size", kind="number", scale="log", minimum=0),
        Feature(name="function", kind="category"),
        Feature(name="node", kind="category"),
    ),
    metrics=(Metric(name="seconds", unit="s", scale="log"),),
    groups=(("function",), ("node",)),
)
OLD, NEW = 400, 200
FUNCTIONS = tuple("abcdef")
SLOWED, ADDED = "a", "new"


def runs(rows: int, seed: int, functions: tuple[str, ...], slowed: float = 1.0) -> Workload:
    """Return runs whose seconds are a law of their size, function and node, give or take 5 %."""
    rng = np.random.default_rng(seed)
    names = rng.choice(functions, rows)
    nodes = rng.choice(["x", "y", "z"], rows)
    size = np.exp(rng.uniform(0, 5, rows))
    known = {name: 1.0 + i for i, name in enumerate((*FUNCTIONS, ADDED))}
    seconds = np.array([known[name] for name in names]) * size**0.7 * np.exp(nodes == "z")
    seconds *= np.where(names == SLOWED, slowed, 1.0) * np.exp(rng.normal(0, 0.05, rows))
    features = {"size": size.tolist(), "function": names.tolist(), "node": nodes.tolist()}
    return Workload(SCHEMA, features, seconds[:, None])


def together(first: Workload, second: Workload) -> Workload:
    """Return the runs of both, in their order."""
    features = {k: [*v, *second.features[k]] for k, v in first.features.items()}
    return replace(first, features=features, metrics=np.vstack([first.metrics, second.metrics]))


@dataclass(frozen=True)
class Updated:
    """A bundle that was fitted to the old runs, and what became of it by the new ones."""

    base: Path
    folder: Path

    @property
    def manifest(self) -> Manifest:
        """The updated bundle's manifest."""
        return read_bundle(self.folder)


OLD_RUNS = runs(OLD, 1, FUNCTIONS)
ALL_RUNS = together(OLD_RUNS, runs(NEW, 2, (*FUNCTIONS, ADDED), slowed=2.0))
UNSEEN = np.arange(OLD + NEW) >= OLD


@pytest.fixture(scope="module", params=["lightgbm", "sgd"])
def updated(request: pytest.FixtureRequest, made_once: MadeOnce) -> Updated:
    """Bundles of the families that can be updated: one function is slower now, another new."""
    settings = replace(QUICK, family=request.param)

    def make(folder: Path) -> None:
        OLD_RUNS.train(folder / "old", settings)
        update(folder / "old" / "bundle", folder / "updated", settings)

    folder = made_once(f"updated-{request.param}", make)
    return Updated(folder / "old" / "bundle", folder / "updated")


def update(base: Path, out: Path, settings: FitSettings, rows: Workload = ALL_RUNS) -> Manifest:
    """Update a bundle with the runs that come after the old ones."""
    snapshot = rows.snapshot(out.parent / "all")
    unseen = np.arange(len(rows)) >= OLD
    return update_bundle(SCHEMA, snapshot, (), out, Base(base, unseen), settings)


def errors(folder: Path, rows: Workload) -> tuple[float, float]:
    """Return the median error of a bundle, in logs, and how often its 90 % intervals hold."""
    predictor = Predictor.load(folder)
    columns = {name: list(values) for name, values in rows.features.items()}
    encoded, _ = predictor.encoder.encode_table(columns, named="name")
    forecasts = predictor.forecast(encoded).forecasts
    low, high = forecasts.interval(0.9)
    truth = rows.metrics[:, 0]
    off = np.abs(np.log(forecasts.quantiles([0.5])[:, 0, 0] / truth))
    return float(np.median(off)), float(((low[:, 0] <= truth) & (truth <= high[:, 0])).mean())


@pytest.mark.parametrize("name", [SLOWED, ADDED])
def test_an_update_learns_what_is_new(updated: Updated, name: str) -> None:
    """What became slower, and what nobody had run before, is foretold twice as well or better."""
    fresh = runs(200, 3, (name,), slowed=2.0)
    (before, _), (after, held) = errors(updated.base, fresh), errors(updated.folder, fresh)
    assert after < before / 2
    assert held > 0.7


def test_an_update_does_not_forget(updated: Updated) -> None:
    """What did not change is foretold as before, within a few per cent, and intervals hold."""
    fresh = runs(300, 4, FUNCTIONS[1:])
    (before, _), (after, held) = errors(updated.base, fresh), errors(updated.folder, fresh)
    assert after < before + 0.05
    assert held > 0.8


def test_an_update_says_what_it_is(updated: Updated) -> None:
    """The manifest names the bundle that was gone on from, and how much was new; values that
    were known keep their codes."""
    before, after = read_bundle(updated.base), updated.manifest
    assert after.lineage.parent == before.version
    assert after.lineage.rows == OLD + NEW
    assert after.training["update"] == {
        "of": before.version,
        "new_rows": NEW,
        "updates_since_fit": 1,
        "rows_since_fit": NEW,
    }
    known = before.vocabulary["function"]
    assert after.vocabulary["function"] == (*known, ADDED)


def test_an_update_can_be_updated(updated: Updated, tmp_path: Path) -> None:
    """The next update goes on from this one, and counts both."""
    settings = replace(QUICK, family=updated.manifest.family)
    rows = together(ALL_RUNS, runs(60, 5, FUNCTIONS))
    snapshot = rows.snapshot(tmp_path / "all")
    base = Base(updated.folder, np.arange(len(rows)) >= len(ALL_RUNS))
    found = update_bundle(SCHEMA, snapshot, (), tmp_path / "bundle", base, settings)
    assert found.training["update"]["updates_since_fit"] == 2
    assert found.training["update"]["rows_since_fit"] == NEW + 60


def test_a_kept_state_comes_back_as_it_was(updated: Updated) -> None:
    """What is packed and unpacked is packed to the same bytes again."""
    content = read_file(updated.folder, updated.manifest, STATE_FILE)
    assert pack(unpack(content, "a version")) == content


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04", b"\x80\x04N."])
def test_what_is_no_state_is_refused(content: bytes) -> None:
    """A file that is damaged, or a pickle, is refused, not opened."""
    with pytest.raises(BundleRejected, match=STATE_FILE):
        unpack(content, "a version")


@pytest.mark.parametrize(
    ("family", "rows", "why"),
    [
        pytest.param("ridge", ALL_RUNS, "family", id="another family"),
        pytest.param("", together(OLD_RUNS, runs(20, 6, FUNCTIONS)), "20 new", id="few rows"),
        pytest.param(
            "",
            together(
                OLD_RUNS, replace(runs(60, 7, FUNCTIONS), features={
                    **runs(60, 7, FUNCTIONS).features, "size": [1e6] * 60,
                })
            ),
            "size",
            id="beyond the ranges",
        ),
    ],
)  # fmt: skip
def test_what_an_update_cannot_say_is_refused(
    updated: Updated, tmp_path: Path, family: str, rows: Workload, why: str
) -> None:
    """Where an update would only seem to learn, it says why there is none."""
    mine = replace(QUICK, family=family or updated.manifest.family)
    with pytest.raises(InvalidInput, match=why):
        update(updated.base, tmp_path / "bundle", mine, rows)


def test_an_update_stops_when_asked(updated: Updated, tmp_path: Path) -> None:
    """An update that is to stop writes nothing."""
    settings = replace(QUICK, family=updated.manifest.family)
    base, out = Base(updated.base, UNSEEN), tmp_path / "bundle"
    snapshot = ALL_RUNS.snapshot(tmp_path)
    with pytest.raises(Cancelled):
        update_bundle(SCHEMA, snapshot, (), out, base, settings, should_stop=lambda: True)
    assert not out.exists()


def paired(models: range, seed: int) -> Workload:
    """Return three runs of each model on each hardware; some models like fast hardware more."""
    rng = np.random.default_rng(seed)
    model, hardware, _ = (
        axis.ravel() for axis in np.meshgrid(models, range(6), range(3), indexing="ij")
    )
    logs = 0.1 * model - (1 + 0.2 * (model % 5)) * np.linspace(-1, 1, 6)[hardware]
    features = {"model": [f"m{m}" for m in model], "hardware": [f"h{h}" for h in hardware]}
    seconds = np.exp(logs + rng.normal(0, 0.02, len(logs)))
    return Workload(PAIRS, features, seconds[:, None])


PAIRS = Schema(
    workload="pairs",
    title="Models on hardware",
    features=(
        Feature(name="model", kind="category"),
        Feature(name="hardware", kind="category"),
    ),
    metrics=(Metric(name="seconds", unit="s", scale="log"),),
    groups=(("model",), ("hardware",), ("model", "hardware")),
)


def test_interactions_are_kept(tmp_path: Path) -> None:
    """What a bundle knows of pairs is in its update too, and has room for a model that is new."""
    old, new = paired(range(25), 1), paired(range(25, 30), 2)
    old.train(tmp_path / "old", QUICK)
    rows = together(old, new)
    base = Base(tmp_path / "old" / "bundle", np.arange(len(rows)) >= len(old))
    out = tmp_path / "updated"
    manifest = update_bundle(PAIRS, rows.snapshot(tmp_path / "all"), (), out, base, QUICK)
    state = unpack(read_file(out, manifest, STATE_FILE), manifest.version)
    assert state.metrics[0].location.interaction is not None
    assert errors(out, old)[0] < errors(base.folder, old)[0] + 0.05
    assert errors(out, new)[0] < errors(base.folder, new)[0] / 2
