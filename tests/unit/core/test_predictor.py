"""Predictors: loaded only when they prove themselves, and tiers that say what stands behind."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from foretell.bundle import MODEL_FILE, Manifest, Quantiles, read_bundle, write_bundle
from foretell.errors import BundleRejected
from foretell.predictor import Predictor
from foretell.schema import Schema

MakeBundle = Callable[..., Path]


def rewrite(folder: Path, to: Path, **changes: object) -> Path:
    """Write the same bundle with parts of its manifest changed, all hashes in order."""
    old = read_bundle(folder)
    write_bundle(to, (folder / MODEL_FILE).read_bytes(), old.model_copy(update=changes))
    return to


def test_a_loaded_bundle_answers(make_bundle: MakeBundle, schema: Schema) -> None:
    """Forecasts are the graph's location and scale through the manifest's quantile tables."""
    predictor = Predictor.load(make_bundle(offset=2.0), schema)
    encoded = predictor.encoder.encode({"scene": "kitchen", "machine": "small-9"})
    prediction = predictor.forecast(encoded)
    np.testing.assert_allclose(prediction.forecasts.median(), [[np.exp(2.0), 3.0]])
    np.testing.assert_allclose(
        prediction.forecasts.quantile(0.9), [[np.exp(2.0 + 0.5), 3.0 + 0.5 * 2]]
    )
    assert prediction.support.tolist() == [0.75]
    assert prediction.unknown == (("machine",),)
    assert predictor.version == predictor.manifest.version


def test_many_rows_are_answered_as_each_alone(make_bundle: MakeBundle) -> None:
    """Rows are run in chunks, and come back in order."""
    predictor = Predictor.load(make_bundle())
    rows = 150
    encoded = predictor.encoder.encode_columns(
        {"scene": ["forest", "kitchen", "attic"] * 50, "machine": ["small-2"] * rows}, rows
    )
    outputs = predictor.run(encoded.numbers, encoded.categories)
    assert outputs.rows[:, 0].tolist() == [0, 1, -1] * 50
    assert outputs.location.shape == (rows, 2)
    assert outputs.table.dtype == np.int64


def test_rows_of_several_threads_do_not_mix(make_bundle: MakeBundle) -> None:
    """Whoever runs a few rows gets the answers to these, whatever others run at the same time."""
    predictor = Predictor.load(make_bundle())
    encode = predictor.encoder.encode_row
    known = [encode({"scene": scene, "machine": "small-2"}) for scene in ("forest", "kitchen")]
    predictor.encoder.meet("scene", "attic")
    met = encode({"scene": "attic", "machine": "small-2"})

    def ask(count: int) -> bool:
        for turn in range(50):
            rows = [(*known, met)[(turn + i) % 3] for i in range(count)]
            wanted = [(0, 1, -1)[(turn + i) % 3] for i in range(count)]
            if [out.rows[0] for out in predictor.run_rows(rows)] != wanted:
                return False
        return True

    with ThreadPoolExecutor(4) as threads:
        assert all(threads.map(ask, [1, 1, 2, 2, 2, 70, 1, 3]))


def test_no_rows_have_no_answers(make_bundle: MakeBundle) -> None:
    """A graph asked about no rows gives empty answers of the right widths."""
    predictor = Predictor.load(make_bundle())
    encoded = predictor.encoder.encode_columns({"scene": [], "machine": []}, 0)
    outputs = predictor.run(encoded.numbers, encoded.categories)
    assert outputs.location.shape == outputs.scale.shape == outputs.table.shape == (0, 2)
    assert outputs.support.shape == (0,)
    assert len(outputs.rows) == 0


def test_tiers_follow_the_rows_behind_the_ids(make_bundle: MakeBundle) -> None:
    """No row behind an id is cold, fewer than twenty few-shot; groups of pairs do not count."""
    predictor = Predictor.load(make_bundle())
    encoded = predictor.encoder.encode_columns(
        {"scene": ["forest", "kitchen"], "machine": ["small-2", "small-2"]}, 2
    )
    assert predictor.forecast(encoded).tier == ["cold", "few-shot"]


def test_a_table_for_repeats_makes_the_tier(make_bundle: MakeBundle, tmp_path: Path) -> None:
    """A row that the graph answers from a table for repeats is a repeat."""
    folder = make_bundle()
    quantiles = read_bundle(folder).quantiles.model_copy(update={"table_names": ("repeat",)})
    predictor = Predictor.load(rewrite(folder, tmp_path / "again", quantiles=quantiles))
    assert predictor.forecast(predictor.encoder.encode({"scene": "forest"})).tier == ["repeat"]


def test_golden_rows_that_are_off_are_refused(make_bundle: MakeBundle, tmp_path: Path) -> None:
    """A graph that answers otherwise than when it was made is not served."""
    folder = make_bundle()
    golden = read_bundle(folder).golden.model_copy(update={"location": ((0.0, 1.001),)})
    with pytest.raises(BundleRejected, match="golden rows: location"):
        Predictor.load(rewrite(folder, tmp_path / "off", golden=golden))


def test_another_schema_than_expected_is_refused(make_bundle: MakeBundle, schema: Schema) -> None:
    """A bundle for another schema than the server's is not served."""
    expected = schema.model_copy(update={"description": "newer"})
    with pytest.raises(BundleRejected, match="its schema is"):
        Predictor.load(make_bundle(), expected)


def test_a_graph_that_is_no_graph_is_refused(make_bundle: MakeBundle, tmp_path: Path) -> None:
    """Bytes with the right hash that ONNX Runtime cannot load are refused."""
    manifest = read_bundle(make_bundle())
    write_bundle(tmp_path / "junk", b"junk", manifest)
    with pytest.raises(BundleRejected, match=r"model.onnx does not load"):
        Predictor.load(tmp_path / "junk")


def test_a_graph_of_another_shape_is_refused(make_bundle: MakeBundle, tmp_path: Path) -> None:
    """A graph whose inputs or outputs are not those of the manifest's schema is refused."""
    folder = make_bundle()
    groups = (("scene",), ("machine",))
    with pytest.raises(BundleRejected, match="the graph's rows is"):
        Predictor.load(rewrite(folder, tmp_path / "fewer", groups=groups))


def test_a_manifest_that_contradicts_itself_is_refused(
    make_bundle: MakeBundle, tmp_path: Path
) -> None:
    """A manifest whose parts do not fit together is refused, whatever its hashes."""
    folder = make_bundle()
    wrong: dict[str, object] = {
        "schema_fingerprint": "0" * 64,
        "workload": "other",
        "vocabulary": {},
        "quantiles": Quantiles(levels=(0.9, 0.1), values=(((0, 1), (0, 1)),), table_names=("a",)),
    }
    for name, value in wrong.items():
        rewritten = rewrite(folder, tmp_path / name, **{name: value})
        with pytest.raises(BundleRejected):
            Predictor.load(rewritten)


def test_manifests_are_values(make_bundle: MakeBundle) -> None:
    """A loaded bundle's manifest equals the one on the disk."""
    folder = make_bundle()
    manifest: Manifest = Predictor.load(folder).manifest
    assert manifest == read_bundle(folder)
