"""The edge where errors become gRPC statuses. Wraps each method once, when it is registered.

What Foretell raised on purpose goes out as it is. Anything else becomes INTERNAL with a fixed
text and an id; the log has the rest under that id.

A request's id is the caller's, from the metadata `x-request-id`, or else made here; it is in
the log and in the details of an error.
"""

from __future__ import annotations

import asyncio
import time
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from functools import partial
from operator import attrgetter
from types import MappingProxyType
from typing import Any, NamedTuple, NoReturn, TypeVar

from google.protobuf.message import DecodeError, Message
from google.rpc import status_pb2
from grpc.aio import ServicerContext
from grpc_status import rpc_status

from foretell.errors import DeadlinePassed, ForetellError, InvalidInput
from foretell.logs import get_logger
from foretell_server.auth import Gate
from foretell_server.converters.error import status_of
from foretell_server.delivery import Delivery
from foretell_server.malformed import why_malformed
from foretell_server.room import UNLIMITED, Room
from foretell_server.telemetry.journal import Call, Journal, bundle_version_of
from foretell_server.telemetry.meters import OK, Meters
from foretell_server.telemetry.sparing import Sparing

_log = get_logger(__name__)
_refused = Sparing()

REQUEST_ID_KEY = "x-request-id"
_LONGEST_REQUEST_ID = 128
CANCELLED = "CANCELLED"


class Answer(NamedTuple):
    """A serialized answer, and what is noted of it."""

    raw: bytes
    workload: str
    bundle_version: str


Unary = Callable[[Any, ServicerContext], Awaitable[Any]]
Stream = Callable[[Any, ServicerContext], AsyncIterator[Any]]
_M = TypeVar("_M", bound=Message)
Reader = Callable[[bytes], Any]
"""Reads a request from its bytes; raises InvalidInput when they are none."""


class ErrorEdge:
    """Decodes requests, keeps gate and room, counts, and turns errors into statuses."""

    def __init__(
        self,
        gate: Gate,
        room: Room,
        meters: Meters,
        journal: Journal,
        delivery: Delivery,
        readers: Mapping[str, Reader] = MappingProxyType({}),
    ) -> None:
        """Keep what a call has to pass, and `readers` of the methods whose requests are special."""
        self._gate = gate
        self._readers = readers
        self._room = room
        self._meters = meters
        self.delivery = delivery
        # None costs a request nothing; a call that says nothing would cost microseconds.
        self._journal = journal if journal.wanted else None

    def unary(self, name: str, method: Unary, kind: type[Message]) -> Unary:
        """Return a method from bytes to bytes that ends with a status whatever happens.

        Its request is decoded as `kind`, unless it has a reader of its own.
        """
        guarded, room, meter = (
            self._gate.guards(name),
            self._room_of(name),
            self._meters.method(name),
        )
        workload_of, rows_of = _workload_reader(kind), _rows_reader(kind)
        read: Reader = self._readers.get(name) or partial(decoded, kind)

        async def call(raw: bytes, context: ServicerContext) -> bytes:
            began = time.perf_counter()
            self.delivery.expect()
            request = response = None
            room.taken += 1
            meter.in_flight += 1
            try:
                self._admit(context, room, guarded=guarded)
                request = read(raw)
                response = await method(request, context)
                answer: bytes = response.SerializeToString()
            except asyncio.CancelledError:
                meter.refused(workload_of(request), CANCELLED, time.perf_counter() - began)
                raise
            except Exception as error:  # the edge is where all errors end
                workload, request_id = workload_of(request), request_id_of(context)
                meter.refused(workload, status_name(error), time.perf_counter() - began)
                self._note(name, context, began, workload, error=error, request_id=request_id)
                await _abort(name, context, error, request_id)
            finally:
                room.taken -= 1
                meter.in_flight -= 1
            rows = rows_of(request)
            meter.answered(workload_of(request), time.perf_counter() - began, rows)
            if rows > 1:
                meter.batches.add(rows)
            if self._journal is not None:
                self._note(name, context, began, workload_of(request), response)
            return answer

        return call

    def last_unary(self, name: str, method: Unary, kind: type[Message]) -> Unary:
        """Return a method like `unary` does, for calls while the server shuts down.

        It writes its answer itself, and ends when that was read.
        """
        answer_of = self.unary(name, method, kind)

        async def call(raw: bytes, context: ServicerContext) -> None:
            await context.write(await answer_of(raw, context))
            await self.delivery.read(context)

        return call

    def stream(self, name: str, method: Stream, kind: type[Message] | None) -> Stream:
        """Return a method that answers with a stream of bytes.

        Its request is decoded as `kind`; without one, it is the iterator of the caller's
        messages, each still in bytes, so that one which is malformed does not end the call.
        """

        async def call(raw: Any, context: ServicerContext) -> AsyncIterator[bytes]:  # noqa: ANN401
            async with self._open_stream(name, context):
                request = raw if kind is None else decoded(kind, raw)
                async for message in method(request, context):
                    yield message.SerializeToString()

        return call

    def unary_bytes(
        self,
        name: str,
        quick: Callable[[bytes], Answer | None],
        method: Callable[[bytes], Awaitable[Answer]],
        kind: type[Message],
    ) -> Unary:
        """Return a method like `unary` does, of one that takes and gives bytes.

        `quick` is asked first; what it answers at once takes no room. `kind` is what the bytes
        are, for who looks into a request that was refused.
        """
        room, meter, workload_of = self._room, self._meters.method(name), _workload_reader(kind)

        async def slow(raw: bytes, context: ServicerContext, began: float) -> Answer:
            room.taken += 1
            meter.in_flight += 1
            try:
                self._admit(context, room, guarded=False)
                return await method(raw)
            except asyncio.CancelledError:
                meter.refused(_peek(kind, raw, workload_of), CANCELLED, _since(began))
                raise
            except Exception as error:  # the edge is where all errors end
                workload, request_id = _peek(kind, raw, workload_of), request_id_of(context)
                meter.refused(workload, status_name(error), _since(began))
                self._note(name, context, began, workload, error=error, request_id=request_id)
                await _abort(name, context, error, request_id)
            finally:
                room.taken -= 1
                meter.in_flight -= 1

        async def call(raw: bytes, context: ServicerContext) -> bytes:
            began = time.perf_counter()
            answer = quick(raw) or await slow(raw, context, began)
            meter.answered(answer.workload, time.perf_counter() - began)
            if self._journal is not None:
                self._note(name, context, began, answer.workload, answer)
            return answer.raw

        return call

    def stream_bytes(
        self, name: str, method: Callable[[AsyncIterator[bytes], ServicerContext], Awaitable[None]]
    ) -> Callable[[AsyncIterator[bytes], ServicerContext], Awaitable[None]]:
        """Return a method like `stream` does, of one that writes its answers itself."""

        async def call(requests: AsyncIterator[bytes], context: ServicerContext) -> None:
            async with self._open_stream(name, context):
                await method(requests, context)

        return call

    @asynccontextmanager
    async def _open_stream(self, name: str, context: ServicerContext) -> AsyncIterator[None]:
        """Count a stream, let it in, and end it with a status whatever happens."""
        began = time.perf_counter()
        room, meter = self._room_of(name), self._meters.method(name)
        status = CANCELLED  # unless it comes to an end
        failure, request_id = None, ""
        room.taken += 1
        meter.open_streams += 1
        try:
            self._admit(context, room, guarded=self._gate.guards(name))
            yield
            await self.delivery.read(context)
            status = OK
        except Exception as error:  # the edge is where all errors end
            failure, status, request_id = error, status_name(error), request_id_of(context)
            await self.delivery.read(context)
            await _abort(name, context, error, request_id)
        finally:
            room.taken -= 1
            meter.stream_ended(status)
            self._note(name, context, began, error=failure, request_id=request_id)

    def _room_of(self, name: str) -> Room:
        return Room() if name.startswith(UNLIMITED) else self._room

    def _admit(self, context: ServicerContext, room: Room, *, guarded: bool) -> None:
        """Raise TooMuch, Unauthenticated, PermissionDenied or DeadlinePassed."""
        room.check()
        if guarded:
            self._gate.check(context.invocation_metadata())
        remaining = context.time_remaining()
        if remaining is not None and remaining <= 0:
            raise DeadlinePassed

    def _note(
        self,
        name: str,
        context: ServicerContext,
        began: float,
        workload: str = "",
        response: object = None,
        *,
        error: Exception | None = None,
        request_id: str = "",
    ) -> None:
        if self._journal is None:
            return
        metadata = tuple(context.invocation_metadata() or ())
        status = OK if error is None else status_name(error)
        version = bundle_version_of(response)
        known_as = request_id or request_id_of(context)
        self._journal.write(Call(name, known_as, metadata, began, workload, version, status))


def decoded(kind: type[_M], raw: bytes) -> _M:
    """Return a message from its bytes; InvalidInput when they are none."""
    try:
        return kind.FromString(raw)
    except DecodeError:
        raise InvalidInput([why_malformed(kind, raw)]) from None


def status_for(
    name: str, context: ServicerContext, error: Exception, request_id: str = ""
) -> status_pb2.Status:
    """Log an error, one line, and return the status that the caller gets to see.

    In a flood of refusals most lines are held back, and the next one says how many.
    """
    request_id = request_id or request_id_of(context)
    if isinstance(error, ForetellError):
        held_back = _refused.pass_on((name, error.status))
        if held_back is not None:
            _log.info(
                "refused",
                method=name,
                status=error.status,
                reason=error.reason,
                error=error.message,
                request_id=request_id,
                **({"held_back": held_back} if held_back else {}),
            )
        return status_of(error, request_id)
    _log.error("failed", method=name, request_id=request_id, exc_info=error)
    # What went wrong inside is nobody's business outside.
    return status_of(ForetellError(f"internal error; the log has it as {request_id}"), request_id)


def request_id_of(context: ServicerContext) -> str:
    """Return the caller's name for the request, else a new one."""
    for key, value in context.invocation_metadata() or ():
        if key == REQUEST_ID_KEY and isinstance(value, str) and value:
            return value[:_LONGEST_REQUEST_ID]
    return uuid.uuid4().hex[:16]


async def _abort(
    name: str, context: ServicerContext, error: Exception, request_id: str
) -> NoReturn:
    status = status_for(name, context, error, request_id)
    await context.abort_with_status(rpc_status.to_status(status))
    raise error


def status_name(error: Exception) -> str:
    """Return the name of the gRPC status that an error travels as."""
    return error.status if isinstance(error, ForetellError) else ForetellError.status


def _workload_reader(kind: type[Message]) -> Callable[[Any], str]:
    """Return what reads the workload from a request; empty from None, and where there is none."""
    fields = kind.DESCRIPTOR.fields_by_name
    for name in ("workload", "model_name"):
        if name in fields:
            read = attrgetter(name)
            return lambda request: "" if request is None else read(request)
    return lambda _request: ""


def _rows_reader(kind: type[Message]) -> Callable[[Any], int]:
    """Return what reads how many rows a request is about; 1 where it does not say."""
    fields = kind.DESCRIPTOR.fields_by_name
    if "row_count" in fields:
        return attrgetter("row_count")
    if "raw_input_contents" in fields:
        return lambda request: int(request.inputs[0].shape[0])
    return lambda _request: 1


def _peek(kind: type[Message], raw: bytes, read: Callable[[Any], str]) -> str:
    """Return what a reader finds in a request that was refused; empty from what is none."""
    try:
        return read(kind.FromString(raw))
    except DecodeError:
        return ""


def _since(began: float) -> float:
    return time.perf_counter() - began
