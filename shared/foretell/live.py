"""Live scores: how answers have done lately, as trainer, server and clients speak of them.

The trainer keeps them up to date in the broker, one text per workload.
"""

from __future__ import annotations

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

from foretell.events import EventKind


class _Value(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore")


class LiveScore(_Value):
    """How a bundle's answers about one metric have done, on the newest outcomes of a group."""

    metric: str
    group: dict[str, str] = Field(default_factory=dict)
    """Values by category feature; empty for all outcomes of the workload."""
    bundle_version: str
    is_shadow: bool = False
    """Whether it is a candidate that answers alongside."""
    outcomes: int
    coverage: float
    """Share of the outcomes within the 90 % interval."""
    median_ratio: float
    """Median of measured / forecast; of their difference plus 1 for metrics on a linear scale."""
    median_error: float
    """Median of |measured - forecast| / |measured|."""
    crps: float
    """Mean, of the logarithm for metrics on a log scale."""
    alarms: tuple[EventKind | str, ...] = ()
    """What is wrong now: drift, bias, coverage."""


class Regression(_Value):
    """A group that is slower, or costs more, than it did."""

    metric: str
    group: dict[str, str] = Field(default_factory=dict)
    ratio: float
    """1.3 is 30 % more time for the same work, or 1.3 times less throughput."""
    since: AwareDatetime
    """When the first observation that was worse was made."""
    tag: str = ""
    """Version of what ran since then, if observations carry one."""
    baseline_tag: str = ""
    outcomes: int
    """How many observations since then."""
    baseline: int
    """How many observations before, which it is compared with."""


class LiveReport(_Value):
    """All that is known about how a workload's answers do."""

    scores: tuple[LiveScore, ...] = ()
    regressions: tuple[Regression, ...] = ()
    """The worst first."""


def live_key(workload: str) -> str:
    """Return the broker's key of a workload's report."""
    return f"foretell:live:{workload}"


def read_report(text: str | bytes | None) -> LiveReport:
    """Return the report that a text holds; an empty one without a text."""
    return LiveReport.model_validate_json(text) if text else LiveReport()
