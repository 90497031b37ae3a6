"""The gate: what is held out of a fit, and which candidates take over."""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.gate import attempt
from foretell.bundle import Lineage, read_bundle, write_bundle
from foretell.registry import FolderRegistry
from foretell.settings import Settings
from foretell_trainer.gate.gate import Gate, Trial
from foretell_trainer.gate.held_out import LEARNED_FIRST, Past, Rows, hold_out, past_of
from foretell_trainer.gate.scores import by_chance
from foretell_trainer.gate.verdict import Verdict
from foretell_trainer.snapshot import Snapshot
from tests.bundles import WORKLOAD, toy_graph, toy_manifest, toy_schema

START = datetime(2026, 1, 1)  # noqa: DTZ001 -- snapshots have naive times, in UTC

BESIDE = "notes.txt"
"""A file beside the model, which a verdict has to leave where it is."""


def made(count: int) -> Rows:
    """Return rows of three ids, one a minute."""
    times = np.datetime64(START, "us") + np.arange(count) * np.timedelta64(60_000_000, "us")
    ids = np.array([f"run {i}" for i in range(count)], dtype=object)
    return Rows(ids, times, [np.array([f"id {i % 3}" for i in range(count)], dtype=object)])


def before(count: int, of: int, card: dict[str, object]) -> Past:
    """Return what a bundle was fitted on that saw the first rows of some."""
    return past_of({"gate": {"held_out": card}}, np.arange(of) < count)


@given(old=st.integers(0, 900), new=st.integers(1, 900), share=st.floats(0.01, 0.9))
def test_rows_that_are_compared_on_were_fitted_by_neither(old: int, new: int, share: float) -> None:
    """Over a chain of three bundles, what judges a candidate is in no fit of the two; rows that
    were golden once are never fitted on; and the first rows of an id always are."""
    first = hold_out(made(old), None, share)
    then = hold_out(made(old + new), before(old, old + new, first.describe()), share)
    total = old + 2 * new
    last = hold_out(made(total), before(old + new, total, then.describe()), share)
    for former, latter in ((first, then), (then, last)):
        judges = set(latter.golden.tolist()) | set(latter.newest.tolist())
        assert not judges & set(latter.fit.tolist())
        assert not judges & set(former.fit.tolist())
        assert set(range(3 * LEARNED_FIRST)) & set(range(old)) <= set(former.fit.tolist())
    assert not set(then.golden.tolist()) & set(last.fit.tolist())


def test_nothing_new_is_judged_by_what_the_current_bundle_did_not_see() -> None:
    """A run without new observations is judged by rows that were held out of the current fit."""
    rows = made(1000)
    first = hold_out(rows, Past(np.arange(1000) < 500), 0.2)
    again = hold_out(rows, before(1000, 1000, first.describe()), 0.2)
    assert len(first.newest) > len(again.newest) > 0
    assert set(again.newest.tolist()) <= set(first.newest.tolist())


@given(st.lists(st.floats(-1e6, 1e6, allow_nan=False), min_size=1, max_size=12))
def test_chance_bounds_the_test_of_all_signs(differences: list[float]) -> None:
    """What is said of chance is never less than the share of sign patterns that are as extreme."""
    d = np.array(differences)
    signs = np.array(np.meshgrid(*[[-1, 1]] * len(d))).reshape(len(d), -1)
    exact = np.mean(np.abs(d) @ signs >= d.sum() - 1e-9 * np.abs(d).sum())
    assert by_chance(d) >= min(exact, 1.0) - 1e-9 or exact > 0.5


class Bench:
    """A registry with a tiny bundle, which predicts the size, and toys that took their size."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.registry = FolderRegistry(folder / "registry")
        self.gate = Gate(self.registry, folder / "snapshots", Settings())
        (folder / "snapshots").mkdir()

    def snapshot(self, rows: int, factor: float = 1.0, since: int = 0) -> Snapshot:
        """Write a snapshot; from row `since` on, values are multiplied by a factor."""
        rng = np.random.default_rng(7)
        size = np.exp(rng.uniform(0, 5, rows))
        measured = size * np.exp(rng.normal(0, 0.1, rows))
        measured = np.where(np.arange(rows) >= since, factor, 1.0) * measured
        times = [START + timedelta(minutes=i) for i in range(rows)]
        nothing = np.full(rows, np.nan)
        table = pa.table(
            {
                "observation_id": [f"toy {i}" for i in range(rows)],
                "observed_at": pa.array(times, pa.timestamp("us")),
                **{name: [""] * rows for name in ("source", "tag", "outcome")},
                "f:size": size,
                "f:kind": [("big", "small")[i % 2] for i in range(rows)],
                **{f"m:{m.name}": measured for m in toy_schema().metrics},
                **{f"lb:{m.name}": nothing for m in toy_schema().metrics},
            }
        )
        path = self.folder / "snapshots" / "new.parquet"
        pq.write_table(table, path)
        digest = hashlib.sha256(path.read_bytes()).hexdigest()
        path = path.rename(path.with_name(f"{WORKLOAD}-{digest[:8]}.parquet"))
        span = (times[0].replace(tzinfo=UTC), times[-1].replace(tzinfo=UTC))
        return Snapshot(path, WORKLOAD, digest, rows, span, ("",))

    def run(self, snapshot: Snapshot, shift: float = 0.0, skip: str = "") -> Verdict:
        """Judge a bundle that predicts size · exp(shift), and publish it."""
        trial = self.gate.hold_out(toy_schema(), snapshot, (), self.folder, skip)
        bundle = self._bundle(trial, shift)
        verdict = trial.judge(bundle)
        judged = read_bundle(bundle)
        assert judged.evaluation["gate"]["promoted"] == verdict.promote
        assert BESIDE in judged.files
        self.registry.publish(WORKLOAD, bundle, promote=verdict.promote, who="test", why="")
        return verdict

    def _bundle(self, trial: Trial, shift: float) -> Path:
        fitted = trial.snapshot
        lineage = Lineage(
            snapshot_sha256=fitted.sha256, rows=fitted.rows, time_range=fitted.time_range
        )
        draft = toy_manifest(toy_schema(), shift).model_copy(update={"lineage": lineage})
        graph = toy_graph(toy_schema(), shift)
        write_bundle(self.folder / "bundle", graph, draft, {BESIDE: b"kept"})
        return self.folder / "bundle"


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    """A registry without a bundle."""
    return Bench(tmp_path)


def test_first_bundle_takes_over(bench: Bench) -> None:
    """Without a current bundle there is nothing to compare with."""
    verdict = bench.run(bench.snapshot(600))
    assert verdict.promote
    assert "there was none before" in verdict.sentence()


def test_equal_bundle_takes_over_and_a_worse_one_does_not(bench: Bench) -> None:
    """A candidate that errs as the current bundle does is promoted; one that is 30 % off is not,
    and the verdict says where."""
    bench.run(bench.snapshot(600))
    assert bench.run(bench.snapshot(1000)).promote
    verdict = bench.run(bench.snapshot(1400), shift=0.3)
    assert not verdict.promote
    assert "all rows, newest rows: its error is" in " ".join(verdict.reasons)
    assert "candidate" in bench.registry.aliases(WORKLOAD)


def test_mistaken_units_are_held_back_by_what_was_before(bench: Bench) -> None:
    """A candidate that follows new rows in thousandths is better on them, and not promoted."""
    bench.run(bench.snapshot(1200))
    mistaken = bench.snapshot(2000, 1000.0, since=1200)
    verdict = bench.run(mistaken, shift=float(np.log(1000)))
    assert not verdict.promote
    assert all("golden rows" in reason for reason in verdict.reasons)


def test_better_bundle_takes_over(bench: Bench) -> None:
    """A candidate that errs less is promoted."""
    bench.run(bench.snapshot(600), shift=0.2)
    assert bench.run(bench.snapshot(1000)).promote


def test_old_data_do_not_take_over(bench: Bench) -> None:
    """A candidate whose data end before those of the current bundle is not promoted."""
    bench.run(bench.snapshot(1000))
    verdict = bench.run(bench.snapshot(600))
    assert not verdict.promote
    assert "its data end 2026-01-01 09:59" in verdict.sentence()


def test_too_few_rows_to_compare_do_not_stop_a_small_workload(bench: Bench) -> None:
    """With few rows a candidate of more data is promoted uncompared, and one of less is not."""
    bench.run(bench.snapshot(30))
    verdict = bench.run(bench.snapshot(40))
    assert verdict.promote
    assert "too few to compare on" in verdict.sentence()


def test_gate_can_be_skipped_with_a_reason(bench: Bench) -> None:
    """A run that is to skip the gate holds no newest rows out and is promoted, worse or not."""
    bench.run(bench.snapshot(600))
    verdict = bench.run(bench.snapshot(1000), shift=1.0, skip="new hardware")
    assert verdict.promote
    assert "asked for: new hardware" in verdict.sentence()


def test_disorder_in_one_group_is_found(tmp_path: Path) -> None:
    """A fitted bundle whose labels of one function were shuffled is not promoted, for that."""
    verdict = attempt("shuffled", 3, tmp_path)
    assert not verdict.promote
    assert "function=f0" in verdict.sentence()
