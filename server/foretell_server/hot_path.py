"""The hot path: one row, from the bytes of a request to the bytes of its answer.

A request that repeats is answered from the cache, unparsed. Any other is parsed and encoded, as far
as an earlier one of its form does not tell what it says, run together with the rows that wait at
the same time, and written into a layout that was made once for the bundle.
"""

from __future__ import annotations

import asyncio
from typing import NamedTuple

from foretell.encoding import EncodedRow
from foretell.errors import ForetellError, TooMuch
from foretell.predictor import RowOutputs
from foretell.v1 import prediction_pb2
from foretell_server.batching import RowBatcher
from foretell_server.cache import AnswerCache, Kept, Life
from foretell_server.converters import prediction
from foretell_server.converters.row import RowAnswer, named
from foretell_server.data_plane import DataPlane, Question
from foretell_server.error_edge import Answer, decoded
from foretell_server.forms import KnownForms
from foretell_server.hot_swap import HotSwap
from foretell_server.options import Options
from foretell_server.recent import RecentAnswers
from foretell_server.shelf import LiveBundle, Shelf

_CORRELATION_ID = bytes([prediction_pb2.PredictRequest.CORRELATION_ID_FIELD_NUMBER << 3 | 2])


class Asked(NamedTuple):
    """A row that is on its way through the graph."""

    raw: bytes
    """The request."""
    key: bytes
    """The request without its correlation id; empty when its answer is not to be kept."""
    exact: bool
    """Whether this very version of the bundle has to answer."""
    bundle: LiveBundle
    answer: asyncio.Future[Answer | Exception]


class HotPath:
    """Answers single rows. Used on the event loop."""

    def __init__(
        self,
        shelf: Shelf,
        swap: HotSwap,
        plane: DataPlane,
        cache: AnswerCache,
        recent: RecentAnswers,
    ) -> None:
        self._shelf = shelf
        self._swap = swap
        self._plane = plane
        self._cache = cache
        self._recent = recent
        self._batcher = RowBatcher()
        self._forms = KnownForms()

    def cached(self, raw: bytes) -> Answer | None:
        """Return the answer to a request that repeats, under a name of its own."""
        key = raw
        if raw[:1] == _CORRELATION_ID:
            end = correlation_end(raw)
            if not raw[2:end].isascii():
                return None  # a stream gives it back, which it may not if it is no text
            key = raw[end:]
        kept = self._cache.get(key)
        return None if kept is None else self._named(kept, raw)

    async def predict(self, raw: bytes) -> Answer:
        """Return the answer to a request that the cache does not have."""
        begun = await self._later(raw) if self._batcher.shares else self._begin(raw, at_once=True)
        if begun is None:
            request = decoded(prediction_pb2.PredictRequest, raw)
            await self._swap.pinned(request.workload, request.bundle_version)
            begun = self.ask(raw, request)
        if begun is None:  # others pinned so much in between that it is gone again
            raise TooMuch("too many versions are asked for at once; ask for fewer")
        return begun if isinstance(begun, Answer) else await self.finish(begun)

    def _begin(self, raw: bytes, *, at_once: bool) -> Answer | Asked | None:
        """Answer a request, or send its row on its way; None when its bundle has to be loaded."""
        begun = self.recall(raw, at_once=at_once)
        return begun or self.ask(raw, decoded(prediction_pb2.PredictRequest, raw))

    def _later(self, raw: bytes) -> asyncio.Future[Answer | Asked | None]:
        """Return what will hold what `_begin` says, called right before the row is run."""
        begun: asyncio.Future[Answer | Asked | None] = asyncio.get_running_loop().create_future()

        def begin() -> None:
            if begun.done():  # its caller has gone
                return
            try:
                begun.set_result(self._begin(raw, at_once=False))
            except Exception as error:  # for its caller alone
                begun.set_exception(error)

        self._batcher.later(begin)
        return begun

    def recall(self, raw: bytes, *, at_once: bool = True) -> Answer | Asked | None:
        """Answer a request unparsed, or send its row on its way; None unless its form is known.

        `at_once` says that its caller waits for this answer, and not for one before it.
        """
        end = correlation_end(raw)
        if end and not raw[2:end].isascii():
            return None
        key = raw[end:]
        known = self._forms.read(key)
        if known is None:
            return None
        (bundle, writer, *_), row = known
        if self._shelf.live.get(bundle.workload) is not bundle:
            self._forms.forget()
            return None
        outputs = self._batcher.alone(bundle.predictor, row) if at_once else None
        if outputs is not None:
            return self._answer(raw, key, bundle, bundle.life, writer, row, outputs)
        return self._send(raw, key, bundle, writer, row, exact=False)

    def ask(self, raw: bytes, request: prediction_pb2.PredictRequest) -> Asked | None:
        """Send a request's row on its way; None when its bundle has to be loaded before."""
        version = request.bundle_version
        bundle = self._shelf.find(request.workload, version)
        if bundle is None:
            return None
        end = correlation_end(raw)
        # A correlation id in another place would be kept with the answer, for anybody.
        key = raw[end:] if bool(end) == bool(request.correlation_id) else b""
        answer, row = _read(bundle, prediction.question(request))
        # A form is its categories' codes, and a name that is unknown may have one later.
        if key and not version and not row.unknown:
            self._forms.learn(key, bundle, answer, row)
        return self._send(raw, key, bundle, answer, row, exact=bool(version))

    def forget(self) -> None:
        """Forget what was learnt about requests; other bundles answer now."""
        self._forms.forget()

    async def finish(self, asked: Asked) -> Answer:
        """Return the answer once the row has come through the graph."""
        if not asked.answer.done():
            self._batcher.need()
        try:
            answer = await asked.answer
        except ForetellError:
            raise
        except Exception as error:
            instead = self._swap.quarantine(asked.bundle, error)
            if instead is None or asked.exact:
                raise
            writer, row = _read(instead, _question(asked.raw))
            again = self._send(asked.raw, asked.key, instead, writer, row, exact=False)
            return await self.finish(again)
        if isinstance(answer, Exception):
            raise answer
        return answer

    def _send(
        self,
        raw: bytes,
        key: bytes,
        bundle: LiveBundle,
        writer: RowAnswer,
        row: EncodedRow,
        *,
        exact: bool,
    ) -> Asked:
        life = bundle.life

        def read(outputs: RowOutputs) -> Answer | Exception:
            try:
                return self._answer(raw, key, bundle, life, writer, row, outputs)
            except Exception as error:  # not one of the graph: the bundle stays
                return error

        return Asked(raw, key, exact, bundle, self._batcher.ask(bundle.predictor, row, read))

    def _answer(
        self,
        raw: bytes,
        key: bytes,
        bundle: LiveBundle,
        life: Life,
        answer: RowAnswer,
        row: EncodedRow,
        outputs: RowOutputs,
    ) -> Answer:
        body = self._body(bundle, raw, answer, row, outputs)
        kept = Kept(body, bundle.workload, bundle.version, life, outputs.correction)
        if key:
            self._cache.put(key, kept)
        return self._named(kept, raw)

    def again(self, bundle: LiveBundle, raw: bytes, prediction_id: str) -> bytes:
        """Return what this bundle answers, as it is, under a name that an answer has already."""
        answer, row = _read(bundle, _question(raw))
        (outputs,) = bundle.predictor.run_rows([row])
        return named(self._body(bundle, raw, answer, row, outputs), prediction_id)

    def _body(
        self,
        bundle: LiveBundle,
        raw: bytes,
        answer: RowAnswer,
        row: EncodedRow,
        outputs: RowOutputs,
    ) -> bytes:
        """Return an answer without its name."""
        if outputs.support < answer.support_floor:
            message = prediction.prediction(self._plane.predict(bundle, _question(raw)))
            message.ClearField("prediction_id")
            return message.SerializeToString()
        return answer.body(outputs, row.unknown)

    def _named(self, kept: Kept, raw: bytes) -> Answer:
        body, workload, version, _, correction = kept
        name = self._plane.new_name()
        self._recent.keep(name, raw, version, correction)
        return Answer(named(body, name), workload, version)


def _question(raw: bytes) -> Question:
    return prediction.question(decoded(prediction_pb2.PredictRequest, raw))


def _read(bundle: LiveBundle, question: Question) -> tuple[RowAnswer, EncodedRow]:
    """Return what writes the answer to a question, and the row that it is about."""
    answer = _compiled(bundle, question.options)
    return answer, bundle.predictor.encoder.encode_row(question.features)


def correlation_end(raw: bytes) -> int:
    """Return where the correlation id ends that leads a serialized request; 0 when none does."""
    if raw[:1] != _CORRELATION_ID:
        return 0
    # Lengths of more than two bytes are not what an id has.
    size, at = raw[1:2], 2
    length = size[0] if size else 0
    if length > 127:
        more = raw[2:3]
        length, at = (length & 127) | (more[0] << 7 if more and more[0] < 128 else 1 << 30), 3
    return at + length if length and at + length <= len(raw) else 0


def _compiled(bundle: LiveBundle, options: Options) -> RowAnswer:
    """Return what answers rows under these options; compiled once."""
    found: RowAnswer | None = bundle.row_answers.get(options)
    if found is None:
        found = RowAnswer(bundle.plan(options), bundle.predictor)
        bundle.row_answers.put(options, found)
    return found
