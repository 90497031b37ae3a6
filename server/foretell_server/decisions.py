"""DecisionService: convert, call, convert. Method names are those of the proto."""

# ruff: noqa: N802, ARG002 -- the protos' names and gRPC's signature

from __future__ import annotations

import asyncio
from collections import OrderedDict, deque
from collections.abc import AsyncIterator, Callable
from concurrent.futures import Executor
from typing import Protocol, TypeVar

from grpc.aio import ServicerContext

from foretell.decide import Bounds, Decider, MatrixPlan
from foretell.message_fields import IN_MESSAGES, named_as
from foretell.predictor import Predictor
from foretell.v1 import common_pb2, decision_pb2, prediction_pb2
from foretell_server.answers import read_answers
from foretell_server.converters import decision_answer, decision_question, prediction
from foretell_server.data_plane import TableQuestion
from foretell_server.hot_swap import HotSwap
from foretell_server.options import Plan
from foretell_server.ranking_request import RankingRequest
from foretell_server.shelf import LiveBundle, Shelf
from foretell_server.threads import in_thread

CANDIDATES_ON_THE_LOOP = 64
"""More than these are ranked in a thread, so that small calls do not wait behind them."""

SLICES_AHEAD = 2
"""So many slices of a matrix are computed while the one before them is sent."""

MOST_DECIDERS = 8
"""For so many bundles, what a decision needs is kept ready."""

_T = TypeVar("_T")


class Deciders:
    """The deciders of the bundles that were asked last.

    A decider holds its bundle, so that they are few: or no bundle that was ever asked would go.
    """

    def __init__(self, bounds: Bounds) -> None:
        self._bounds = bounds
        self._known: OrderedDict[tuple[str, str], Decider] = OrderedDict()

    def of(self, predictor: Predictor) -> Decider:
        """Return the decider of a bundle, as it was prepared before or anew."""
        key = (predictor.schema.workload, predictor.version)
        found = self._known.get(key)
        if found is None or found.predictor is not predictor:
            found = self._known[key] = Decider(predictor, self._bounds)
        self._known.move_to_end(key)
        while len(self._known) > MOST_DECIDERS:
            self._known.popitem(last=False)
        return found


class _NamesBundle(Protocol):
    @property
    def workload(self) -> str: ...
    @property
    def bundle_version(self) -> str: ...


class DecisionService:
    """Decisions with the bundles that are live."""

    def __init__(self, shelf: Shelf, swap: HotSwap, executor: Executor, bounds: Bounds) -> None:
        self._shelf = shelf
        self._swap = swap
        self._executor = executor
        self._deciders = Deciders(bounds)

    async def RecommendHardware(
        self, request: RankingRequest, context: ServicerContext
    ) -> decision_pb2.RecommendHardwareResponse:
        """Rank candidates for one item of work."""
        decider = self._decider(await self._bundle(request))

        def answer() -> decision_pb2.RecommendHardwareResponse:
            found = decider.recommend(decision_question.recommend(request))
            return decision_answer.recommendation(found)

        asked = request.rest.message
        with named_as(IN_MESSAGES):
            if len(asked.candidates) <= CANDIDATES_ON_THE_LOOP and not asked.all_known:
                return answer()
            return await self._in_thread(answer)

    async def PredictMatrix(
        self, request: decision_pb2.PredictMatrixRequest, context: ServicerContext
    ) -> AsyncIterator[decision_pb2.PredictMatrixResponse]:
        """Forecast all combinations of some features' values, slice by slice."""
        bundle = await self._bundle(request)
        plan = bundle.plan(_asked(request).options)
        matrix = await self._in_thread(
            lambda: self._decider(bundle).matrix(decision_question.matrix(request))
        )
        ahead: deque[asyncio.Future[decision_pb2.PredictMatrixResponse]] = deque()
        try:
            for cells in matrix.slices:
                work = _slice_answer(bundle, plan, matrix, cells, request.encoding)
                ahead.append(asyncio.ensure_future(self._in_thread(work)))
                if len(ahead) > SLICES_AHEAD:
                    yield await ahead.popleft()
            while ahead:
                yield await ahead.popleft()
        finally:
            for future in ahead:  # whoever asked has gone
                future.cancel()

    async def PredictCurve(
        self, request: decision_pb2.PredictCurveRequest, context: ServicerContext
    ) -> decision_pb2.PredictCurveResponse:
        """Forecast an item along one feature."""
        decider = self._decider(await self._bundle(request))
        with named_as(IN_MESSAGES):
            return await self._in_thread(
                lambda: decision_answer.curve(decider.curve(decision_question.curve(request)))
            )

    async def WhatIf(
        self, request: decision_pb2.WhatIfRequest, context: ServicerContext
    ) -> decision_pb2.WhatIfResponse:
        """Compare configurations."""
        decider = self._decider(await self._bundle(request))
        return await self._in_thread(
            lambda: decision_answer.comparison(decider.what_if(decision_question.what_if(request)))
        )

    async def PlaceBatch(
        self, request: decision_pb2.PlaceBatchRequest, context: ServicerContext
    ) -> decision_pb2.PlaceBatchResponse:
        """Place many items on nodes."""
        decider = self._decider(await self._bundle(request))
        with named_as(IN_MESSAGES):
            return await self._in_thread(
                lambda: decision_answer.placement(decider.place(decision_question.place(request)))
            )

    async def ShareDevice(
        self, request: decision_pb2.ShareDeviceRequest, context: ServicerContext
    ) -> decision_pb2.ShareDeviceResponse:
        """Say how items share a device."""
        decider = self._decider(await self._bundle(request))
        return await self._in_thread(
            lambda: decision_answer.sharing(decider.share(decision_question.share(request)))
        )

    def _decider(self, bundle: LiveBundle) -> Decider:
        return self._deciders.of(bundle.predictor)

    async def _bundle(self, request: _NamesBundle) -> LiveBundle:
        found = self._shelf.find(request.workload, request.bundle_version)
        return found or await self._swap.pinned(request.workload, request.bundle_version)

    async def _in_thread(self, work: Callable[[], _T]) -> _T:
        return await in_thread(self._executor, work)


def _slice_answer(
    bundle: LiveBundle,
    plan: Plan,
    matrix: MatrixPlan,
    cells: slice,
    encoding: common_pb2.Encoding,
) -> Callable[[], decision_pb2.PredictMatrixResponse]:
    def answer() -> decision_pb2.PredictMatrixResponse:
        part = matrix.answer(cells)
        answers = read_answers(
            plan,
            part.prediction,
            workload=bundle.workload,
            bundle_version=bundle.version,
            groups=bundle.groups,
            prediction_id="",
        )
        raw = encoding == common_pb2.ENCODING_RAW
        forecasts = prediction.batch(answers, encoding)
        return decision_answer.matrix_slice(part, matrix.cells, forecasts, raw=raw)

    return answer


def _asked(request: decision_pb2.PredictMatrixRequest) -> TableQuestion:
    """Return what is asked about the cells; a matrix is a batch whose rows are not sent."""
    options = request.options if request.HasField("options") else None
    return prediction.table_question(
        prediction_pb2.PredictBatchRequest(options=options, encoding=request.encoding)
    )
