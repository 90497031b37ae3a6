"""What a service owes the `foretell up` that started it: a word when ready, and to end with it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import click

from foretell.lifeline import tie_to

F = TypeVar("F", bound=Callable[..., Any])


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
    if parent is not None:
        tie_to(parent)

    def tell(text: str) -> None:
        if ready_fd is not None:
            with open(ready_fd, "w", encoding="utf-8") as pipe:  # noqa: PTH123 -- a descriptor
                pipe.write(text)

    return tell
