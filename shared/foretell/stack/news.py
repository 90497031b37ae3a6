"""What happens to the parts of the stack while they run."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

Status = Literal["died", "ready", "failed", "killed"]


@dataclass(frozen=True, slots=True)
class News:
    """One thing that happened to one part."""

    part: str
    """broker, server or worker."""
    status: Status
    """`died` and is started again, is `ready` again, `failed` to start, or was `killed` because
    it did not stop."""
    text: str
    """The same in a sentence, for people."""
    pid: int = 0
    """The process that is ready; 0 otherwise."""


Tell = Callable[[News], None]
