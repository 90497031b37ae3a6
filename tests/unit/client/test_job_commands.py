"""`foretell jobs` and `retrain --wait`: what is told of a run, and with which code they exit."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from foretell.cli.app import run
from foretell.v1 import model_pb2

if TYPE_CHECKING:
    from tests.unit.client.conftest import FixedServer


def _job(state: str, stage: str = "", **numbers: float) -> model_pb2.Job:
    return model_pb2.Job(
        id="j1",
        workload="rules",
        state=f"JOB_STATE_{state}",
        stage=stage,
        numbers=numbers,
    )


STAGES = [
    _job("QUEUED"),
    _job("RUNNING", "snapshot"),
    _job("RUNNING", "searching", trials=1.0),
    _job("RUNNING", "searching", trials=2.0),
]


@pytest.mark.parametrize(
    ("end", "code", "said"),
    [("SUCCEEDED", 0, ""), ("CANCELLED", 3, "cancelled"), ("FAILED", 1, "failed")],
)
@pytest.mark.parametrize("command", [("jobs", "watch", "j1"), ("retrain", "rules", "--wait")])
def test_watching_tells_each_stage_and_exits_by_how_the_run_ended(
    server: FixedServer,
    capsys: pytest.CaptureFixture[str],
    command: tuple[str, ...],
    end: str,
    code: int,
    said: str,
) -> None:
    """Without a terminal each stage is one line of JSON; only a cancelled run exits with 3."""
    server.job = [*STAGES, _job(end, "done")]
    assert run([*command, "--address", server.address]) == code
    err = capsys.readouterr().err
    told = [json.loads(line) for line in err.splitlines() if line.startswith("{")]
    assert [line["stage"] for line in told] == ["queued", "snapshot", "searching", "done"]
    assert told[2] == {"job": "j1", "stage": "searching", "fraction_done": 0.0, "trials": 1.0}
    assert said in err


def test_jobs_shows_how_far_a_search_is(
    server: FixedServer, capsys: pytest.CaptureFixture[str]
) -> None:
    """The list has the numbers of a run that is under way beside its stage."""
    numbers = {f"duration_s.part{i}": 1.0 for i in range(9)}
    server.job = [_job("RUNNING", "searching", trials=7.0, gain=0.12, rows=90.0, **numbers)]
    assert run(["jobs", "list", "--address", server.address]) == 0
    assert "searching, gain 0.12, rows 90, trials 7" in capsys.readouterr().out
