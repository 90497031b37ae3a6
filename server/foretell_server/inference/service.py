"""inference.GRPCInferenceService: convert, call, convert. Names are those of the protocol."""

# ruff: noqa: N802, ARG002 -- the protocol's names and gRPC's signature

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Callable
from concurrent.futures import Executor

from grpc.aio import ServicerContext

from foretell.errors import ForetellError, InvalidInput, Violation
from foretell_server.data_plane import DataPlane
from foretell_server.drain import Drain
from foretell_server.error_edge import decoded, status_for, status_name
from foretell_server.hot_swap import HotSwap
from foretell_server.inference import description
from foretell_server.inference import service_pb2 as pb
from foretell_server.inference.inferring import inference_of, response_of, rows_asked
from foretell_server.servicers import ROWS_ON_THE_LOOP
from foretell_server.shelf import LiveBundle, Shelf
from foretell_server.telemetry.meters import Meters
from foretell_server.threads import in_thread_while_wanted

STREAM_INFER = "inference.GRPCInferenceService/ModelStreamInfer"


class InferenceService:
    """Predictions by tensors, and what clients ask before they send any."""

    def __init__(
        self,
        *,
        shelf: Shelf,
        swap: HotSwap,
        plane: DataPlane,
        executor: Executor,
        drain: Drain,
        meters: Meters,
        is_ready: Callable[[], bool],
    ) -> None:
        self._shelf = shelf
        self._swap = swap
        self._plane = plane
        self._executor = executor
        self._drain = drain
        self._meters = meters
        self._streamed = meters.method(STREAM_INFER)
        self._is_ready = is_ready

    async def ServerLive(
        self, request: pb.ServerLiveRequest, context: ServicerContext
    ) -> pb.ServerLiveResponse:
        """Say that the server runs."""
        return pb.ServerLiveResponse(live=True)

    async def ServerReady(
        self, request: pb.ServerReadyRequest, context: ServicerContext
    ) -> pb.ServerReadyResponse:
        """Say whether anything can be predicted."""
        return pb.ServerReadyResponse(ready=self._is_ready())

    async def ModelReady(
        self, request: pb.ModelReadyRequest, context: ServicerContext
    ) -> pb.ModelReadyResponse:
        """Say whether a workload can be predicted."""
        try:
            found = self._shelf.find(request.name, request.version)
        except ForetellError:
            found = None
        return pb.ModelReadyResponse(ready=found is not None)

    async def ServerMetadata(
        self, request: pb.ServerMetadataRequest, context: ServicerContext
    ) -> pb.ServerMetadataResponse:
        """Say what server this is."""
        return description.server_metadata()

    async def ModelMetadata(
        self, request: pb.ModelMetadataRequest, context: ServicerContext
    ) -> pb.ModelMetadataResponse:
        """Return a workload's inputs and outputs."""
        return description.metadata(await self._bundle(request.name, request.version))

    async def ModelConfig(
        self, request: pb.ModelConfigRequest, context: ServicerContext
    ) -> pb.ModelConfigResponse:
        """Return a workload's configuration."""
        bundle = await self._bundle(request.name, request.version)
        return pb.ModelConfigResponse(config=description.config(bundle, self._plane.max_rows))

    async def ModelStatistics(
        self, request: pb.ModelStatisticsRequest, context: ServicerContext
    ) -> pb.ModelStatisticsResponse:
        """Return what was counted, of one workload or of all."""
        if request.name:
            bundles = [await self._bundle(request.name, request.version)]
        else:
            bundles = [bundle for _, bundle in sorted(self._shelf.live.items())]
        return pb.ModelStatisticsResponse(
            model_stats=[description.statistics(bundle, self._meters) for bundle in bundles]
        )

    async def ModelInfer(
        self, request: pb.ModelInferRequest, context: ServicerContext
    ) -> pb.ModelInferResponse:
        """Predict for rows."""
        rows = rows_asked(request)
        self._plane.check_rows(rows)
        bundle = await self._bundle(request.model_name, request.model_version)
        if rows <= ROWS_ON_THE_LOOP:
            return self._infer(bundle, request, lambda: False)
        return await in_thread_while_wanted(
            self._executor, lambda gone: self._infer(bundle, request, gone)
        )

    async def ModelStreamInfer(
        self, requests: AsyncIterator[bytes], context: ServicerContext
    ) -> AsyncIterator[pb.ModelStreamInferResponse]:
        """Predict for requests as they come; a bad one is answered with its error."""
        async for raw in self._drain.each(requests):
            self._streamed.in_flight += 1
            try:
                answer = await self._infer_one(raw, context)
            finally:
                self._streamed.in_flight -= 1
            yield answer

    async def _infer_one(self, raw: bytes, context: ServicerContext) -> pb.ModelStreamInferResponse:
        """Answer one message of a stream, and count it."""
        began, answer, workload = time.perf_counter(), pb.ModelStreamInferResponse(), ""
        try:
            request = decoded(pb.ModelInferRequest, raw)
            workload = request.model_name
            answer.infer_response.id = request.id
            answer.infer_response.model_name = workload
            answer.infer_response.CopyFrom(await self.ModelInfer(request, context))
        except Exception as error:  # one request's error ends that request alone
            self._streamed.refused(workload, status_name(error), time.perf_counter() - began)
            answer.error_message = status_for(STREAM_INFER, context, error).message
            return answer
        rows = rows_asked(request)
        self._streamed.answered(workload, time.perf_counter() - began, rows)
        if rows > 1:
            self._streamed.batches.add(rows)
        return answer

    async def RepositoryIndex(
        self, request: pb.RepositoryIndexRequest, context: ServicerContext
    ) -> pb.RepositoryIndexResponse:
        """List the workloads."""
        return description.index(self._shelf, only_ready=request.ready)

    async def RepositoryModelLoad(
        self, request: pb.RepositoryModelLoadRequest, context: ServicerContext
    ) -> pb.RepositoryModelLoadResponse:
        """Have a workload answer with what is current."""
        if request.parameters:
            message = "must be empty: what is served is what the registry has"
            raise InvalidInput([Violation("parameters", "", message)])
        await self._swap.load(request.model_name)
        return pb.RepositoryModelLoadResponse()

    async def RepositoryModelUnload(
        self, request: pb.RepositoryModelUnloadRequest, context: ServicerContext
    ) -> pb.RepositoryModelUnloadResponse:
        """Have a workload answer no more."""
        await self._swap.unload(request.model_name)
        return pb.RepositoryModelUnloadResponse()

    def _infer(
        self, bundle: LiveBundle, request: pb.ModelInferRequest, gone: Callable[[], bool]
    ) -> pb.ModelInferResponse:
        inference = inference_of(request, bundle.predictor.schema)
        return response_of(inference, self._plane.predict_table(bundle, inference.question, gone))

    async def _bundle(self, workload: str, version: str) -> LiveBundle:
        found = self._shelf.find(workload, version)
        return found or await self._swap.pinned(workload, version)
