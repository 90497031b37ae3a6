"""What a worker process loads before it forks."""

from __future__ import annotations

import subprocess
import sys


def test_the_forking_process_has_no_grpc_and_no_engine() -> None:
    """A worker's parent, which forks, loads neither grpc nor the libraries that fit."""
    unwanted = ("grpc", "lightgbm", "sklearn", "onnx", "onnxruntime", "foretell_server")
    code = (
        "import sys, foretell_trainer.worker, foretell_trainer.consumer;"
        f"print([name for name in {unwanted!r} if name in sys.modules])"
    )
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout == "[]\n"
