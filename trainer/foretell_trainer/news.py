"""What is told of observations that were stored just now: how many are new, and which cannot be."""

from __future__ import annotations

import redis

from foretell_trainer.anomalies.board import tell_flagged
from foretell_trainer.schedule import count_new
from foretell_trainer.store import Store


def tell_stored(
    client: redis.Redis, store: Store, workload: str, *, stored: int, flagged: int
) -> None:
    """Count new observations towards the next training run, and show those that cannot be."""
    count_new(client, workload, stored)
    if flagged:
        tell_flagged(client, store, workload, flagged)
