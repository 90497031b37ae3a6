"""The edge where errors become gRPC statuses. Wraps each method once, when it is registered.

What Foretell raised on purpose goes out as it is. Anything else becomes INTERNAL with a fixed
text and an id; the log has the rest under that id.
"""

from __future__ import annotations

import logging
import time
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any, NoReturn, TypeVar

from foretell.errors import DeadlinePassed, ForetellError, InvalidInput, Violation
from foretell.logs import get_logger
from google.protobuf.message import DecodeError, Message
from google.rpc import status_pb2
from grpc.aio import ServicerContext
from grpc_status import rpc_status

from foretell_server.auth import Gate
from foretell_server.converters.error import status_of

_log = get_logger(__name__)

REQUEST_ID_KEY = "x-request-id"
_LONGEST_REQUEST_ID = 128

Unary = Callable[[Any, ServicerContext], Awaitable[Any]]
Stream = Callable[[Any, ServicerContext], AsyncIterator[Any]]
_M = TypeVar("_M", bound=Message)


class ErrorEdge:
    """Decodes requests, keeps the gate, and turns what methods raise into statuses."""

    def __init__(self, gate: Gate) -> None:
        self._gate = gate
        # Asked once: a log call that says nothing would still cost microseconds per request.
        self._logs_answers = logging.getLogger(__name__).isEnabledFor(logging.DEBUG)

    def unary(self, name: str, method: Unary, kind: type[Message]) -> Unary:
        """Return a method from bytes to bytes that ends with a status whatever happens."""
        guarded = self._gate.guards(name)

        async def call(raw: bytes, context: ServicerContext) -> bytes:
            began = time.perf_counter()
            try:
                if guarded:
                    self._gate.check(context.invocation_metadata())
                remaining = context.time_remaining()
                if remaining is not None and remaining <= 0:
                    raise DeadlinePassed
                request = decoded(kind, raw)
                response: Message = await method(request, context)
            except Exception as error:  # the edge is where all errors end
                await _abort(name, context, error)
            if self._logs_answers:
                _log_answer(name, context, request, response, began)
            return response.SerializeToString()

        return call

    def stream(self, name: str, method: Stream, kind: type[Message] | None) -> Stream:
        """Return a method that answers with a stream of bytes.

        Its request is decoded as `kind`; without one, it is the iterator of the caller's
        messages, each still in bytes, so that one which is malformed does not end the call.
        """
        guarded = self._gate.guards(name)

        async def call(raw: Any, context: ServicerContext) -> AsyncIterator[bytes]:  # noqa: ANN401
            try:
                if guarded:
                    self._gate.check(context.invocation_metadata())
                request = raw if kind is None else decoded(kind, raw)
                async for message in method(request, context):
                    yield message.SerializeToString()
            except Exception as error:  # the edge is where all errors end
                await _abort(name, context, error)

        return call


def decoded(kind: type[_M], raw: bytes) -> _M:
    """Return a message from its bytes; InvalidInput when they are none."""
    try:
        return kind.FromString(raw)
    except DecodeError:
        message = f"the bytes are not a {kind.DESCRIPTOR.full_name}"
        raise InvalidInput([Violation("request", "", message)]) from None


def status_for(name: str, context: ServicerContext, error: Exception) -> status_pb2.Status:
    """Log an error, one line, and return the status that the caller gets to see."""
    request_id = request_id_of(context)
    if isinstance(error, ForetellError):
        _log.info(
            "refused",
            method=name,
            status=error.status,
            reason=error.reason,
            error=error.message,
            request_id=request_id,
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


async def _abort(name: str, context: ServicerContext, error: Exception) -> NoReturn:
    await context.abort_with_status(rpc_status.to_status(status_for(name, context, error)))
    raise error


def _log_answer(
    name: str,
    context: ServicerContext,
    request: Message,
    response: Message,
    began: float,
) -> None:
    provenance = getattr(response, "provenance", response)
    _log.debug(
        "answered",
        method=name,
        workload=getattr(request, "workload", ""),
        bundle_version=getattr(provenance, "bundle_version", ""),
        request_id=request_id_of(context),
        seconds=round(time.perf_counter() - began, 6),
    )
