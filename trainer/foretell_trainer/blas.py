"""BLAS with one thread, as fits want it.

A fit multiplies many small matrices. Two threads gain nothing at that size, and wait for each
other in a loop: where another process takes one of two processors, a fit of 2,000 rows that
takes 4 s with one thread was not done after a minute.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

# Its own copy of BLAS has to be there when threads are limited.
import scipy.linalg  # noqa: F401
from threadpoolctl import threadpool_limits


@contextmanager
def one_thread() -> Iterator[None]:
    """Have BLAS use one thread inside; trees use as many as their settings say."""
    with threadpool_limits(limits=1, user_api="blas"):
        yield
