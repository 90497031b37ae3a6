"""How answers do in the world, from the queue through the worker to what servers show."""

from __future__ import annotations

import itertools
from datetime import UTC, datetime
from pathlib import Path
from typing import cast

import pytest

from foretell.bundle import write_bundle
from foretell.events import EVENTS_KEY
from foretell.live import LiveReport, live_key, read_report
from foretell_trainer.anomalies.ledger import list_anomalies
from foretell_trainer.schedule import Schedule
from tests.bundles import toy_graph, toy_manifest
from tests.integration.trainer.conftest import Place, eventually

pytestmark = pytest.mark.process

NOISE = (-0.1, 0.05, 0.0, 0.12, -0.04, 0.08, -0.13)


def publish(place: Place, folder: Path, *, promote: bool, shift: float = 0.0) -> str:
    """Publish a bundle that was made before anything is reported, and return its version."""
    made = datetime(2020, 1, 1 + promote, tzinfo=UTC)
    draft = toy_manifest(place.schema, shift).model_copy(update={"created_at": made})
    write_bundle(folder, toy_graph(place.schema, shift), draft)
    return place.registry.publish(place.workload, folder, promote=promote, who="test", why="test")


def test_drift_is_told_shown_and_a_reason_to_train(standing: Place, tmp_path: Path) -> None:
    """A group that doubles is drift in the events and the report; a candidate that foresaw it has
    the better score; what is impossible is flagged; and the schedule asks for a run."""
    current = publish(standing, tmp_path / "current", promote=True)
    candidate = publish(standing, tmp_path / "candidate", promote=False, shift=0.693)
    numbers = itertools.count()

    def report(factor: float, count: int) -> None:
        standing.send(
            [
                standing.observation(
                    f"o{next(numbers)}",
                    features={"size": 10.0, "kind": "big"},
                    metrics={
                        "seconds": 10.0 * factor * (1 + NOISE[i % 7]),
                        "kb": 10.0 + NOISE[i % 7],
                    },
                )
                for i in range(count)
            ]
        )

    def shown() -> LiveReport:
        return read_report(cast("bytes | None", standing.client.get(live_key(standing.workload))))

    report(1.0, 30)
    eventually(lambda: any(s.outcomes == 30 for s in shown().scores))
    report(2.0, 40)
    eventually(lambda: any("drift" in s.alarms and s.outcomes == 70 for s in shown().scores))
    mine = next(s for s in shown().scores if s.is_shadow and s.metric == "seconds" and s.group)
    theirs = next(
        s for s in shown().scores if not s.is_shadow and s.metric == "seconds" and s.group
    )
    assert (mine.bundle_version, theirs.bundle_version) == (candidate, current)
    assert mine.group == {"kind": "big"}
    assert mine.crps < theirs.crps
    assert [r.group for r in shown().regressions] == [{"kind": "big"}]
    entries = cast("list[tuple[bytes, dict[bytes, bytes]]]", standing.client.xrange(EVENTS_KEY))
    texts = [fields[b"event"].decode() for _, fields in entries]
    for kind in ("drift", "regression", "shadow"):
        about = [t for t in texts if f'"{kind}"' in t and standing.workload in t]
        assert about
    report(1e6, 1)
    eventually(lambda: len(list_anomalies(standing.store, standing.workload, "open")) == 1)
    on_drift = standing.settings.model_copy(update={"retrain_on_drift": True})
    with Schedule(on_drift) as schedule:
        jobs = [job for job in schedule.look() if job.workload == standing.workload]
    assert [str(job.spec["reason"])[:6] for job in jobs] == ["drift:"]
    standing.go.touch()
    standing.finished(jobs[0])
