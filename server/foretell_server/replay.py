"""Replay: an answer of the past, given once more by the bundle and the corrections of then."""

from __future__ import annotations

import copy
from concurrent.futures import Executor
from dataclasses import dataclass
from datetime import UTC, datetime

from google.protobuf.message import DecodeError

from foretell.corrections import Corrections
from foretell.errors import NotFound
from foretell.v1 import prediction_pb2
from foretell_server.hot_path import HotPath
from foretell_server.hot_swap import HotSwap
from foretell_server.recent import Recent, RecentAnswers
from foretell_server.shelf import LiveBundle, Shelf
from foretell_server.threads import in_thread


@dataclass(frozen=True, slots=True)
class Replayed:
    """What was asked, and what is answered to it."""

    request: prediction_pb2.PredictRequest
    response: bytes
    answered_at: datetime
    correction: int


class Replays:
    """Gives answers of the past again. Used on the event loop."""

    def __init__(
        self,
        recent: RecentAnswers,
        shelf: Shelf,
        swap: HotSwap,
        rows: HotPath,
        executor: Executor,
    ) -> None:
        self._recent = recent
        self._shelf = shelf
        self._swap = swap
        self._rows = rows
        self._executor = executor

    async def replay(self, prediction_id: str) -> Replayed:
        """Return an answer again; NotFound when it, its bundle or its corrections are gone."""
        found = await in_thread(self._executor, lambda: self._recent.find(prediction_id))
        request = _request(found)
        if found is None or request is None:
            raise NotFound("prediction", prediction_id)
        version = found.bundle_version
        bundle = self._shelf.find(request.workload, version)
        bundle = bundle or await self._swap.pinned(request.workload, version)
        then = await in_thread(self._executor, lambda: self._as_of(bundle, found.correction))
        answered_at = datetime.now(UTC)
        if found.written_at:
            answered_at = datetime.fromtimestamp(int(found.written_at), UTC)
        response = self._rows.again(then, found.request, prediction_id)
        return Replayed(request, response, answered_at, found.correction)

    def _as_of(self, bundle: LiveBundle, correction: int) -> LiveBundle:
        """Return a bundle as it answers with the corrections of this number."""
        predictor = copy.copy(bundle.predictor)
        predictor.corrections = None
        if correction:
            text = self._recent.corrections(bundle.workload, bundle.version, correction)
            if text is None:
                raise NotFound("correction", str(correction))
            predictor.corrections = predictor.compile(Corrections.from_json(text))
        return LiveBundle(predictor)


def _request(found: Recent | None) -> prediction_pb2.PredictRequest | None:
    try:
        return found and prediction_pb2.PredictRequest.FromString(found.request)
    except DecodeError:  # a torn record
        return None
