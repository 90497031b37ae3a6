"""Triton's own client, unmodified, in a process and an environment of its own."""

# ruff: noqa: ANN401 -- JSON

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from foretell_server.inference import service_pb2
from tests.integration.server.conftest import RunningServer

ROOT = Path(__file__).parents[3]
PYTHON = ROOT / ".venv-tritonclient" / "bin" / "python"
ADMIN = "open sesame"
TALK = ROOT / "tests" / "tritonclient" / "talk.py"
INSTALLED = PYTHON.exists() and any(PYTHON.parents[1].glob("lib/*/site-packages/tritonclient"))

pytestmark = [
    pytest.mark.process,
    pytest.mark.skipif(not INSTALLED, reason="no tritonclient: `make setup` could not install it"),
]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    """A server that wants a token for what changes it."""
    with RunningServer(tmp_path_factory.mktemp("triton"), token=ADMIN) as running:
        running.publish()
        yield running


@pytest.fixture(scope="module")
def heard(server: RunningServer) -> Any:
    """What the client heard; it asks for everything once."""
    done = subprocess.run(
        [PYTHON, TALK, server.address, ADMIN, str(service_pb2.__file__)],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_it_lists_workloads_and_reads_what_they_are(server: RunningServer, heard: Any) -> None:
    """Index, metadata and configuration name workloads, features with types, and outputs."""
    version = server.serving.shelf.live["toy"].version
    assert (heard["live"], heard["server ready"]) == (True, True)
    assert heard["ready"] == [True, False, False]
    assert heard["server"]["name"] == "foretell"
    index = {entry["name"]: entry for entry in heard["index"]}
    assert index["toy"] == {"name": "toy", "version": version, "state": "READY"}
    assert index["serverless"]["state"] == "UNAVAILABLE"
    inputs = {entry["name"]: entry["datatype"] for entry in heard["metadata"]["inputs"]}
    assert inputs == {"size": "FP64", "hot": "BOOL", "kind": "BYTES", "color": "BYTES"}
    assert heard["metadata"]["versions"] == [version]
    outputs = [entry["name"] for entry in heard["metadata"]["outputs"]]
    assert outputs == heard["predictions"]["names"]
    optional = {entry["name"] for entry in heard["config"]["input"] if entry.get("optional")}
    assert optional == {"size", "hot", "color"}
    assert heard["config"]["parameters"]["unit.kb"] == {"string_value": "unit of kb"}


def test_it_gets_predictions(server: RunningServer, heard: Any) -> None:
    """Numbers of any type and texts go in; medians, bounds, support and tier come out."""
    found = heard["predictions"]
    assert found["id"] == "mine"
    assert found["version"] == server.serving.shelf.live["toy"].version
    assert found["parameters"] == ["interval_level", "prediction_id"]
    everything = found["everything"]
    assert everything["seconds"] == pytest.approx([1, 10, 100])
    assert everything["kb_lower"][1] < 10 < everything["kb_upper"][1]
    assert everything["support"] == pytest.approx([1.0, 0.1, 1.0])
    assert everything["tier"] == ["warm", "cold", "warm"]
    assert everything["unknown_features"] == ["", "kind", ""]
    assert everything["abstained"] == [False, False, False]
    for datatype in ("FP32", "INT64", "UINT16", "FP16"):
        assert found[datatype]["seconds"] == pytest.approx([1, 10, 100])
    assert found["shape"] == [3, 1]


def test_it_chooses_outputs_and_options(heard: Any) -> None:
    """Requested outputs, quantiles among them, come alone and in order; options are heeded."""
    found = heard["predictions"]
    assert found["chosen"] == ["kb_p99", "support", "kb_lower"]
    # The 98 % interval ends where the 99 % quantile is, on the other side of the median.
    for high, low, median in zip(
        found["values"]["kb_p99"], found["values"]["kb_lower"], (1, 1, 100), strict=True
    ):
        assert high / median == pytest.approx(median / low)
        assert high > median


def test_it_hears_what_is_wrong(heard: Any) -> None:
    """Errors have the statuses of foretell.v1, and messages that name the field."""
    statuses = {name: status for name, (status, _) in heard["failures"].items()}
    invalid = "StatusCode.INVALID_ARGUMENT"
    assert statuses == {
        "workload": "StatusCode.NOT_FOUND",
        "no bundle": "StatusCode.FAILED_PRECONDITION",
        "version": "StatusCode.NOT_FOUND",
        **dict.fromkeys(("feature", "missing", "not a number", "output", "level"), invalid),
    }
    messages = {name: message for name, (_, message) in heard["failures"].items()}
    assert "known: inference, serverless, toy" in messages["workload"]
    assert "mass" in messages["feature"]
    assert "kind" in messages["missing"]
    assert "size" in messages["not a number"]
    assert "known: seconds, kb, seconds_lower" in messages["output"]
    assert "interval_level" in messages["level"]


def test_it_streams(heard: Any) -> None:
    """A stream answers in order, and an error is the answer to one request alone."""
    answers = heard["stream"]
    assert [first for first, _ in answers] == ["0", "1", "error", "3", "4"]
    assert answers[4][1] == pytest.approx([5.0] * 3)
    assert "no workload named 'nothing'" in answers[2][1]


def test_it_reads_statistics(heard: Any) -> None:
    """What was answered and what failed is counted, with its time."""
    (found,) = heard["statistics"]
    # JSON has 64-bit numbers as texts.
    assert int(found["execution_count"]) == 6 + 4  # the last four were streamed
    assert int(found["inference_count"]) == 18 + 4 * 3
    assert int(found["inference_stats"]["success"]["ns"]) > 0
    assert int(found["inference_stats"]["fail"]["count"]) == 6


def test_it_unloads_and_loads_with_the_token(heard: Any) -> None:
    """What is unloaded is UNAVAILABLE until it is loaded; both want the admin token."""
    found = heard["loading"]
    assert found["stranger"][0] == "StatusCode.UNAUTHENTICATED"
    assert found["ready"] is False
    assert {"name": "toy", "state": "UNAVAILABLE", "reason": "unloaded"} in found["index"]
    assert found["infer"][0] == "StatusCode.UNAVAILABLE"
    assert "was unloaded" in found["infer"][1]
    assert found["again"]["seconds"] == pytest.approx([1, 2, 3])
    assert found["config"][0] == "StatusCode.INVALID_ARGUMENT"
    assert found["unknown"][0] == "StatusCode.NOT_FOUND"


def test_the_definition_is_that_of_the_client(heard: Any) -> None:
    """Each message, field and method that ours has is the client's, loaded beside ours."""
    assert heard["differences"] == []
