"""Forms: requests that differ from an earlier one in nothing but their numbers.

Schedulers ask about the same functions and nodes with other sizes. Such a request has the bytes
of one that was parsed before but for its numbers, eight bytes each, at the same places. All that
was read and encoded then holds for it, too, and is not done again: its numbers are checked and put
into a copy of the row. That takes half of the time.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import pairwise
from struct import Struct
from typing import Any, NamedTuple

from foretell.encoding import EncodedRow
from foretell.parsing import Value
from foretell.v1 import common_pb2, prediction_pb2
from foretell_server.converters.row import RowAnswer
from foretell_server.shelf import LiveBundle

MOST_FORMS = 4096
"""How many are remembered, of a kilobyte each; beyond, all are forgotten."""
MOST_LAYOUTS = 8
"""Of requests of one length: each is tried in turn."""
LEARNT_IN_ADVANCE = 1024
"""So many forms are learnt before the first has to recur."""
OTHERWISE_ONE_IN = 32
"""Of those that come while hardly any recur."""

_FEATURES = prediction_pb2.PredictRequest.FEATURES_FIELD_NUMBER << 3 | 2
_NAME, _VALUE = 1 << 3 | 2, 2 << 3 | 2
_NUMBER = common_pb2.Value.NUMBER_FIELD_NUMBER << 3 | 1
_NUMBER_SIZE = 8

_Pieces = tuple[bytes, ...]


class Form(NamedTuple):
    """What all requests of one form have in common."""

    bundle: LiveBundle
    answer: RowAnswer
    row: EncodedRow
    numbers: tuple[tuple[int, Callable[[Value], float]], ...]
    """Of each number in the request: its place in the row, and what checks it."""


class _Layout(NamedTuple):
    """Where the numbers stand in requests of one length."""

    places: tuple[int, ...]
    cut: Callable[[bytes], tuple[Any, ...]]
    """From a request to what lies before, between and after the numbers, and these."""
    forms: dict[_Pieces, Form]


class KnownForms:
    """Remembers forms and recognises them. Used on the event loop."""

    __slots__ = ("_by_length", "_count", "_credit", "_passed")

    def __init__(self) -> None:
        self._credit = LEARNT_IN_ADVANCE
        self._passed = 0
        self.forget()

    def __len__(self) -> int:
        return self._count

    def forget(self) -> None:
        """Forget all forms, and so the bundles that they belong to."""
        self._by_length: dict[int, list[_Layout]] = {}
        self._count = 0

    def read(self, request: bytes) -> tuple[Form, EncodedRow] | None:
        """Return the form of a request without a correlation id, and its row.

        None when its form is not known, or a number is not what it may be.
        """
        for _, cut, forms in self._by_length.get(len(request), ()):
            parts = cut(request)
            form = forms.get(parts[::2])
            if form is not None:
                row = form.row
                numbers = row.numbers.copy()
                try:
                    for (place, check), number in zip(form.numbers, parts[1::2], strict=True):
                        numbers[place] = check(number)
                except (TypeError, ValueError):
                    return None
                self._credit = min(self._credit + 1, LEARNT_IN_ADVANCE)
                return form, EncodedRow(numbers, row.categories, row.unknown)
        return None

    def learn(self, request: bytes, bundle: LiveBundle, answer: RowAnswer, row: EncodedRow) -> None:
        """Remember the form of a request that this bundle answers, once it was encoded."""
        if not self._pays():
            return
        encoder = bundle.predictor.encoder
        places: list[int] = []
        numbers = []
        for name, place in number_places(request) or ():
            slot = encoder.number_slot(name)
            if slot is not None:  # else it is the text of a category
                places.append(place)
                numbers.append(slot)
        layout = self._layout(len(request), tuple(places))
        if layout is not None:
            pieces = layout.cut(request)[::2]
            self._count += pieces not in layout.forms
            layout.forms[pieces] = Form(bundle, answer, row, tuple(numbers))

    def _pays(self) -> bool:
        if self._credit <= 0:
            self._passed += 1
            if self._passed % OTHERWISE_ONE_IN:
                return False
        self._credit -= 1
        return True

    def _layout(self, length: int, places: tuple[int, ...]) -> _Layout | None:
        """Return the layout of requests; None when it is of no use to have another one."""
        if self._count >= MOST_FORMS:
            self.forget()
        layouts = self._by_length.setdefault(length, [])
        for layout in layouts:
            if layout.places == places:
                return layout
        if len(layouts) >= MOST_LAYOUTS or not places:
            return None
        ends = [-_NUMBER_SIZE, *places, length]
        between = [f"{there - here - _NUMBER_SIZE}s" for here, there in pairwise(ends)]
        layouts.append(_Layout(places, Struct("<" + "d".join(between)).unpack, {}))
        return layouts[-1]


def number_places(request: bytes) -> list[tuple[str, int]] | None:
    """Return the names of a request's features that are numbers, and where these stand in it.

    None for a request that is written in an unusual way, though it may be a good one.
    """
    found: dict[str, int] = {}
    names: set[bytes] = set()
    try:
        for tag, start, end in _fields(request, 0, len(request)):
            if tag == _FEATURES:
                (key, *name), (kind, *value) = _fields(request, start, end)
                text = request[slice(*name)]
                if (key, kind) != (_NAME, _VALUE) or text in names:
                    return None
                names.add(text)
                if request[value[0]] == _NUMBER and value[1] - value[0] == 1 + _NUMBER_SIZE:
                    found[text.decode()] = value[0] + 1
    except (ValueError, IndexError):
        return None
    return list(found.items())


def _fields(raw: bytes, at: int, end: int) -> Iterator[tuple[int, int, int]]:
    """Yield tag, start and end of each field; ValueError if one has no length before it."""
    while at < end:
        tag = raw[at]
        if tag & 7 != 2 or tag > 127:
            raise ValueError
        length, at = varint(raw, at + 1)
        yield tag, at, at + length
        at += length
    if at != end:
        raise ValueError


def varint(raw: bytes, at: int) -> tuple[int, int]:
    """Return the number that is written at a place, and where it ends; IndexError if cut off."""
    """Return the number that is written at a place, and where it ends; IndexError if cut off."""
    number = shift = 0
    while raw[at] > 127:
        number |= (raw[at] & 127) << shift
        shift += 7
        at += 1
    return number | raw[at] << shift, at + 1
