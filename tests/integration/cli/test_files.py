"""From a user's own table to predictions, with files and a registry alone."""

from __future__ import annotations

import csv
import json
import math
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from foretell.cli.failures import failure_of
from foretell.registry import FolderRegistry
from tests.disks import full_disk
from tests.integration.cli.conftest import Trained, foretell

pytestmark = pytest.mark.process


def test_train_publishes_what_it_trained_as_current(trained: Trained) -> None:
    """`train` prints the version that is current in the registry, and keeps the schema there."""
    registry = FolderRegistry(trained.registry)
    assert trained.report["version"] == registry.current("render")
    assert registry.schema("render").metric_names == ("seconds",)
    assert [path.name for path in (trained.registry / "render").glob("schema.*")] == ["schema.yaml"]


def test_train_counts_bad_rows_and_says_where_they_are(trained: Trained) -> None:
    """A text in a number and a short row are rejected by line; the good rows are kept."""
    report = trained.report
    assert (report["rows"], report["rejected"], report["rows_used"]) == (241, 2, 239)
    reasons = {rejection["line"]: rejection["reason"] for rejection in report["rejections"]}
    assert "many" in reasons[101]
    assert "2 cells, the header has 6" in reasons[242]


def test_evaluate_prints_one_object_with_every_number(trained: Trained) -> None:
    """The JSON of `evaluate` has the shape that programs rely on."""
    ran = foretell(
        *("evaluate", "render", "--data", trained.fresh, "--registry", trained.registry),
        *("--by", "host", "--json"),
        cwd=trained.folder,
    )
    assert ran.code == 0, ran.err
    assert ran.json["bundle"] == trained.report["version"]
    assert ran.json["rows"] == 60
    found = ran.json["metrics"]["seconds"]
    single = ("mape", "median_ape", "rmse", "mae", "r2", "r2_log", "bias", "overprovision")
    assert all(math.isfinite(found[name]) for name in single)
    assert found["median_ape"] < 0.15
    levels = {"0.5", "0.8", "0.9", "0.95", "0.99"}
    assert set(found["coverage"]) == set(found["width"]) == levels
    assert found["worst_group"]["name"].startswith("host=")
    assert {"asked", "true", "rows"} <= set(found["confidence"][0])


def test_a_bundle_says_by_which_split_it_was_judged(trained: Trained, tmp_path: Path) -> None:
    """`train --split` leaves rows out first; the manifest has the split, and how good it was."""
    ran = foretell(
        *("train", trained.schema, "--data", trained.fresh, "--registry", tmp_path / "models"),
        *("--family", "ridge", "--split", "grouped:host", "--folds", "2", "--json"),
        cwd=tmp_path,
    )
    assert ran.code == 0, ran.err
    manifest = FolderRegistry(tmp_path / "models").manifest("render", ran.json["version"])
    assert manifest.family == "ridge"
    found = manifest.evaluation["cross_validation"]
    assert (found["split"], found["folds"], found["rows"]) == ("grouped:host", 2, 60)
    assert found == ran.json["evaluation"]["cross_validation"]
    assert found["metrics"]["seconds"]["rows"] == 60


def test_evaluate_with_a_split_needs_no_bundle(trained: Trained, tmp_path: Path) -> None:
    """`evaluate --split` trains on some rows and predicts the others, and publishes nothing."""
    ran = foretell(
        *("evaluate", trained.schema, "--data", trained.fresh, "--registry", tmp_path / "none"),
        *("--family", "ridge", "--split", "stratified:scene,host", "--folds", "2"),
        cwd=tmp_path,
    )
    assert ran.code == 0, ran.err
    assert "split stratified:scene,host" in ran.out
    assert "60 rows predicted" in ran.out
    assert not (tmp_path / "none").exists()


def test_what_a_search_finds_is_kept_only_if_it_is_better(trained: Trained, tmp_path: Path) -> None:
    """`tune` says what it won; trainings use it if that is more than noise, until `--forget`."""
    state = ("--state", tmp_path / "state")
    asked = (trained.schema, "--data", trained.fresh, "--family", "ridge", *state)
    ran = foretell("tune", *asked, "--trials", "4", "--json", cwd=tmp_path)
    assert ran.code == 0, ran.err
    assert ran.json["trials"] == 4
    assert ran.json["kept"] == ran.json["better"]
    assert ("better" in ran.json["verdict"]) or ("noise" in ran.json["verdict"])
    kept = tmp_path / "state" / "registry" / "render" / "tuned.json"
    assert kept.exists() == ran.json["kept"]
    again = foretell("tune", *asked, "--trials", "4", cwd=tmp_path)
    assert "4 trials" in again.out
    assert foretell("tune", trained.schema, *state, "--forget", cwd=tmp_path).code == 0
    assert not kept.exists()


def test_train_says_whether_the_bundle_was_compared(trained: Trained, tmp_path: Path) -> None:
    """Without --gate a bundle takes over, and that it was not compared is said; with it, rows are
    held out, and what came of the comparison is in the output and in the audit."""
    place = ("--data", trained.fresh, "--family", "ridge", "--registry", tmp_path / "registry")
    ran = foretell("train", trained.schema, *place, cwd=tmp_path)
    assert ran.code == 0, ran.err
    assert "as current" in ran.out
    assert "not compared" in ran.out
    ran = foretell("train", "render", *place, "--gate", "--json", cwd=tmp_path)
    assert ran.code == 0, ran.err
    registry = FolderRegistry(tmp_path / "registry")
    assert ran.json["alias"] in ("current", "candidate")
    assert registry.aliases("render")[ran.json["alias"]] == ran.json["version"]
    assert "promoted" in ran.json["gate"]
    assert any(ran.json["gate"] in entry.why for entry in registry.history("render"))


def test_a_learning_curve_is_printed(trained: Trained, tmp_path: Path) -> None:
    """`prequential` prints raw and normalised errors of each metric, every so many rows."""
    ran = foretell(
        *("prequential", trained.schema, "--data", trained.fresh, "--family", "sgd"),
        *("--registry", tmp_path / "none", "--every", "20", "--json"),
        cwd=tmp_path,
    )
    assert ran.code == 0, ran.err
    assert (ran.json["family"], ran.json["every"]) == ("sgd", 20)
    assert [point["predicted"] for point in ran.json["points"]] == [20, 40]
    last = ran.json["points"][-1]["last"]["seconds"]
    assert {"rows", "rmse", "nrmse", "mape"} == set(last)
    assert all(math.isfinite(value) for value in last.values())


@pytest.mark.parametrize("suffix", [".csv", ".parquet", ".jsonl"])
def test_predict_adds_columns_to_a_table(trained: Trained, tmp_path: Path, suffix: str) -> None:
    """All columns are kept in order; what was measured moves aside for what is predicted."""
    out = tmp_path / f"out{suffix}"
    ran = foretell(
        *("predict", "render", "--data", trained.fresh, "--registry", trained.registry),
        *("--out", out),
        cwd=trained.folder,
    )
    assert ran.code == 0, ran.err
    rows = read_rows(out)
    assert list(rows[0]) == [
        *("run", "scene", "host", "pixels", "seconds_measured", "note"),
        *("seconds", "seconds_p10", "seconds_p90", "seconds_confidence", "support"),
    ]
    assert [row["run"] for row in rows] == [f"r2-{number}" for number in range(60)]
    for row in rows:
        assert float(row["seconds_p10"]) <= float(row["seconds"]) <= float(row["seconds_p90"])
        assert 0 <= float(row["support"]) <= 1


def read_rows(path: Path) -> list[dict[str, str]]:
    """Return the rows of a table by its ending."""
    text = path.read_text() if path.suffix != ".parquet" else ""
    if path.suffix == ".csv":
        return list(csv.DictReader(text.splitlines()))
    if path.suffix == ".jsonl":
        return [json.loads(line) for line in text.splitlines()]
    rows: list[dict[str, str]] = pq.read_table(path).to_pylist()
    return rows


def test_one_item_is_predicted_from_a_registry(trained: Trained) -> None:
    """Without a server: a forecast of each metric; every field that is wrong is named."""
    asked = ("predict", "render", "--registry", trained.registry, "--set", "scene=city")
    done = foretell(
        *asked, "--set", "host=big", "--set", "pixels=1e5", "--json", cwd=trained.folder
    )
    assert done.code == 0, done.err
    found = done.json["metrics"]["seconds"]
    assert found["lower"] < found["median"] < found["upper"]
    wrong = foretell(*asked, "--set", "pixels=many", "--set", "colour=red", cwd=trained.folder)
    assert wrong.err.count("\n") == 1
    assert all(f"features[{name}]" in wrong.err for name in ("host", "pixels", "colour"))
    both = foretell(*asked, "--address", "localhost:1", cwd=trained.folder)
    assert (both.code, "either --registry" in both.err) == (2, True)


def test_a_row_that_cannot_be_predicted_keeps_its_place(trained: Trained, tmp_path: Path) -> None:
    """Its forecasts stay empty, and standard error says which line it is and why."""
    (tmp_path / "some.csv").write_text("scene,host,pixels\ncity,big,100000\ncity,big,lots\n")
    ran = foretell(
        *("predict", "render", "--data", "some.csv", "--out", "out.csv"),
        *("--registry", trained.registry),
        cwd=tmp_path,
    )
    rows = read_rows(tmp_path / "out.csv")
    assert ran.code == 0
    assert float(rows[0]["seconds"]) > 0
    assert (rows[1]["pixels"], rows[1]["seconds"]) == ("lots", "")
    assert "some.csv:3" in ran.err


def test_a_table_without_rows_is_said(trained: Trained, tmp_path: Path) -> None:
    """A header alone is nothing to predict: the command fails, and writes nothing."""
    (tmp_path / "header.csv").write_text("scene,host,pixels\n")
    ran = foretell(
        *("predict", "render", "--data", "header.csv", "--out", "out.csv"),
        *("--registry", trained.registry),
        cwd=tmp_path,
    )
    assert (ran.code, ran.err) == (1, "error: there are no rows in header.csv\n")
    assert not (tmp_path / "out.csv").exists()


def test_a_full_disk_is_said_with_the_file(trained: Trained, tmp_path: Path) -> None:
    """What could not be written is named, and no half of it is left."""
    out = tmp_path / "out.csv"
    with full_disk(2000):
        ran = foretell(
            *("predict", "render", "--data", trained.fresh, "--registry", trained.registry),
            *("--out", out),
            cwd=tmp_path,
        )
    assert (ran.code, ran.err) == (1, f"error: File too large: {out}\n")
    assert list(tmp_path.iterdir()) == []
    bundle = trained.registry / "render" / "bundles" / trained.report["version"]
    with full_disk(2000), pytest.raises(OSError, match="File too large") as caught:
        FolderRegistry(tmp_path).publish("render", bundle, promote=True, who="me", why="to see")
    assert str(tmp_path) in failure_of(caught.value).line
    assert FolderRegistry(tmp_path).versions("render") == []


def test_several_files_may_follow_data(trained: Trained, tmp_path: Path) -> None:
    """`--data a b` and `--data a --data b` are the same."""
    (tmp_path / "a.csv").write_text("scene,host,pixels\ncity,big,100000\n")
    (tmp_path / "b.csv").write_text("scene,host,pixels,extra\ncity,big,100000,x\n")
    outs = []
    for files in (("--data", "a.csv", "b.csv"), ("--data", "a.csv", "--data", "b.csv")):
        ran = foretell(
            *("predict", "render", *files, "--registry", trained.registry, "--out", "out.csv"),
            cwd=tmp_path,
        )
        assert ran.code == 0, ran.err
        outs.append((tmp_path / "out.csv").read_text())
    assert outs[0] == outs[1]
    assert len(outs[0].splitlines()) == 3


def test_models_show_what_was_published(trained: Trained) -> None:
    """`models list` has the version and its alias, `models show` where it came from."""
    listed = foretell(
        "models", "list", "--registry", trained.registry, "--json", cwd=trained.folder
    )
    shown = foretell(
        "models", "show", "render", "--registry", trained.registry, "--json", cwd=trained.folder
    )
    assert [(row["version"], row["aliases"]) for row in listed.json] == [
        (trained.report["version"], ["current"])
    ]
    assert shown.json["lineage"]["rows"] == 239
    assert shown.json["lineage"]["sources"] == ["renders.csv"]


def test_check_names_every_problem_with_its_line(tmp_path: Path) -> None:
    """`workload check` lists what is wrong by file, line and field, and exits with 1."""
    (tmp_path / "bad.yaml").write_text(
        "workload: bad\nfeatures:\n  - name: a\n    kind: colour\n"
        "metrics:\n  - name: m\n    uint: s\n"
    )
    ran = foretell("workload", "check", "bad.yaml", cwd=tmp_path)
    assert ran.code == 1
    assert "bad.yaml:4: features[0].kind: 'colour' is not allowed" in ran.out
    assert "bad.yaml:7: metrics[0].uint" in ran.out
    assert ran.err == f"error: bad.yaml: {len(ran.out.splitlines())} problems\n"


def test_init_does_not_overwrite(trained: Trained) -> None:
    """A schema that somebody may have corrected is only replaced with --force."""
    before = trained.schema.read_text()
    ran = foretell(
        *("workload", "init", "render", "--from", "fresh.csv", "--metric", "seconds"),
        cwd=trained.folder,
    )
    assert (ran.code, trained.schema.read_text()) == (1, before)
    assert ran.err == "error: --out: render.yaml is there already; --force overwrites it\n"
