"""A user's own table, and the command line: in this process, or in one of its own."""

from __future__ import annotations

import json
import math
import os
import random
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from dataclasses import dataclass
from io import StringIO
from pathlib import Path
from typing import Any

import pytest

from foretell.cli.app import run
from tests.conftest import MadeOnce

FORETELL = (sys.executable, "-m", "foretell.cli")
PATIENCE_S = 240


@dataclass(frozen=True)
class Ran:
    """How a command ended."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:  # noqa: ANN401 -- JSON is anything
        """Its standard output as JSON."""
        return json.loads(self.out)


def foretell(*args: object, cwd: Path, stdin: str = "") -> Ran:
    """Run one command to its end, without settings from the tester's own environment.

    It runs in this process: starting an interpreter takes longer than most commands do.
    """
    out, err = StringIO(), StringIO()
    with redirect_stdout(out), redirect_stderr(err), pytest.MonkeyPatch.context() as here:
        here.chdir(cwd)
        here.setattr("sys.stdin", StringIO(stdin))
        for name in set(os.environ) - set(clean_environment()):
            here.delenv(name)
        code = run([str(arg) for arg in args])
    return Ran(code, out.getvalue(), err.getvalue())


def foretell_process(*args: object, cwd: Path) -> Ran:
    """The same in a process of its own, which is given up after some time."""
    done = subprocess.run(
        [*FORETELL, *map(str, args)],
        cwd=cwd,
        env=clean_environment(),
        capture_output=True,
        text=True,
        timeout=PATIENCE_S,
        check=False,
    )
    return Ran(done.returncode, done.stdout, done.stderr)


@contextmanager
def running(*args: object, cwd: Path, **environment: str) -> Iterator[subprocess.Popen[str]]:
    """Run a command in the background, and make sure that it is gone in the end."""
    process = subprocess.Popen(
        [*FORETELL, *map(str, args)],
        cwd=cwd,
        env={**clean_environment(), **environment},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        # Its own group, so that Ctrl-C can be sent to it as a terminal does.
        start_new_session=True,
    )
    with process:
        try:
            yield process
        finally:
            if process.poll() is None:
                process.terminate()
                process.wait(PATIENCE_S)


def clean_environment() -> dict[str, str]:
    """Return the environment without Foretell's own variables."""
    return {name: v for name, v in os.environ.items() if not name.startswith("FORETELL_")}


def rows_of_renders(count: int, seed: int) -> list[str]:
    """Return CSV lines of a made-up workload with a law that can be learned."""
    rng = random.Random(seed)  # noqa: S311 -- a table, not a secret
    lines = ["run,scene,host,pixels,seconds,note"]
    for number in range(count):
        scene, cost = rng.choice([("forest", 3.0), ("city", 1.5), ("desert", 0.6)])
        host, speed = rng.choice([("big", 2.0), ("small", 0.8), ("old", 0.3)])
        pixels = round(math.exp(rng.uniform(8, 14)))
        seconds = 1e-5 * cost * pixels**0.9 / speed * math.exp(rng.gauss(0, 0.05))
        lines.append(f"r{seed}-{number},{scene},{host},{pixels},{seconds:.6g},n{number % 3}")
    return lines


@dataclass(frozen=True)
class Trained:
    """A workload of the user's own, trained from the user's own table."""

    folder: Path
    registry: Path
    schema: Path
    fresh: Path
    """Rows that were not trained on."""
    report: dict[str, Any]
    """What `foretell train --json` printed."""


@pytest.fixture(scope="session")
def trained(made_once: MadeOnce) -> Trained:
    """The way of a new user: a table, `workload init`, `train`; two of its rows are bad."""
    folder = made_once("renders", train)
    report = json.loads((folder / "report.json").read_text())
    return Trained(folder, folder / "models", folder / "render.yaml", folder / "fresh.csv", report)


def train(folder: Path) -> None:
    """Make the user's folder."""
    rows = rows_of_renders(240, seed=1)
    rows[100] = "r1-bad,forest,big,many,1.5,n1"
    rows.append("r1-short,forest")
    (folder / "renders.csv").write_text("\n".join(rows) + "\n")
    (folder / "fresh.csv").write_text("\n".join(rows_of_renders(60, seed=2)) + "\n")
    made = foretell(
        "workload", "init", "render", "--from", "fresh.csv", "--metric", "seconds:s", cwd=folder
    )
    assert made.code == 0, made.err
    done = foretell(
        *("train", "render.yaml", "--data", "renders.csv", "--registry", "models", "--json"),
        cwd=folder,
    )
    assert done.code == 0, done.err
    (folder / "report.json").write_text(done.out)
