"""Known rows: some of what a bundle was trained on, kept beside its graph to explain answers.

One file, `known.npz`: distinct configurations as the graph takes them, how many training rows
each stands for, and what was measured. It holds at most `MOST_ROWS` rows and, before it is
compressed, about `MOST_BYTES`.
"""

from __future__ import annotations

import io
import zipfile
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from foretell.columns import Codes, Numbers

KNOWN_FILE = "known.npz"
MOST_ROWS = 2000
MOST_BYTES = 512 * 1024

_NAMES = ("numbers", "categories", "rows", "metrics")


@dataclass(frozen=True, slots=True)
class KnownRows:
    """Distinct configurations of the training data, in random order."""

    numbers: Numbers
    """float64 [K, F_num], NaN for missing; see `foretell.encoding`."""
    categories: Codes
    """int64 [K, F_cat], -1 for missing."""
    rows: NDArray[np.int64]
    """[K]: how many training rows have this configuration, at least 1."""
    metrics: NDArray[np.float64]
    """[K, M]: the median of what they measured, in the metrics' units; NaN for never."""

    def __len__(self) -> int:
        return len(self.rows)

    def to_bytes(self) -> bytes:
        """Return the content of the file; the same rows give the same bytes."""
        buffer = io.BytesIO()
        # Codes and counts are small, and the names are those of the fields.
        np.savez_compressed(
            buffer,
            numbers=self.numbers,
            categories=self.categories.astype(np.int32),
            rows=self.rows.astype(np.int32),
            metrics=self.metrics,
        )
        return buffer.getvalue()

    @classmethod
    def from_bytes(
        cls, content: bytes, sizes: tuple[int, ...], numbers: int, metrics: int
    ) -> KnownRows:
        """Return what a file holds; ValueError when it does not fit the bundle.

        `sizes` are how many values each category has, `numbers` and `metrics` how many columns
        there are.
        """
        try:
            with np.load(io.BytesIO(content), allow_pickle=False) as file:
                arrays = [file[name] for name in _NAMES]
        except (OSError, KeyError, ValueError, EOFError, zipfile.BadZipFile) as error:
            raise ValueError(f"is not a file of known rows: {error}") from error
        count = arrays[2].shape[:1]
        expected = [(*count, numbers), (*count, len(sizes)), count, (*count, metrics)]
        if not count or [array.shape for array in arrays] != expected:
            shapes = ", ".join(str(array.shape) for array in arrays)
            raise ValueError(f"holds arrays of {shapes}; the schema wants {expected}")
        codes = arrays[1].astype(np.int64)
        if ((codes < -1) | (codes >= np.array(sizes, np.int64))).any():
            raise ValueError("has a category that the vocabulary does not have")
        return cls(
            arrays[0].astype(np.float64),
            codes,
            np.maximum(arrays[2].astype(np.int64), 1),
            arrays[3].astype(np.float64),
        )
