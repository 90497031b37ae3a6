"""The asynchronous client."""

from __future__ import annotations

import asyncio
from collections.abc import (
    AsyncGenerator,
    AsyncIterable,
    AsyncIterator,
    Callable,
    Iterable,
    Mapping,
    Sequence,
)
from contextlib import aclosing, suppress
from functools import cached_property
from typing import Any, Self, Unpack

import grpc
import grpc.aio

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
from foretell.client.decisions import AsyncDecisions
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
    Acknowledgement,
    Acknowledgements,
    AuditEntry,
    Bundle,
    Health,
    Job,
    Workload,
    WorkloadSchema,
)
from foretell.client.monitoring import AsyncMonitoring
from foretell.client.patience import AGAIN_AFTER_S, PATIENCE_S, Patience
from foretell.client.reports import report_requests
from foretell.client.requests import Ask, Features, builder
from foretell.client.results import Prediction, StreamAnswer
from foretell.client.streams import AsyncStream
from foretell.errors import DeadlinePassed, NotFound, Unavailable
from foretell.explain.results import Explanation
from foretell.observation import Observation
from foretell.v1 import model_pb2


class AsyncClient(AsyncDecisions, AsyncMonitoring):
    """A connection to a Foretell server for one event loop.

    Its calls, deadlines, retries and errors are those of `Client`.
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
        self._channel: Any = None

    @cached_property
    def _stubs(self) -> Stubs:
        # An asynchronous channel belongs to the loop that runs when it is made, so it is made
        # by the first call and not by the constructor.
        address, options = self._connection.address, self._connection.options
        credentials = self._connection.credentials
        self._channel = (
            grpc.aio.insecure_channel(address, options)
            if credentials is None
            else grpc.aio.secure_channel(address, credentials, options)
        )
        return Stubs(self._channel)

    @property
    def _monitoring(self) -> Any:  # noqa: ANN401 -- gRPC's stubs have no types
        return self._stubs.monitoring

    @property
    def _decisions(self) -> Any:  # noqa: ANN401 -- gRPC's stubs have no types
        return self._stubs.decision

    async def close(self) -> None:
        """Close the connection; calls that are under way are cancelled."""
        if self._channel is not None:
            await self._channel.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self._connection.address!r})"

    async def predict(
        self,
        workload: str,
        features: Features,
        *,
        timeout: float | None = None,
        **ask: Unpack[Ask],
    ) -> Prediction:
        """Forecast one item of work; `ask` is described in `Ask`."""
        request = builder(workload, ask)(features)
        response = await self._call(self._stubs.prediction.Predict, request, timeout)
        return answers.prediction(response)

    async def explain(
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
        return explanation(await self._call(self._stubs.prediction.Explain, request, timeout))

    async def predict_many(
        self,
        workload: str,
        table: Table,
        *,
        timeout: float | None = None,
        **ask: Unpack[Ask],
    ) -> Predictions:
        """Forecast many items; see `Client.predict_many`."""
        method = self._stubs.prediction.PredictBatch
        responses = []
        for start, request in batch_requests(workload, table, ask):
            with rows_from(start):
                responses.append(await self._call(method, request, timeout))
        return answers.predictions(responses)

    async def stream(
        self,
        workload: str,
        items: Iterable[Features] | AsyncIterable[Features],
        *,
        timeout: float | None = None,
        **ask: Unpack[Ask],
    ) -> AsyncIterator[StreamAnswer]:
        """Forecast items as they come; yields one answer for each, in order.

        An item that is refused has its error in its answer, and the stream goes on. Items are
        taken a bounded number ahead of the answers.
        """
        stream = AsyncStream(items, builder(workload, ask))
        seconds = self._connection.stream_seconds(timeout)
        with translated(self._connection.address, seconds):
            call = self._stubs.prediction.PredictStream(
                timeout=seconds, metadata=self._connection.metadata
            )
            async with aclosing(stream.answers(call)) as stream_answers:
                async for answer in stream_answers:
                    yield answer

    async def report(
        self,
        observations: Iterable[Observation | Mapping[str, Any]],
        *,
        timeout: float | None = None,
    ) -> Acknowledgements:
        """Report what work really cost; see `Client.report`."""
        acknowledgements: list[Acknowledgement] = []
        for request in report_requests(observations):
            response = await self._call(self._stubs.observation.Report, request, timeout)
            acknowledgements += map(records.acknowledgement, response.acknowledgements)
        return Acknowledgements(tuple(acknowledgements))

    async def retrain(
        self,
        workload: str,
        *,
        wait: bool | float = False,
        on_progress: Callable[[Job], object] | None = None,
        timeout: float | None = None,
        **ask: Unpack[RetrainAsk],
    ) -> Job:
        """Queue a training run; see `Client.retrain`."""
        request = retrain_request(workload, ask)
        job = records.job(await self._call(self._stubs.model.Retrain, request, timeout))
        if not wait and on_progress is None:
            return job
        deadline = Deadline(self._connection.stream_seconds(watch_limit(wait)))
        last = job
        async for last in self.watch(job.id, timeout=deadline.left()):
            if on_progress is not None:
                on_progress(last)
        return await self.until_served(succeeded(last), timeout=deadline.left())

    async def until_served(self, job: Job, *, timeout: float | None = None) -> Job:
        """Wait until what a job published answers; see `Client.until_served`."""
        deadline = Deadline(SERVED_WITHIN_S if timeout is None else min(timeout, SERVED_WITHIN_S))
        with suppress(DeadlinePassed):
            while job.bundle_version:
                left = deadline.left()
                with suppress(NotFound, Unavailable):
                    found = await self.bundle(job.workload, job.bundle_version, timeout=left)
                    if serving_settled(found):
                        break
                await asyncio.sleep(SERVED_ASKED_EVERY_S)
        return job

    async def job(self, job_id: str, *, timeout: float | None = None) -> Job:
        """Return a training run as it stands."""
        request = model_pb2.GetJobRequest(job_id=job_id)
        return records.job(await self._call(self._stubs.model.GetJob, request, timeout))

    async def jobs(self, workload: str = "", *, timeout: float | None = None) -> list[Job]:
        """Return the training runs of a workload, or of all, newest first."""
        request = model_pb2.ListJobsRequest(workload=workload)
        found = self._pages(self._stubs.model.ListJobs, request, timeout)
        return [records.job(message) async for page in found for message in page.jobs]

    async def cancel(self, job_id: str, *, timeout: float | None = None) -> Job:
        """Ask a training run to stop at its next step; returns it as it stands."""
        request = model_pb2.CancelJobRequest(job_id=job_id)
        return records.job(await self._call(self._stubs.model.CancelJob, request, timeout))

    async def watch(self, job_id: str, *, timeout: float | None = None) -> AsyncIterator[Job]:
        """Yield a training run each time that it changes; see `Client.watch`."""
        deadline = Deadline(self._connection.stream_seconds(timeout))
        patience = Patience(self._connection.patience)
        last = None
        while True:
            alive = False
            try:
                async with aclosing(self._watch_once(job_id, deadline.left())) as messages:
                    async for message in messages:
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
            await asyncio.sleep(AGAIN_AFTER_S)

    async def bundles(self, workload: str, *, timeout: float | None = None) -> list[Bundle]:
        """Return a workload's bundles, newest first."""
        request = model_pb2.ListBundlesRequest(workload=workload)
        found = self._pages(self._stubs.model.ListBundles, request, timeout)
        return [records.bundle(message) async for page in found for message in page.bundles]

    async def bundle(
        self, workload: str, version: str = "current", *, timeout: float | None = None
    ) -> Bundle:
        """Return one bundle by its version or alias, with lineage and report card."""
        request = model_pb2.GetBundleRequest(workload=workload, version=version)
        return records.bundle(await self._call(self._stubs.model.GetBundle, request, timeout))

    async def promote(
        self,
        workload: str,
        version: str = "candidate",
        *,
        reason: str,
        author: str = "",
        timeout: float | None = None,
    ) -> Bundle:
        """Make a version, or what an alias stands for, current; see `Client.promote`."""
        request = model_pb2.PromoteBundleRequest(
            workload=workload, version=version, reason=reason, author=author
        )
        return records.bundle(await self._call(self._stubs.model.PromoteBundle, request, timeout))

    async def rollback(
        self,
        workload: str,
        *,
        reason: str,
        from_version: str = "",
        author: str = "",
        timeout: float | None = None,
    ) -> Bundle:
        """Make the bundle before the current one current again; see `Client.rollback`."""
        request = model_pb2.RollbackBundleRequest(
            workload=workload, from_version=from_version, reason=reason, author=author
        )
        return records.bundle(await self._call(self._stubs.model.RollbackBundle, request, timeout))

    async def history(self, workload: str, *, timeout: float | None = None) -> list[AuditEntry]:
        """Return what was done to a workload's bundles, newest first."""
        request = model_pb2.ListAuditEntriesRequest(workload=workload)
        found = self._pages(self._stubs.model.ListAuditEntries, request, timeout)
        return [records.audit_entry(entry) async for page in found for entry in page.entries]

    async def workloads(self, *, timeout: float | None = None) -> list[Workload]:
        """Return the workloads that the server knows, by name."""
        request = model_pb2.ListWorkloadsRequest()
        found = self._pages(self._stubs.model.ListWorkloads, request, timeout)
        return [records.workload(message) async for page in found for message in page.workloads]

    async def schema(self, workload: str, *, timeout: float | None = None) -> WorkloadSchema:
        """Return a workload's features, metrics, catalogs and groups."""
        request = model_pb2.GetSchemaRequest(workload=workload)
        return records.schema(await self._call(self._stubs.model.GetSchema, request, timeout))

    async def health(self, service: str = "", *, timeout: float | None = None) -> Health:
        """Return the state of the server, or of one of its services or workloads."""
        request = records.health_request(service)
        return records.health(await self._call(self._stubs.health, request, timeout))

    async def _call(self, method: Any, request: Any, timeout: float | None) -> Any:  # noqa: ANN401
        seconds = self._connection.seconds(timeout)
        deadline, patience = Deadline(seconds), Patience(self._connection.patience)
        while True:
            try:
                return await method(
                    request, timeout=deadline.left(), metadata=self._connection.metadata
                )
            except grpc.RpcError as error:
                if not patience.bears(error):
                    raise error_of_call(error, self._connection.address, seconds) from error
            await asyncio.sleep(AGAIN_AFTER_S)

    async def _pages(
        self,
        method: Any,  # noqa: ANN401
        request: Any,  # noqa: ANN401
        timeout: float | None,
    ) -> AsyncIterator[Any]:
        while True:
            page = await self._call(method, request, timeout)
            yield page
            if not page.next_page_token:
                return
            request.page_token = page.next_page_token

    async def _watch_once(
        self, job_id: str, seconds: float | None
    ) -> AsyncGenerator[model_pb2.Job, None]:
        call = self._stubs.model.WatchJob(
            model_pb2.WatchJobRequest(job_id=job_id),
            timeout=seconds,
            metadata=self._connection.metadata,
        )
        try:
            with translated(self._connection.address, seconds):
                async for message in call:
                    yield message
        finally:
            call.cancel()
