"""The requests of RecommendHardware, from their bytes.

A request begins with the workload and the item's features. What comes after, the candidates and
what is weighed, is the same again and again where a scheduler asks for one item after the other:
to read fifty candidates takes many times as long as to know them by their bytes.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from foretell.v1.decision_pb2 import RecommendHardwareRequest
from foretell_server.error_edge import decoded
from foretell_server.forms import varint

RANK = "foretell.v1.DecisionService/RecommendHardware"

REMEMBERED_BYTES = 1 << 16
"""What is longer is read each time."""

_REMEMBERED = 64
_OF_THE_ITEM = frozenset(
    number << 3 | 2
    for number in (
        RecommendHardwareRequest.WORKLOAD_FIELD_NUMBER,
        RecommendHardwareRequest.FEATURES_FIELD_NUMBER,
    )
)


class Rest:
    """What follows the item in a request."""

    def __init__(self, raw: bytes) -> None:
        """Read the bytes; InvalidInput when they are none of this message."""
        self.message = decoded(RecommendHardwareRequest, raw)
        self._made: dict[str, Any] | None = None

    def once(self, make: Callable[[RecommendHardwareRequest], dict[str, Any]]) -> dict[str, Any]:
        """Return what is made of the message, which is made once."""
        if self._made is None:
            self._made = make(self.message)
        return self._made


@dataclass(frozen=True, slots=True)
class RankingRequest:
    """A request, read as far as the bundle has to be known that answers it."""

    item: RecommendHardwareRequest
    """The workload and the item's features."""
    rest: Rest

    @property
    def workload(self) -> str:
        """The workload's name."""
        return self.rest.message.workload or self.item.workload

    @property
    def bundle_version(self) -> str:
        """The version that has to answer; empty for the current one."""
        return self.rest.message.bundle_version


def read(raw: bytes) -> RankingRequest:
    """Return a request from its bytes; InvalidInput when they are none."""
    end = _item_end(raw)
    rest = raw[end:]
    known = _known_rest(rest) if len(rest) <= REMEMBERED_BYTES else Rest(rest)
    return RankingRequest(decoded(RecommendHardwareRequest, raw[:end]), known)


_known_rest = lru_cache(maxsize=_REMEMBERED)(Rest)


def _item_end(raw: bytes) -> int:
    """Return where the fields that are the item's end; 0 where they do not come first."""
    at = 0
    try:
        while raw[at] in _OF_THE_ITEM:
            length, start = varint(raw, at + 1)
            at = start + length
    except IndexError:  # nothing follows, or it is cut off
        return min(at, len(raw))
    return at
