"""Disks that are full."""

from __future__ import annotations

import resource
import sys
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def full_disk(bytes_left: int) -> Iterator[None]:
    """Let no file grow beyond some bytes: the nearest to a full disk that a test can have."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    # What is imported meanwhile would be kept cut off, and no process could import it any more.
    silent, sys.dont_write_bytecode = sys.dont_write_bytecode, True
    resource.setrlimit(resource.RLIMIT_FSIZE, (bytes_left, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        sys.dont_write_bytecode = silent
