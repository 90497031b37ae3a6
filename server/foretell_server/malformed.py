"""Why the bytes of a request are not the message that they should be."""

from __future__ import annotations

from collections import Counter
from typing import Any

from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.empty_pb2 import Empty
from google.protobuf.message import DecodeError, Message
from google.protobuf.unknown_fields import UnknownFieldSet

from foretell.errors import Violation

_BYTES_FOLLOW = 2
"""The wire type of texts and messages."""


def why_malformed(kind: type[Message], raw: bytes) -> Violation:
    """Return what is wrong with bytes that do not parse; the field, where a text is the reason."""
    found = _bad_text(kind.DESCRIPTOR, raw)
    if found is not None:
        return found
    return Violation("request", "", f"the bytes are not a {kind.DESCRIPTOR.full_name}")


def _bad_text(descriptor: Any, raw: bytes, path: str = "") -> Violation | None:  # noqa: ANN401 -- of either kind
    """Return the first text that is not UTF-8; None when there is none, or none to be found."""
    places: Counter[str] = Counter()
    for sent in _fields(raw):
        field = descriptor.fields_by_number.get(sent.field_number)
        if field is None or sent.wire_type != _BYTES_FOLLOW:
            continue
        found = _bad_in(field, sent.data, path + _place(field, sent.data, places[field.name]))
        if found is not None:
            return found
        places[field.name] += 1
    return None


def _bad_in(field: FieldDescriptor, content: bytes, path: str) -> Violation | None:
    if field.type == FieldDescriptor.TYPE_STRING:
        try:
            content.decode()
        except UnicodeDecodeError:
            return Violation(path, repr(content[:32])[2:-1], "is not text in UTF-8")
    if field.message_type is None:
        return None
    found = _bad_text(field.message_type, content, f"{path}.")
    if found is not None and field.message_type.GetOptions().map_entry:
        return Violation(path, found.value, found.message)
    return found


def _place(field: FieldDescriptor, content: bytes, number: int) -> str:
    """Return a field as violations name it: `features[payload]`, `columns[2]`, `workload`."""
    if field.message_type is not None and field.message_type.GetOptions().map_entry:
        sent = [one for one in _fields(content) if one.wire_type == _BYTES_FOLLOW]
        keys = [one.data for one in sent if one.field_number == 1]
        return f"{field.name}[{keys[-1].decode(errors='replace') if keys else ''}]"
    return f"{field.name}[{number}]" if field.default_value == [] else field.name


def _fields(raw: bytes) -> list[Any]:
    """Return the fields of any message's bytes; none when they are not a message."""
    try:
        # Of a message without fields all that is sent is unknown, and so can be looked through.
        found = UnknownFieldSet(Empty.FromString(raw))
    except DecodeError:
        return []
    return [found[i] for i in range(len(found))]
