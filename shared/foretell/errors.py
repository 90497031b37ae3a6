"""Everything that Foretell raises on purpose, and the gRPC status each error travels as.

ForetellError
├── InvalidInput              INVALID_ARGUMENT     the caller sent something that cannot be used
│   └── SchemaError           INVALID_ARGUMENT     a schema file is wrong; names file and line
├── NotFound                  NOT_FOUND            no such workload, bundle, job, metric
├── NoBundle                  FAILED_PRECONDITION  the workload has never been trained
├── BundleRejected            FAILED_PRECONDITION  a bundle failed its checks and is not served
├── NotExplainable            FAILED_PRECONDITION  the bundle holds nothing to explain answers with
├── Conflict                  ABORTED              somebody else changed the same thing first
├── Unauthenticated           UNAUTHENTICATED      no token, or a wrong one
├── PermissionDenied          PERMISSION_DENIED    a good token that may not do this
├── TooMuch                   RESOURCE_EXHAUSTED   over a limit; try less, or later
├── Unavailable               UNAVAILABLE          a part that is needed cannot be reached
├── Cancelled                 CANCELLED            somebody asked to stop
└── DeadlinePassed            DEADLINE_EXCEEDED    the caller's time ran out
"""

# The names are read by callers as conditions, not as a list of things ending in "Error".
# ruff: noqa: N818

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import ClassVar

MOST_NAMED = 8
"""How many violations a message names; all of them travel beside it."""


@dataclass(frozen=True, slots=True)
class Violation:
    """One thing that is wrong with an input: which field, what it held, what is allowed."""

    field: str
    value: str
    message: str

    def __str__(self) -> str:
        return f"{self.field}: {self.message}"


class ForetellError(Exception):
    """The root of every error that Foretell raises on purpose.

    `message` is one line, safe to show to a caller. `reason` is a constant in UPPER_SNAKE
    that programs may switch on; it travels in `google.rpc.ErrorInfo`.
    """

    status: ClassVar[str] = "INTERNAL"
    reason: str = "INTERNAL"

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.message = message


class InvalidInput(ForetellError):
    """The caller's input cannot be used; `violations` says why, field by field."""

    status = "INVALID_ARGUMENT"
    reason = "INVALID_INPUT"

    def __init__(self, violations: Sequence[Violation], message: str | None = None) -> None:
        self.violations = tuple(violations)
        super().__init__(message or _summary(self.violations))


class SchemaError(InvalidInput):
    """A schema file cannot be used; each violation's message begins with `file:line:`."""

    reason = "SCHEMA_INVALID"

    def __init__(self, path: str, violations: Sequence[Violation]) -> None:
        self.path = path
        super().__init__(violations, "\n".join(v.message for v in violations))


class NotFound(ForetellError):
    """Something was asked for by a name that does not exist; `known` lists those that do."""

    status = "NOT_FOUND"
    reason = "NOT_FOUND"

    def __init__(self, kind: str, name: str, known: Sequence[str] | None = None) -> None:
        self.kind = kind
        self.name = name
        self.known = tuple(known or ())
        self.reason = f"{kind.upper().replace(' ', '_')}_NOT_FOUND"
        others = "" if known is None else f"; known: {listing(self.known)}"
        super().__init__(f"no {kind} named {name!r}{others}")


class NoBundle(ForetellError):
    """The workload exists, but nothing has been trained for it yet."""

    status = "FAILED_PRECONDITION"
    reason = "NO_BUNDLE"

    def __init__(self, workload: str) -> None:
        self.workload = workload
        super().__init__(
            f"workload {workload!r} has no bundle yet; report observations and call Retrain, "
            f"or run: foretell train {workload} --data FILE --registry DIR"
        )


class BundleRejected(ForetellError):
    """A bundle did not pass its checks, so it is not served."""

    status = "FAILED_PRECONDITION"
    reason = "BUNDLE_REJECTED"

    def __init__(self, version: str, why: str) -> None:
        self.version = version
        self.why = why
        super().__init__(f"bundle {version} is refused: {why}")


class NotExplainable(ForetellError):
    """The bundle answers, but holds no known rows to explain its answers with."""

    status = "FAILED_PRECONDITION"
    reason = "NOT_EXPLAINABLE"

    def __init__(self, version: str) -> None:
        self.version = version
        super().__init__(
            f"bundle {version} keeps no rows of its training data, so its answers cannot be "
            "explained; bundles that are trained from now on do"
        )


class Conflict(ForetellError):
    """Somebody else changed the same thing first."""

    status = "ABORTED"
    reason = "CONFLICT"


class Unauthenticated(ForetellError):
    """The call carries no token, or a wrong one."""

    status = "UNAUTHENTICATED"
    reason = "UNAUTHENTICATED"

    def __init__(self, message: str = "this call wants a token: authorization: Bearer …") -> None:
        super().__init__(message)


class PermissionDenied(ForetellError):
    """The token is good, but does not allow this call."""

    status = "PERMISSION_DENIED"
    reason = "PERMISSION_DENIED"


class TooMuch(ForetellError):
    """The request is over a limit, or the server has no room for it now."""

    status = "RESOURCE_EXHAUSTED"
    reason = "TOO_MUCH"


class Unavailable(ForetellError):
    """A part that is needed for this call cannot be reached; trying again later may help."""

    status = "UNAVAILABLE"
    reason = "UNAVAILABLE"

    def __init__(self, what: str, why: str) -> None:
        self.what = what
        self.why = why
        super().__init__(f"{what} is unavailable: {why}")


class Cancelled(ForetellError):
    """The work was stopped because somebody asked for that."""

    status = "CANCELLED"
    reason = "CANCELLED"

    def __init__(self, message: str = "cancelled on request") -> None:
        super().__init__(message)


class DeadlinePassed(ForetellError):
    """The caller's deadline passed before the answer was ready."""

    status = "DEADLINE_EXCEEDED"
    reason = "DEADLINE_PASSED"

    def __init__(self, message: str = "the deadline passed before the answer was ready") -> None:
        super().__init__(message)


def listing(names: Sequence[str], most: int = 20) -> str:
    """Return names as messages list them: the first few, and how many more there are."""
    if not names:
        return "none"
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(names[:most]) + more


def _summary(violations: tuple[Violation, ...]) -> str:
    if not violations:
        return "the input is invalid"
    more = len(violations) - MOST_NAMED
    named = "; ".join(map(str, violations[:MOST_NAMED]))
    return f"{named} (and {more} more)" if more > 0 else named


def _hierarchy(root: type[ForetellError]) -> list[type[ForetellError]]:
    return [root, *(c for child in root.__subclasses__() for c in _hierarchy(child))]


STATUS: Mapping[type[ForetellError], str] = MappingProxyType(
    {error: error.status for error in _hierarchy(ForetellError)}
)
"""The name of the gRPC status of each error class."""

_BY_REASON: dict[str, type[ForetellError]] = {error.reason: error for error in STATUS}
_BY_STATUS: dict[str, type[ForetellError]] = {}
for _error in STATUS:
    # Where one status stands for several classes, the first in the hierarchy is the general one.
    _BY_STATUS.setdefault(_error.status, _error)


def class_for_status(status: str, reason: str = "") -> type[ForetellError]:
    """Return the error class that a gRPC status name, and a reason if there is one, stand for."""
    by_reason = _BY_REASON.get(reason)
    if by_reason is not None and by_reason.status == status:
        return by_reason
    return _BY_STATUS.get(status, ForetellError)


def restore(
    status: str, message: str, reason: str = "", violations: Sequence[Violation] = ()
) -> ForetellError:
    """Rebuild, on the client's side, the error that a server raised.

    The message is the server's own, unchanged. `violations` are kept on InvalidInput. Other
    attributes (such as `known` of NotFound) do not travel; their text is in the message.
    """
    cls = class_for_status(status, reason)
    error: ForetellError = cls.__new__(cls)
    ForetellError.__init__(error, message)
    if reason:
        error.reason = reason
    if isinstance(error, InvalidInput):
        error.violations = tuple(violations)
    return error
