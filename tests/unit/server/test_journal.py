"""What is written about answers."""

from __future__ import annotations

import time

from structlog.testing import capture_logs

from foretell_server.telemetry.journal import Call, Journal


def call(status: str = "OK") -> Call:
    """Return a call that has just ended."""
    return Call("a/B", "mine", (), time.perf_counter(), "toy", "v1", status)


def test_answers_are_logged_by_share() -> None:
    """With a share of 1 each answer is one line at level info, with all that names it; with 0
    nothing is wanted. Errors are not written here: the edge logs them all."""
    journal = Journal(1.0)
    with capture_logs() as lines:
        journal.write(call())
        journal.write(call("NOT_FOUND"))
    (line,) = lines
    assert line.pop("seconds") >= 0
    assert line == {
        "event": "answered",
        "log_level": "info",
        "method": "a/B",
        "workload": "toy",
        "bundle_version": "v1",
        "request_id": "mine",
    }
    assert journal.wanted
    assert not Journal(0.0).wanted


def test_a_small_share_is_a_sample() -> None:
    """A share between 0 and 1 logs some of the answers, and not the others."""
    journal = Journal(0.5)
    with capture_logs() as lines:
        for _ in range(200):
            journal.write(call())
    assert 0 < len(lines) < 200
