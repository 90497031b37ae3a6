"""Parcels: many observations as one short text, the form in which they cross the broker.

Whatever handles a Celery message decodes all of it: the broker's client, the process that takes it
off the queue, and the one that works on it. A text is one value to them, however much is in it.
"""

from __future__ import annotations

import binascii
import zlib
from base64 import b64decode, b64encode
from collections.abc import Mapping, Sequence
from typing import Any

from pydantic_core import to_json

_FAST = 1
"""Compression that takes 3 µs of a processor for an observation, and leaves a third."""


def pack(observations: Sequence[Mapping[str, Any]]) -> str:
    """Return observations, in the JSON form of `Observation`, as a parcel."""
    text = to_json(observations, inf_nan_mode="constants")
    return b64encode(zlib.compress(text, _FAST)).decode()


def unpack(parcel: str) -> bytes:
    """Return the JSON text, a list of observations, that is in a parcel.

    Raises:
        ValueError: it is not a parcel.
    """
    try:
        return zlib.decompress(b64decode(parcel, validate=True))
    except (binascii.Error, zlib.error) as error:
        raise ValueError(str(error)) from error
