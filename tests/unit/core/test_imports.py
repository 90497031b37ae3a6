"""What importing the client's side costs, and what it must not need."""

from __future__ import annotations

import subprocess
import sys

import pytest

HEAVY = (
    "onnxruntime", "duckdb", "celery", "redis", "lightgbm", "sklearn", "pyarrow", "pandas",
    "onnx", "wasmtime", "foretell_server", "foretell_trainer",
)  # fmt: skip

MODULES = (
    "foretell", "foretell.encoding", "foretell.forecast", "foretell.bundle", "foretell.registry",
    "foretell.predictor", "foretell.settings", "foretell.logs", "foretell.jobs",
    "foretell.jobs_async", "foretell.observation", "foretell.celery_settings",
    "foretell.schema_guess",
)  # fmt: skip


@pytest.mark.parametrize("module", MODULES)
def test_importing_the_shared_package_loads_nothing_heavy(module: str) -> None:
    """The shared modules import without the runtimes of server and trainer."""
    code = (
        f"import sys, {module}; print([m for m in {HEAVY!r} if m in sys.modules]); "
        "import foretell; print(foretell.__version__)"
    )
    found = subprocess.run(
        [sys.executable, "-W", "error", "-c", code], capture_output=True, text=True, check=False
    )
    assert found.stderr == ""
    assert found.stdout.splitlines()[0] == "[]"
