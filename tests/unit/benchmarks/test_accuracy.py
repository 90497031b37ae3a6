"""The accuracy benchmark: what its splits leave out, what it keeps, what it reports."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from click.testing import CliRunner, Result

from benchmarks.accuracy.__main__ import main
from benchmarks.accuracy.baselines import Guess
from benchmarks.accuracy.scores import baseline_scores
from benchmarks.accuracy.splits import splits_of
from benchmarks.bundles import Predicted, pooled
from benchmarks.datasets import DATA_SETS, Loaded, load
from foretell.forecast import Forecasts, QuantileTables

ABOUT = DATA_SETS["llm_models"]
ROWS_PER_HARDWARE = 240


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data folder with a small table that looks like `llm_models`."""
    folder = tmp_path_factory.mktemp("data")
    rng = np.random.default_rng(0)
    rows = 3 * ROWS_PER_HARDWARE
    model = rng.integers(0, 10, rows)
    hardware = np.repeat(np.arange(3), ROWS_PER_HARDWARE)
    batch = rng.choice([1, 8, 32, 64], rows)
    tokens = rng.choice([128, 1024], rows)
    speed = np.exp(0.2 * model + hardware + 0.8 * np.log(batch) + rng.normal(0, 0.05, rows))
    columns = {
        "model": [f"maker/m{m}" for m in model],
        "hardware": [f"h{h}" for h in hardware],
        "tokens": tokens,
        "batch_size": batch,
        "throughput_tok_s": speed,
        "latency_s": 2 * tokens * batch / speed,
    }
    (folder / "llm_models").mkdir()
    pq.write_table(pa.table(columns), folder / ABOUT.file)
    (folder / "hardware.csv").write_text("hardware,vendor,fp16_tflops\nh0,V,1\nh1,V,2\nh2,W,4\n")
    return folder


@pytest.fixture(scope="module")
def loaded(data: Path, tmp_path_factory: pytest.TempPathFactory) -> Loaded:
    """The table, loaded."""
    return load(ABOUT, data, tmp_path_factory.mktemp("snapshot"))


@pytest.mark.parametrize("name", list(splits_of(ABOUT)))
def test_no_row_is_both_learned_from_and_predicted(loaded: Loaded, name: str) -> None:
    """Every fold of every split trains on some rows, tests others, and shares none."""
    folds = list(splits_of(ABOUT)[name].folds(loaded))
    assert folds
    for fold in folds:
        assert len(fold.train)
        assert len(fold.test)
        assert not set(fold.train) & set(fold.test)


@pytest.mark.parametrize(
    ("split", "columns"), [("unseen-pair", ("model", "hardware")), ("unseen-model", ("model",))]
)
def test_what_is_unseen_is_in_no_training_row(
    loaded: Loaded, split: str, columns: tuple[str, ...]
) -> None:
    """A grouped split keeps all rows of one key on the same side."""
    keys = list(zip(*(loaded.labels(name) for name in columns), strict=True))
    for fold in splits_of(ABOUT)[split].folds(loaded):
        assert not {keys[i] for i in fold.train} & {keys[i] for i in fold.test}


def test_large_batches_are_predicted_from_small_ones(loaded: Loaded) -> None:
    """The extrapolation split trains at batch 32 and below, and tests above."""
    (fold,) = splits_of(ABOUT)["large-batch"].folds(loaded)
    batch = loaded.columns.features["batch_size"]
    assert batch[fold.train].max() == 32
    assert batch[fold.test].min() == 64


@pytest.mark.parametrize(("split", "observed"), [("0", 0), ("5", 5), ("20", 20), ("5pct", 12)])
def test_new_hardware_is_seen_as_often_as_the_split_says(
    loaded: Loaded, split: str, observed: int
) -> None:
    """A new place has exactly so many training rows, and all these splits test the same rows."""
    hardware = loaded.labels("hardware")
    cold = list(splits_of(ABOUT)["new-hardware-0"].folds(loaded))
    folds = list(splits_of(ABOUT)[f"new-hardware-{split}"].folds(loaded))
    for reference, fold in zip(cold, folds, strict=True):
        assert (hardware[fold.train] == fold.left_out).sum() == observed
        assert fold.test.tolist() == reference.test.tolist()


def test_pooled_rows_keep_the_tables_of_their_own_bundle() -> None:
    """Pooling the forecasts of two bundles changes no row's quantiles."""
    parts = [_predicted(spread) for spread in (1.0, 3.0)]
    forecasts, _ = pooled(parts)
    expected = np.concatenate([part.forecasts.quantile(0.9) for part in parts])
    np.testing.assert_array_equal(forecasts.quantile(0.9), expected)


def _predicted(spread: float) -> Predicted:
    tables = QuantileTables(np.array([0.1, 0.9]), spread * np.array([[[-1.0, 1.0]]]))
    table = np.zeros((2, 1), dtype=np.int64)
    ones = np.ones((2, 1))
    one = Forecasts(("t",), np.array([True]), ones, ones, table, tables, np.ones(2))
    return Predicted(one, ones, 1.0)


def test_a_baseline_that_diverged_has_no_numbers() -> None:
    """NaN from a baseline is reported as divergence, never averaged away."""
    found = baseline_scores(Guess(np.array([1.0, np.nan])), np.ones(2), log=True)
    assert found["mape"] is None


def test_a_run_reports_and_is_not_repeated(data: Path, tmp_path: Path) -> None:
    """The report has ours and the baselines, and a second run finds the split done."""
    cache, out = tmp_path / "cache.jsonl", tmp_path / "report.md"
    options = {"--data": data, "--out": out, "--cache": cache, "--threads": 1}
    first = _run(options)
    report = out.read_text()
    assert "llm_models random: throughput_tok_s" in first.output
    assert "| random | latency_s | " in report
    assert "quantile LightGBM" in report
    assert str(data) not in report
    cache.write_text(cache.read_text() + '{"half": "a li')
    second = _run(options)
    assert "throughput_tok_s" not in second.output
    assert out.read_text() == report


def _run(options: Mapping[str, object]) -> Result:
    words = [str(word) for option in options.items() for word in option]
    fixed = ["--quick", "--only", "llm_models", "--splits", "random"]
    result = CliRunner().invoke(main, [*fixed, *words], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result


def test_an_unknown_split_is_refused_with_the_known_ones(data: Path) -> None:
    """A name that does not exist is a usage error that lists those that do."""
    result = CliRunner().invoke(main, ["--data", str(data), "--splits", "lucky"])
    assert result.exit_code == 2
    assert "large-batch" in result.output
