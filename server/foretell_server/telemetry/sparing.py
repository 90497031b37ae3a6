"""Sparing: a flood of calls that are refused is not a flood of lines in the log."""

from __future__ import annotations

import time
from collections.abc import Callable, Hashable
from dataclasses import dataclass

LINES_PER_S = 20
"""So many lines of one kind in a second say what there is to say."""


@dataclass(slots=True)
class _Second:
    began: float
    lines: int = 0
    held_back: int = 0


class Sparing:
    """Lets a few lines of each kind pass in a second, and counts those that it holds back.

    Kinds are kept for good, so there may only be a bounded number of them.
    """

    def __init__(
        self, most: int = LINES_PER_S, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._most = most
        self._clock = clock
        self._seconds: dict[Hashable, _Second] = {}

    def pass_on(self, kind: Hashable) -> int | None:
        """Return None when a line is to be held back, else how many were since the last one."""
        now = self._clock()
        second = self._seconds.setdefault(kind, _Second(now))
        if now - second.began >= 1:
            second.began, second.lines = now, 0
        if second.lines >= self._most:
            second.held_back += 1
            return None
        second.lines += 1
        held_back, second.held_back = second.held_back, 0
        return held_back
