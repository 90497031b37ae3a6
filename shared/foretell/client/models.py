"""Workloads, schemas, bundles, jobs and acknowledgements as the client returns them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal, overload

from foretell.client.table import Row, html_table, number, percent, text_table
from foretell.errors import ForetellError, Violation

JobState = Literal["QUEUED", "RUNNING", "SUCCEEDED", "FAILED", "CANCELLED", "UNKNOWN"]
"""Where a job is in its life; "UNKNOWN" if the server is newer than this client."""

Health = Literal["UNKNOWN", "SERVING", "NOT_SERVING", "SERVICE_UNKNOWN"]
"""The states of grpc.health.v1."""


@dataclass(frozen=True, slots=True)
class Workload:
    """A kind of work; `bundle_version` is empty as long as nothing answers for it."""

    name: str
    title: str
    description: str
    bundle_version: str
    metrics: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Feature:
    """One input: a number, a category or a flag."""

    name: str
    kind: str
    description: str
    unit: str
    scale: str
    required: bool
    minimum: float | None
    maximum: float | None
    extrapolate: bool
    known_values: tuple[str, ...]
    """The values of a category that the current bundle knows."""


@dataclass(frozen=True, slots=True)
class Metric:
    """One output."""

    name: str
    description: str
    unit: str
    direction: str
    scale: str
    minimum: float | None
    maximum: float | None


@dataclass(frozen=True, slots=True)
class Catalog:
    """A table of facts about the values of the category feature `key`."""

    name: str
    key: str
    facts: tuple[Feature, ...]


@dataclass(frozen=True, slots=True)
class Link:
    """An identity: metric = constant x product of factor ** power."""

    metric: str
    factors: Mapping[str, float]
    constant: float


@dataclass(frozen=True, slots=True)
class WorkloadSchema:
    """What a workload's items are described by, and what is predicted about them."""

    workload: str
    title: str
    description: str
    features: tuple[Feature, ...]
    metrics: tuple[Metric, ...]
    catalogs: tuple[Catalog, ...]
    groups: tuple[tuple[str, ...], ...]
    links: tuple[Link, ...]
    fingerprint: str

    def __str__(self) -> str:
        return f"{self.workload}: {self.title}\n{text_table(*self._table())}"

    def _repr_html_(self) -> str:
        return html_table(f"{self.workload}: {self.title}", *self._table())

    def _table(self) -> tuple[Row, list[Row]]:
        rows: list[Row] = [
            [f.name, f.kind, f.unit, "required" if f.required else "", f.description]
            for f in self.features
        ]
        rows += [[m.name, "metric", m.unit, "", m.description] for m in self.metrics]
        return ["name", "kind", "unit", "", "description"], rows


@dataclass(frozen=True, slots=True)
class Lineage:
    """The exact data that a bundle was trained on."""

    snapshot_sha256: str
    rows: int
    start_time: datetime | None
    end_time: datetime | None
    sources: tuple[str, ...]
    parent: str


@dataclass(frozen=True, slots=True)
class Bundle:
    """One immutable, versioned model."""

    workload: str
    version: str
    created_at: datetime | None
    aliases: tuple[str, ...]
    training_rows: int
    lineage: Lineage
    evaluation: Mapping[str, Any]
    """The report card: per split and metric, the errors, coverage and width."""
    schema_fingerprint: str
    family: str
    serving: bool
    refusal: str
    """Why the server refused to load it; empty if it did not."""

    def __str__(self) -> str:
        parts = [self.workload, self.version, f"{self.training_rows} rows", *self.aliases]
        return ", ".join([*parts, f"refused: {self.refusal}"] if self.refusal else parts)


@dataclass(frozen=True, slots=True)
class Job:
    """One training run."""

    id: str
    workload: str
    state: JobState
    stage: str
    fraction_done: float
    numbers: Mapping[str, float]
    bundle_version: str
    error: ForetellError | None
    created_at: datetime | None
    started_at: datetime | None
    finished_at: datetime | None
    request_id: str
    outcome: str = ""
    """What came of it, in a sentence; empty until it is over."""
    promoted: bool = False
    """Whether its bundle became current."""
    reason: str = ""
    """Why it was asked for."""

    @property
    def done(self) -> bool:
        """Whether the job has reached a final state."""
        return self.state in ("SUCCEEDED", "FAILED", "CANCELLED")

    def __str__(self) -> str:
        parts = [f"job {self.id}", self.workload, self.state.lower()]
        if self.state == "RUNNING":
            parts.append(f"{self.stage} ({percent(round(self.fraction_done, 2))})")
        if self.bundle_version:
            parts.append(f"bundle {self.bundle_version}")
        if self.error is not None:
            parts.append(self.error.message)
        return ", ".join([*parts, *(f"{name} {number(x)}" for name, x in self.numbers.items())])


@dataclass(frozen=True, slots=True)
class AuditEntry:
    """One thing that was done to a workload's bundles."""

    time: datetime | None
    action: str
    """publish, promote, rollback, unload or load."""
    author: str
    reason: str
    from_version: str
    """Version that was current before; empty if none was, or where that did not change."""
    to_version: str
    """Version that it is about; empty if it is about none."""


@dataclass(frozen=True, slots=True)
class Acknowledgement:
    """What became of one observation."""

    observation_id: str
    rejection: str = ""
    """Why it was rejected, in one sentence; empty if it was accepted."""
    violations: tuple[Violation, ...] = ()
    already_reported: bool = False
    """Whether an outcome of its answer was reported before: that one is kept, this one dropped."""

    @property
    def accepted(self) -> bool:
        """Whether the server has taken responsibility for the observation."""
        return not self.rejection


@dataclass(frozen=True, slots=True)
class Acknowledgements:
    """What became of a batch of observations, in the order they were given."""

    items: tuple[Acknowledgement, ...]

    @property
    def rejected(self) -> tuple[Acknowledgement, ...]:
        """Those that were not accepted."""
        return tuple(item for item in self.items if not item.accepted)

    @property
    def accepted(self) -> int:
        """How many were accepted."""
        return len(self.items) - len(self.rejected)

    @property
    def already_reported(self) -> int:
        """How many of those accepted were reported before, and are dropped."""
        return sum(item.already_reported for item in self.items)

    def __len__(self) -> int:
        return len(self.items)

    @overload
    def __getitem__(self, index: int) -> Acknowledgement: ...
    @overload
    def __getitem__(self, index: slice) -> tuple[Acknowledgement, ...]: ...
    def __getitem__(self, index: int | slice) -> Acknowledgement | tuple[Acknowledgement, ...]:
        return self.items[index]

    def __iter__(self) -> Iterator[Acknowledgement]:
        return iter(self.items)

    def __str__(self) -> str:
        known = f" ({self.already_reported} already reported)" if self.already_reported else ""
        lines = [f"{self.accepted} accepted{known}, {len(self.rejected)} rejected"]
        return "\n".join(lines + [f"  {r.observation_id}: {r.rejection}" for r in self.rejected])
