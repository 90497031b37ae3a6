"""Measuring is an extra: without it nothing of it is loaded."""

from __future__ import annotations

import subprocess
import sys


def test_importing_the_package_loads_neither_engine_nor_files() -> None:
    """A command line can offer measuring without waiting for wasmtime, pyarrow or numpy."""
    heavy = "{'wasmtime', 'pyarrow', 'numpy', 'pydantic'}"
    script = f"import sys, foretell.measure; print(sorted({heavy} & set(sys.modules)))"
    said = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, check=True, text=True
    )
    assert said.stdout == "[]\n"
