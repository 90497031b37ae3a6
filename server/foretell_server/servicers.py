"""The services of foretell.v1: convert, call, convert. Method names are those of the protos."""

# ruff: noqa: N802, ARG002 -- the protos' names and gRPC's signature

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from concurrent.futures import Executor
from typing import Protocol

from grpc.aio import ServicerContext

from foretell.errors import ForetellError
from foretell.explain import Explainer, Explanation
from foretell.v1 import model_pb2, observation_pb2, prediction_pb2
from foretell_server.control_plane import ControlPlane, PageRequest
from foretell_server.converters import explanation, model, observation, prediction
from foretell_server.converters.explanation import DEFAULT_NEIGHBOURS
from foretell_server.data_plane import DataPlane, wanted
from foretell_server.drain import Drain
from foretell_server.error_edge import Answer, decoded, status_for
from foretell_server.hot_path import HotPath
from foretell_server.hot_swap import HotSwap
from foretell_server.promotions import Promotions
from foretell_server.reporting import Reporter
from foretell_server.row_stream import Incoming, RowStream
from foretell_server.shelf import LiveBundle, Shelf
from foretell_server.telemetry.meters import Meters
from foretell_server.threads import Gone, in_thread, in_thread_while_wanted

ROWS_ON_THE_LOOP = 64
"""As many as a scheduler has candidates.

Larger batches run in a thread, so that small calls do not wait behind them.
"""

EXPLAINED_AT_ONCE = 2
"""Each asks the graph for some hundreds or thousands of rows: more wait, and batches do not."""


PREDICT = "foretell.v1.PredictionService/Predict"
STREAM = "foretell.v1.PredictionService/PredictStream"
BATCH_STREAM = "foretell.v1.PredictionService/PredictBatchStream"


class _NamesBundle(Protocol):
    workload: str
    bundle_version: str


def _answers(bundle: LiveBundle, request: _NamesBundle) -> bool:
    """Return whether this is the bundle that a request asks for, if it asks for any."""
    return bundle.workload == request.workload and request.bundle_version in ("", bundle.version)


class PredictionService:
    """Forecasts."""

    def __init__(
        self,
        shelf: Shelf,
        swap: HotSwap,
        plane: DataPlane,
        executor: Executor,
        drain: Drain,
        rows: HotPath,
        meters: Meters,
    ) -> None:
        self._shelf = shelf
        self._swap = swap
        self._plane = plane
        self._executor = executor
        self._drain = drain
        self._rows = rows
        self._streamed = meters.method(STREAM)
        self._batches = meters.method(BATCH_STREAM)
        self._explaining = asyncio.Semaphore(EXPLAINED_AT_ONCE)

    @property
    def quick(self) -> Callable[[bytes], Answer | None]:
        """What Predict answers without looking into the request."""
        return self._rows.cached

    @property
    def Predict(self) -> Callable[[bytes], Awaitable[Answer]]:
        """Forecast one item."""
        return self._rows.predict

    async def PredictStream(self, requests: AsyncIterator[bytes], context: ServicerContext) -> None:
        """Forecast items as they come; a bad one is answered with its error, in its place."""
        stream = RowStream(
            self._rows, self._streamed, lambda error: status_for(STREAM, context, error)
        )
        await stream.run(self._drain.each(Incoming(context)), context)

    async def PredictBatch(
        self, request: prediction_pb2.PredictBatchRequest, context: ServicerContext
    ) -> prediction_pb2.PredictBatchResponse:
        """Forecast many items in packed columns."""
        self._plane.check_rows(request.row_count)
        _, answer = await self._batch_by(await self._bundle(request), request)
        return answer

    async def PredictBatchStream(
        self, requests: AsyncIterator[bytes], context: ServicerContext
    ) -> AsyncIterator[prediction_pb2.PredictBatchResponse]:
        """Forecast more items than one message holds, all by one bundle."""
        bundle: LiveBundle | None = None
        async for raw in self._drain.each(requests):
            began = time.perf_counter()
            request = decoded(prediction_pb2.PredictBatchRequest, raw)
            self._plane.check_rows(request.row_count)
            if bundle is None or not _answers(bundle, request):
                bundle = await self._bundle(request)
            bundle, answer = await self._batch_by(bundle, request)
            rows = request.row_count
            self._batches.answered(request.workload, time.perf_counter() - began, rows)
            self._batches.batches.add(rows)
            yield answer

    async def Explain(
        self, request: prediction_pb2.ExplainRequest, context: ServicerContext
    ) -> prediction_pb2.ExplainResponse:
        """Explain the forecast of one item."""
        bundle = await self._bundle(request)
        features = prediction.features(request.features)
        neighbours = request.neighbours if request.HasField("neighbours") else DEFAULT_NEIGHBOURS

        def explain(gone: Gone) -> Explanation:
            return Explainer(bundle.predictor).explain(
                features, metrics=tuple(request.metrics), neighbours=neighbours, gone=gone
            )

        async with self._explaining:
            found = await in_thread_while_wanted(self._executor, explain)
        return explanation.explanation(found)

    async def _batch_by(
        self, bundle: LiveBundle, request: prediction_pb2.PredictBatchRequest
    ) -> tuple[LiveBundle, prediction_pb2.PredictBatchResponse]:
        """Return a bundle's answer, or that of the one before it, which serves if it fails."""
        try:
            return bundle, await self._batch_anywhere(bundle, request)
        except ForetellError:
            raise
        except Exception as error:
            instead = self._swap.quarantine(bundle, error)
            if instead is None or request.bundle_version:
                raise
            return instead, await self._batch_anywhere(instead, request)

    async def _batch_anywhere(
        self, bundle: LiveBundle, request: prediction_pb2.PredictBatchRequest
    ) -> prediction_pb2.PredictBatchResponse:
        if request.row_count <= ROWS_ON_THE_LOOP:
            return self._batch(bundle, request)
        return await in_thread_while_wanted(
            self._executor, lambda gone: self._batch(bundle, request, gone)
        )

    def _batch(
        self, bundle: LiveBundle, request: prediction_pb2.PredictBatchRequest, gone: Gone = wanted
    ) -> prediction_pb2.PredictBatchResponse:
        question = prediction.table_question(request)
        answers = self._plane.predict_table(bundle, question, gone)
        return prediction.batch(answers, request.encoding)

    async def _bundle(self, request: _NamesBundle) -> LiveBundle:
        found = self._shelf.find(request.workload, request.bundle_version)
        return found or await self._swap.pinned(request.workload, request.bundle_version)


class ObservationService:
    """Outcomes."""

    def __init__(self, reporter: Reporter, executor: Executor, drain: Drain) -> None:
        self._reporter = reporter
        self._executor = executor
        self._drain = drain

    async def Report(
        self, request: observation_pb2.ReportRequest, context: ServicerContext
    ) -> observation_pb2.ReportResponse:
        """Acknowledge or reject each observation of a batch, once the broker has them."""
        return await in_thread(self._executor, lambda: self._report(request))

    async def ReportStream(
        self, requests: AsyncIterator[bytes], context: ServicerContext
    ) -> AsyncIterator[observation_pb2.ReportResponse]:
        """Do so for batches as they come."""
        async for raw in self._drain.each(requests):
            yield await self.Report(decoded(observation_pb2.ReportRequest, raw), context)

    def _report(self, request: observation_pb2.ReportRequest) -> observation_pb2.ReportResponse:
        found = list(map(observation.observation_json, request.observations))
        return observation.report_response(self._reporter.report(found))


class ModelService:
    """Workloads, bundles and the jobs that train them."""

    def __init__(self, plane: ControlPlane, promotions: Promotions, drain: Drain) -> None:
        self._plane = plane
        self._promotions = promotions
        self._drain = drain

    async def ListWorkloads(
        self, request: model_pb2.ListWorkloadsRequest, context: ServicerContext
    ) -> model_pb2.ListWorkloadsResponse:
        """List the workloads, by name."""
        page = await self._plane.workloads(PageRequest(request.page_size, request.page_token))
        return model_pb2.ListWorkloadsResponse(
            workloads=map(model.workload_message, page.items), next_page_token=page.next_token
        )

    async def GetSchema(
        self, request: model_pb2.GetSchemaRequest, context: ServicerContext
    ) -> model_pb2.Schema:
        """Return a workload's schema."""
        return model.schema_message(await self._plane.schema(request.workload))

    async def ListBundles(
        self, request: model_pb2.ListBundlesRequest, context: ServicerContext
    ) -> model_pb2.ListBundlesResponse:
        """List a workload's bundles, newest first."""
        asked = PageRequest(request.page_size, request.page_token)
        page = await self._plane.bundles(request.workload, asked)
        return model_pb2.ListBundlesResponse(
            bundles=map(model.bundle_message, page.items), next_page_token=page.next_token
        )

    async def GetBundle(
        self, request: model_pb2.GetBundleRequest, context: ServicerContext
    ) -> model_pb2.Bundle:
        """Return one bundle."""
        return model.bundle_message(await self._plane.bundle(request.workload, request.version))

    async def Retrain(
        self, request: model_pb2.RetrainRequest, context: ServicerContext
    ) -> model_pb2.Job:
        """Queue a training run."""
        wish = model.retrain_wish(request)
        return model.job_message(
            await self._plane.retrain(request.workload, request.request_id, wish)
        )

    async def GetJob(
        self, request: model_pb2.GetJobRequest, context: ServicerContext
    ) -> model_pb2.Job:
        """Return a job as it stands."""
        return model.job_message(await self._plane.job(request.job_id))

    async def ListJobs(
        self, request: model_pb2.ListJobsRequest, context: ServicerContext
    ) -> model_pb2.ListJobsResponse:
        """List jobs, newest first."""
        asked = PageRequest(request.page_size, request.page_token)
        page = await self._plane.jobs(request.workload, asked)
        return model_pb2.ListJobsResponse(
            jobs=map(model.job_message, page.items), next_page_token=page.next_token
        )

    async def WatchJob(
        self, request: model_pb2.WatchJobRequest, context: ServicerContext
    ) -> AsyncIterator[model_pb2.Job]:
        """Stream a job until it is over."""
        async for job in self._drain.news(self._plane.watch(request.job_id)):
            yield model.job_message(job)

    async def CancelJob(
        self, request: model_pb2.CancelJobRequest, context: ServicerContext
    ) -> model_pb2.Job:
        """Ask a job to stop."""
        return model.job_message(await self._plane.cancel(request.job_id))

    async def PromoteBundle(
        self, request: model_pb2.PromoteBundleRequest, context: ServicerContext
    ) -> model_pb2.Bundle:
        """Make a bundle current."""
        signature = model.signature(request, context.peer())
        promoted = await self._promotions.promote(request.workload, request.version, signature)
        return model.bundle_message(promoted)

    async def RollbackBundle(
        self, request: model_pb2.RollbackBundleRequest, context: ServicerContext
    ) -> model_pb2.Bundle:
        """Make the previous bundle current again."""
        signature = model.signature(request, context.peer())
        version = request.from_version
        return model.bundle_message(
            await self._promotions.roll_back(request.workload, version, signature)
        )

    async def ListAuditEntries(
        self, request: model_pb2.ListAuditEntriesRequest, context: ServicerContext
    ) -> model_pb2.ListAuditEntriesResponse:
        """List what was done to a workload's bundles, newest first."""
        asked = PageRequest(request.page_size, request.page_token)
        page = await self._plane.audit(request.workload, asked)
        return model_pb2.ListAuditEntriesResponse(
            entries=map(model.audit_entry, page.items), next_page_token=page.next_token
        )
