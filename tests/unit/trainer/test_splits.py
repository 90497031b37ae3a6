"""Splits: which rows are left out together, and what cross-validation makes of it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from foretell.catalog import CatalogTable
from foretell.errors import InvalidInput
from foretell.schema import Catalog, Feature, Metric, Schema
from foretell.splits import Split, parse_split
from foretell_trainer.cross_validation import cross_validate
from foretell_trainer.snapshot import Columns, read_snapshot
from foretell_trainer.splits import Rows, folds_of, labels_of
from tests.unit.engine.synthetic import QUICK, Workload

N = 120
SCHEMA = Schema(
    workload="split",
    features=(
        Feature(name="model", kind="category"),
        Feature(name="hardware", kind="category"),
        Feature(name="size", kind="number", scale="log"),
    ),
    catalogs=(
        Catalog(name="models", key="model", facts=(Feature(name="family", kind="category"),)),
    ),
    metrics=(Metric(name="seconds"),),
    groups=(("model",), ("hardware",)),
)
FAMILIES = CatalogTable(
    "models", tuple(f"m{i}" for i in range(10)), {"family": ("cnn",) * 5 + ("vit",) * 5}
)


@pytest.fixture(scope="module")
def work() -> Workload:
    """Return rows of ten models on three pieces of hardware."""
    rng = np.random.default_rng(2)
    model, hardware = rng.integers(0, 10, N), rng.choice(3, N, p=[0.6, 0.3, 0.1])
    size = np.exp(rng.uniform(0, 3, N))
    logs = np.log(size) + 0.3 * model - 0.5 * hardware + rng.normal(0, 0.1, N)
    features = {
        "model": [f"m{i}" for i in model],
        "hardware": [f"h{i}" for i in hardware],
        "size": size.tolist(),
    }
    return Workload(SCHEMA, features, np.exp(logs)[:, None], (FAMILIES,))


@pytest.fixture(scope="module")
def columns(work: Workload, tmp_path_factory: pytest.TempPathFactory) -> Columns:
    """The rows as a snapshot has them, one second after the other."""
    return read_snapshot(work.snapshot(tmp_path_factory.mktemp("split")), SCHEMA)


def folds(text: str, columns: Columns, count: int = 4) -> list[Rows]:
    """Return the folds of a split, having checked that none trains on what it predicts."""
    split = parse_split(text, SCHEMA, count)
    found = list(folds_of(split, SCHEMA, columns, (FAMILIES,)))
    for rows in found:
        assert not set(rows.train) & set(rows.test)
        assert len(rows.train) > 0 < len(rows.test)
    return found


@pytest.mark.parametrize("text", ["kfold", "grouped:model", "stratified:hardware,family"])
def test_every_row_is_predicted_once(columns: Columns, text: str) -> None:
    """The test rows of the folds are all rows, each in one fold, and the rest is learnt from."""
    found = folds(text, columns)
    assert sorted(np.concatenate([rows.test for rows in found])) == list(range(N))
    assert all(len(rows.train) + len(rows.test) == N for rows in found)


@pytest.mark.parametrize("name", ["model", "hardware", "family"])
def test_a_group_is_learnt_from_or_predicted(columns: Columns, name: str) -> None:
    """No value of the category, a fact of a catalog as well, is in both parts of a fold."""
    labels = labels_of(name, SCHEMA, columns, (FAMILIES,))
    for rows in folds(f"grouped:{name}", columns):
        assert not set(labels[rows.train]) & set(labels[rows.test])


def test_fewer_groups_than_folds_make_fewer_folds(columns: Columns) -> None:
    """Three pieces of hardware can be left out three times."""
    assert len(folds("grouped:hardware", columns, 5)) == 3


def test_strata_keep_their_proportion(columns: Columns) -> None:
    """Each combination of hardware and model family is in every fold as often, give or take 1."""
    labels = [labels_of(n, SCHEMA, columns, (FAMILIES,)) for n in ("hardware", "family")]
    both = np.array([f"{a} {b}" for a, b in zip(*labels, strict=True)])
    for stratum in set(both):
        counts = [
            int((both[rows.test] == stratum).sum())
            for rows in folds("stratified:hardware,family", columns)
        ]
        assert max(counts) - min(counts) <= 1


def test_time_is_predicted_from_what_was_before(columns: Columns) -> None:
    """Each fold learns from all rows before its own, in time and not in the file's order."""
    order = np.random.default_rng(0).permutation(N)
    shuffled = replace(columns, time=columns.time[order])
    for rows in folds("time", shuffled):
        assert shuffled.time[rows.train].max() < shuffled.time[rows.test].min()


def test_without_categories_the_ids_are_taken() -> None:
    """`grouped` leaves the schema's first id out, `stratified` keeps all ids in proportion."""
    assert parse_split("grouped", SCHEMA) == Split("grouped", ("model",))
    assert parse_split("stratified", SCHEMA) == Split("stratified", ("model", "hardware"))
    assert str(parse_split("stratified:hardware,family", SCHEMA)) == "stratified:hardware,family"


def test_a_split_that_cannot_be_is_refused(columns: Columns) -> None:
    """The error names what is wrong and what there is."""
    with pytest.raises(InvalidInput, match="one of kfold, grouped, stratified, time"):
        parse_split("random", SCHEMA)
    with pytest.raises(InvalidInput, match="kfold takes no categories"):
        parse_split("kfold:model", SCHEMA)
    with pytest.raises(InvalidInput, match="model, hardware, family"):
        parse_split("grouped:size", SCHEMA)
    with pytest.raises(InvalidInput, match="1 folds; at least 2"):
        parse_split("kfold", SCHEMA, 1)
    with pytest.raises(InvalidInput, match="120 rows are too few for 100 folds"):
        folds("kfold", columns, 100)
    same = replace(columns, features={**columns.features, "model": np.full(N, "m0", object)})
    with pytest.raises(InvalidInput, match="all rows have the same model"):
        folds("grouped:model", same)


def test_rows_left_out_are_judged_by_bundles_without_them(work: Workload, tmp_path: Path) -> None:
    """The report says which split it is, how many folds it had, and how good each metric was."""
    split = parse_split("grouped:hardware", SCHEMA, 5)
    settings = replace(QUICK, family="ridge")
    stages: list[str] = []
    report = cross_validate(
        SCHEMA,
        work.snapshot(tmp_path),
        work.catalogs,
        split,
        settings,
        lambda stage, *_: stages.append(stage),
    )
    assert (report["split"], report["folds"], report["rows"]) == ("grouped:hardware", 3, N)
    seconds = report["metrics"]["seconds"]
    assert seconds["rows"] == N
    # Hardware that was never seen is off by its own effect, which other models are not.
    assert 0.15 < seconds["median_ape"] < 0.9
    assert seconds["worst_group"]["name"].startswith(("model=", "hardware="))
    assert stages[-1].startswith("fold 3 of 3: ")
