"""DecisionService over a real socket: what the clients get is what a decider answers in-process."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Iterator
from typing import Any

import grpc
import numpy as np
import pytest
from google.protobuf.message import Message

from foretell import AsyncClient, Client
from foretell.cli.app import run
from foretell.decide import (
    Accounting,
    Bounds,
    Candidate,
    Configuration,
    Curve,
    CurveAnswer,
    Decider,
    Item,
    Limit,
    Node,
    Objective,
    Place,
    Recommend,
    Share,
    Term,
    WhatIf,
)
from foretell.errors import InvalidInput, NotFound
from foretell.registry import FolderRegistry
from foretell.v1 import common_pb2, decision_pb2
from tests.integration.server.conftest import WAIT_S, RunningServer
from tests.lab import HARDWARE, lab_bundle, lab_predictor

BATCH = {"batch_size": 4.0}
LIMITS = (
    Limit("latency_ms", at_most=90.0, probability=0.9, unit="ms"),
    Limit("memory_mb", at_most_fact="memory_gb", share=0.9),
    Limit("power_w", at_least=50.0),
)


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    """A server with the workload of `tests.lab`, and small bounds."""
    folder = tmp_path_factory.mktemp("lab")
    lab_bundle(folder / "bundle")
    FolderRegistry(folder / "registry").publish(
        "lab", folder / "bundle", promote=True, who="test", why="test"
    )
    with RunningServer(folder, max_matrix_cells=20_000, max_candidates=100) as running:
        yield running


@pytest.fixture(scope="module")
def client(lab: RunningServer) -> Iterator[Client]:
    """A client of that server."""
    with Client(lab.address, timeout=WAIT_S) as connected:
        yield connected


@pytest.fixture(scope="module")
def decider(tmp_path_factory: pytest.TempPathFactory) -> Decider:
    """A decider with an equal bundle, in this process."""
    return Decider(lab_predictor(tmp_path_factory.mktemp("same") / "bundle"), Bounds())


def same(answer: object, expected: object) -> None:
    """Compare all of two answers but the bundle's version, which is that of its making."""
    ours, theirs = _plain(answer), _plain(expected)
    ours.pop("bundle_version")
    theirs.pop("bundle_version")
    assert ours == theirs


def _plain(answer: Any) -> dict[str, Any]:  # noqa: ANN401 -- any of the answers
    fields = {name: getattr(answer, name) for name in answer.__dataclass_fields__}
    if isinstance(answer, CurveAnswer):
        fields["metrics"] = [str(_plain_metric(m)) for m in answer.metrics]
    return {n: v.tolist() if isinstance(v, np.ndarray) else v for n, v in fields.items()}


def _plain_metric(metric: Any) -> dict[str, Any]:  # noqa: ANN401 -- a CurveMetric
    fields = {name: getattr(metric, name) for name in metric.__dataclass_fields__}
    return {n: v.tolist() if isinstance(v, np.ndarray) else v for n, v in fields.items()}


RECOMMENDATIONS = {
    "usual": Recommend(BATCH, Objective((Term("latency_ms"),)), (Candidate("fast"),), True),
    "everything": Recommend(
        BATCH,
        Objective((Term("cost", 2.0, 0.001), Term("power_w", 0.5, 100.0, "W")), risk=0.5),
        (
            Candidate("fast", {"compiled": True}, 3.0, 2),
            Candidate("huge", {}, 2.0),
            Candidate("old", {}, 1.0, 0),
            Candidate("new", {"memory_gb": 64.0, "vendor": "x"}, 4.0),
        ),
        limits=LIMITS,
        pareto=("cost", "energy"),
        max_results=2,
        interval_level=0.5,
        support_floor=0.1,
        accounting=Accounting("latency_ms", "tdp_w"),
    ),
    "many": Recommend(
        {"hardware": "fast"},
        Objective((Term("throughput_per_s"),)),
        tuple(Candidate(job, {"batch_size": 1.0 + i}) for i in range(30) for job in "ab"),
        candidate_feature="job",
        limits=LIMITS[:1],
        max_results=5,
    ),
    "infeasible": Recommend(
        BATCH,
        Objective((Term("throughput_per_s"),), quantile=0.9),
        (Candidate("fast"), Candidate("vague")),
        limits=(Limit("latency_ms", at_most=1.0),),
    ),
}


@pytest.mark.parametrize("name", RECOMMENDATIONS)
def test_recommendations_travel_whole(client: Client, decider: Decider, name: str) -> None:
    """Every part of a question and of its answer comes through unchanged."""
    question = RECOMMENDATIONS[name]
    answer = client.recommend(
        "lab",
        question.features,
        question.objective,
        candidates=question.candidates,
        all_known=question.all_known,
        candidate_feature=question.candidate_feature,
        limits=question.limits,
        pareto=question.pareto,
        max_results=question.max_results,
        interval_level=question.interval_level,
        support_floor=question.support_floor,
        accounting=question.accounting,
    )
    same(answer, decider.recommend(question))


def test_candidates_asked_about_again_are_still_those_that_were_sent(
    client: Client, decider: Decider
) -> None:
    """What the server remembers of a set of candidates holds for that set, and for no other."""
    for price in (3.0, 3.0, 1.0):
        candidates = (
            Candidate("fast", price_per_hour=price),
            Candidate("huge", price_per_hour=2.0),
        )
        question = Recommend(BATCH, Objective((Term("cost"),)), candidates)
        answer = client.recommend("lab", BATCH, "cost", candidates=candidates)
        same(answer, decider.recommend(question))


def test_what_is_short_to_write_means_the_same(client: Client) -> None:
    """Names for candidates, a quantity for an objective, numbers for limits."""
    short = client.recommend(
        "lab", BATCH, "latency_ms", candidates=["fast", "old"], limits={"latency_ms": 50.0}
    )
    long = client.recommend(
        "lab",
        BATCH,
        Objective((Term("latency_ms"),)),
        candidates=(Candidate("fast"), Candidate("old")),
        limits=(Limit("latency_ms", at_most=50.0),),
    )
    assert short == long
    mixed = client.recommend(
        "lab", {}, {"latency_ms": 1.0, "power_w": 0.1}, candidates={"fast": {"batch_size": 1}}
    )
    assert mixed.objective == "1 latency_ms + 0.1 power_w"


def test_curves_travel_whole(client: Client, decider: Decider) -> None:
    """Points, bands, knees, limits and the best point come through unchanged."""
    objective = Objective((Term("cost"),), risk=0.2)
    question = Curve(
        {"hardware": "fast"},
        "batch_size",
        start=1.0,
        stop=64.0,
        points=7,
        objective=objective,
        limits=LIMITS[:1],
        price_per_hour=2.0,
        interval_level=0.9,
    )
    answer = client.curve(
        "lab", {"hardware": "fast"}, "batch_size", start=1.0, stop=64.0, points=7,
        objective=objective, limits=LIMITS[:1], price_per_hour=2.0, interval_level=0.9,
    )  # fmt: skip
    same(answer, decider.curve(question))
    plain = client.curve("lab", {"hardware": "old"}, "batch_size", values=[1, 2])
    same(plain, decider.curve(Curve({"hardware": "old"}, "batch_size", (1.0, 2.0))))


def test_comparisons_travel_whole(client: Client, decider: Decider) -> None:
    """Sides and differences come through unchanged."""
    sides = tuple(
        Configuration(name, {"hardware": name, **BATCH}, price)
        for name, price in (("fast", 3.0), ("old", 0.2), ("vague", 1.0))
    )
    objective = Objective((Term("cost"),))
    answer = client.what_if("lab", sides, objective, certainty=0.8, interval_level=0.5)
    same(answer, decider.what_if(WhatIf(sides, objective, 0.8, 0.5)))


def test_placements_travel_whole(client: Client, decider: Decider) -> None:
    """Items, nodes, loads and the gap come through unchanged."""
    items = tuple(Item(f"i{i}", BATCH, 30.0 + i, 500.0 * i + 100) for i in range(4))
    nodes = (
        Node("a", "fast", {}, 9000.0, 700.0, 2, 5.0, 3.0),
        Node("b", "new", {"memory_gb": 4.0}, memory=3000.0, price_per_hour=1.0),
        Node("old", price_per_hour=1.0),
    )
    question = Place(
        items, nodes, "cost", "hardware", 0.05, False, "memory_mb", Accounting("latency_ms"), 20.0
    )
    answer = client.place(
        "lab", items, nodes, goal="cost", node_feature="hardware", overflow_risk=0.05,
        may_wait=False, memory_metric="memory_mb", accounting=Accounting("latency_ms"),
        seconds=20.0,
    )  # fmt: skip
    same(answer, decider.place(question))


def test_strategies_travel_whole(client: Client, decider: Decider) -> None:
    """Strategies, timelines and memory come through unchanged."""
    items = tuple(
        Item(f"i{i}", {"hardware": "fast", "batch_size": 1.0}, work=100.0 * i) for i in (1, 2, 3)
    )
    question = Share(
        items, "mean_completion", 9000.0, 0.05, LIMITS[:1], slowdown=1.5, batch_sizes=(1.0, 4.0)
    )
    answer = client.share(
        "lab", items, goal="mean_completion", memory=9000.0, overflow_risk=0.05,
        limits=LIMITS[:1], slowdown=1.5, batch_sizes=[1.0, 4.0],
    )  # fmt: skip
    same(answer, decider.share(question))


def test_a_matrix_arrives_in_order(client: Client) -> None:
    """Cells of many slices are those of the axes, the last one varying fastest."""
    sizes = np.arange(1.0, 4001.0)
    axes: dict[str, Iterable[Any]] = {"hardware": HARDWARE, "batch_size": sizes}
    answer = client.matrix("lab", axes, {"compiled": True}, metrics=["latency_ms"])
    assert answer.shape == (4, 4000)
    expected = np.outer([10.0, 12.0, 40.0, 9.5], np.sqrt(sizes))
    np.testing.assert_allclose(answer.grid("latency_ms"), expected, rtol=1e-4)
    columns = answer.columns()
    assert columns["hardware"][4000] == "huge"
    assert columns["batch_size"][4001] == 2.0
    assert answer.support().shape == (4, 4000)


@pytest.mark.parametrize("encoding", ["ENCODING_PACKED", "ENCODING_RAW"])
def test_slices_of_a_matrix_carry_their_keys(lab: RunningServer, encoding: str) -> None:
    """Each slice says which cells it has, in both encodings, for callers in any language."""
    request = decision_pb2.PredictMatrixRequest(workload="lab", encoding=encoding)
    request.axes.add(feature="hardware", values=[common_pb2.Value(text=h) for h in HARDWARE])
    request.axes.add(
        feature="batch_size", values=[common_pb2.Value(number=1 + i) for i in range(2000)]
    )
    request.axes.add(feature="compiled", values=[common_pb2.Value(flag=True)])
    slices = list(lab.stubs.decision.PredictMatrix(request, timeout=WAIT_S))
    assert [part.first_cell for part in slices] == [0, 4096]
    assert {part.cell_count for part in slices} == {8000}
    hardware, batch, compiled = slices[1].keys
    texts, numbers = hardware.texts, batch.numbers
    indices = list(texts.indices) or np.frombuffer(texts.raw_indices, "<u4").tolist()
    values = list(numbers.values) or np.frombuffer(numbers.raw, "<f8").tolist()
    assert texts.dictionary[indices[0]] == HARDWARE[4096 // 2000]
    assert values[0] == 1 + 4096 % 2000
    assert all(compiled.flags.values)
    assert slices[1].cells.row_count == 8000 - 4096


def test_the_async_client_asks_the_same(lab: RunningServer, client: Client) -> None:
    """Each call of the asynchronous client answers as the synchronous one does."""
    sides = {"a": {"hardware": "fast", **BATCH}, "b": {"hardware": "old", **BATCH}}
    items, nodes = [Item("i", BATCH)], [Node("fast")]
    both = [Item(name, {"hardware": "old", **BATCH}) for name in "ab"]

    async def ask() -> list[Any]:
        async with AsyncClient(lab.address, timeout=WAIT_S) as other:
            return [
                await other.recommend("lab", BATCH, "latency_ms", candidates=["fast", "old"]),
                await other.what_if("lab", sides, "latency_ms"),
                await other.place("lab", items, nodes),
                await other.share("lab", both),
                await other.curve("lab", {"hardware": "old"}, "batch_size", values=[1, 2]),
                await other.matrix("lab", {"hardware": HARDWARE}, BATCH),
            ]

    *values, curve, matrix = asyncio.run(ask())
    assert values == [
        client.recommend("lab", BATCH, "latency_ms", candidates=["fast", "old"]),
        client.what_if("lab", sides, "latency_ms"),
        client.place("lab", items, nodes),
        client.share("lab", both),
    ]
    same(curve, client.curve("lab", {"hardware": "old"}, "batch_size", values=[1, 2]))
    assert matrix.shape == (4,)


BAD: dict[str, tuple[str, Message, str]] = {
    "no objective": (
        "RecommendHardware",
        decision_pb2.RecommendHardwareRequest(workload="lab"),
        "objective.terms",
    ),
    "a value that holds nothing": (
        "RecommendHardware",
        decision_pb2.RecommendHardwareRequest(
            workload="lab",
            candidates=[
                decision_pb2.Candidate(name="fast", features={"batch_size": common_pb2.Value()})
            ],
        ),
        "candidates[0].features[batch_size]",
    ),
    "a limit without a bound": (
        "RecommendHardware",
        decision_pb2.RecommendHardwareRequest(
            workload="lab", limits=[decision_pb2.Limit(quantity="latency_ms")]
        ),
        "limits[0]",
    ),
    "a front of one": (
        "RecommendHardware",
        decision_pb2.RecommendHardwareRequest(workload="lab", pareto_quantities=["latency_ms"]),
        "pareto_quantities",
    ),
    "a sweep backwards": (
        "PredictCurve",
        decision_pb2.PredictCurveRequest(
            workload="lab", feature="batch_size", start_value=9, stop_value=1
        ),
        "start_value",
    ),
    "a node without slots": (
        "PlaceBatch",
        decision_pb2.PlaceBatchRequest(
            workload="lab",
            items=[decision_pb2.BatchItem(name="a")],
            nodes=[decision_pb2.BatchNode(name="fast", slot_count=0)],
        ),
        "nodes[0].slot_count",
    ),
    "no axes": ("PredictMatrix", decision_pb2.PredictMatrixRequest(workload="lab"), "axes"),
    "an encoding that is none": (
        "PredictMatrix",
        decision_pb2.PredictMatrixRequest(workload="lab", encoding=9),  # type: ignore[arg-type]
        "encoding",
    ),
    "an option that is none": (
        "PredictMatrix",
        decision_pb2.PredictMatrixRequest(
            workload="lab",
            options={"metrics": ["speed"]},
        ),
        "options.metrics[0]",
    ),
    "a goal that is none": (
        "PlaceBatch",
        decision_pb2.PlaceBatchRequest(workload="lab", goal=9),  # type: ignore[arg-type]
        "goal",
    ),
    "nothing to place": ("PlaceBatch", decision_pb2.PlaceBatchRequest(workload="lab"), "items"),
    "nothing to compare": (
        "WhatIf",
        decision_pb2.WhatIfRequest(workload="lab"),
        "configurations",
    ),
    "nothing to sweep": (
        "PredictCurve",
        decision_pb2.PredictCurveRequest(workload="lab"),
        "feature",
    ),
}


def test_the_python_clients_name_fields_as_their_arguments(client: Client) -> None:
    """Where a message spells a field out, whoever calls Python hears the name that was passed."""
    with pytest.raises(InvalidInput) as refused:
        client.recommend("lab", BATCH, "latency_ms", candidates=["fast"], pareto=["latency_ms"])
    assert [violation.field for violation in refused.value.violations] == ["pareto"]
    nodes = [Node("n", "fast", slots=0)]
    with pytest.raises(InvalidInput) as refused:
        client.place("lab", [Item("a", BATCH)], nodes, seconds=90.0)
    assert {v.field for v in refused.value.violations} == {"nodes[0].slots", "seconds"}


@pytest.mark.parametrize("name", BAD)
def test_bad_requests_are_refused_by_field(lab: RunningServer, name: str) -> None:
    """INVALID_ARGUMENT names what is wrong; nothing falls back to something else in silence."""
    method, request, field = BAD[name]
    call = getattr(lab.stubs.decision, method)
    with pytest.raises(grpc.RpcError) as refused:
        list(call(request, timeout=WAIT_S))
    assert refused.value.code() is grpc.StatusCode.INVALID_ARGUMENT
    details = dict(refused.value.trailing_metadata())["grpc-status-details-bin"]
    assert field.encode() in details


def test_bounds_are_those_of_the_settings(client: Client) -> None:
    """A matrix or a list of candidates beyond the server's bounds is refused, with the bound."""
    with pytest.raises(InvalidInput, match="20000 that are allowed"):
        client.matrix("lab", {"hardware": HARDWARE, "batch_size": np.arange(1.0, 5002.0)})
    many = [Candidate("fast", {"batch_size": 1.0 + i}) for i in range(101)]
    with pytest.raises(InvalidInput, match="100 that are allowed"):
        client.recommend("lab", {}, "latency_ms", candidates=many)


def test_an_unknown_workload_is_not_found(client: Client) -> None:
    """Decisions know the workloads that predictions know."""
    with pytest.raises(NotFound, match="lab"):
        client.recommend("none", BATCH, "latency_ms", candidates=["fast"])


def test_values_that_cannot_be_sent_are_named(client: Client) -> None:
    """The client refuses, by field, what no message can carry."""
    with pytest.raises(InvalidInput) as refused:
        client.recommend(
            "lab", {"batch_size": [1]}, "latency_ms", candidates={"fast": {"job": object()}}
        )
    fields = [violation.field for violation in refused.value.violations]
    assert fields == ["features[batch_size]", "candidates[0].features[job]"]
    with pytest.raises(InvalidInput, match="exactly one is needed"):
        client.recommend("lab", BATCH, "latency_ms", limits=[Limit("power_w")])
    with pytest.raises(TypeError):
        client.recommend("lab", BATCH, "latency_ms", canditates=["fast"])  # type: ignore[call-arg]  # the mistake that is tested


def test_commands_ask_a_server_the_same(
    lab: RunningServer, capfd: pytest.CaptureFixture[str]
) -> None:
    """Without --registry the commands ask the server, and print what it answers."""
    address = ("--address", lab.address, "--json")
    asked = {
        "recommend": ("--set", "batch_size=4", "--candidate", "fast", "--objective", "latency_ms"),
        "matrix": ("--axis", "hardware=*", "--axis", "batch_size=1,2"),
        "curve": ("--set", "hardware=old", "--sweep", "batch_size=1..8"),
        "compare": ("--set", "batch_size=4", "--objective", "latency_ms",
                    "--side", "a,hardware=fast", "--side", "b,hardware=old"),
    }  # fmt: skip
    for command, args in asked.items():
        assert run([command, "lab", *args, *address]) == 0
        assert '"workload": "lab"' in capfd.readouterr().out
