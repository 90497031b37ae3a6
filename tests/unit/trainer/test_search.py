"""Search: trials within a budget, kept when it is cut short, and an honest verdict."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from foretell.errors import Cancelled, InvalidInput
from foretell_trainer.engine.training_set import FitSettings
from foretell_trainer.search.budget import Budget, Verdict, gain_of
from foretell_trainer.search.search import search
from foretell_trainer.search.study import Study
from foretell_trainer.search.trials import Bar, Ground, Result, run_trial
from foretell_trainer.snapshot import read_snapshot
from foretell_trainer.training import train
from foretell_trainer.tuned import forget_tuned, read_tuned, write_tuned
from tests.unit.engine.synthetic import QUICK, Workload
from tests.unit.engine.test_training import schema, workload

AMPLE = Budget(trials=16, seconds=600)


def exact_law(rows: int = 150) -> Workload:
    """Return a law without noise, of which the default's penalties cost accuracy."""
    work = workload(rows)
    task = np.array([int(str(name)[1:]) for name in work.features["task"]])
    logs = 0.3 * task + 0.8 * np.log(np.array(work.features["size"], dtype=float))
    return replace(work, metrics=np.exp(logs)[:, None])


def ground_of(work: Workload, folder: Path, family: str = "ridge") -> Ground:
    """Return the ground that trials on a workload have."""
    columns = read_snapshot(work.snapshot(folder), work.schema)
    return Ground.of(work.schema, columns, (), replace(QUICK, family=family))


@pytest.fixture(scope="module")
def law(tmp_path_factory: pytest.TempPathFactory) -> Ground:
    """The ground of a law that weaker penalties fit better."""
    return ground_of(exact_law(), tmp_path_factory.mktemp("law"))


@pytest.fixture(scope="module")
def found(law: Ground, tmp_path_factory: pytest.TempPathFactory) -> tuple[Verdict, Path]:
    """What a search found there, and the folder that keeps it."""
    folder = tmp_path_factory.mktemp("searches")
    return search(law, AMPLE, folder), folder


def test_what_is_better_is_found_and_said(found: tuple[Verdict, Path]) -> None:
    """Weaker penalties are found; the gain is far beyond its doubt, and the settings are told."""
    verdict, _ = found
    assert (verdict.trials, verdict.failed, verdict.workers) == (16, 0, 0)
    assert verdict.tuned["strength"] < 0.5
    assert verdict.is_better
    assert verdict.gain - verdict.doubt > 0.1
    assert "better than the default" in verdict.words
    assert verdict.describe()["tuned"] == dict(verdict.tuned)


def test_what_is_noise_is_called_so(tmp_path: Path) -> None:
    """Where the default is as good as any, the search says so, and keeps the default."""
    plenty = ground_of(workload(2000), tmp_path / "rows")
    verdict = search(plenty, Budget(trials=5, seconds=600), tmp_path)
    assert not verdict.is_better
    assert "noise" in verdict.words or "no trial was better" in verdict.words
    assert abs(verdict.gain) < 0.05


def test_a_search_goes_on_where_it_was(law: Ground, found: tuple[Verdict, Path]) -> None:
    """On the same data, only the trials that are missing are run, and none when none is."""
    _, folder = found
    again = search(law, AMPLE, folder)
    assert (again.trials, again.tuned) == (16, found[0].tuned)
    assert search(law, replace(AMPLE, trials=18), folder).trials == 18


def test_other_data_is_another_search(
    law: Ground, found: tuple[Verdict, Path], tmp_path: Path
) -> None:
    """Trials on other rows, or of another family, have nothing to say here."""
    _, folder = found
    other = ground_of(exact_law(160), tmp_path)
    trees = ground_of(exact_law(), tmp_path / "trees", "lightgbm")
    assert len({law.fingerprint, other.fingerprint, trees.fingerprint}) == 3
    study = Study(other, folder)
    assert (study.default, study.best()) == (None, None)


def test_a_search_that_is_stopped_keeps_its_trials(law: Ground, tmp_path: Path) -> None:
    """Cancelled in the middle, it loses the trial that ran and nothing else."""
    with pytest.raises(Cancelled):
        search(law, AMPLE, tmp_path, should_stop=after(220))
    study = Study(law, tmp_path)
    assert study.default is not None
    assert 0 < study.count("COMPLETE", "PRUNED") < AMPLE.trials
    assert search(law, AMPLE, tmp_path).trials == AMPLE.trials


def after(calls: int) -> Callable[[], bool]:
    """Return a should_stop that says so from one of its calls on."""
    count = iter(range(calls))
    return lambda: next(count, None) is None


def test_time_bounds_a_search(law: Ground, tmp_path: Path) -> None:
    """When its seconds are over it begins no more trials, and still has a verdict."""
    verdict = search(law, Budget(trials=10_000, seconds=1e-9), tmp_path)
    assert verdict.trials == 0
    assert not verdict.is_better


def test_worse_settings_err_more(law: Ground) -> None:
    """A trial's error is that of its settings: heavy penalties cost much on an exact law."""
    default, heavy = run_trial(law, {}), run_trial(law, {"strength": 300.0})
    assert len(default.errors) == len(heavy.errors) == 6
    assert heavy.mean > default.mean + 0.5


def test_a_hopeless_trial_is_stopped(law: Ground) -> None:
    """A trial above the median of the others does not go through all of its folds."""
    good = run_trial(law, {}).errors
    bar = Bar.of([good] * 5)
    assert run_trial(law, {"strength": 300.0}, bar).stopped
    assert not run_trial(law, {}, bar).stopped


@given(st.lists(st.lists(st.floats(-5, 5), min_size=8, max_size=8), min_size=5, max_size=9))
def test_half_of_the_trials_would_pass_their_own_bar(trials: list[list[float]]) -> None:
    """At each fold, at least half of the trials that set the bar are not above it."""
    bar = Bar.of(trials)
    for fold in range(1, 9):
        assert sum(bar.stops(errors[:fold]) for errors in trials) <= len(trials) / 2
    assert not Bar.of(trials[:4]).stops([1e9] * 6)


def test_a_result_is_told_once(law: Ground, tmp_path: Path) -> None:
    """The second message of one trial, and one of an unknown trial, change nothing."""
    study = Study(law, tmp_path)
    number, tuned = study.ask()
    assert set(tuned) == {"strength"}
    study.tell(number, Result((1.0, 2.0)))
    study.tell(number, Result((0.0, 0.0)))
    study.tell(99, Result((0.0, 0.0)))
    assert study.best() == (tuned, 1.5)


def test_trees_and_base_are_tuned_together(tmp_path: Path) -> None:
    """With trees, a trial says how they grow, too; the first one is near the default."""
    study = Study(ground_of(exact_law(), tmp_path, "lightgbm"), tmp_path)
    _, tuned = study.ask()
    assert set(tuned) == {
        *("learning_rate", "leaves", "smallest_leaf", "leaf_penalty"),
        *("column_share", "row_share", "strength"),
    }
    assert (tuned["learning_rate"], tuned["leaves"]) == (0.05, 6)


def test_only_what_varies_within_a_kind_of_fold_is_doubt() -> None:
    """Kinds that gain differently, each steadily, leave no doubt; folds that differ do."""
    gain, doubt = gain_of([[0.3, 0.3, 0.3], [0.1, 0.1]])
    assert (gain, doubt) == pytest.approx((1 - np.exp(-0.2), 0.0), abs=1e-9)
    _, doubtful = gain_of([[0.5, 0.1, 0.3], [0.1, 0.1]])
    assert doubtful > 0.05
    assert gain_of([[0.2]])[1] == np.inf


@pytest.mark.parametrize("text", ["trials=0", "trials=x", "minutes=3", "trials", "seconds=inf"])
def test_a_budget_that_cannot_be_read_is_refused(text: str) -> None:
    """The error says the form and quotes what was given."""
    with pytest.raises(InvalidInput, match="trials=N,seconds=S"):
        Budget.parse(text)


def test_a_budget_has_defaults() -> None:
    """What is not said is the default."""
    assert Budget.parse("trials=7") == Budget(trials=7)
    assert Budget.parse("seconds=1.5, trials=7") == Budget(7, 1.5)


def test_sgd_has_nothing_to_tune(tmp_path: Path) -> None:
    """A search for a family without settings is refused by its name."""
    with pytest.raises(InvalidInput, match="'sgd' has nothing to search for"):
        ground_of(workload(50), tmp_path, "sgd")


def test_tuned_settings_are_kept_for_their_family(
    found: tuple[Verdict, Path], tmp_path: Path
) -> None:
    """What was kept is what trainings of the same workload and family get, until forgotten."""
    assert read_tuned(tmp_path, "tasks", "ridge") == {}
    write_tuned(tmp_path, "tasks", found[0].describe())
    assert read_tuned(tmp_path, "tasks", "ridge") == dict(found[0].tuned)
    assert read_tuned(tmp_path, "tasks", "lightgbm") == {}
    assert forget_tuned(tmp_path, "tasks")
    assert not forget_tuned(tmp_path, "tasks")
    (tmp_path / "tasks" / "tuned.json").write_text("[]")
    with pytest.raises(InvalidInput, match="holds no tuned settings"):
        read_tuned(tmp_path, "tasks", "ridge")


def test_a_bundle_says_what_was_tuned(tmp_path: Path) -> None:
    """The settings are in the manifest; the graph is proved as any other."""
    work = workload(120)
    tuned = {"learning_rate": 0.1, "leaves": 5.0, "smallest_leaf": 4.0, "strength": 0.5}
    settings = replace(QUICK, tuned=tuned)
    out = tmp_path / "bundle"
    manifest = train(schema(), work.snapshot(tmp_path), (), out, settings, validated={"search": 1})
    assert manifest.training["settings"]["tuned"] == tuned
    assert manifest.evaluation["search"] == 1
    with pytest.raises(InvalidInput, match="'depth' cannot be tuned"):
        FitSettings(tuned={"depth": 3})
