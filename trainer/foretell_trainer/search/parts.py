"""Trials as parts of shared work."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from foretell.catalog import CatalogTable
from foretell.schema import Schema
from foretell_trainer.crew.told import Answer, Part, Told
from foretell_trainer.search.trials import Bar, Ground, Result, Tuned, run_trial
from foretell_trainer.snapshot import Snapshot, read_snapshot


@dataclass(frozen=True)
class PreparedTrials:
    """A ground on which trials of others are run."""

    ground: Ground

    @property
    def fingerprint(self) -> str:
        """Of all that an error depends on."""
        return self.ground.fingerprint

    def do(self, part: Part, should_stop: Callable[[], bool]) -> Part:
        """Run a trial."""
        return run_trial(self.ground, *trial_of(part), should_stop).to_json()


def told_trials(
    schema: Schema, snapshot: Snapshot, catalogs: Sequence[CatalogTable], ground: Ground
) -> Told:
    """Return a search as it is told to others."""
    about = (schema, snapshot, tuple(catalogs), ground.settings)
    return Told("trials", *about, ground.fingerprint, {})


def prepare_trials(told: Told) -> PreparedTrials:
    """Prepare the ground of a search that somebody told of."""
    columns = read_snapshot(told.snapshot, told.schema)
    return PreparedTrials(Ground.of(told.schema, columns, told.catalogs, told.settings))


def part_of_trial(tuned: Tuned, bar: Bar) -> dict[str, Any]:
    """Return a trial as a part."""
    return {"tuned": dict(tuned), "bar": list(bar.values)}


def trial_of(part: Mapping[str, Any]) -> tuple[Tuned, Bar]:
    """Return the settings and the bar of a trial that `part_of_trial` wrote down."""
    return part["tuned"], Bar(tuple(part["bar"]))


def result_of(answer: Answer) -> Result:
    """Return what came of a trial elsewhere."""
    if answer.result is None:
        return Result((), failure=answer.failure)
    return Result.from_json(answer.result)
