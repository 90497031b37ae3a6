"""Live scores on the metrics page: read from the broker now and then, shown as they were last."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import suppress

from foretell.errors import Unavailable
from foretell.live import LiveReport, LiveScore
from foretell.monitoring_async import AsyncMonitor
from foretell_server.shelf import Shelf
from foretell_server.telemetry.families import Family, Sample, labelled

READ_EVERY_S = 5.0


class LiveScores:
    """Knows how the answers of the live bundles have done. One per process."""

    def __init__(self, monitor: AsyncMonitor, shelf: Shelf) -> None:
        self._monitor = monitor
        self._shelf = shelf
        self._reports: Mapping[str, LiveReport] = {}

    async def follow(self) -> None:
        """Read again and again, until cancelled."""
        while True:
            with suppress(Unavailable):  # `HotSwap.listen` says it; what was read last is shown
                await self.read()
            await asyncio.sleep(READ_EVERY_S)

    async def read(self) -> None:
        """Read the reports of all workloads that are answered for."""
        found = {workload: await self._monitor.report(workload) for workload in self._shelf.live}
        self._reports = found

    def families(self) -> Iterator[Family]:
        """Yield what there is to show; groups are counted, and not shown one by one."""
        scores = [
            (workload, score)
            for workload, report in self._reports.items()
            for score in report.scores
            if not score.group
        ]
        for name, description, field in (
            ("coverage", "Share of recent outcomes within the 90 % interval.", "coverage"),
            ("median_ratio", "Median of measured / forecast.", "median_ratio"),
            ("median_error", "Median of |measured - forecast| / measured.", "median_error"),
            ("crps", "Mean continuous ranked probability score.", "crps"),
        ):
            yield Family(
                f"foretell_live_{name}",
                "gauge",
                description,
                tuple(Sample(_labels(w, s), getattr(s, field)) for w, s in scores),
                "max",
            )
        yield Family(
            "foretell_live_alarms",
            "gauge",
            "Groups and metrics with an alarm now: drift, bias, coverage, regression.",
            tuple(
                Sample(labelled(workload=workload, kind=kind), count)
                for workload, report in self._reports.items()
                for kind, count in _alarms(report).items()
            ),
            "max",
        )


def _labels(workload: str, score: LiveScore) -> tuple[tuple[str, str], ...]:
    role = "candidate" if score.is_shadow else "current"
    return labelled(workload=workload, metric=score.metric, role=role)


def _alarms(report: LiveReport) -> Counter[str]:
    counts = Counter(dict.fromkeys(("drift", "bias", "coverage"), 0))
    counts.update(
        str(alarm)
        for score in report.scores
        if not score.is_shadow and score.group
        for alarm in score.alarms
    )
    counts["regression"] = len(report.regressions)
    return counts
