"""The board: what the trainer tells servers, through the broker, about anomalies."""

from __future__ import annotations

import redis

from foretell.anomalies import MOST_SHOWN, Anomaly, anomalies_key, to_json
from foretell.events import Event, publish
from foretell_trainer.anomalies.ledger import list_anomalies
from foretell_trainer.store import Store


def show_anomalies(client: redis.Redis, store: Store, workload: str) -> list[Anomaly]:
    """Put a workload's open anomalies where servers see them, and return them."""
    found = list_anomalies(store, workload, "open", MOST_SHOWN)
    client.set(anomalies_key(workload), to_json(found))
    return found


def tell_flagged(client: redis.Redis, store: Store, workload: str, flagged: int) -> None:
    """Say that so many observations were flagged just now, the last of a workload."""
    last = show_anomalies(client, store, workload)[:1]
    others = f", and {flagged - 1} more" if flagged > 1 else ""
    for anomaly in last:
        message = f"observation {anomaly.observation_id}{others}: {anomaly.reason}"
        publish(
            client,
            Event(
                workload=workload,
                kind="anomaly",
                message=message,
                numbers={"flagged": float(flagged)},
            ),
        )
