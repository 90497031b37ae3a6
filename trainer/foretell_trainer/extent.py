"""Extents: how much of what was observed a training run learns from, and why.

All of it, as long as the world is as it was. When answers about some group have to be corrected by
a fifth or more, what is old misleads: then the newest, if there is more than a window of them. And
where a fit takes long and little is new, the current bundle is updated with that alone.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC
from typing import Any, Literal

import duckdb

from foretell.bundle import STATE_FILE, Manifest
from foretell.corrections import Corrections
from foretell.errors import InvalidInput, Violation
from foretell.schema import Schema
from foretell_trainer.store import Store

MUCH = 0.2
"""A share: by so much the answers about a group are off when its old observations mislead."""
SMALLEST_WINDOW = 100

MOST_NEW = 0.25
"""With more new rows than this share of those fitted to, there is much to learn: all anew."""
FEWEST_NEW = 50
MOST_UPDATES = 5
"""After so many updates of one fit the next run is a fit, so that no fault of theirs adds up."""
WORTH_S = 20.0
"""A fit that takes less is not worth an update, which is a little worse."""

Mode = Literal["full", "windowed", "update"]
MODES: tuple[Mode, ...] = ("full", "windowed", "update")


@dataclass(frozen=True)
class Extent:
    """What a run learns from."""

    mode: Mode
    why: str
    window: int | None = None
    """How many of the newest observations; None for all."""
    is_asked: bool = False
    """Whether the spec asks for it."""
    base: str = ""
    """Of an update: the version that is updated."""

    def sentence(self, rows: int, new: int = 0) -> str:
        """Return it for people; the snapshot has so many observations, of which some are new."""
        if self.mode == "update":
            return f"{self.base} was updated with {new} new of {rows} observations ({self.why})"
        kept = "all" if self.window is None else "the newest"
        return f"learned from {kept} {rows} observations ({self.why})"


@dataclass(frozen=True)
class Ground:
    """What an update would stand on: the current bundle, and what was stored since."""

    version: str
    rows: int
    """How many rows it was fitted to."""
    new: int
    """How many were stored since its snapshot was taken."""
    family: str
    updates: int = 0
    """How many updates it is from a fit."""
    fit_seconds: float = 0.0
    """How long that fit took."""
    why_not: str = ""
    """Why it cannot be updated at all; empty when it can."""


def find_extent(
    spec: Mapping[str, Any],
    schema: Schema,
    store: Store,
    window: int,
    corrections: Corrections | None,
    current: Manifest | None,
) -> Extent:
    """Return the extent of a run on what is stored; `current` is the bundle that answers now.

    Raises Unavailable when the store is held by somebody else.
    """
    if corrections is not None and corrections.bundle_version != (current and current.version):
        corrections = None
    with store.open() as connection:
        rows = connection.execute(
            "SELECT count(*) FROM observations WHERE workload = ?", [schema.workload]
        ).fetchall()
        ground = None if current is None else _ground(connection, schema, current)
    return choose_extent(spec, schema, int(rows[0][0]), window, corrections, ground)


def _ground(connection: duckdb.DuckDBPyConnection, schema: Schema, current: Manifest) -> Ground:
    # Where the snapshot was taken elsewhere, the bundle was made soon after it.
    made = current.created_at.astimezone(UTC).replace(tzinfo=None)
    new = connection.execute(
        "SELECT count(*) FROM observations WHERE workload = ? AND received_at > coalesce("
        " (SELECT max(taken_at) FROM snapshots WHERE sha256 = ?), ?)",
        [schema.workload, current.lineage.snapshot_sha256, made],
    ).fetchall()
    why_not = ""
    if STATE_FILE not in current.files:
        why_not = f"bundles of the family {current.family!r} are not updated"
    elif current.schema_fingerprint != schema.fingerprint:
        why_not = "the schema is another one now"
    return Ground(
        version=current.version,
        rows=current.lineage.rows,
        new=int(new[0][0]),
        family=current.family,
        updates=int(current.training.get("update", {}).get("updates_since_fit", 0)),
        fit_seconds=fit_seconds(current),
        why_not=why_not,
    )


def fit_seconds(manifest: Manifest) -> float:
    """Return how long the fit to all rows took that a bundle rests on."""
    training = manifest.training
    return float(training.get("fit_seconds") or training.get("seconds") or 0.0)


def choose_extent(
    spec: Mapping[str, Any],
    schema: Schema,
    stored: int,
    window: int,
    corrections: Corrections | None,
    ground: Ground | None = None,
) -> Extent:
    """Return the extent of a run, as its spec asks, or else by how much changed.

    `stored` is how many observations there are, `window` how many a window has by itself, and
    `corrections` are those of the current bundle, which is the `ground` of an update. Raises
    InvalidInput for a spec that asks for what there is not.
    """
    mode, asked = spec.get("mode") or "", int(spec.get("window_rows") or window)
    if mode not in ("", *MODES):
        raise _refused("mode", mode, f"{mode!r} is no mode; one of {', '.join(MODES)}")
    if asked < SMALLEST_WINDOW:
        why = f"{asked} rows are too few; at least {SMALLEST_WINDOW}"
        raise _refused("window_rows", str(asked), why)
    if mode == "full":
        return Extent("full", "asked for", is_asked=True)
    if mode == "update":
        return _asked_update(ground)
    if mode == "windowed":
        few = stored <= asked
        why = "there are no more than a window has" if few else "asked for"
        return Extent("full", why) if few else Extent("windowed", why, asked, is_asked=True)
    changed = _changed(schema, corrections)
    if changed:
        why = f"answers about {changed} had to be corrected by much"
        return Extent("windowed", why, asked) if stored > asked else Extent("full", why)
    return _with_little_change(spec, schema, ground)


def _with_little_change(spec: Mapping[str, Any], schema: Schema, ground: Ground | None) -> Extent:
    why_not = _why_no_update(spec, schema, ground)
    if why_not or ground is None:
        return Extent("full", why_not)
    why = f"little is new, and a fit takes {ground.fit_seconds:.0f} s"
    return Extent("update", why, base=ground.version)


def _asked_update(ground: Ground | None) -> Extent:
    why_not = "there is no bundle to go on from" if ground is None else ground.why_not
    if ground is None or why_not:
        raise _refused("mode", "update", why_not)
    return Extent("update", "asked for", is_asked=True, base=ground.version)


def _why_no_update(spec: Mapping[str, Any], schema: Schema, ground: Ground | None) -> str:
    """Return why a run that nobody said the mode of is no update; empty when it is one."""
    if ground is None:
        return "there is no bundle to go on from"
    family = spec.get("fit", {}).get("family") or schema.family
    reasons = (
        (bool(ground.why_not), ground.why_not),
        ("search" in spec, "a search tries fits to all of them"),
        ("split" in spec, "a cross-validation fits to parts of all of them"),
        (family != ground.family, f"the current bundle is of the family {ground.family!r}"),
        (ground.fit_seconds < WORTH_S, f"a fit takes {ground.fit_seconds:.0f} s"),
        (ground.new < FEWEST_NEW, f"{ground.new} new ones are too few to update with"),
        (ground.new > MOST_NEW * ground.rows, f"{ground.new} of them are new, which is much"),
        (ground.updates >= MOST_UPDATES, f"the current bundle is {ground.updates} updates old"),
    )
    return next((why for is_so, why in reasons if is_so), "")


def _refused(field: str, value: str, why: str) -> InvalidInput:
    return InvalidInput([Violation(field, value, why)])


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
