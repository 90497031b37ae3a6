"""Room: how many calls one process answers at a time."""

from __future__ import annotations

import sys

from foretell.errors import TooMuch

UNLIMITED = "grpc.health.v1.Health/"
"""Whose calls always find room: a server that is full is not dead."""

BEYOND = 2
"""Beyond this many times the room gRPC itself turns calls away, which costs less."""


class Room:
    """The calls in flight, and how many of them there may be; each adds itself to `taken`.

    Nothing waits here: who finds no room hears so at once, and when to try again. A queue
    would answer those who have given up before those who still wait.
    """

    __slots__ = ("most", "taken")

    def __init__(self, most: int = sys.maxsize) -> None:
        self.most = most
        self.taken = 0

    def check(self) -> None:
        """Raise TooMuch when the call that came last is one too many."""
        if self.taken > self.most:
            raise TooMuch(
                f"{self.most} calls are in flight already, which is all that this process takes; "
                "try again a little later, or elsewhere"
            )
