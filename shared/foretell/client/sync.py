"""The synchronous client."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import closing, suppress
from typing import Any, Self, Unpack

import grpc

from foretell.client import answers, records
from foretell.client.batch import Predictions
from foretell.client.batches import batch_requests, rows_from
from foretell.client.channel import (
    DEFAULT_ADDRESS,
    STREAM_TIMEOUT_S,
    TIMEOUT_S,
    Connection,
    Stubs,
    Tls,
)
from foretell.client.columns import Table
from foretell.client.decisions import Decisions
from foretell.client.explaining import explain_request, explanation
from foretell.client.failures import error_of_call, translated
from foretell.client.jobs import (
    SERVED_ASKED_EVERY_S,
    SERVED_WITHIN_S,
    Deadline,
    RetrainAsk,
    retrain_request,
    serving_settled,
    succeeded,
    watch_limit,
)
from foretell.client.models import (
    Acknowledgements,
    AuditEntry,
    Bundle,
    Health,
    Job,
    Workload,
    WorkloadSchema,
)
from foretell.client.monitoring import Monitoring
from foretell.client.patience import AGAIN_AFTER_S, PATIENCE_S, Patience
from foretell.client.reports import report_requests
from foretell.client.requests import Ask, Features, builder
from foretell.client.results import Prediction, StreamAnswer
from foretell.client.streams import SyncStream
from foretell.errors import DeadlinePassed, NotFound, Unavailable
from foretell.explain.results import Explanation
from foretell.observation import Observation
from foretell.v1 import model_pb2


class Client(Decisions, Monitoring):
    """A connection to a Foretell server; threads may share it.

    Every call has a deadline: `timeout` seconds if the call names one, else the client's
    `timeout`; for streams and watches as a whole, `stream_timeout`. `math.inf` means none.
    A call that finds the server unavailable is repeated, within its deadline: five times by
    gRPC, and then, while no server answers at all, until `patience` is over. So a server that
    restarts is waited for, and one that is not there is said to be so some seconds later.
    `patience=0` leaves it at gRPC's attempts, and that is all that a stream has.

    Every call raises the class of `foretell.errors` that the server raised; `Unavailable` if
    there is no server, `DeadlinePassed` if it did not answer in time.
    """

    def __init__(
        self,
        address: str = DEFAULT_ADDRESS,
        *,
        token: str | None = None,
        tls: Tls | bool = False,
        insecure: bool = False,
        timeout: float = TIMEOUT_S,
        stream_timeout: float = STREAM_TIMEOUT_S,
        patience: float = PATIENCE_S,
    ) -> None:
        self._connection = Connection(
            address, token, tls, insecure, timeout, stream_timeout, patience
        )
        options, credentials = self._connection.options, self._connection.credentials
        self._channel = (
            grpc.insecure_channel(address, options)
            if credentials is None
            else grpc.secure_channel(address, credentials, options)
        )
        self._stubs = Stubs(self._channel)

    def close(self) -> None:
        """Close the connection; calls that are under way are cancelled."""
        self._channel.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self._connection.address!r})"

    def predict(
        self,
        workload: str,
        features: Features,
        *,
        timeout: float | None = None,
        **ask: Unpack[Ask],
    ) -> Prediction:
        """Forecast one item of work; `ask` is described in `Ask`."""
        request = builder(workload, ask)(features)
        return answers.prediction(self._call(self._stubs.prediction.Predict, request, timeout))

    def explain(
        self,
        workload: str,
        features: Features,
        *,
        metrics: Sequence[str] = (),
        neighbours: int = 5,
        bundle_version: str = "",
        timeout: float | None = None,
    ) -> Explanation:
        """Say what each feature does to the forecast of one item, and what was measured nearby.

        `metrics` are all of the workload's without names; at most 100 neighbours are given.
        Raises NotExplainable for a bundle that keeps no rows of its training data.
        """
        request = explain_request(workload, features, metrics, neighbours, bundle_version)
        return explanation(self._call(self._stubs.prediction.Explain, request, timeout))

    def predict_many(
        self,
        workload: str,
        table: Table,
        *,
        timeout: float | None = None,
        **ask: Unpack[Ask],
    ) -> Predictions:
        """Forecast many items, given as a mapping of columns or a list of mappings.

        None is a missing value, NaN is refused. Long tables are cut into several calls, each
        with its own `timeout`.
        """
        responses = []
        for start, request in batch_requests(workload, table, ask):
            with rows_from(start):
                responses.append(self._call(self._stubs.prediction.PredictBatch, request, timeout))
        return answers.predictions(responses)

    def stream(
        self,
        workload: str,
        items: Iterable[Features],
        *,
        timeout: float | None = None,
        **ask: Unpack[Ask],
    ) -> Iterator[StreamAnswer]:
        """Forecast items as they come; yields one answer for each, in order.

        An item that is refused has its error in its answer, and the stream goes on. Items are
        taken from the iterator in another thread, a bounded number ahead of the answers.
        """
        stream = SyncStream(items, builder(workload, ask))
        seconds = self._connection.stream_seconds(timeout)
        with translated(self._connection.address, seconds):
            call = self._stubs.prediction.PredictStream(
                stream.requests(), timeout=seconds, metadata=self._connection.metadata
            )
            with closing(stream.answers(call)) as stream_answers:
                yield from stream_answers

    def report(
        self,
        observations: Iterable[Observation | Mapping[str, Any]],
        *,
        timeout: float | None = None,
    ) -> Acknowledgements:
        """Report what work really cost, as `Observation`s or mappings with the same fields.

        A mapping without `id` or `time` gets a random id and the present time. Observations
        that the server rejects are in the answer with their reasons; nothing is raised for them.
        """
        method = self._stubs.observation.Report
        return Acknowledgements(
            tuple(
                records.acknowledgement(message)
                for request in report_requests(observations)
                for message in self._call(method, request, timeout).acknowledgements
            )
        )

    def retrain(
        self,
        workload: str,
        *,
        wait: bool | float = False,
        on_progress: Callable[[Job], object] | None = None,
        timeout: float | None = None,
        **ask: Unpack[RetrainAsk],
    ) -> Job:
        """Queue a training run; returns its job at once, or with `wait` when its bundle
        answers.

        `wait` may be a number of seconds. `on_progress` is called with the job each time that
        it changes, and implies `wait`. A job that failed or was cancelled raises its error.
        """
        request = retrain_request(workload, ask)
        job = records.job(self._call(self._stubs.model.Retrain, request, timeout))
        if not wait and on_progress is None:
            return job
        deadline = Deadline(self._connection.stream_seconds(watch_limit(wait)))
        last = job
        for last in self.watch(job.id, timeout=deadline.left()):
            if on_progress is not None:
                on_progress(last)
        return self.until_served(succeeded(last), timeout=deadline.left())

    def until_served(self, job: Job, *, timeout: float | None = None) -> Job:
        """Wait until the server answers with the bundle that a job published; returns the job.

        A server loads a bundle a moment after it was published. Waits 10 s at most: the bundle
        is published all the same. Raises BundleRejected if the server refuses it.
        """
        deadline = Deadline(SERVED_WITHIN_S if timeout is None else min(timeout, SERVED_WITHIN_S))
        with suppress(DeadlinePassed):
            while job.bundle_version:
                left = deadline.left()
                with suppress(NotFound, Unavailable):
                    found = self.bundle(job.workload, job.bundle_version, timeout=left)
                    if serving_settled(found):
                        break
                time.sleep(SERVED_ASKED_EVERY_S)
        return job

    def job(self, job_id: str, *, timeout: float | None = None) -> Job:
        """Return a training run as it stands."""
        request = model_pb2.GetJobRequest(job_id=job_id)
        return records.job(self._call(self._stubs.model.GetJob, request, timeout))

    def jobs(self, workload: str = "", *, timeout: float | None = None) -> list[Job]:
        """Return the training runs of a workload, or of all, newest first."""
        request = model_pb2.ListJobsRequest(workload=workload)
        found = self._pages(self._stubs.model.ListJobs, request, timeout)
        return [records.job(message) for page in found for message in page.jobs]

    def cancel(self, job_id: str, *, timeout: float | None = None) -> Job:
        """Ask a training run to stop at its next step; returns it as it stands."""
        request = model_pb2.CancelJobRequest(job_id=job_id)
        return records.job(self._call(self._stubs.model.CancelJob, request, timeout))

    def watch(self, job_id: str, *, timeout: float | None = None) -> Iterator[Job]:
        """Yield a training run as it stands, and again each time that it changes, to its end.

        A connection that breaks is opened again: the server begins with the present state.
        """
        deadline = Deadline(self._connection.stream_seconds(timeout))
        patience = Patience(self._connection.patience)
        last = None
        while True:
            alive = False
            try:
                for message in self._watch_once(job_id, deadline.left()):
                    alive = True
                    if message != last:
                        last = message
                        yield records.job(message)
                return
            except Unavailable:
                if alive:
                    patience.renew()
                elif not patience.lasts():
                    raise
            time.sleep(AGAIN_AFTER_S)

    def bundles(self, workload: str, *, timeout: float | None = None) -> list[Bundle]:
        """Return a workload's bundles, newest first."""
        request = model_pb2.ListBundlesRequest(workload=workload)
        found = self._pages(self._stubs.model.ListBundles, request, timeout)
        return [records.bundle(message) for page in found for message in page.bundles]

    def bundle(
        self, workload: str, version: str = "current", *, timeout: float | None = None
    ) -> Bundle:
        """Return one bundle by its version or alias, with lineage and report card."""
        request = model_pb2.GetBundleRequest(workload=workload, version=version)
        return records.bundle(self._call(self._stubs.model.GetBundle, request, timeout))

    def promote(
        self,
        workload: str,
        version: str = "candidate",
        *,
        reason: str,
        author: str = "",
        timeout: float | None = None,
    ) -> Bundle:
        """Make a version, or what an alias stands for, current; says why, and who asks.

        What was current becomes `previous`. Raises BundleRejected when the server cannot load
        it, and nothing changes then.
        """
        request = model_pb2.PromoteBundleRequest(
            workload=workload, version=version, reason=reason, author=author
        )
        return records.bundle(self._call(self._stubs.model.PromoteBundle, request, timeout))

    def rollback(
        self,
        workload: str,
        *,
        reason: str,
        from_version: str = "",
        author: str = "",
        timeout: float | None = None,
    ) -> Bundle:
        """Make the bundle before the current one current again; says why, and who asks.

        With `from_version`, only if that one is current: else Conflict is raised, so that
        a call which is repeated does not undo itself. NotFound if there was none before.
        """
        request = model_pb2.RollbackBundleRequest(
            workload=workload, from_version=from_version, reason=reason, author=author
        )
        return records.bundle(self._call(self._stubs.model.RollbackBundle, request, timeout))

    def history(self, workload: str, *, timeout: float | None = None) -> list[AuditEntry]:
        """Return what was done to a workload's bundles, by whom and why, newest first."""
        request = model_pb2.ListAuditEntriesRequest(workload=workload)
        found = self._pages(self._stubs.model.ListAuditEntries, request, timeout)
        return [records.audit_entry(entry) for page in found for entry in page.entries]

    def workloads(self, *, timeout: float | None = None) -> list[Workload]:
        """Return the workloads that the server knows, by name."""
        request = model_pb2.ListWorkloadsRequest()
        found = self._pages(self._stubs.model.ListWorkloads, request, timeout)
        return [records.workload(message) for page in found for message in page.workloads]

    def schema(self, workload: str, *, timeout: float | None = None) -> WorkloadSchema:
        """Return a workload's features, metrics, catalogs and groups."""
        request = model_pb2.GetSchemaRequest(workload=workload)
        return records.schema(self._call(self._stubs.model.GetSchema, request, timeout))

    def health(self, service: str = "", *, timeout: float | None = None) -> Health:
        """Return the state of the server, or of one of its services or workloads."""
        request = records.health_request(service)
        return records.health(self._call(self._stubs.health, request, timeout))

    def _call(self, method: Any, request: Any, timeout: float | None) -> Any:  # noqa: ANN401
        seconds = self._connection.seconds(timeout)
        deadline, patience = Deadline(seconds), Patience(self._connection.patience)
        while True:
            try:
                return method(request, timeout=deadline.left(), metadata=self._connection.metadata)
            except grpc.RpcError as error:
                if not patience.bears(error):
                    raise error_of_call(error, self._connection.address, seconds) from error
            time.sleep(AGAIN_AFTER_S)

    def _pages(self, method: Any, request: Any, timeout: float | None) -> Iterator[Any]:  # noqa: ANN401
        while True:
            page = self._call(method, request, timeout)
            yield page
            if not page.next_page_token:
                return
            request.page_token = page.next_page_token

    def _watch_once(self, job_id: str, seconds: float | None) -> Iterator[model_pb2.Job]:
        call = self._stubs.model.WatchJob(
            model_pb2.WatchJobRequest(job_id=job_id),
            timeout=seconds,
            metadata=self._connection.metadata,
        )
        try:
            with translated(self._connection.address, seconds):
                yield from call
        finally:
            call.cancel()
