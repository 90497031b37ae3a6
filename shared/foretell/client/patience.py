"""How long a client bears with a server that it cannot reach, as while that one restarts."""

from __future__ import annotations

import time

import grpc

from foretell.client.failures import explained

PATIENCE_S = 5.0
AGAIN_AFTER_S = 0.1
"""Between one round of gRPC's own attempts, which lasts about 1.5 s, and the next."""


class Patience:
    """Runs out `seconds` after it was made or renewed."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._until = 0.0
        self.renew()

    def renew(self) -> None:
        """Begin again, because the server was there just now."""
        self._until = time.monotonic() + self._seconds

    def lasts(self) -> bool:
        """Return whether it is worth trying again."""
        return time.monotonic() < self._until

    def bears(self, error: grpc.RpcError) -> bool:
        """Return whether to repeat a call that failed: only when no server explained why."""
        unavailable = error.code() is grpc.StatusCode.UNAVAILABLE
        return unavailable and not explained(error) and self.lasts()
