"""The control plane: workloads, bundles and training jobs, as plain values. No transport."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Callable, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass
from typing import Generic, TypeVar

from foretell.bundle import Manifest
from foretell.errors import BundleRejected, ForetellError, InvalidInput, NotFound, Violation
from foretell.jobs import Job
from foretell.jobs_async import AsyncJobStore
from foretell.registry import AuditEntry, Registry
from foretell.schema import Schema
from foretell.splits import parse_split
from foretell_server.outbox import Outbox
from foretell_server.schemas import Schemas
from foretell_server.shelf import Shelf
from foretell_server.threads import in_thread

DEFAULT_PAGE = 100
LARGEST_PAGE = 1000
LONGEST_REQUEST_ID = 128
LONGEST_REASON = 1000
LONGEST_SPLIT = 1000
SMALLEST_WINDOW = 100
MOST_JOINED = 20
"""Of so many newest jobs, one that is not over is found to join."""

# What else is wrong with these, the trainer says.
_FAMILY = re.compile(r"[a-z]{1,20}(:[a-z+]{1,100})?")
_SEARCH = re.compile(r"(trials=\d{1,6}|seconds=\d{1,9}(\.\d+)?)(,(trials|seconds)=[\d.]{1,9})?")

_T = TypeVar("_T")


@dataclass(frozen=True, slots=True)
class PageRequest:
    """Which part of a list is wanted: how many at most, and where it begins."""

    size: int = 0
    token: str = ""

    @property
    def start(self) -> int:
        """The place of the first item; InvalidInput for a token that no page carried."""
        if not self.token:
            return 0
        if not (self.token.isascii() and self.token.isdigit()):
            message = f"{self.token!r} is not a next_page_token"
            raise InvalidInput([Violation("page_token", self.token, message)])
        return int(self.token)

    @property
    def limit(self) -> int:
        """The largest number of items, after the rules of the protos."""
        if self.size < 0:
            raise InvalidInput([Violation("page_size", str(self.size), "must not be negative")])
        return min(self.size or DEFAULT_PAGE, LARGEST_PAGE)


@dataclass(frozen=True, slots=True)
class Page(Generic[_T]):
    """A part of a list, and the token of the next part, empty when there is none."""

    items: Sequence[_T]
    next_token: str

    @classmethod
    def of(cls, request: PageRequest, found: Sequence[_T]) -> Page[_T]:
        """Return a page from what was found at its place: one item more says there is a next."""
        more = len(found) > request.limit
        return cls(found[: request.limit], str(request.start + request.limit) if more else "")


@dataclass(frozen=True, slots=True)
class WorkloadView:
    """A workload, and the version that answers for it now, if any."""

    schema: Schema
    bundle_version: str


@dataclass(frozen=True, slots=True)
class SchemaView:
    """A schema, and the values of its categories that the current bundle knows."""

    schema: Schema
    vocabulary: dict[str, tuple[str, ...]]


@dataclass(frozen=True, slots=True)
class BundleView:
    """A bundle in the registry, as this server sees it."""

    workload: str
    version: str
    manifest: Manifest | None
    """None when it cannot be read; `refusal` says why."""
    aliases: tuple[str, ...]
    serving: bool
    refusal: str


@dataclass(frozen=True, slots=True)
class RetrainWish:
    """How a training run is to be made, and what the audit says about it."""

    simulated: bool = False
    """Whether simulated observations are trained on as well."""
    skip_gate: str = ""
    """Why its bundle takes over without a comparison; empty when it is to be compared."""
    reason: str = ""
    """Why it is asked for."""
    mode: str = ""
    """`full`, `windowed` or `update`; empty when the trainer is to choose."""
    window_rows: int = 0
    """Of how many observations a window is; 0 for as many as the trainer takes by itself."""
    family: str = ""
    """The family of estimators; empty for the schema's."""
    search: str = ""
    """The budget of a search for settings; empty for no search."""
    split: str = ""
    """The split to cross-validate by; empty for none."""
    join: bool = False
    """Whether a job that is not over yet will do."""

    def check(self) -> None:
        """Raise InvalidInput for what no trainer could make sense of."""
        check_text("skip_gate_reason", self.skip_gate, LONGEST_REASON)
        check_text("reason", self.reason, LONGEST_REASON)
        check_text("split", self.split, LONGEST_SPLIT)
        found = []
        if 0 < self.window_rows < SMALLEST_WINDOW:
            message = f"{self.window_rows} rows are too few; at least {SMALLEST_WINDOW}"
            found.append(Violation("window_rows", str(self.window_rows), message))
        for field, text, form, example in (
            ("family", self.family, _FAMILY, "lightgbm"),
            ("search", self.search, _SEARCH, "trials=30,seconds=600"),
        ):
            if text and not form.fullmatch(text):
                found.append(Violation(field, text[:100], f"must be like {example!r}"))
        if self.mode == "update":
            found += [
                Violation(field, text[:100], f"{field} does not go with mode update: {why}")
                for field, text, why in (
                    ("search", self.search, "an update keeps the settings of its bundle"),
                    ("split", self.split, "an update leaves out new rows alone"),
                )
                if text
            ]
        if found:
            raise InvalidInput(found)

    # MUST match what foretell_trainer.runs reads.
    def spec(self) -> dict[str, object]:
        """Return the job's spec."""
        given = {
            "skip_gate": self.skip_gate,
            "reason": self.reason,
            "mode": self.mode,
            "window_rows": self.window_rows,
            "fit": {"family": self.family} if self.family else {},
            "search": self.search,
            "split": self.split,
        }
        return {"simulated": self.simulated, **{k: v for k, v in given.items() if v}}


def check_text(field: str, text: str, longest: int) -> None:
    """Raise InvalidInput for a text of more than so many characters."""
    if len(text) > longest:
        message = f"has {len(text)} characters; at most {longest} are allowed"
        raise InvalidInput([Violation(field, text[:40], message)])


class ControlPlane:
    """Shows what the server knows and starts training. Used on the event loop."""

    def __init__(
        self,
        *,
        registry: Registry,
        schemas: Schemas,
        shelf: Shelf,
        jobs: AsyncJobStore,
        outbox: Outbox,
        executor: Executor,
    ) -> None:
        self._registry = registry
        self._schemas = schemas
        self._shelf = shelf
        self._jobs = jobs
        self._outbox = outbox
        self._executor = executor

    async def workloads(self, page: PageRequest) -> Page[WorkloadView]:
        """Return the workloads by name."""
        names = sorted({*self._shelf.known, *self._shelf.live})
        chosen = names[page.start : page.start + page.limit + 1]
        found = await self._blocking(lambda: [self._workload(name) for name in chosen])
        return Page.of(page, [view for view in found if view is not None])

    async def schema(self, workload: str) -> SchemaView:
        """Return a workload's schema; NotFound lists the workloads that there are."""
        schema = await self._blocking(lambda: self._schemas.get(workload))
        live = self._shelf.live.get(workload)
        return SchemaView(schema, dict(live.manifest.vocabulary) if live else {})

    async def bundles(self, workload: str, page: PageRequest) -> Page[BundleView]:
        """Return a workload's bundles, newest first, those that were refused included."""
        return await self._blocking(lambda: self._bundles(workload, page))

    async def bundle(self, workload: str, name: str) -> BundleView:
        """Return the bundle of a version or of an alias."""
        return await self._blocking(lambda: self._bundle_named(workload, name))

    async def retrain(self, workload: str, request_id: str, wish: RetrainWish) -> Job:
        """Return a queued training job; the same request id returns the same job."""
        check_text("request_id", request_id, LONGEST_REQUEST_ID)
        wish.check()
        view = await self.schema(workload)
        if wish.split:
            parse_split(wish.split, view.schema)
        if wish.join:
            newest = await self._jobs.list(workload, limit=MOST_JOINED)
            waiting = [job for job in newest if not job.is_final]
            if waiting:
                return waiting[0]
        job = await self._jobs.create(workload, request_id, wish.spec())
        if job.state == "QUEUED":
            # Sent again for a repeated request: the first sender may have died before this.
            await self._blocking(lambda: self._outbox.train(job.id, job.workload, job.spec))
        return job

    async def job(self, job_id: str) -> Job:
        """Return a job as it stands."""
        return await self._jobs.get(job_id)

    async def jobs(self, workload: str, page: PageRequest) -> Page[Job]:
        """Return jobs, of one workload or of all, newest first."""
        if workload:
            await self.schema(workload)
        found = await self._jobs.list(workload or None, start=page.start, limit=page.limit + 1)
        return Page.of(page, found)

    async def audit(self, workload: str, page: PageRequest) -> Page[AuditEntry]:
        """Return what was done to a workload's bundles, newest first."""
        return await self._blocking(lambda: self._audit(workload, page))

    def watch(self, job_id: str) -> AsyncIterator[Job]:
        """Yield a job as it stands, and after each change, until it is over."""
        return self._jobs.watch(job_id)

    async def cancel(self, job_id: str) -> Job:
        """Ask a job to stop and return it as it stands."""
        return await self._jobs.request_cancel(job_id)

    async def _blocking(self, work: Callable[[], _T]) -> _T:
        return await in_thread(self._executor, work)

    def _workload(self, name: str) -> WorkloadView | None:
        try:
            schema = self._schemas.get(name)
        except ForetellError:
            return None  # its schema's file is broken, and nothing of it is loaded
        live = self._shelf.live.get(name)
        return WorkloadView(schema, live.version if live else "")

    def _bundles(self, workload: str, page: PageRequest) -> Page[BundleView]:
        self._schemas.get(workload)
        try:
            versions = self._registry.versions(workload)
        except NotFound:
            versions = []  # a workload that is built in, and has nothing in the registry yet
        chosen = versions[page.start : page.start + page.limit + 1]
        aliases = self._aliases(workload)
        return Page.of(page, [self._view(workload, version, aliases) for version in chosen])

    def _audit(self, workload: str, page: PageRequest) -> Page[AuditEntry]:
        self._schemas.get(workload)
        try:
            entries = self._registry.history(workload)[::-1]
        except NotFound:
            entries = []  # a workload that is built in, and has nothing in the registry yet
        return Page.of(page, entries[page.start : page.start + page.limit + 1])

    def _bundle_named(self, workload: str, name: str) -> BundleView:
        self._schemas.get(workload)
        version = self._registry.aliases(workload).get(name, name)
        try:
            self._registry.path(workload, version)
        except NotFound as error:
            raise NotFound("bundle", name, error.known if error.kind == "bundle" else ()) from None
        return self._view(workload, version, self._aliases(workload))

    def _aliases(self, workload: str) -> dict[str, tuple[str, ...]]:
        named: dict[str, tuple[str, ...]] = {}
        for alias, version in self._registry.aliases(workload).items():
            named[version] = (*named.get(version, ()), alias)
        return named

    def _view(self, workload: str, version: str, aliases: dict[str, tuple[str, ...]]) -> BundleView:
        live = self._shelf.live.get(workload)
        refusal = self._shelf.refusals.get((workload, version))
        why = refusal.why if refusal else ""
        manifest: Manifest | None = None
        try:
            manifest = self._registry.manifest(workload, version)
        except BundleRejected as error:
            why = why or error.why
        return BundleView(
            workload=workload,
            version=version,
            manifest=manifest,
            aliases=aliases.get(version, ()),
            serving=live is not None and live.version == version,
            refusal=why,
        )
