"""What a fit does not see, so that its bundle can be compared with the current one.

Two parts of a snapshot are kept from every fit that goes through the gate. The *golden* rows are
a share of all, chosen by the hash of their ids: so a row that is golden once is golden for ever,
on every machine, without anybody keeping a list. The *newest* rows are the last of those that the
current bundle was not fitted on. What is judged is what is served: the bundle is not fitted again
on the rows that judged it; the newest of today are learned from by the next run.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Booleans = NDArray[np.bool_]
Integers = NDArray[np.int64]

GOLDEN_FROM_ROWS = 300
"""Of fewer rows none is golden: all of them are needed to learn from."""
GOLDEN_ROWS = 1000
"""So many rows are golden at least, if the largest share allows it."""
GOLDEN_SHARES = (0.03, 0.1)
"""The smallest and the largest share of rows that are golden."""
LEARNED_FIRST = 5
"""The first so many rows of each id are never held out: a new id is learned from at once."""

NEWEST_LEAST, NEWEST_MOST = 30, 2000
"""How many of the newest rows are enough, and how many are too many."""

_HASHES = float(2**64)

Key = tuple[int, str]
"""Microseconds and id of an observation: an order of all observations without ties."""


@dataclass(frozen=True)
class Rows:
    """What the split looks at, of each row of a snapshot, in the order of the store."""

    ids: NDArray[np.object_]
    time: NDArray[np.datetime64]
    groups: Sequence[NDArray[np.object_]]
    """The values of each id by itself, [n] each."""

    def __len__(self) -> int:
        return len(self.ids)

    def keys(self) -> list[Key]:
        """Return the place of each row in time."""
        micros = self.time.astype("datetime64[us]").astype(np.int64)
        return list(zip(micros.tolist(), map(str, self.ids.tolist()), strict=True))


@dataclass(frozen=True)
class Past:
    """What the current bundle was fitted on, and what was kept from it."""

    in_snapshot: Booleans
    """[n]: whether its snapshot had the row."""
    golden_share: float = 0.0
    newest_from: Key | None = None


@dataclass(frozen=True)
class HeldOut:
    """Rows of a snapshot, by position: those to fit on, and those to compare on."""

    fit: Integers
    golden: Integers
    """Golden rows of before, that neither bundle was fitted on."""
    newest: Integers
    """The newest rows, that neither bundle was fitted on."""
    golden_share: float
    newest_from: Key | None
    unseen: Booleans
    """Per row to fit on: whether the current bundle was not fitted on it."""

    def describe(self) -> dict[str, Any]:
        """Return what a manifest says of it; `past_of` reads it again."""
        return {
            "golden_share": self.golden_share,
            "newest_from": list(self.newest_from) if self.newest_from else None,
            "rows": {
                "fit": len(self.fit),
                "golden": len(self.golden),
                "newest": len(self.newest),
            },
        }


def past_of(evaluation: Mapping[str, Any], in_snapshot: Booleans) -> Past:
    """Return what a report card says of the rows that were kept from a bundle's fit."""
    kept = evaluation.get("gate", {}).get("held_out", {})
    start = kept.get("newest_from")
    return Past(
        in_snapshot,
        float(kept.get("golden_share", 0.0)),
        (int(start[0]), start[1]) if start else None,
    )


def hold_out(rows: Rows, past: Past | None, newest_share: float) -> HeldOut:
    """Return which rows to fit on, and which to compare with the current bundle on.

    Without a current bundle there is nothing to compare, and only the golden rows are kept for
    those that come. With ``newest_share`` 0 none of the newest are held out.
    """
    share = golden_share(len(rows))
    hashes = _hashes(rows.ids)
    late = np.ones(len(rows), dtype=np.bool_)
    for values in rows.groups:
        late &= _seen_before(values) >= LEARNED_FIRST
    golden = late & (hashes < share)
    nothing = np.zeros(len(rows), dtype=np.bool_)
    if past is None:
        fit = np.flatnonzero(~golden)
        every = np.ones(len(fit), dtype=np.bool_)
        return HeldOut(fit, *_rows(nothing, nothing), share, None, every)
    keys = rows.keys()
    unseen = ~past.in_snapshot | (late & _since(keys, past.newest_from))
    start = _newest_from([key for key, new in zip(keys, unseen, strict=True) if new], newest_share)
    newest = late & _since(keys, start)
    # Rows that are golden by the share of both: neither of the two was fitted on them.
    judged = late & (hashes < min(share, past.golden_share)) & ~unseen
    fit = np.flatnonzero(~golden & ~newest)
    return HeldOut(fit, *_rows(judged, newest & unseen), share, start, unseen[fit])


def golden_share(rows: int) -> float:
    """Return the share of so many rows that is golden."""
    if rows < GOLDEN_FROM_ROWS:
        return 0.0
    least, most = GOLDEN_SHARES
    return round(min(max(GOLDEN_ROWS / rows, least), most), 4)


def _rows(golden: Booleans, newest: Booleans) -> tuple[Integers, Integers]:
    return np.flatnonzero(golden), np.flatnonzero(newest)


def _newest_from(keys: list[Key], share: float) -> Key | None:
    """Return the first key of the last share of those given; None when none are held out."""
    wanted = max(int(share * len(keys)), min(NEWEST_LEAST, len(keys) // 2))
    count = min(wanted, NEWEST_MOST) if share > 0 else 0
    return sorted(keys)[-count] if count else None


def _since(keys: list[Key], start: Key | None) -> Booleans:
    if start is None:
        return np.zeros(len(keys), dtype=np.bool_)
    return np.array([key >= start for key in keys], dtype=np.bool_)


def _hashes(ids: NDArray[np.object_]) -> NDArray[np.float64]:
    """Return a number in [0, 1) for each id, the same everywhere and at any time."""
    digests = (hashlib.sha256(str(name).encode()).digest()[:8] for name in ids)
    return np.array([int.from_bytes(digest) for digest in digests], dtype=np.float64) / _HASHES


def _seen_before(values: NDArray[np.object_]) -> Integers:
    """Return how often each row's value was there before it."""
    counts: dict[Any, int] = {}
    before = np.empty(len(values), dtype=np.int64)
    for row, value in enumerate(values.tolist()):
        before[row] = counts.get(value, 0)
        counts[value] = int(before[row]) + 1
    return before
