"""From errors to `google.rpc.Status`, and to what a gRPC call ends with."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import grpc
from google.protobuf.any_pb2 import Any as AnyMessage
from google.protobuf.duration_pb2 import Duration
from google.protobuf.message import Message
from google.rpc import error_details_pb2, status_pb2

from foretell.errors import ForetellError, InvalidInput, TooMuch, Unavailable, Violation

DOMAIN = "foretell.v1"

# In bytes. Clients take 8 KiB of metadata unless told otherwise, and drop the whole answer above
# that. The message travels there twice: in the details, which are base64, and by itself, where
# each byte that is not ASCII takes three.
_MOST_MESSAGE = 750
_MOST_DETAILS = 2800

_RETRY_AFTER_S = 1

STATUS_CODES: Mapping[str, grpc.StatusCode] = {code.name: code for code in grpc.StatusCode}


def status_of(error: ForetellError, request_id: str = "") -> status_pb2.Status:
    """Return an error as a status with details: ErrorInfo, RequestInfo, BadRequest, RetryInfo."""
    info = error_details_pb2.ErrorInfo(reason=error.reason, domain=DOMAIN)
    if request_id:
        info.metadata["request_id"] = request_id
    details: list[Message] = [info]
    if request_id:
        details.append(error_details_pb2.RequestInfo(request_id=request_id))
    if isinstance(error, InvalidInput):
        details.append(_bad_request(error.violations))
    if isinstance(error, TooMuch | Unavailable):
        delay = Duration(seconds=_RETRY_AFTER_S)
        details.append(error_details_pb2.RetryInfo(retry_delay=delay))
    return status_pb2.Status(
        code=STATUS_CODES[error.status].value[0],
        message=_short(error.message, _MOST_MESSAGE),
        details=[_packed(detail) for detail in details],
    )


def field_violations(
    violations: Sequence[Violation],
) -> list[error_details_pb2.BadRequest.FieldViolation]:
    """Return violations as messages."""
    return [
        error_details_pb2.BadRequest.FieldViolation(
            field=_short(v.field, 200), description=_short(v.message, 500)
        )
        for v in violations
    ]


def _bad_request(violations: Sequence[Violation]) -> error_details_pb2.BadRequest:
    found = error_details_pb2.BadRequest()
    size = 0
    for violation in field_violations(violations):
        size += violation.ByteSize() + 4
        if size > _MOST_DETAILS:
            break
        found.field_violations.append(violation)
    return found


def _packed(detail: Message) -> AnyMessage:
    packed = AnyMessage()
    packed.Pack(detail)
    return packed


def _short(text: str, most: int) -> str:
    """Return a text that has at most so many bytes."""
    encoded = text.encode()
    if len(encoded) <= most:
        return text
    return encoded[: most - 3].decode(errors="ignore") + "…"
