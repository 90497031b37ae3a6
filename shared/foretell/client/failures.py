"""From a failed call back to the error that the server raised."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import grpc
from google.rpc import error_details_pb2, status_pb2

from foretell.errors import (
    DeadlinePassed,
    ForetellError,
    Unavailable,
    Violation,
    restore,
)

if TYPE_CHECKING:
    from google.protobuf.any_pb2 import Any as AnyMessage
    from google.protobuf.internal.containers import RepeatedCompositeFieldContainer

# Where gRPC carries a google.rpc.Status with its details.
_STATUS_KEY = "grpc-status-details-bin"
_STATUS_NAMES = {code.value[0]: code.name for code in grpc.StatusCode}


@contextmanager
def translated(address: str, timeout: float | None) -> Iterator[None]:
    """Raise the ForetellError that a grpc.RpcError of the calls inside stands for.

    `address` and `timeout` (seconds, None for none) are named where the call never reached a
    server that could have explained itself.
    """
    try:
        yield
    except grpc.RpcError as error:
        raise error_of_call(error, address, timeout) from error


def error_of_call(error: grpc.RpcError, address: str, timeout: float | None) -> ForetellError:
    """Return the error that a failed call, synchronous or asynchronous, stands for."""
    if (raw := _explanation(error)) is not None:
        return error_of_status(status_pb2.Status.FromString(raw))
    if error.code() is grpc.StatusCode.UNAVAILABLE:
        return Unavailable(f"the server at {address}", error.details() or "no connection")
    if error.code() is grpc.StatusCode.DEADLINE_EXCEEDED and timeout is not None:
        return DeadlinePassed(f"no answer from {address} within {timeout:g} s")
    code = error.code().name
    return restore(code, error.details() or code, code)


def explained(error: grpc.RpcError) -> bool:
    """Return whether a server of ours said what went wrong; no server, or a proxy, does not."""
    return _explanation(error) is not None


def error_of_status(status: status_pb2.Status) -> ForetellError:
    """Return the error that a google.rpc.Status stands for, its field violations kept."""
    code = _STATUS_NAMES.get(status.code, "UNKNOWN")
    return restore(
        code,
        status.message or code,
        _reason(status.details) or code,
        _violations(status.details),
    )


def _explanation(error: grpc.RpcError) -> bytes | None:
    found = (value for key, value in error.trailing_metadata() or () if key == _STATUS_KEY)
    return next(found, None)


def _reason(details: RepeatedCompositeFieldContainer[AnyMessage]) -> str:
    info = error_details_pb2.ErrorInfo()
    return next((info.reason for detail in details if detail.Unpack(info)), "")


def _violations(details: RepeatedCompositeFieldContainer[AnyMessage]) -> tuple[Violation, ...]:
    request = error_details_pb2.BadRequest()
    return tuple(
        Violation(violation.field, "", violation.description)
        for detail in details
        if detail.Unpack(request)
        for violation in request.field_violations
    )
