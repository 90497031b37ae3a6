"""The data plane answers in-process, without a socket or a message."""

from __future__ import annotations

import math
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from foretell.columns import Coded, Column
from foretell.errors import Cancelled, InvalidInput
from foretell.predictor import Predictor
from foretell_server.answers import read_answers
from foretell_server.data_plane import DataPlane, Question, TableQuestion
from foretell_server.few import FEW_ROWS
from foretell_server.options import CostQuestion, DeadlineQuestion, Options, compile_plan
from foretell_server.shelf import LiveBundle
from foretell_server.slices import SLICE_ROWS, in_slices
from tests.bundles import tiny_bundle, toy_schema
from tests.questions import asked_options


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> LiveBundle:
    """A tiny bundle, loaded."""
    folder: Path = tmp_path_factory.mktemp("bundle")
    tiny_bundle(folder)
    return LiveBundle(Predictor.load(folder))


def table(rows: int, options: Options | None = None) -> TableQuestion:
    """Return a question about big toys of size 1, 2, …"""
    columns: dict[str, Column] = {
        "size": np.arange(1.0, rows + 1),
        "kind": Coded(("big",), np.zeros(rows, dtype=np.int64)),
    }
    return TableQuestion(columns, rows, options or Options())


def test_one_item(bundle: LiveBundle) -> None:
    """A question about one item has an answer of one row."""
    answers = DataPlane(10).predict(bundle, Question({"size": 5.0, "kind": "big"}))
    assert len(answers) == 1
    assert answers.metrics[0].median[0] == pytest.approx(5.0, rel=1e-5)
    assert answers.bundle_version == bundle.version


def test_slices_are_joined_without_a_seam(bundle: LiveBundle) -> None:
    """A table longer than a slice is answered as if it were one."""
    rows = 2 * SLICE_ROWS + 17
    options = Options(
        quantiles=(0.9,),
        deadlines=(DeadlineQuestion("kb", 100.0),),
        costs=(CostQuestion("seconds", 9.0, 1.0),),
        support_floor=0.5,
    )
    answers = DataPlane(rows).predict_table(bundle, table(rows, options))
    sizes = np.arange(1.0, rows + 1)
    seconds, kb = answers.metrics
    assert len(answers) == len(answers.tiers) == len(answers.unknown) == rows
    np.testing.assert_allclose(seconds.median, sizes, rtol=1e-4)
    np.testing.assert_allclose(seconds.quantiles[0][1], seconds.reservations[0][1])
    assert np.all(np.diff(kb.deadlines[0][1]) <= 0)
    assert not answers.abstained.any()


def test_work_stops_when_nobody_waits(bundle: LiveBundle) -> None:
    """Once the caller has gone, no further slice is worked on."""
    asked = iter([False, True])
    with pytest.raises(Cancelled):
        DataPlane(10**6).predict_table(bundle, table(3 * SLICE_ROWS), lambda: next(asked))
    assert list(asked) == []


@pytest.mark.parametrize("rows", [0, 11])
def test_rows_are_limited(bundle: LiveBundle, rows: int) -> None:
    """No rows, or more than the limit, are refused."""
    with pytest.raises(InvalidInput, match="row"):
        DataPlane(10).predict_table(bundle, table(rows))


def test_equal_options_are_compiled_once(bundle: LiveBundle) -> None:
    """The plan of options is kept with the bundle, for all equal options."""
    assert bundle.plan(Options(quantiles=(0.7,))) is bundle.plan(Options(quantiles=(0.7,)))


def test_strange_options_do_not_fill_the_memory(bundle: LiveBundle) -> None:
    """However many different options callers send, only so many plans are kept."""
    for i in range(1, 1000):
        bundle.plan(Options(quantiles=(i / 1000,)))
    assert bundle.plans_kept <= 256


def test_levels_are_computed_once() -> None:
    """A level that several questions need stands once in the plan, after the interval's ends."""
    options = Options(
        metrics=("kb",),
        quantiles=(0.9, 0.9, 0.25),
        costs=(CostQuestion("kb", 9.0, 1.0), CostQuestion("kb", 3.0, 1.0)),
        interval_level=0.9,
    )
    plan = compile_plan(options, toy_schema())
    assert plan.levels[:3] == pytest.approx((0.5, 0.05, 0.95))
    assert plan.levels[3:] == (0.9, 0.25, 0.75)
    (kb,) = plan.metrics
    assert kb.index == 1
    assert [plan.levels[i] for i in kb.quantiles] == [0.9, 0.9, 0.25]
    assert [plan.levels[i] for i in kb.reservations] == [0.9, 0.75]


def test_costs_that_no_float_can_compare_are_refused() -> None:
    """Costs so unequal that the level rounds to 0 or 1 are a violation, not a crash."""
    options = Options(costs=(CostQuestion("kb", 1e300, 1e-300),))
    with pytest.raises(InvalidInput, match=r"options.costs\[0\]"):
        compile_plan(options, toy_schema())


@pytest.mark.parametrize("level", [0.0, 1.0, -0.1, math.nan, math.inf])
def test_levels_outside_0_and_1_are_refused(level: float) -> None:
    """A quantile or interval level must lie between 0 and 1, both excluded."""
    for options in (Options(quantiles=(level,)), Options(interval_level=level)):
        with pytest.raises(InvalidInput):
            compile_plan(options, toy_schema())


def test_helpers_change_nothing_but_the_time(bundle: LiveBundle) -> None:
    """Slices that several threads answered are joined in the order of the rows."""
    rows = 1000
    alone = DataPlane(rows).predict_table(bundle, table(rows))
    with ThreadPoolExecutor(3) as helpers:
        helped = DataPlane(rows, None, helpers, 3).predict_table(bundle, table(rows))
    for mine, theirs in zip(helped.metrics, alone.metrics, strict=True):
        np.testing.assert_array_equal(mine.median, theirs.median)
    assert helped.tiers == alone.tiers


def test_a_slice_that_fails_ends_the_batch() -> None:
    """An error in any slice, a helper's too, is the error of the whole; no more are begun."""
    begun = []

    def work(rows: slice) -> int:
        begun.append(rows.start)
        raise ValueError(rows.start)

    with ThreadPoolExecutor(2) as helpers, pytest.raises(ValueError, match=r"\d+"):
        in_slices(100_000, work, lambda: False, helpers, 2)
    assert len(begun) <= 3


@given(
    asked=asked_options,
    sizes=st.lists(st.one_of(st.none(), st.floats(0.001, 1e6)), min_size=1, max_size=FEW_ROWS),
    kinds=st.lists(st.sampled_from(["big", "small", "new"]), min_size=1, max_size=3, unique=True),
)
@settings(max_examples=40)
def test_few_rows_are_answered_like_many(
    bundle: LiveBundle, asked: Options, sizes: list[float | None], kinds: list[str]
) -> None:
    """Rows that are read one by one have the answers that they have in a long table."""
    rows = len(sizes)
    numbers = np.ma.masked_array(
        [size or 1.0 for size in sizes], mask=[size is None for size in sizes]
    )
    columns: dict[str, Column] = {
        "size": numbers,
        "kind": Coded(tuple(kinds), np.arange(rows) % len(kinds)),
    }
    few = DataPlane(rows).predict_table(bundle, TableQuestion(columns, rows, asked))
    encoder = bundle.predictor.encoder
    many = read_answers(
        bundle.plan(asked),
        bundle.predictor.forecast(encoder.encode_columns(columns, rows)),
        workload=bundle.workload,
        bundle_version=bundle.version,
        groups=bundle.groups,
        prediction_id=few.prediction_id,
    )
    assert (few.tiers, few.unknown, few.groups) == (many.tiers, many.unknown, many.groups)
    np.testing.assert_allclose(few.support, many.support, rtol=1e-5)
    np.testing.assert_array_equal(few.rows, many.rows)
    assert len(few.metrics) == len(many.metrics)
    for mine, theirs in zip(few.metrics, many.metrics, strict=True):
        assert mine.metric is theirs.metric
        for name in ("median", "lower", "upper", "confidence"):
            np.testing.assert_allclose(getattr(mine, name), getattr(theirs, name), rtol=1e-5)
        for name in ("quantiles", "deadlines", "reservations"):
            pairs = zip(getattr(mine, name), getattr(theirs, name), strict=True)
            for (about, found), (same, expected) in pairs:
                assert about == same
                np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-9)


@pytest.mark.parametrize(
    "columns",
    [
        {"size": np.array([1.0, math.nan]), "kind": Coded(("big",), np.zeros(2, dtype=np.int64))},
        {"size": np.array([1.0, 2.0]), "kind": Coded(("big",), np.array([0, 7]))},
        {"size": np.array([1.0, 2.0]), "kind": Coded(("big",), np.array([0, -1]))},
        {"size": np.array([1.0]), "kind": Coded(("big",), np.zeros(2, dtype=np.int64))},
        {"size": np.array([1.0, 2.0])},
        {},
    ],
)
def test_what_is_wrong_with_few_rows_is_said_by_column(
    bundle: LiveBundle, columns: dict[str, Column]
) -> None:
    """A table that cannot be used is refused with the column's name, however short it is."""
    with pytest.raises(InvalidInput) as refused:
        DataPlane(10).predict_table(bundle, TableQuestion(columns, 2))
    assert refused.value.violations[0].field.startswith("columns[")
