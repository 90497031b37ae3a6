"""`up`, `serve` and `demo` as a user runs them: real processes, real signals."""

from __future__ import annotations

import json
import os
import select
import shutil
import signal
import socketserver
import subprocess
import threading
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
import pytest

from foretell.client import Client
from foretell.demo.stored import StoredRows
from foretell.errors import ForetellError
from tests.integration.cli.conftest import (
    PATIENCE_S,
    Ran,
    Trained,
    foretell,
    foretell_process,
    rows_of_renders,
    running,
)

pytestmark = pytest.mark.process

TASKS = ("--task", "sieve", "--task", "nbody")


def next_json(process: subprocess.Popen[str]) -> Any:  # noqa: ANN401 -- JSON is anything
    """Return the next line of a command that prints JSON lines; fails when it has ended."""
    assert process.stdout is not None
    line = process.stdout.readline()
    if not line:
        assert process.stderr is not None
        pytest.fail(f"the command ended: {process.stderr.read()}")
    return json.loads(line)


def interrupt(process: subprocess.Popen[str]) -> tuple[int, str]:
    """Press Ctrl-C, and return the exit code and what was printed since."""
    os.killpg(process.pid, signal.SIGINT)
    out, err = process.communicate(timeout=PATIENCE_S)
    return process.returncode, out + err


def left_of(children: list[psutil.Process]) -> list[psutil.Process]:
    """Return those that are still there once the system had time to bury the killed ones."""
    return psutil.wait_procs(children, timeout=PATIENCE_S)[1]


class RudeServer(socketserver.TCPServer):
    """Takes connections and closes them."""

    allow_reuse_address = True


@contextmanager
def in_place_of_the_broker(up: subprocess.Popen[str], broker: int, state: Path) -> Iterator[None]:
    """Kill the broker of an `up`, and be on its port before it can be started again."""
    port = json.loads((state / "broker" / "broker.json").read_text())["port"]
    gone, look = os.pidfd_open(broker), select.poll()
    # Not `select`, which takes no descriptor above 1023: a whole run of tests may have as many.
    look.register(gone, select.POLLIN)
    up.send_signal(signal.SIGSTOP)
    os.kill(broker, signal.SIGKILL)
    assert look.poll(1000 * PATIENCE_S)
    os.close(gone)
    with RudeServer(("127.0.0.1", port), socketserver.BaseRequestHandler) as rude:
        serving = threading.Thread(target=rude.serve_forever)
        serving.start()
        up.send_signal(signal.SIGCONT)
        yield
        rude.shutdown()
        serving.join()


@contextmanager
def up(state: Path) -> Iterator[tuple[subprocess.Popen[str], Any]]:
    """Run `foretell up` on a folder; yields the process and what it said when it was ready."""
    with running("up", "--state", state, "--port", 0, "--json", cwd=state.parent) as process:
        yield process, next_json(process)


@dataclass(frozen=True)
class _Up:
    """A running `up`, and what it said when it was ready."""

    folder: Path
    state: Path
    process: subprocess.Popen[str]
    ready: Any

    @property
    def address(self) -> tuple[str, str]:
        return "--address", self.ready["address"]

    def ask(self, *command: object, stdin: str = "") -> Ran:
        """Run a command against its server."""
        return foretell(*command, *self.address, cwd=self.folder, stdin=stdin)


ITEM = ("--set", "scene=city", "--set", "host=big", "--set", "pixels=100000")
SECONDS = 1e-5 * 1.5 * 100_000**0.9 / 2.0
"""What this item takes, by the law that the rows were made with."""


def refuse_another(here: _Up) -> None:
    beside = foretell("up", "--state", here.state, cwd=here.folder)
    assert beside.code == 1
    assert f"another `foretell up` runs on it (process {here.process.pid}, serving" in beside.err
    assert here.ready["address"] in beside.err


def train_and_promote(here: _Up, schema: Path) -> str:
    """Return the version that training leads to."""
    ingested = foretell_process(
        *("ingest", schema, "--data", "renders.csv", "--state", here.state, "--json"),
        cwd=here.folder,
    )
    assert ingested.json["files"][0]["stored"] == 150
    job = foretell_process(
        *("retrain", "render", "--wait", "--json", *here.address), cwd=here.folder
    )
    assert job.code == 0, job.err
    assert (job.json["state"], job.json["promoted"]) == ("SUCCEEDED", True)
    assert here.ask("jobs", "render", "--json").json[0]["job"] == job.json["job"]
    assert here.ask("jobs").out.count(job.json["job"]) == 1
    assert here.ask("jobs", "watch", job.json["job"]).out.startswith(
        f"render: {job.json['bundle']}"
    )
    over = here.ask("jobs", "cancel", job.json["job"])
    assert (over.code, over.out) == (0, f"job {job.json['job']} is succeeded\n")
    audit = here.ask("history", "render", "--json")
    assert [line["action"] for line in audit.json] == ["promote", "publish"]
    why = ("--reason", "once more", "--json")
    same = here.ask("promote", "render", "current", *why)
    assert (same.json["bundle"], same.json["serving"]) == (job.json["bundle"], True)
    none = here.ask("rollback", "render", *why)
    assert (none.code, "previous" in none.err) == (1, True)
    with urllib.request.urlopen(here.ready["metrics"], timeout=PATIENCE_S) as page:  # noqa: S310
        assert "foretell_bundle_info{" in page.read().decode()
    return str(job.json["bundle"])


def kill_the_server(here: _Up) -> None:
    os.kill(here.ready["pids"]["server"], signal.SIGKILL)
    died = next_json(here.process)
    assert (died["part"], died["status"]) == ("server", "died")
    assert "the server died (signal 9) and is started again" in died["event"]
    again = next_json(here.process)
    assert (again["part"], again["status"]) == ("server", "ready")
    assert psutil.pid_exists(again["pid"])


def ask_and_replay(here: _Up, version: str) -> None:
    asked = foretell_process(
        *("predict", "render", *ITEM, "--json", *here.address), cwd=here.folder
    )
    assert asked.code == 0, asked.err
    assert asked.json["bundle"] == version
    median = asked.json["metrics"]["seconds"]["median"]
    assert median == pytest.approx(SECONDS, rel=0.25)
    name = asked.json["prediction_id"]
    known = here.ask("observe", "render", "--prediction-id", name, "--metric", "seconds=0.2")
    assert known.out == "1 accepted, 0 rejected\n"
    past = here.ask("replay", name, "--json").json["prediction"]
    assert past["bundle_version"] == version
    assert past["metrics"]["seconds"]["median"] == median


def report_and_look(here: _Up) -> None:
    reported = here.ask("observe", "render", *ITEM, "--metric", "seconds=0.2", "--id", "last")
    assert reported.out == "1 accepted, 0 rejected\n"
    for command in ("anomalies", "regressions"):
        assert here.ask(command, "render", "--json").json == []
    assert here.ask("live", "render").code == 0
    old = foretell("prune", "--dry-run", "--json", "--state", here.state, cwd=here.folder)
    assert (old.json["removed"], old.json["bundles"]) == (False, [])
    line = {
        "id": "from-a-line",
        "features": {"scene": "city", "host": "old", "pixels": 9000},
        "metrics": {"seconds": 0.5},
    }
    lines = here.ask("observe", "render", "--file", "-", "--json", stdin=json.dumps(line) + "\n")
    assert lines.json["ids"] == ["from-a-line"]


def test_up_trains_survives_a_kill_and_continues(trained: Trained, tmp_path: Path) -> None:
    """Measurements in, a job watched, a part killed and restarted, and the next start goes on."""
    (tmp_path / "renders.csv").write_text("\n".join(rows_of_renders(150, seed=3)) + "\n")
    state = tmp_path / "state"
    with up(state) as (process, ready):
        here = _Up(tmp_path, state, process, ready)
        refuse_another(here)
        version = train_and_promote(here, trained.schema)
        kill_the_server(here)
        ask_and_replay(here, version)
        report_and_look(here)
        code, said = interrupt(process)
        assert code == 0
        assert "stopping: the server first" in said

    with up(state) as (process, ready):
        here = _Up(tmp_path, state, process, ready)
        listed = here.ask("models", "list", "--json")
        assert [row["version"] for row in listed.json if row["serving"]] == [version]
        with in_place_of_the_broker(process, ready["pids"]["broker"], state):
            news = [next_json(process) for _ in range(4)]
        assert [(n["part"], n["status"]) for n in news[:2]] == [
            ("broker", "died"),
            ("broker", "ready"),
        ]
        assert {(n["part"], n["status"]) for n in news[2:]} == {
            ("server", "ready"),
            ("worker", "ready"),
        }
        reported = here.ask("observe", "render", *ITEM, "--metric", "seconds=0.3")
        assert reported.out == "1 accepted, 0 rejected\n"
        # What was accepted, before the stop too, gets into the store.
        stored = StoredRows(state / "data", "render")
        assert max(stored.until(154, PATIENCE_S)) == 154
        # Nor does a kill of `up` itself leave anything behind.
        children = psutil.Process(process.pid).children(recursive=True)
        assert len(children) >= 5
        process.kill()
        assert left_of(children) == []


def test_up_says_at_once_that_its_port_is_taken(tmp_path: Path) -> None:
    """Before anything is started, in one line; no state is left."""
    with socketserver.TCPServer(("127.0.0.1", 0), socketserver.BaseRequestHandler) as taken:
        port = taken.server_address[1]
        refused = foretell("up", "--state", "state", "--port", port, cwd=tmp_path)
    assert refused.code == 1
    assert refused.err.startswith(f"error: port {port} is unavailable: another program listens")
    assert list(tmp_path.iterdir()) == []


def test_a_second_ctrl_c_cuts_off_what_is_in_flight(trained: Trained, tmp_path: Path) -> None:
    """A stream may hold up the first Ctrl-C for as long as the drain lasts, but not the second."""
    state = tmp_path / "state"
    shutil.copytree(trained.registry, state / "registry")
    item = {"scene": "city", "host": "big", "pixels": 1e5}
    never = threading.Event()

    def items() -> Iterator[dict[str, object]]:
        yield item
        never.wait(PATIENCE_S)

    args = ("up", "--state", state, "--port", 0, "--drain-seconds", 2 * PATIENCE_S, "--json")
    with running(*args, cwd=tmp_path) as process, Client(next_json(process)["address"]) as client:
        answers = client.stream("render", items())
        assert next(answers).error is None
        os.killpg(process.pid, signal.SIGINT)
        assert "stopping" in next_json(process)["event"]
        assert interrupt(process)[0] == 0
        with pytest.raises(ForetellError):
            next(answers)
        never.set()


def test_serve_answers_on_a_registry_alone(trained: Trained) -> None:
    """Without a broker it predicts, it says why it cannot retrain, and SIGTERM ends it with 0."""
    with running(
        *("serve", "--registry", trained.registry, "--port", 0, "--json"), cwd=trained.folder
    ) as process:
        address = ("--address", next_json(process)["address"])
        asked = foretell(
            *("predict", "render", "--set", "scene=city", "--set", "host=big"),
            *("--set", "pixels=1e5", *address),
            cwd=trained.folder,
        )
        assert "seconds" in asked.out
        wrong = foretell(
            *("predict", "render", "--set", "scene=city", "--set", "host=big"),
            *("--set", "pixels=1e5", "--set", "colour=red", *address),
            cwd=trained.folder,
        )
        assert (wrong.code, wrong.err.count("\n")) == (1, 1)
        assert "colour" in wrong.err
        # The bundle says the same in this process.
        same = foretell(
            *("predict", "render", "--set", "scene=city", "--set", "host=big"),
            *("--set", "pixels=1e5", "--registry", trained.registry),
            cwd=trained.folder,
        )
        assert same.out == asked.out
        refused = foretell("retrain", "render", *address, cwd=trained.folder)
        assert refused.code == 1
        assert "the broker is unavailable" in refused.err
        process.terminate()
        assert process.wait(PATIENCE_S) == 0


def test_demo_runs_to_its_end_and_leaves_nothing(tmp_path: Path) -> None:
    """A short demo: two bundles, no failed request, every run measured; no file, no process."""
    with running(
        *("demo", "--budget", 2, "--longest", 0.05, "--runs", 4, "--json", *TASKS),
        cwd=tmp_path,
        TMPDIR=str(tmp_path),
    ) as process:
        out, err = process.communicate(timeout=PATIENCE_S)
    assert process.returncode == 0, err
    result = json.loads(out)
    assert len(set(result["bundles"])) == 2
    assert result["requests_during_swap"]["failed"] == 0
    assert set(result["requests_during_swap"]["by_version"]) == set(result["bundles"])
    assert len(result["held_out"]) == 4
    for run in result["held_out"]:
        assert run["metrics"]["duration_s"]["lower"] < run["metrics"]["duration_s"]["upper"]
        assert run["metrics"]["duration_s"]["measured"] > 0
    assert "80 % interval" in err
    assert list(tmp_path.iterdir()) == []


def test_ctrl_c_ends_the_demo_and_cleans_up(tmp_path: Path) -> None:
    """Once its processes run, Ctrl-C ends them all, removes the state, and exits with 130."""
    with running(
        *("demo", "--budget", 2, "--longest", 0.05, *TASKS), cwd=tmp_path, TMPDIR=str(tmp_path)
    ) as process:
        assert process.stdout is not None
        for line in process.stdout:
            if " start " in line:
                break
        children = psutil.Process(process.pid).children(recursive=True)
        assert len(children) >= 3
        code, said = interrupt(process)
    assert code == 130
    assert "interrupted" in said
    assert left_of(children) == []
    assert list(tmp_path.iterdir()) == []
