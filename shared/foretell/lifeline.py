"""Processes that end with the one that started them, even when that is killed.

As a program, ``python lifeline.py PARENT PROGRAM ARGUMENTS…`` ties itself to its parent and then
becomes the program: for those that cannot do so themselves. The kernel ties a process to the
thread that started it, so that thread has to stay.
"""

from __future__ import annotations

import ctypes
import os
import signal
import sys

_DIE_WITH_PARENT = 1  # PR_SET_PDEATHSIG of prctl(2)


def tie_to(parent: int, number: int = signal.SIGTERM) -> None:
    """Have this process get a signal when its parent ends; nothing where there is no Linux.

    Args:
        parent: the parent's process id; if it has ended already, so does this process.
        number: the signal.
    """
    if sys.platform != "linux":
        return
    ctypes.CDLL(None).prctl(_DIE_WITH_PARENT, number)
    if os.getppid() != parent:
        # It died before the line above.
        os.kill(os.getpid(), number)


def command(program: str, *arguments: str) -> list[str]:
    """Return the command of a program that is to end, with SIGTERM, when this process does."""
    return [sys.executable, "-I", "-S", __file__, str(os.getpid()), program, *arguments]


if __name__ == "__main__":
    tie_to(int(sys.argv[1]))
    os.execv(sys.argv[2], sys.argv[2:])  # noqa: S606 -- becoming another program is the point
