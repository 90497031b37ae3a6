"""Errors as they leave the server."""

from __future__ import annotations

import pytest

from foretell import errors
from foretell.client.failures import error_of_status
from foretell.errors import STATUS, ForetellError, InvalidInput, Violation
from foretell_server.converters.error import STATUS_CODES, status_of

MOST_METADATA = 8 * 1024
"""What gRPC clients take, unless told otherwise."""

EXAMPLES: list[ForetellError] = [
    ForetellError("inside"),
    InvalidInput([Violation("a", "1", "is wrong")]),
    errors.SchemaError("x.yaml", [Violation("a", "1", "x.yaml:1: is wrong")]),
    errors.NotFound("workload", "x", ["y"]),
    errors.NoBundle("x"),
    errors.BundleRejected("v", "is broken"),
    errors.NotExplainable("v"),
    errors.Conflict("was changed"),
    errors.Unauthenticated(),
    errors.PermissionDenied("no"),
    errors.TooMuch("too much"),
    errors.Unavailable("the broker", "is down"),
    errors.Cancelled(),
    errors.DeadlinePassed(),
]


def test_the_examples_are_all_there_are() -> None:
    """Every class of error has an example here, so that none is forgotten."""
    assert {type(error) for error in EXAMPLES} == set(STATUS)


@pytest.mark.parametrize("error", EXAMPLES, ids=lambda e: type(e).__name__)
def test_error_comes_back_as_itself(error: ForetellError) -> None:
    """The client makes of a status the class, reason and message that the server raised."""
    status = status_of(error, "r1")
    assert status.code == STATUS_CODES[error.status].value[0]
    back = error_of_status(status)
    assert type(back) is type(error)
    assert (back.reason, back.message) == (error.reason, error.message)
    if isinstance(error, InvalidInput):
        assert isinstance(back, InvalidInput)
        assert [(v.field, v.message) for v in back.violations] == [
            (v.field, v.message) for v in error.violations
        ]


def test_status_fits_into_the_metadata_that_clients_take() -> None:
    """However long an error's texts, its status stays under what clients take by default."""
    many = [Violation("f" * 500, "", "m" * 2000) for _ in range(500)]
    status = status_of(InvalidInput(many, "x" * 100_000), "r" * 128)
    # The message travels twice, and binary metadata as base64.
    assert len(status.message) + status.ByteSize() * 4 / 3 < MOST_METADATA


def test_texts_in_other_scripts_fit_too() -> None:
    """The bound holds in bytes, not in characters."""
    many = [Violation("界" * 500, "", "界" * 2000) for _ in range(500)]
    status = status_of(InvalidInput(many, "界" * 100_000), "r" * 128)
    # In the status line each byte that is not ASCII travels as three.
    assert 3 * len(status.message.encode()) + status.ByteSize() * 4 / 3 < MOST_METADATA
