"""Variants: rows that share most of their features, and have a few of their own."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from foretell.columns import Codes, Numbers
from foretell.encoding import Encoded, Encoder
from foretell.parsing import Value


class _Own(NamedTuple):
    """What the rows have of their own, encoded, and in which columns."""

    in_numbers: NDArray[np.bool_]
    numbers: Numbers
    in_categories: NDArray[np.bool_]
    categories: Codes


class Variants:
    """Rows by what is their own; what they share comes with each question.

    MUST say the same as `Encoder.encode_variants`; a test compares them. Where all rows have the
    same features of their own, and nothing that is unknown among them, these are read once.
    """

    def __init__(self, encoder: Encoder, own: Sequence[Mapping[str, Value]]) -> None:
        """Keep the features of at least one row; these never change."""
        self.encoder = encoder
        self.own = own
        self._steady = _is_steady(own)
        self._read: _Own | None = None

    def encode(self, common: Mapping[str, Value]) -> Encoded:
        """Return one row for each variant: what is common, replaced by what is its own.

        Raises InvalidInput as `Encoder.encode_variants` does.
        """
        read = self._read
        if read is None:
            encoded = self.encoder.encode_variants(common, self.own)
            self._read = self._learn(encoded)
            return encoded
        base = self.encoder.encode_row({**common, **self.own[0]})
        return Encoded(
            np.where(read.in_numbers, read.numbers, np.array(base.numbers, np.float64)),
            np.where(read.in_categories, read.categories, np.array(base.categories, np.int64)),
            (base.unknown,) * len(self.own),
        )

    def _learn(self, encoded: Encoded) -> _Own | None:
        """Return the columns that are the variants' own; None where these depend on the rest."""
        own, schema = set(self.own[0]), self.encoder.schema
        own |= {f.name for f in schema.features if f.derive and f.derive.source in own}
        # What is unknown may be met later, and has another code then.
        if not self._steady or any(own.intersection(row) for row in encoded.unknown):
            return None
        in_numbers, in_categories = (
            np.array([name in own for name in names], dtype=np.bool_)
            for names in (schema.number_names, schema.category_names)
        )
        return _Own(in_numbers, encoded.numbers, in_categories, encoded.categories)


def _is_steady(own: Sequence[Mapping[str, Value]]) -> bool:
    """Return whether all rows say something of the same features, so that no other row counts."""
    names = own[0].keys() if own else ()
    return all(row.keys() == names and None not in row.values() for row in own)
