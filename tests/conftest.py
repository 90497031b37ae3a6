"""What holds for all tests, and what the processes that run them share."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import settings

# The tests run side by side, and so do the processes that they start. Libraries that take every
# core for themselves would spend more time waiting for each other than computing.
for _variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
    os.environ.setdefault(_variable, "1")

# How long one example takes says more about the machine's other work than about the code. Each
# run draws other examples, so half as many as usual are enough.
settings.register_profile("foretell", deadline=None, max_examples=50)
settings.load_profile("foretell")

Make = Callable[[Path], object]
MadeOnce = Callable[[str, Make], Path]


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Run what starts processes first, in its random order: at the end, where one test process
    has nothing left to take from the other, the tests are to be short."""
    items.sort(key=lambda item: item.get_closest_marker("process") is None)


@pytest.fixture(scope="session")
def made_once(tmp_path_factory: pytest.TempPathFactory) -> MadeOnce:
    """Make a folder that all processes of a test run share: whoever comes first fills it."""
    mine = tmp_path_factory.getbasetemp()
    shared = mine.parent if "PYTEST_XDIST_WORKER" in os.environ else mine

    def folder(name: str, make: Make) -> Path:
        path, done = shared / name, shared / f"{name}.done"
        with (shared / f"{name}.lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if not done.exists():
                path.mkdir()
                make(path)
                done.touch()
        return path

    return folder
