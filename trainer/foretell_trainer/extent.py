"""Extents: how much of what was observed a training run learns from, and why.

All of it, as long as the world is as it was. When answers about some group have to be corrected by
a fifth or more, what is old misleads: then the newest, if there is more than a window of them.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from foretell.corrections import Corrections
from foretell.errors import InvalidInput, Violation
from foretell.schema import Schema
from foretell_trainer.store import Store

MUCH = 0.2
"""A share: by so much the answers about a group are off when its old observations mislead."""
SMALLEST_WINDOW = 100

Mode = Literal["full", "windowed"]


@dataclass(frozen=True)
class Extent:
    """What a run learns from."""

    mode: Mode
    why: str
    window: int | None = None
    """How many of the newest observations; None for all."""

    def sentence(self, rows: int) -> str:
        """Return it for people; `rows` is how many observations the snapshot has."""
        kept = "all" if self.window is None else "the newest"
        return f"learned from {kept} {rows} observations ({self.why})"


def find_extent(
    spec: Mapping[str, Any],
    schema: Schema,
    store: Store,
    window: int,
    corrections: Corrections | None,
    current: str,
) -> Extent:
    """Return the extent of a run on what is stored; `current` is the bundle that answers now.

    Raises Unavailable when the store is held by somebody else.
    """
    if corrections is not None and corrections.bundle_version != current:
        corrections = None
    with store.open() as connection:
        rows = connection.execute(
            "SELECT count(*) FROM observations WHERE workload = ?", [schema.workload]
        ).fetchall()
    return choose_extent(spec, schema, int(rows[0][0]), window, corrections)


def choose_extent(
    spec: Mapping[str, Any],
    schema: Schema,
    stored: int,
    window: int,
    corrections: Corrections | None,
) -> Extent:
    """Return the extent of a run, as its spec asks, or else by how much changed.

    `stored` is how many observations there are, `window` how many a window has by itself, and
    `corrections` are those of the current bundle. Raises InvalidInput for a spec that asks for
    what there is not.
    """
    mode, asked = spec.get("mode") or "", int(spec.get("window_rows") or window)
    if mode not in ("", "full", "windowed"):
        why = f"{mode!r} is no mode; one of full, windowed"
        raise InvalidInput([Violation("mode", str(mode), why)])
    if asked < SMALLEST_WINDOW:
        why = f"{asked} rows are too few; at least {SMALLEST_WINDOW}"
        raise InvalidInput([Violation("window_rows", str(asked), why)])
    if mode == "full":
        return Extent("full", "asked for")
    if stored <= asked:
        return Extent("full", "there are no more than a window has")
    if mode == "windowed":
        return Extent("windowed", "asked for", asked)
    changed = _changed(schema, corrections)
    if changed:
        return Extent("windowed", f"answers about {changed} had to be corrected by much", asked)
    return Extent("full", "answers had not to be corrected by much")


def _changed(schema: Schema, corrections: Corrections | None) -> str:
    """Return which groups' answers are off by much, for people; empty when none are."""
    log = [metric.scale == "log" for metric in schema.metrics]
    found = [
        " ".join(entry.values)
        for entry in (corrections.entries if corrections is not None else ())
        if any(
            is_log and abs(shift) >= math.log1p(MUCH)
            for shift, is_log in zip(entry.shift, log, strict=True)
        )
    ]
    more = f" and {len(found) - 1} more" if len(found) > 1 else ""
    return f"{found[0]}{more}" if found else ""
