"""The ledger of anomalies: which observations are flagged, and what was decided about them.

An observation that is flagged stays in the store. It is trained on when somebody confirms that it
is real, and never when it is discarded.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import duckdb

from foretell.anomalies import Anomaly, Decision, State
from foretell_trainer.store import Store, transaction

KEPT_OUT = "SELECT observation FROM anomalies WHERE state <> 'confirmed'"
"""The numbers of the observations that nothing is trained on."""

_SELECT = """
SELECT workload, observation_id, observed_at, source, tag, reason, state, found_at,
  decided_at, decided_by, decision_reason, features,
  (SELECT json_group_object(metric, value) FROM metrics
    WHERE metrics.observation = o.number AND NOT lower_bound)
FROM anomalies a JOIN observations o ON o.number = a.observation
"""


def list_anomalies(
    store: Store, workload: str, state: State | None = None, most: int = 1000
) -> list[Anomaly]:
    """Return the anomalies of a workload, those found last first."""
    with store.open() as connection:
        return read_anomalies(connection, workload, state, most)


def read_anomalies(
    connection: duckdb.DuckDBPyConnection, workload: str, state: State | None, most: int
) -> list[Anomaly]:
    """Do so on a store that is open."""
    rows = connection.execute(
        f"{_SELECT} WHERE o.workload = ? AND (? IS NULL OR a.state = ?)"
        " ORDER BY a.observation DESC LIMIT ?",
        [workload, state, state, most],
    ).fetchall()
    return [Anomaly.of_row(row) for row in rows]


def flag(store: Store, reasons: Mapping[int, str]) -> int:
    """Flag observations by their numbers; return how many were not flagged before."""
    if not reasons:
        return 0
    with store.open() as connection, transaction(connection):
        rows = connection.execute(
            "INSERT INTO anomalies BY NAME"
            " SELECT unnest(?::BIGINT[]) AS observation, unnest(?::VARCHAR[]) AS reason,"
            " now() AT TIME ZONE 'UTC' AS found_at"
            " ON CONFLICT DO NOTHING RETURNING observation",
            [list(reasons), list(reasons.values())],
        ).fetchall()
    return len(rows)


def decide(store: Store, workload: str, ids: Sequence[str], decision: Decision) -> int:
    """Write down a decision about anomalies, by the observations' ids; return how many there are.

    A later decision replaces an earlier one. Ids that are not flagged are passed over.
    """
    with store.open() as connection, transaction(connection):
        rows = connection.execute(
            "UPDATE anomalies SET state = ?, decided_by = ?, decision_reason = ?,"
            " decided_at = now() AT TIME ZONE 'UTC'"
            " WHERE observation IN (SELECT number FROM observations WHERE workload = ?"
            "   AND observation_id IN (SELECT unnest(?::VARCHAR[])))"
            " RETURNING observation",
            [decision.state, decision.who, decision.why, workload, list(ids)],
        ).fetchall()
    return len(rows)
