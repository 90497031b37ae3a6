"""What the demo ends with, on terminals of any width."""

from __future__ import annotations

import io
from datetime import UTC, datetime

import pytest
from rich.console import Console

from foretell.client import Interval, MetricForecast, Prediction
from foretell.demo.load import Served
from foretell.demo.outcomes import HeldOut
from foretell.demo.result import DemoResult
from foretell.demo.screen import Screen
from foretell.measure import Configuration, Measurement


def forecast(metric: str, median: float) -> MetricForecast:
    """A forecast whose interval is a tenth to either side."""
    interval = Interval(0.9 * median, 1.1 * median, 0.8)
    return MetricForecast(metric, "", median, interval, {}, 0.9, 1.0, False, "", {}, ())


def result() -> DemoResult:
    """One run outside its interval in time, and inside it in memory."""
    forecasts = {
        "duration_s": forecast("duration_s", 0.123),
        "memory_kb": forecast("memory_kb", 4e4),
    }
    run = HeldOut(
        Configuration.of("fib_iterative", 123_456_789, "cranelift-speed-fuel"),
        Prediction("serverless", forecasts, "v1", "warm", (), (), "p-1"),
        Measurement(
            *("id", datetime(2026, 1, 1, tzinfo=UTC), "fib_iterative", "cranelift-speed-fuel"),
            123_456_789,
            "completed",
            duration_s=0.456,
            memory_kb=4.1e4,
        ),
    )
    served = Served(7, 0, {"v1": 4, "v2": 3}, (), 0.001)
    return DemoResult(100, 0.05, 0.3, "v1", "v2", [run], served, {"measure": 30.0}, None)


@pytest.mark.parametrize("width", [60, 80, 100, 126, 200])
def test_no_cell_is_cut_off(width: int) -> None:
    """However narrow the terminal is, every number of the table is there as a whole."""
    printed = io.StringIO()
    Screen(Console(file=printed, width=width)).end(result())
    text = printed.getvalue()
    for cell in ("fib_iterative(123456789)", "cranelift-speed-fuel", "111 ms … 135 ms", "456 ms"):
        assert cell in text
    assert ("40.0 MB" in text) == (width >= 126)


def test_the_end_says_what_came_of_it() -> None:
    """Share inside next to 80 %, the machine's drift, both versions, requests served and failed."""
    printed = io.StringIO()
    Screen(Console(file=printed, width=200)).end(result())
    text = printed.getvalue()
    assert "durations: 0 of 1 inside their interval: 0 %, next to 80 %" in text
    assert "memory peaks: 1 of 1 inside their interval: 100 %, next to 80 %" in text
    assert "30 % slower" in text
    assert "durations lay 271 % above their predicted medians" in text
    assert "at the earlier pace 0 of 1 would be inside" in text
    assert "bundles: v1, then v2, without a restart" in text
    assert "7 served, 0 failed (4 by v1, 3 by v2)" in text
