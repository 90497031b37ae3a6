"""Training runs: one job from its message to a published bundle.

A job may be delivered more than once: a job that is over is not run again, and one whose
worker was killed starts from the beginning.
"""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import redis

from foretell.bundle import Manifest
from foretell.catalog import CatalogTable
from foretell.correction_channel import CorrectionWriter
from foretell.errors import (
    BundleRejected,
    Cancelled,
    ForetellError,
    InvalidInput,
    NotFound,
    Unavailable,
    Violation,
)
from foretell.jobs import Job, JobStore
from foretell.logs import get_logger
from foretell.registries import registry_of
from foretell.registry import Registry
from foretell.schema import Schema
from foretell.settings import Settings
from foretell_trainer.catalogs import stored_catalogs
from foretell_trainer.extent import Extent, find_extent
from foretell_trainer.fits import Fit, part_of
from foretell_trainer.ownership import is_elsewhere
from foretell_trainer.schedule import begin_count
from foretell_trainer.snapshot import Snapshot, take_snapshot
from foretell_trainer.store import Store
from foretell_trainer.tuned import read_tuned, write_tuned
from foretell_trainer.turns import turn
from foretell_trainer.under_way import Run

if TYPE_CHECKING:
    from foretell_trainer.gate.gate import Trial
    from foretell_trainer.gate.verdict import Verdict

ATTEMPTS = 5
"""How often a job is begun whose worker dies; then it is taken to be the job's fault."""
ATTEMPTS_KEPT_S = 7 * 24 * 3600

INSISTED_FOR_S = 60.0

SEARCH_SHARE = 0.6
"""The share of the fit that a search before it is counted as."""

_log = get_logger(__name__)


class TrainingRuns:
    """Runs training jobs with one configuration."""

    def __init__(self, settings: Settings, client: redis.Redis, fit: Fit) -> None:
        self._settings = settings
        self._store = Store(settings.data)
        self._registry: Registry = registry_of(settings)
        self._work = settings.data / "fits"
        self._snapshots = settings.data / "snapshots"
        self._client = client
        self._jobs = JobStore(settings.broker_url)
        self._fit = fit

    def run(self, job_id: str, workload: str, spec: object) -> None:
        """Run a job to its end, whatever that is, and write the end down.

        Raises:
            Busy: another job of the workload runs.
            Unavailable: the store or the broker cannot be reached now, or the store is on another
                machine, whose worker is to have the job; it is not over.
        """
        try:
            job = self._jobs.get(job_id)
        except NotFound:
            _log.error("no such job", job_id=job_id, workload=workload)
            return
        if job.is_final:
            _log.info("job is over already", job_id=job_id, state=job.state)
            return
        if is_elsewhere(self._client, self._store.path):
            raise Unavailable("the store", "it is on another machine, whose worker takes the job")
        plan = cast("dict[str, Any]", spec) if isinstance(spec, dict) else job.spec
        with turn(self._client, job.workload) as held:
            run = Run(job, plan, self._jobs, held)
            changes = self._outcome(run)
            ended = _insist(lambda: self._jobs.update(job_id, **changes))
        self._record(run, ended)
        _log.info("job over", job_id=job_id, workload=job.workload, state=ended.state)

    def _outcome(self, run: Run) -> dict[str, Any]:
        """Do the work and return how it ended, as changes of the job."""
        try:
            self._count_attempt(run.job.id)
            version, verdict = self._train(run)
        except Cancelled as error:
            if run.turn.lost.is_set():
                raise Unavailable("the workload's turn", "another worker took it over") from error
            return {"state": "CANCELLED", "outcome": error.message}
        except Unavailable:
            raise
        except ForetellError as error:
            return {"state": "FAILED", "error": error.message, "error_status": error.status}
        except Exception as error:
            _log.exception("training failed", job_id=run.job.id, workload=run.job.workload)
            text = f"{type(error).__name__}: {error}"
            return {"state": "FAILED", "error": text, "error_status": "INTERNAL"}
        return {
            "state": "SUCCEEDED",
            "stage": "done",
            "fraction": 1.0,
            "bundle_version": version,
            "promoted": verdict.promote,
            "outcome": f"{version} is {verdict.sentence()}; {run.learned_from()}",
        }

    def _train(self, run: Run) -> tuple[str, Verdict]:
        workload = run.job.workload
        run.begin()
        schema = self._registry.schema(workload)
        run.metrics = schema.metric_names
        begin_count(self._client, workload)
        run.extent = extent = self._extent(run.spec, schema)
        run.snapshot = snapshot = take_snapshot(
            self._store,
            schema,
            self._snapshots,
            simulated=bool(run.spec.get("simulated")),
            window=extent.window,
        )
        if not snapshot.rows:
            message = f"{workload!r} has no observations to train on yet"
            raise InvalidInput([Violation("workload", workload, message)])
        catalogs = stored_catalogs(self._store, schema)
        run.stop_if_asked()
        # What a killed worker left there is of no use to anybody.
        folder = self._work / workload
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        try:
            trial = self._trial(run, schema, snapshot, catalogs, folder)
            self._bundle(run, extent, schema, trial, catalogs, folder / "bundle")
            run.stop_if_asked()
            run.tell("comparing", 1.0, {})
            verdict = trial.judge(folder / "bundle")
            return self._publish(run, folder / "bundle", verdict), verdict
        finally:
            shutil.rmtree(folder, ignore_errors=True)

    def _extent(self, spec: Mapping[str, Any], schema: Schema) -> Extent:
        workload = schema.workload
        version = self._registry.aliases(workload).get("current")
        corrections = CorrectionWriter(self._client).read(workload)
        current: Manifest | None = None
        if version is not None:
            with suppress(BundleRejected):  # then there is nothing to go on from
                current = self._registry.manifest(workload, version)
        window = self._settings.retrain_window_rows
        return find_extent(spec, schema, self._store, window, corrections, current)

    def _bundle(
        self,
        run: Run,
        extent: Extent,
        schema: Schema,
        trial: Trial,
        catalogs: Sequence[CatalogTable],
        out: Path,
    ) -> None:
        """Write the bundle of a trial: an update of the current one, or a fit of its own."""
        if extent.mode == "update":
            try:
                self._update(run, extent, schema, trial, catalogs, out)
            except (InvalidInput, BundleRejected) as error:
                if extent.is_asked:
                    raise
                run.extent = Extent("full", f"no update: {error.message}")
            else:
                return
        spec = self._tuned(run, schema, trial.snapshot, catalogs)
        progress = part_of(run.tell, SEARCH_SHARE, 1.0) if "search" in spec else run.tell
        self._fit(
            schema,
            trial.snapshot,
            catalogs,
            out,
            spec=spec,
            progress=progress,
            should_stop=run.should_stop,
        )

    def _update(
        self,
        run: Run,
        extent: Extent,
        schema: Schema,
        trial: Trial,
        catalogs: Sequence[CatalogTable],
        out: Path,
    ) -> None:
        # Numerical libraries are loaded by the process that fits, not by the one that forks it.
        from foretell_trainer.updating import Base  # noqa: PLC0415

        base = Base(self._registry.path(schema.workload, extent.base), trial.held_out.unseen)
        run.new = int(base.unseen.sum())
        self._fit(
            schema,
            trial.snapshot,
            catalogs,
            out,
            spec={**run.spec, "fit": self._fit_settings(run, schema), "base": base},
            progress=run.tell,
            should_stop=run.should_stop,
        )

    def _fit_settings(self, run: Run, schema: Schema) -> dict[str, Any]:
        """Return the settings of `FitSettings` that a job asks for, or else this worker's."""
        own = {"family": schema.family, "threads": self._settings.fit_threads}
        return {**own, **run.spec.get("fit", {})}

    def _tuned(
        self,
        run: Run,
        schema: Schema,
        snapshot: Snapshot,
        catalogs: Sequence[CatalogTable],
    ) -> Mapping[str, Any]:
        """Return the job's spec with the settings that a search found, now or before, and the
        workers who help.

        ``spec["search"]`` is a budget, as in ``trials=30,seconds=600``.
        """
        # Numerical libraries are loaded by the process that fits, not by the one that forks it.
        from foretell_trainer.crew.sharing import Help  # noqa: PLC0415

        helped_by = Help(self._settings.broker_url, is_worker=True)
        fit = self._fit_settings(run, schema)
        workload, registry = schema.workload, self._settings.registry
        fit.setdefault("tuned", read_tuned(registry, workload, fit["family"]))
        if "search" not in run.spec:
            return {**run.spec, "fit": fit, "help": helped_by}
        from foretell_trainer.engine.training_set import FitSettings  # noqa: PLC0415
        from foretell_trainer.search.budget import Budget  # noqa: PLC0415
        from foretell_trainer.search.job import search_snapshot  # noqa: PLC0415

        verdict = search_snapshot(
            schema,
            snapshot,
            catalogs,
            FitSettings(**fit),
            Budget.parse(str(run.spec["search"])),
            self._settings.data / "searches",
            helped_by=helped_by,
            progress=part_of(run.tell, 0.0, SEARCH_SHARE),
            should_stop=run.should_stop,
        )
        if verdict.is_better:
            fit["tuned"] = dict(verdict.tuned)
            write_tuned(registry, workload, verdict.describe())
        validated = {"search": verdict.describe()}
        return {**run.spec, "fit": fit, "help": helped_by, "validated": validated}

    def _trial(
        self,
        run: Run,
        schema: Schema,
        snapshot: Snapshot,
        catalogs: Sequence[CatalogTable],
        folder: Path,
    ) -> Trial:
        """Return what is fitted on and what judges it, held out of it.

        ``spec["skip_gate"]`` is why there is to be no comparison.
        """
        # Numerical libraries are loaded by the process that fits, not by the one that forks it.
        from foretell_trainer.gate.gate import Gate  # noqa: PLC0415

        gate = Gate(self._registry, self._snapshots, self._settings)
        skip = str(run.spec.get("skip_gate", ""))
        return gate.hold_out(schema, snapshot, catalogs, folder, skip)

    def _publish(self, run: Run, folder: Path, verdict: Verdict) -> str:
        """Publish a bundle, as current if the gate lets it, and tell the servers."""
        run.tell("publish", 1.0, {})
        asked = f" ({run.spec['reason']})" if run.spec.get("reason") else ""
        version = self._registry.publish(
            run.job.workload,
            folder,
            promote=verdict.promote,
            who="trainer",
            why=f"job {run.job.id}{asked}: {verdict.sentence()}",
        )
        if not verdict.promote:
            _log.warning("bundle is not promoted", version=version, reasons=verdict.reasons)
        alias = "current" if verdict.promote else "candidate"
        try:
            self._jobs.announce(run.job.workload, version, alias)
        except Unavailable as error:
            # Servers look at the registry by themselves, too.
            _log.warning("bundle not announced", version=version, error=error.message)
        return version

    def _count_attempt(self, job_id: str) -> None:
        key = f"foretell:job:{job_id}:attempts"
        attempts = int(self._client.incr(key))
        self._client.expire(key, ATTEMPTS_KEPT_S)
        if attempts > ATTEMPTS:
            message = f"its worker died or lost its place {ATTEMPTS} times; not begun again"
            raise InvalidInput([Violation("job", job_id, message)])

    def _record(self, run: Run, ended: Job) -> None:
        try:
            with self._store.open() as connection:
                connection.execute(
                    "INSERT OR REPLACE INTO jobs VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
                    [
                        ended.id,
                        ended.workload,
                        ended.state,
                        json.dumps(run.spec),
                        _utc(ended.started_at or ended.created_at),
                        ended.finished_at and _utc(ended.finished_at),
                        run.snapshot.sha256 if run.snapshot else "",
                        ended.bundle_version,
                        ended.error,
                    ],
                )
        except Unavailable as error:
            # The job itself is over, and the broker has its state.
            _log.warning("job not recorded in the store", job_id=ended.id, error=error.message)


def _insist(update: Callable[[], Job]) -> Job:
    """Write down how a job ended, even if the broker is away for a while: a fit is at stake."""
    deadline = time.monotonic() + INSISTED_FOR_S
    while True:
        try:
            return update()
        except Unavailable:
            if time.monotonic() > deadline:
                raise
            time.sleep(1)


def _utc(moment: datetime) -> datetime:
    return moment.astimezone(UTC).replace(tzinfo=None)
