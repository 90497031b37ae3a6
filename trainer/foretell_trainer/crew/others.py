"""Who else does parts of shared work, as whoever shares it sees them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Protocol

from foretell_trainer.crew.told import Answer, Part

MOST_BEGUN = 2
"""How often a part is begun whose worker dies; then the part is taken to be to blame."""


class Others(Protocol):
    """Workers elsewhere that do parts, too."""

    def free(self) -> int:
        """Return how many more parts they would begin at once, if they have nothing else to do."""

    def send(self, parts: Mapping[int, Part]) -> None:
        """Have parts done, each known by its number."""

    def take(self) -> tuple[int, Part] | None:
        """Take back a part that was sent and that nobody has begun, to do it here."""

    def answers(self, wait_s: float) -> Iterator[Answer]:
        """Yield what came of parts, after waiting for the first at most so long."""

    def waiting(self) -> int:
        """Return how many parts were sent, and neither answered nor taken back."""


class Nobody:
    """No workers elsewhere."""

    def free(self) -> int:
        """Return 0."""
        return 0

    def send(self, parts: Mapping[int, Part]) -> None:
        """Refuse: nobody is there."""
        raise NotImplementedError  # free() is 0: nobody sends

    def take(self) -> tuple[int, Part] | None:
        """Return nothing."""
        return None

    def answers(self, wait_s: float) -> Iterator[Answer]:  # noqa: ARG002
        """Yield nothing."""
        return iter(())

    def waiting(self) -> int:
        """Return 0."""
        return 0
