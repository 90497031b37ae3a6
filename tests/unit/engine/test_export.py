"""Export: the graph says what the fitted models say, wherever one may ask."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from foretell.catalog import CatalogTable
from foretell.columns import Codes, Numbers
from foretell.errors import BundleRejected
from foretell.parsing import Value
from foretell.schema import Catalog, Feature, Link, Metric, Schema
from foretell_trainer.engine.export import (
    TOLERANCE,
    Answers,
    beside_edges,
    build_graph,
    prove,
    units_of,
)
from foretell_trainer.engine.inputs import Integers
from foretell_trainer.engine.trees import LEAF, Trees, rounded_down
from tests.unit.engine.synthetic import Candidate, Workload, candidate

ROWS = 420
FIRST_INEXACT = 2.0**24
"""From here on, neighbouring whole numbers are the same float32."""


def rich_schema() -> Schema:
    """Return a workload with everything that a schema can hold."""
    return Schema(
        workload="everything",
        features=(
            Feature(name="model", kind="category", required=True),
            Feature(name="hardware", kind="category"),
            Feature(name="lonely", kind="category"),
            Feature(name="batch", kind="number", scale="log", minimum=1, extrapolate=True),
            Feature(name="payload_bytes", kind="number", scale="log"),
            Feature(name="exact_bytes", kind="number"),
            Feature(name="image", kind="number", scale="log"),
            Feature(name="fused", kind="flag"),
            Feature(name="same", kind="number", scale="log"),
        ),
        catalogs=(
            Catalog(
                name="hardware",
                key="hardware",
                facts=(
                    Feature(name="tflops", kind="number", scale="log"),
                    Feature(name="vendor", kind="category"),
                    Feature(name="ecc", kind="flag"),
                ),
            ),
            Catalog(name="models", key="model", facts=(Feature(name="layers", kind="number"),)),
        ),
        metrics=(
            Metric(name="throughput_per_s", direction="higher"),
            Metric(name="latency_ms"),
            Metric(name="temperature_c", scale="linear"),
            Metric(name="power_w"),
        ),
        groups=(("model",), ("hardware",), ("model", "hardware")),
        links=(
            Link(metric="throughput_per_s", factors={"batch": 1, "latency_ms": -1}, constant=1000),
        ),
    )


def rich_workload() -> Workload:
    """Return rows with gaps, byte counts that float32 cannot hold, and a link that is exact."""
    rng = np.random.default_rng(7)
    model, hardware = rng.integers(0, 8, ROWS), rng.integers(0, 5, ROWS)
    batch = 2.0 ** rng.integers(0, 7, ROWS)
    payload = FIRST_INEXACT + rng.integers(0, 64, ROWS)
    exact = FIRST_INEXACT + rng.integers(0, 64, ROWS)
    image = np.where(rng.random(ROWS) < 0.3, np.nan, rng.choice([64.0, 224.0, 384.0], ROWS))
    fused = rng.random(ROWS) < 0.5
    tflops = np.array([1.0, 4.0, 9.0, 30.0, 80.0])
    noise = rng.normal(0, 0.05, ROWS)
    logs = 1 + 0.2 * model + 0.8 * np.log(batch) - 0.5 * np.log(tflops[hardware]) - 0.2 * fused
    latency = np.exp(logs + noise + 0.01 * (payload % 2) + 0.002 * np.nan_to_num(image, nan=100))
    power = np.where(rng.random(ROWS) < 0.85, np.nan, 20 * tflops[hardware] ** 0.4 * np.exp(noise))
    temperature = 40 + 3 * hardware + 0.1 * batch + 0.02 * (exact % 64) + 10 * noise
    lonely: list[str | None] = [None] * ROWS
    lonely[17] = "only here"
    return Workload(
        rich_schema(),
        {
            "model": [f"m{v}" for v in model],
            "hardware": [None if i % 29 == 0 else f"h{v}" for i, v in enumerate(hardware)],
            "lonely": lonely,
            "batch": batch.tolist(),
            "payload_bytes": payload.tolist(),
            "exact_bytes": exact.tolist(),
            "image": [None if np.isnan(v) else v for v in image],
            "fused": fused.tolist(),
            "same": [5.0] * ROWS,
        },
        np.column_stack([1000 * batch / latency, latency, temperature, power]),
        (
            CatalogTable(
                "hardware",
                tuple(f"h{i}" for i in range(6)),
                {
                    "tflops": (*map(float, tflops), 20.0),
                    "vendor": ("a", "b", "a", None, "b", "c"),
                    "ecc": (True, False, None, True, False, True),
                },
            ),
            CatalogTable("models", ("m0", "m1", "m9"), {"layers": (12.0, None, 96.0)}),
        ),
    )


@pytest.fixture(scope="session")
def rich() -> Candidate:
    """A fit of everything."""
    return candidate(rich_workload())


def answers(fit: Candidate, **features: Value) -> Answers:
    """Return the graph's answers for one row."""
    encoded = fit.encoder.encode(features)
    return fit.graph(encoded.numbers, encoded.categories)


def column(fit: Candidate, name: str) -> int:
    """Return where a number stands."""
    return fit.fitted.training.schema.number_names.index(name)


def threshold_rows(fit: Candidate) -> Iterator[tuple[int, float]]:
    """Yield (number, value) for the two float32 values on either side of each split."""
    mapping = fit.fitted.training.input_map
    width = len(mapping.mean)
    for metric in fit.fitted.metrics:
        for trees in (metric.location.trees, metric.scale.trees):
            if trees is None:
                continue
            for place, threshold in splits(trees):
                # Around 0 the floats are too dense for a raw value to be standardised to them.
                if place >= width or abs(threshold) < 1e-30:
                    continue
                at = np.float32(threshold)
                for side in (at, np.nextafter(at, np.float32(np.inf))):
                    raw = float(side) * mapping.deviation[place] + mapping.mean[place]
                    yield place, float(np.exp(raw) if mapping.is_log[place] else raw)


def splits(trees: Trees) -> Iterator[tuple[int, float]]:
    """Yield the feature and the threshold of every split of an ensemble."""
    for tree in trees.trees():
        inner = tree.feature != LEAF
        yield from zip(tree.feature[inner].tolist(), tree.threshold[inner].tolist(), strict=True)


def test_agrees_on_every_training_row(rich: Candidate) -> None:
    """Models and graph agree on all rows that were learnt from."""
    rich.assert_agree(rich.encoded.numbers, rich.encoded.categories)


def test_agrees_on_split_thresholds(rich: Candidate) -> None:
    """Models and graph take the same branch for values at a threshold and right beside it."""
    rows = []
    for i, (place, value) in enumerate(threshold_rows(rich)):
        for probe in (value, np.nextafter(value, -np.inf), np.nextafter(value, np.inf)):
            row = rich.encoded.numbers[i % ROWS].copy()
            row[place] = max(probe, 0.0)
            rows.append((row, rich.encoded.categories[i % ROWS]))
    assert len({place for place, _ in threshold_rows(rich)}) >= 4
    numbers, categories = zip(*rows, strict=True)
    rich.assert_agree(np.array(numbers), np.array(categories))


def test_agrees_where_values_are_their_own_mean() -> None:
    """Evenly measured powers of 2 are proved, although the middle one is the mean of their logs."""
    batch = [2.0 ** (i % 7) for i in range(210)]
    seconds = np.array([[1 + b % 3 + (b > 8)] for b in batch])
    fit = candidate(Workload(small_schema(SIZE), {"size": batch}, seconds))
    fit.assert_agree(fit.encoded.numbers, fit.encoded.categories)
    assert np.abs(fit.fitted.training.inputs.standard).min() > 1e-6


@pytest.mark.parametrize("name", ["payload_bytes", "exact_bytes"])
def test_byte_counts_that_are_one_float32_stay_apart(rich: Candidate, name: str) -> None:
    """Counts above 2^24 that only float64 tells apart are told apart, and alike on both sides."""
    place = column(rich, name)
    assert np.float32(FIRST_INEXACT) == np.float32(FIRST_INEXACT + 1)
    counts = FIRST_INEXACT + np.arange(64)
    numbers = np.repeat(rich.encoded.numbers[:1], 64, axis=0)
    numbers[:, place] = counts
    mapping = rich.fitted.training.input_map
    codes = np.repeat(rich.encoded.categories[:1], 64, axis=0)
    standard = mapping(numbers, codes).standard[:, place].astype(np.float32)
    assert len(np.unique(standard)) == 64
    rich.assert_agree(numbers, codes)


def test_what_only_float64_tells_apart_is_learnt(rich: Candidate) -> None:
    """A trend along byte counts above 2^24 shows in the answers of the graph."""
    low, high = (
        answers(rich, model="m1", hardware="h1", batch=1, exact_bytes=FIRST_INEXACT + step)
        for step in (1, 61)
    )
    assert high.location[0, 2] - low.location[0, 2] == pytest.approx(0.02 * 60, rel=0.5)


def test_agrees_with_anything_missing_or_unknown(rich: Candidate) -> None:
    """Models and graph agree when numbers are missing, in any combination, and for -1 codes."""
    rng = np.random.default_rng(3)
    numbers, codes = rich.encoded.numbers.copy(), rich.encoded.categories.copy()
    batch = column(rich, "batch")
    holes = rng.random(numbers.shape) < 0.4
    holes[:, batch] = False
    numbers[holes] = np.nan
    codes[rng.random(codes.shape) < 0.4] = -1
    rich.assert_agree(numbers, codes)
    nothing = np.full((1, numbers.shape[1]), np.nan)
    rich.assert_agree(nothing, np.full((1, codes.shape[1]), -1))


@st.composite
def probes(draw: st.DrawFn) -> tuple[Numbers, Codes]:
    """Draw rows of the rich workload far and near, each value of which the encoder would allow."""
    n = draw(st.integers(1, 6))
    magnitudes = st.floats(0, 1e12) | st.sampled_from([0.0, 1.0, 5.0, FIRST_INEXACT + 3, np.nan])
    numbers = draw(arrays(np.float64, (n, 9), elements=magnitudes))
    codes = draw(arrays(np.int64, (n, 4), elements=st.integers(-1, 0)))
    codes[:, 0] = draw(arrays(np.int64, (n,), elements=st.integers(-1, 8)))
    codes[:, 1] = draw(arrays(np.int64, (n,), elements=st.integers(-1, 5)))
    return numbers, codes


@given(probes())
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_agrees_anywhere(rich: Candidate, rows: tuple[Numbers, Codes]) -> None:
    """Models and graph agree on rows that nobody has ever measured."""
    rich.assert_agree(*rows)


def test_agrees_near_a_value_of_a_flag(rich: Candidate) -> None:
    """How near a flag has to be to count as the same is one thing for models and graph."""
    place = column(rich, "fused")
    near = np.geomspace(1e-8, 0.4, 40)
    rows = np.repeat(rich.encoded.numbers[:1], 2 * len(near), axis=0)
    rows[:, place] = np.concatenate([near, 1 - near])
    rich.assert_agree(rows, np.repeat(rich.encoded.categories[:1], len(rows), axis=0))


@pytest.mark.parametrize("gaps", [True, False])
def test_a_graph_has_no_constant_that_nothing_takes(rich: Candidate, gaps: bool) -> None:
    """ONNX Runtime would warn of it at every load."""
    graph = build_graph((rich if gaps else candidate(without_gaps())).fitted).graph
    taken = {name for node in graph.node for name in node.input}
    assert {constant.name for constant in graph.initializer} <= taken


def without_gaps() -> Workload:
    """Return rows of which everything is known, as facts are of all names."""
    work = rich_workload()
    models, hardware = tuple(f"m{v}" for v in range(8)), tuple(f"h{v}" for v in range(5))
    facts: dict[str, tuple[Value, ...]] = {
        "tflops": (1.0, 4.0, 9.0, 30.0, 80.0),
        "vendor": ("a", "b", "a", "b", "b"),
        "ecc": (True, False, True, True, False),
    }
    return replace(
        work,
        features={**work.features, "hardware": ["h1", "h2"] * (ROWS // 2), "image": [64.0] * ROWS},
        catalogs=(
            CatalogTable("hardware", hardware, facts),
            CatalogTable("models", models, {"layers": tuple(map(float, range(8)))}),
        ),
    )


def test_facts_are_looked_up_in_the_graph(rich: Candidate) -> None:
    """Naming the hardware, or naming it and sending its own facts, is the same."""
    named = answers(rich, model="m1", hardware="h1", batch=4)
    spelt = answers(rich, model="m1", hardware="h1", batch=4, tflops=4.0, vendor="b", ecc=False)
    np.testing.assert_array_equal(named.location, spelt.location)
    np.testing.assert_array_equal(named.support, spelt.support)


def test_a_sent_fact_overrides_the_catalog(rich: Candidate) -> None:
    """A fact in the request stands above the catalog's, for numbers, flags and categories."""
    named = answers(rich, model="m1", hardware="h1", batch=4)
    for fact in ({"tflops": 80.0}, {"vendor": "a"}, {"ecc": True}):
        other = answers(rich, model="m1", hardware="h1", batch=4, **fact)
        assert not np.array_equal(named.location, other.location), fact


def test_facts_of_an_unknown_key_are_those_sent(rich: Candidate) -> None:
    """Hardware that no catalog knows is told apart by the facts in the request alone."""
    bare = answers(rich, model="m1", hardware="new", batch=4)
    slow, fast = (
        answers(rich, model="m1", hardware="new", batch=4, tflops=tflops) for tflops in (1.0, 80.0)
    )
    assert slow.location[0, 1] > fast.location[0, 1]
    assert bare.location[0, 1] != slow.location[0, 1]
    assert bare.rows[0, 1] == slow.rows[0, 1] == 0


def test_linked_metrics_agree_in_every_answer(rich: Candidate) -> None:
    """Throughput times latency is 1000 · batch, in and far beyond the data, known or unknown."""
    assert [d.metric for d in rich.fitted.derived] == [0]
    batch = column(rich, "batch")
    rng = np.random.default_rng(5)
    numbers, codes = rich.encoded.numbers.copy(), rich.encoded.categories.copy()
    numbers[:, batch] = np.exp(rng.uniform(0, 12, ROWS))
    codes[rng.random(codes.shape) < 0.3] = -1
    found = rich.graph(numbers, codes)
    product = found.location[:, 0].astype(np.float64) + found.location[:, 1]
    np.testing.assert_allclose(product, np.log(1000 * numbers[:, batch]), atol=3e-6)
    np.testing.assert_allclose(found.scale[:, 0], found.scale[:, 1], rtol=1e-6)


def small_schema(*features: Feature, groups: tuple[tuple[str, ...], ...] = ()) -> Schema:
    """Return a workload of one metric."""
    return Schema(
        workload="small", features=features, metrics=(Metric(name="seconds"),), groups=groups
    )


SIZE = Feature(name="size", kind="number", scale="log")
KIND = Feature(name="kind", kind="category")
N = 90


def small_workloads() -> dict[str, Workload]:
    """Return workloads that each lack something."""
    rng = np.random.default_rng(11)
    size = np.exp(rng.uniform(0, 5, N))
    kind = [f"k{v}" for v in rng.integers(0, 6, N)]
    seconds = np.exp(0.5 * np.log(size) + rng.normal(0, 0.1, N))[:, None]
    both = {"size": size.tolist(), "kind": kind}
    zeros = [0.0 if i % 9 == 0 else float(v) for i, v in enumerate(size)]
    two = Schema(
        workload="two", features=(SIZE, KIND), metrics=(Metric(name="a"), Metric(name="b"))
    )
    scarce = np.where(np.arange(N)[:, None] % 7 == 0, 2 * seconds, np.nan)
    linear = Schema(
        workload="linear", features=(SIZE,), metrics=(Metric(name="score", scale="linear"),)
    )
    return {
        "no groups": Workload(small_schema(SIZE, KIND), both, seconds),
        "no categories": Workload(small_schema(SIZE), {"size": size.tolist()}, seconds),
        "no numbers": Workload(small_schema(KIND, groups=(("kind",),)), {"kind": kind}, seconds),
        "a pair without ids": Workload(
            small_schema(
                KIND, SIZE, Feature(name="other", kind="category"), groups=(("kind", "other"),)
            ),
            {**both, "other": kind[::-1]},
            seconds,
        ),
        "a constant number": Workload(small_schema(SIZE), {"size": [3.0] * N}, seconds),
        "a number never sent": Workload(
            small_schema(SIZE, Feature(name="other", kind="number")),
            {"size": size.tolist(), "other": [None] * N},
            seconds,
        ),
        "a category never sent": Workload(
            small_schema(SIZE, KIND, groups=(("kind",),)),
            {"size": size.tolist(), "kind": [None] * N},
            seconds,
        ),
        "each category once": Workload(
            small_schema(SIZE, KIND, groups=(("kind",),)),
            {"size": size.tolist(), "kind": [f"k{i}" for i in range(N)]},
            seconds,
        ),
        "one key has nearly all rows": Workload(
            small_schema(SIZE, KIND, groups=(("kind",),)),
            {"size": size.tolist(), "kind": ["a"] * (N - 1) + ["b"]},
            seconds,
        ),
        "zeros on a log scale": Workload(small_schema(SIZE), {"size": zeros}, seconds),
        "a metric mostly missing": Workload(two, both, np.hstack([seconds, scarce])),
        "a linear metric": Workload(linear, {"size": size.tolist()}, 1e6 * (5 - seconds)),
        "a constant metric": Workload(small_schema(SIZE), {"size": size.tolist()}, 0 * seconds + 4),
        "a constant linear metric": Workload(linear, {"size": size.tolist()}, 0 * seconds + 7e6),
        "a linear metric far from 0": Workload(linear, {"size": size.tolist()}, 1e6 + seconds),
        "ten rows": Workload(small_schema(SIZE), {"size": size[:10].tolist()}, seconds[:10]),
    }


@pytest.mark.parametrize("name", list(small_workloads()))
def test_agrees_for_odd_workloads(name: str) -> None:
    """Workloads without groups, categories, numbers or variety are fitted and exported alike."""
    workload = small_workloads()[name]
    fit = candidate(workload)
    encoded = fit.encoded
    units = units_of(fit.fitted)
    found = fit.graph(encoded.numbers, encoded.categories)
    prove(fit.native(encoded.numbers, encoded.categories), found, units)
    assert found.scale.min() > 0
    rng = np.random.default_rng(2)
    numbers = encoded.numbers * np.exp(rng.normal(0, 2, encoded.numbers.shape))
    numbers[rng.random(numbers.shape) < 0.3] = np.nan
    codes = np.where(rng.random(encoded.categories.shape) < 0.3, -1, encoded.categories)
    prove(fit.native(numbers, codes), fit.graph(numbers, codes), units)


@pytest.mark.parametrize(
    ("field", "what"), [("location", "location"), ("scale", "scale"), ("rows", "counts")]
)
def test_a_graph_that_is_off_is_refused(rich: Candidate, field: str, what: str) -> None:
    """The proof fails, and names what is off, when one row of one output is."""
    good = rich.native(rich.encoded.numbers, rich.encoded.categories)
    parts = {name: getattr(good, name).copy() for name in good.__dataclass_fields__}
    parts[field][5, 0] += 1
    with pytest.raises(BundleRejected, match=what):
        prove(good, Answers(**parts), units_of(rich.fitted))


def test_a_row_on_the_edge_of_a_split_may_go_either_way(rich: Candidate) -> None:
    """What is so near to a threshold that rounding decides is no error, and is told; others are."""
    encoded, units = rich.encoded, units_of(rich.fitted)
    expected = rich.native(encoded.numbers, encoded.categories)
    one, other = beside_edges(rich.fitted, encoded.numbers, encoded.categories)
    apart = np.abs(one.location - other.location).max(axis=1)
    row = int(apart.argmax())
    assert apart[row] > TOLERANCE * units.max(), "no row of the workload is on an edge"
    side = one if np.abs(one.location - expected.location)[row].max() > 0 else other
    parts = {name: getattr(expected, name).copy() for name in expected.__dataclass_fields__}
    parts["location"][row] = side.location[row]

    def beside(rows: Integers) -> Sequence[Answers]:
        return beside_edges(rich.fitted, encoded.numbers[rows], encoded.categories[rows])

    proof = prove(expected, Answers(**parts), units, beside)
    assert (proof.on_edges.tolist(), proof.worst) == ([row], 0.0)
    with pytest.raises(BundleRejected, match=f"in row {row}$"):
        prove(expected, Answers(**parts), units)
    parts["location"][row] += 10 * apart[row]
    with pytest.raises(BundleRejected, match=f"in row {row}$"):
        prove(expected, Answers(**parts), units, beside)


@given(st.floats(-(2.0**90), 2.0**90), st.floats(-(2.0**90), 2.0**90, width=32))
def test_rounded_thresholds_decide_alike(threshold: float, value: float) -> None:
    """For any float32, being at most a threshold and at most its rounding are the same."""
    assert (value <= threshold) == (value <= float(rounded_down(threshold)))


def linked(links: tuple[Link, ...], batch: list[float]) -> Workload:
    """Return a workload of metrics a, b = 2 · batch · a and c = b²."""
    schema = Schema(
        workload="linked",
        features=(Feature(name="batch", kind="number", scale="log"),),
        metrics=tuple(Metric(name=name) for name in "abc"),
        links=links,
    )
    rng = np.random.default_rng(1)
    size = np.maximum(np.array(batch), 0.5)
    a = np.exp(rng.normal(0, 0.1, len(batch))) * size
    b = 2 * size * a
    return Workload(schema, {"batch": batch}, np.column_stack([a, b, b**2]))


B_FROM_A = Link(metric="b", factors={"a": 1, "batch": 1}, constant=2)
C_FROM_B = Link(metric="c", factors={"b": 2})


def test_a_metric_linked_to_a_derived_one_is_fitted_or_derived() -> None:
    """A chain of links makes a graph that works, with every identity that is used exact."""
    rng = np.random.default_rng(0)
    fit = candidate(linked((B_FROM_A, C_FROM_B), rng.uniform(1, 9, N).tolist()))
    fit.assert_agree(fit.encoded.numbers, fit.encoded.categories)
    found = fit.graph(fit.encoded.numbers, fit.encoded.categories).location
    expected = found[:, 0] + np.log(2 * fit.encoded.numbers[:, 0])
    np.testing.assert_allclose(found[:, 1], expected, atol=1e-5)


def test_a_link_along_a_number_of_zero_is_survived() -> None:
    """A zero in a linked number is taken as its floor on both sides, and no answer is infinite."""
    rng = np.random.default_rng(0)
    batch = rng.uniform(1, 9, N)
    batch[::10] = 0
    fit = candidate(linked((B_FROM_A,), batch.tolist()))
    assert fit.fitted.derived
    fit.assert_agree(fit.encoded.numbers, fit.encoded.categories)


def test_a_linked_number_may_be_missing_when_asked(rich: Candidate) -> None:
    """Without the number of its link, a derived metric still has a finite answer, on both sides."""
    numbers = rich.encoded.numbers[:5].copy()
    numbers[:, column(rich, "batch")] = np.nan
    rich.assert_agree(numbers, rich.encoded.categories[:5])
    typical = np.median(rich.graph(rich.encoded.numbers, rich.encoded.categories).location[:, 0])
    found = rich.graph(numbers, rich.encoded.categories[:5]).location[:, 0]
    np.testing.assert_allclose(found, typical, atol=3)


def test_an_identity_that_the_data_breaks_is_not_used() -> None:
    """A link that the rows do not obey is not imposed on the answers."""
    rng = np.random.default_rng(0)
    wrong = Link(metric="b", factors={"a": 1}, constant=2)
    fit = candidate(linked((wrong,), rng.uniform(2, 9, N).tolist()))
    assert not fit.fitted.derived
