"""The calls of DecisionService, for both clients."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Unpack

from foretell.client import decision_answers
from foretell.client.channel import Connection, Stubs
from foretell.client.decision_answers import MatrixAnswer
from foretell.client.decision_asks import (
    CurveAsk,
    PlaceAsk,
    RecommendAsk,
    ShareAsk,
    WhatIfAsk,
    curve_question,
    matrix_question,
    place_question,
    recommend_question,
    share_question,
    what_if_question,
)
from foretell.client.decision_requests import (
    ConfigurationsLike,
    ObjectiveLike,
    curve_request,
    matrix_request,
    place_request,
    recommend_request,
    share_request,
    what_if_request,
)
from foretell.client.failures import translated
from foretell.client.requests import Ask, Features, forecast_options
from foretell.decide.curve import CurveAnswer
from foretell.decide.placing.results import Placement
from foretell.decide.questions import Item, Matrix, Node
from foretell.decide.results import Recommendation
from foretell.decide.sharing.results import Sharing
from foretell.decide.what_if import Comparison
from foretell.message_fields import IN_QUESTIONS, named_as
from foretell.v1 import decision_pb2


class Decisions:
    """What `Client` can decide."""

    _connection: Connection
    _stubs: Stubs

    def _call(self, method: Any, request: Any, timeout: float | None) -> Any:  # noqa: ANN401
        raise NotImplementedError  # the client that this is mixed into has it

    def recommend(
        self,
        workload: str,
        features: Features,
        objective: ObjectiveLike,
        *,
        bundle_version: str = "",
        timeout: float | None = None,
        **ask: Unpack[RecommendAsk],
    ) -> Recommendation:
        """Rank candidates (hardware, nodes) for one item of work; see `RecommendAsk`.

        `objective` is a quantity ("latency_ms", "cost", "energy"), or quantities with weights.
        """
        question = recommend_question(features, objective, ask)
        request = recommend_request(workload, question, bundle_version)
        method = self._stubs.decision.RecommendHardware
        with named_as(IN_QUESTIONS):
            return decision_answers.recommendation(self._call(method, request, timeout))

    def matrix(
        self,
        workload: str,
        axes: Mapping[str, Iterable[Any]],
        features: Features | None = None,
        *,
        timeout: float | None = None,
        **ask: Unpack[Ask],
    ) -> MatrixAnswer:
        """Forecast all combinations of some features' values; `ask` is described in `Ask`."""
        question = matrix_question(axes, features or {})
        request = asked_matrix(workload, question, ask)
        seconds = self._connection.stream_seconds(timeout)
        with translated(self._connection.address, seconds):
            responses = self._stubs.decision.PredictMatrix(
                request, timeout=seconds, metadata=self._connection.metadata
            )
            return decision_answers.matrix_answer(question, responses)

    def curve(
        self,
        workload: str,
        features: Features,
        feature: str,
        *,
        bundle_version: str = "",
        timeout: float | None = None,
        **ask: Unpack[CurveAsk],
    ) -> CurveAnswer:
        """Forecast an item along one number feature; see `CurveAsk`."""
        question = curve_question(features, feature, ask)
        request = curve_request(workload, question, bundle_version)
        method = self._stubs.decision.PredictCurve
        with named_as(IN_QUESTIONS):
            return decision_answers.curve(self._call(method, request, timeout))

    def what_if(
        self,
        workload: str,
        configurations: ConfigurationsLike,
        objective: ObjectiveLike,
        *,
        bundle_version: str = "",
        timeout: float | None = None,
        **ask: Unpack[WhatIfAsk],
    ) -> Comparison:
        """Compare configurations with the first of them; see `WhatIfAsk`."""
        question = what_if_question(configurations, objective, ask)
        request = what_if_request(workload, question, bundle_version)
        method = self._stubs.decision.WhatIf
        return decision_answers.comparison(self._call(method, request, timeout))

    def place(
        self,
        workload: str,
        items: Iterable[Item],
        nodes: Iterable[Node],
        *,
        bundle_version: str = "",
        timeout: float | None = None,
        **ask: Unpack[PlaceAsk],
    ) -> Placement:
        """Place a batch of items on nodes; see `PlaceAsk`."""
        question = place_question(items, nodes, ask)
        request = place_request(workload, question, bundle_version)
        method = self._stubs.decision.PlaceBatch
        seconds = place_seconds(question.seconds, timeout, self._connection)
        with named_as(IN_QUESTIONS):
            return decision_answers.placement(self._call(method, request, seconds))

    def share(
        self,
        workload: str,
        items: Iterable[Item],
        *,
        bundle_version: str = "",
        timeout: float | None = None,
        **ask: Unpack[ShareAsk],
    ) -> Sharing:
        """Say how several items shall share one device; see `ShareAsk`."""
        request = share_request(workload, share_question(items, ask), bundle_version)
        return decision_answers.sharing(
            self._call(self._stubs.decision.ShareDevice, request, timeout)
        )


class AsyncDecisions:
    """What `AsyncClient` can decide; the calls, their arguments and errors are those of
    `Decisions`."""

    _connection: Connection

    @property
    def _decisions(self) -> Any:  # noqa: ANN401 -- gRPC's stubs have no types
        raise NotImplementedError  # the client that this is mixed into has it

    async def _call(self, method: Any, request: Any, timeout: float | None) -> Any:  # noqa: ANN401
        raise NotImplementedError  # the client that this is mixed into has it

    async def recommend(
        self,
        workload: str,
        features: Features,
        objective: ObjectiveLike,
        *,
        bundle_version: str = "",
        timeout: float | None = None,
        **ask: Unpack[RecommendAsk],
    ) -> Recommendation:
        """Rank candidates for one item of work; see `Client.recommend`."""
        question = recommend_question(features, objective, ask)
        request = recommend_request(workload, question, bundle_version)
        with named_as(IN_QUESTIONS):
            response = await self._call(self._decisions.RecommendHardware, request, timeout)
        return decision_answers.recommendation(response)

    async def matrix(
        self,
        workload: str,
        axes: Mapping[str, Iterable[Any]],
        features: Features | None = None,
        *,
        timeout: float | None = None,
        **ask: Unpack[Ask],
    ) -> MatrixAnswer:
        """Forecast all combinations of some features' values; see `Client.matrix`."""
        question = matrix_question(axes, features or {})
        request = asked_matrix(workload, question, ask)
        seconds = self._connection.stream_seconds(timeout)
        with translated(self._connection.address, seconds):
            call = self._decisions.PredictMatrix(
                request, timeout=seconds, metadata=self._connection.metadata
            )
            responses = [response async for response in call]
        return decision_answers.matrix_answer(question, responses)

    async def curve(
        self,
        workload: str,
        features: Features,
        feature: str,
        *,
        bundle_version: str = "",
        timeout: float | None = None,
        **ask: Unpack[CurveAsk],
    ) -> CurveAnswer:
        """Forecast an item along one number feature; see `Client.curve`."""
        question = curve_question(features, feature, ask)
        request = curve_request(workload, question, bundle_version)
        with named_as(IN_QUESTIONS):
            response = await self._call(self._decisions.PredictCurve, request, timeout)
        return decision_answers.curve(response)

    async def what_if(
        self,
        workload: str,
        configurations: ConfigurationsLike,
        objective: ObjectiveLike,
        *,
        bundle_version: str = "",
        timeout: float | None = None,
        **ask: Unpack[WhatIfAsk],
    ) -> Comparison:
        """Compare configurations with the first of them; see `Client.what_if`."""
        question = what_if_question(configurations, objective, ask)
        request = what_if_request(workload, question, bundle_version)
        response = await self._call(self._decisions.WhatIf, request, timeout)
        return decision_answers.comparison(response)

    async def place(
        self,
        workload: str,
        items: Iterable[Item],
        nodes: Iterable[Node],
        *,
        bundle_version: str = "",
        timeout: float | None = None,
        **ask: Unpack[PlaceAsk],
    ) -> Placement:
        """Place a batch of items on nodes; see `Client.place`."""
        question = place_question(items, nodes, ask)
        request = place_request(workload, question, bundle_version)
        seconds = place_seconds(question.seconds, timeout, self._connection)
        with named_as(IN_QUESTIONS):
            response = await self._call(self._decisions.PlaceBatch, request, seconds)
        return decision_answers.placement(response)

    async def share(
        self,
        workload: str,
        items: Iterable[Item],
        *,
        bundle_version: str = "",
        timeout: float | None = None,
        **ask: Unpack[ShareAsk],
    ) -> Sharing:
        """Say how several items shall share one device; see `Client.share`."""
        request = share_request(workload, share_question(items, ask), bundle_version)
        response = await self._call(self._decisions.ShareDevice, request, timeout)
        return decision_answers.sharing(response)


def asked_matrix(workload: str, question: Matrix, ask: Ask) -> decision_pb2.PredictMatrixRequest:
    """Return the request of a matrix with what is asked about each cell."""
    options = forecast_options(ask)
    request = matrix_request(workload, question, ask.get("bundle_version", ""))
    request.options.CopyFrom(options)
    return request


def place_seconds(search: float, timeout: float | None, connection: Connection) -> float:
    """Return how long a placement may take: the usual time, after that of the search."""
    return connection.timeout + search if timeout is None else timeout
