"""Lines about calls that are refused: a few per second, and the number of the others."""

from __future__ import annotations

from foretell_server.telemetry.sparing import Sparing


def test_a_flood_is_a_few_lines_and_a_number() -> None:
    """Beyond the most in a second lines are held back; the first of a later one says how many."""
    now = 100.0
    sparing = Sparing(2, lambda: now)
    assert [sparing.pass_on("full") for _ in range(5)] == [0, 0, None, None, None]
    assert sparing.pass_on("other") == 0
    now += 1
    assert [sparing.pass_on("full") for _ in range(3)] == [3, 0, None]
