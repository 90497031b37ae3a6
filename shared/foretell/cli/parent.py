"""What a service owes the `foretell up` that started it: a word when ready, and to end with it."""

from __future__ import annotations

import ctypes
import os
import signal
import sys
from collections.abc import Callable
from typing import Any, TypeVar

import click

F = TypeVar("F", bound=Callable[..., Any])

_DIE_WITH_PARENT = 1  # PR_SET_PDEATHSIG of prctl(2)


def parent_options(command: F) -> F:
    """Add the options by which `foretell up` talks to its parts; not for people."""
    for option in (
        click.option("--ready-fd", type=int, hidden=True),
        click.option("--parent", type=int, hidden=True),
    ):
        command = option(command)
    return command


def with_parent(ready_fd: int | None, parent: int | None) -> Callable[[str], None]:
    """Tie this process to its parent, and return what tells the parent that it is ready."""
    if parent is not None and sys.platform == "linux":
        ctypes.CDLL(None).prctl(_DIE_WITH_PARENT, signal.SIGTERM)
        if os.getppid() != parent:
            # It died before the line above.
            raise SystemExit(128 + signal.SIGTERM)

    def tell(text: str) -> None:
        if ready_fd is not None:
            with open(ready_fd, "w", encoding="utf-8") as pipe:  # noqa: PTH123 -- a descriptor
                pipe.write(text)

    return tell
