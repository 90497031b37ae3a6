"""Errors: a status for each, and the way there and back."""

from __future__ import annotations

import grpc
import pytest

from foretell import errors
from foretell.errors import (
    STATUS,
    BundleRejected,
    ForetellError,
    InvalidInput,
    NoBundle,
    NotFound,
    SchemaError,
    Violation,
    class_for_status,
    restore,
)


def test_every_error_class_has_a_status_that_grpc_knows() -> None:
    """The catalogue is total over the hierarchy, and its names are gRPC's."""
    classes = {
        value
        for value in vars(errors).values()
        if isinstance(value, type) and issubclass(value, ForetellError)
    }
    assert set(STATUS) == classes
    assert all(hasattr(grpc.StatusCode, name) for name in STATUS.values())


@pytest.mark.parametrize("cls", list(STATUS))
def test_status_and_reason_lead_back_to_the_class(cls: type[ForetellError]) -> None:
    """A client that knows the status and the reason finds the very class again."""
    assert class_for_status(cls.status, cls.reason) is cls


def test_status_alone_leads_to_the_general_class() -> None:
    """Without a reason, the status leads to the first class that travels as it."""
    assert class_for_status("INVALID_ARGUMENT") is InvalidInput
    assert class_for_status("FAILED_PRECONDITION") is NoBundle
    assert class_for_status("DATA_LOSS") is ForetellError


def test_a_reason_of_another_status_is_not_believed() -> None:
    """A reason that contradicts the status does not decide the class."""
    assert class_for_status("NOT_FOUND", BundleRejected.reason) is NotFound


def test_restored_error_keeps_message_reason_and_violations() -> None:
    """What the server said arrives unchanged on the client's side."""
    violations = [Violation("features[n]", "-1", "-1 is not at least 0")]
    error = restore("INVALID_ARGUMENT", "no", "SCHEMA_INVALID", violations)
    assert type(error) is SchemaError
    assert (error.message, error.reason, str(error)) == ("no", "SCHEMA_INVALID", "no")
    assert error.violations == tuple(violations)


def test_not_found_names_what_is_known() -> None:
    """A name that does not exist is answered with those that do, and a reason of its kind."""
    error = NotFound("workload", "infrence", ["inference", "serverless"])
    assert error.message == "no workload named 'infrence'; known: inference, serverless"
    assert error.reason == "WORKLOAD_NOT_FOUND"


def test_a_long_list_of_names_is_cut() -> None:
    """A message lists a few names and says how many more there are."""
    assert errors.listing([str(i) for i in range(30)], most=2) == "0, 1 and 28 more"


def test_invalid_input_names_every_field_that_is_wrong() -> None:
    """The one-line message names all fields; of very many the first ones, and how many more."""
    error = InvalidInput([Violation("a", "1", "is odd"), Violation("b", "3", "is odd")])
    assert error.message == "a: is odd; b: is odd"
    many = InvalidInput([Violation(f"f{i}", "1", "is odd") for i in range(errors.MOST_NAMED + 2)])
    assert many.message.endswith("f7: is odd (and 2 more)")


def test_no_bundle_says_how_to_train_one() -> None:
    """The message of a workload without a bundle contains the command that makes one."""
    assert "foretell train serverless" in NoBundle("serverless").message
