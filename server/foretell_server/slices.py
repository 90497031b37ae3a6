"""Slices: the rows of a batch in parts, on as many processors as are free.

The graph runs without Python's lock, so parts of one batch may run side by side. Whoever has the
batch works on it all the time; helpers take slices from it when they have nothing else to do.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import Executor
from typing import TypeVar

from foretell.errors import Cancelled

SLICE_ROWS = 4096
"""So many rows are answered before asking again whether anybody still waits."""
SMALLEST_SLICE = 128
"""Fewer rows are not worth another thread."""

_T = TypeVar("_T")


def in_slices(
    rows: int,
    work: Callable[[slice], _T],
    gone: Callable[[], bool],
    helpers: Executor | None = None,
    most_helpers: int = 0,
) -> list[_T]:
    """Return what `work` returns for each slice of the rows, in their order.

    Raises Cancelled between two slices once `gone` says that nobody waits any more, and
    whatever `work` raises.
    """
    size = min(SLICE_ROWS, max(SMALLEST_SLICE, -(-rows // (most_helpers + 1))))
    slices = [slice(start, start + size) for start in range(0, rows, size)]
    found: dict[int, _T] = {}
    left = iter(range(len(slices)))

    def take(left: Iterator[int]) -> None:
        for i in left:
            if gone():
                raise Cancelled("the caller has gone")
            found[i] = work(slices[i])

    wanted = min(most_helpers, len(slices) - 1) if helpers is not None else 0
    helping = [helpers.submit(take, left) for _ in range(wanted)] if helpers is not None else []
    try:
        take(left)
    finally:
        # Those that never began have nothing left to do.
        begun = [future for future in helping if not future.cancel()]
        for _ in left:
            pass  # after an error, nobody begins another slice
    for future in begun:
        future.result()
    return [found[i] for i in range(len(slices))]
