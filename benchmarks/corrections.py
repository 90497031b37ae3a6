"""Corrections on replays: a group becomes slower by a factor, and answers follow its outcomes.

    python -m benchmarks.corrections --data DIR

Each data set is fitted on a third of its rows (of vision_models, those of the models with most
rows); the others come in as outcomes, in an order by chance, once as they are and once with all
runs of one group slower by a factor. Each run of the group is predicted with the corrections of
that moment and only then reported, with what ran elsewhere meanwhile. Errors are medians of
|log(measured / predicted)| over the group's runs after its first 20 outcomes, and over several
groups that change, each in a replay of its own.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import click
import numpy as np
from rich.console import Console
from rich.table import Table

from benchmarks.bundles import fit_bundle
from benchmarks.datasets import DATA_SETS, Loaded, load
from foretell.corrections import Corrections, CorrectionTable
from foretell.encoding import Encoded
from foretell.predictor import Predictor
from foretell_trainer.corrections.corrector import Corrector
from foretell_trainer.corrections.levels import Floats, Integers
from foretell_trainer.corrections.outcomes import Outcomes
from foretell_trainer.corrections.residuals import links_of

SETTLED = 20
"""Outcomes of the group after which its error is looked at."""
MOST_OWN = 60
"""Runs of the group that are replayed at most."""
LARGEST_SUBJECTS = 120
"""So many models have enough rows in vision_models to be replayed."""
LEVEL = 0.9


@dataclass(frozen=True)
class Scene:
    """A kind of group that changes: so many of the largest, one by one."""

    data_set: str
    metric: str
    group: str
    groups: int


SCENES = (
    Scene("wasm_tasks", "task_duration_sec", "binary_name", 6),
    Scene("vision_models", "latency_ms", "hardware", 4),
    Scene("vision_models", "latency_ms", "model", 8),
)


@dataclass
class Seen:
    """What was seen of some runs: errors in logs, whether intervals held, and their widths."""

    error: list[float]
    held: list[bool]
    width: list[float]

    @classmethod
    def nothing(cls) -> Seen:
        """Return what was seen before the first run."""
        return cls([], [], [])

    def add(self, error: Floats, low: Floats, high: Floats) -> None:
        """Add runs: their errors, and the ends of their intervals beside the median."""
        known = np.isfinite(error)
        self.error += np.abs(error[known]).tolist()
        self.held += ((low <= error) & (error <= high))[known].tolist()
        self.width += (high - low)[known].tolist()


@dataclass(frozen=True)
class Replayed:
    """One replay: of the group's runs each step by itself, of the others all together."""

    own: list[Seen]
    """Corrected; one for each of the group's runs."""
    own_plain: list[Seen]
    others: Seen
    others_plain: Seen


class Replay:
    """The rows of one data set that were not fitted on, in the order in which they come."""

    def __init__(self, predictor: Predictor, loaded: Loaded, rows: Integers) -> None:
        self.predictor = predictor
        self._loaded = loaded
        self._rows = rows
        self._features = loaded.features(rows)
        self._encoded, _ = predictor.encoder.encode_table(self._features, named="name")

    def run(self, scene: Scene, value: str, factor: float) -> Replayed:
        """Replay the rows, those of one group slower by a factor."""
        m = self.predictor.schema.metric_names.index(scene.metric)
        belongs = self._loaded.labels(scene.group)[self._rows] == value
        metrics = self._slowed(m, belongs, factor)
        own = np.flatnonzero(belongs)[:MOST_OWN]
        corrector = Corrector(self.predictor)
        replayed = Replayed([], [], Seen.nothing(), Seen.nothing())
        before = 0
        for row in own:
            others = np.arange(before, row)
            before = row + 1
            table = self._table(corrector)
            for rows, corrected, plain in (
                (others, replayed.others, replayed.others_plain),
                (np.array([row]), Seen.nothing(), Seen.nothing()),
            ):
                corrected.add(*self._errors(rows, metrics, m, table))
                plain.add(*self._errors(rows, metrics, m, None))
                if rows is not others:
                    replayed.own.append(corrected)
                    replayed.own_plain.append(plain)
            corrector.learn(self._outcomes(np.append(others, row), metrics))
        return replayed

    def _slowed(self, metric: int, rows: np.ndarray, factor: float) -> Floats:
        metrics: Floats = self._loaded.columns.metrics[self._rows].copy()
        metrics[rows, metric] *= factor
        for derived, source, power in links_of(self.predictor.schema):
            other, exponent = (source, 1 / power) if derived == metric else (derived, power)
            metrics[rows, other] *= factor**exponent
        return metrics

    def _outcomes(self, rows: Integers, metrics: Floats) -> Outcomes:
        nothing = np.full((len(rows), metrics.shape[1]), np.nan)
        features = {name: values[rows].tolist() for name, values in self._features.items()}
        return Outcomes(features, metrics[rows], nothing, ["completed"] * len(rows))

    def _table(self, corrector: Corrector) -> CorrectionTable | None:
        return self.predictor.compile(
            Corrections("", self.predictor.version, 1, corrector.entries())
        )

    def _errors(
        self, rows: Integers, metrics: Floats, metric: int, table: CorrectionTable | None
    ) -> tuple[Floats, Floats, Floats]:
        if not len(rows):
            return (np.zeros(0),) * 3
        self.predictor.corrections = table
        encoded = Encoded(
            self._encoded.numbers[rows], self._encoded.categories[rows], ((),) * len(rows)
        )
        forecasts = self.predictor.forecast(encoded).forecasts
        self.predictor.corrections = None
        median = np.log(forecasts.median()[:, metric])
        low, high = (np.log(side[:, metric]) - median for side in forecasts.interval(LEVEL))
        return np.log(metrics[rows, metric]) - median, low, high


def replays(scene: Scene, loaded: Loaded, threads: int) -> Iterator[tuple[Replayed, Replayed]]:
    """Yield, for each group, the replay in which nothing changes and that in which it does."""
    rows = np.arange(len(loaded))
    labels = loaded.labels(loaded.about.subject)
    names, counts = np.unique(labels, return_counts=True)
    largest = names[np.argsort(-counts, kind="stable")[:LARGEST_SUBJECTS]]
    rows = np.random.default_rng(0).permutation(rows[np.isin(labels, largest)])
    share = len(rows) // 3
    fit = fit_bundle(loaded, np.sort(rows[:share]), threads, lambda _stage, _fraction: None)
    replay = Replay(fit.predictor, loaded, rows[share:])
    names, counts = np.unique(loaded.labels(scene.group)[rows[share:]], return_counts=True)
    for value in names[np.argsort(-counts, kind="stable")[: scene.groups]]:
        yield replay.run(scene, str(value), 1.0), replay.run(scene, str(value), FACTOR)


FACTOR = 2.0


def _median(seen: list[Seen]) -> float:
    return float(np.median([error for one in seen for error in one.error]))


def _held(seen: list[Seen]) -> str:
    return f"{np.mean([held for one in seen for held in one.held]):.0%}"


def _width(seen: list[Seen], plain: list[Seen]) -> str:
    wide = np.mean([width for one in seen for width in one.width])
    return f"{wide / np.mean([width for one in plain for width in one.width]):.2f}"


def row(scene: Scene, found: list[tuple[Replayed, Replayed]]) -> list[str]:
    """Return what the table says of a scene."""
    late = slice(SETTLED, None)
    usual = [one for still, _ in found for one in still.own_plain[late]]
    settled = [one for _, changed in found for one in changed.own[late]]
    plain = [one for _, changed in found for one in changed.own_plain[late]]
    first = [one for _, changed in found for one in changed.own[3:SETTLED]]
    others = [changed.others for _, changed in found]
    others_plain = [changed.others_plain for _, changed in found]
    still = [one.others for one, _ in found]
    still_plain = [one.others_plain for one, _ in found]
    before = _median(usual)
    return [
        f"{scene.data_set}, {scene.group}",
        str(len(found)),
        f"{before:.3f}",
        f"{_median(plain):.3f}",
        f"{_median(settled):.3f}",
        f"{_median(settled) / before:.2f}",
        f"{_median(others) / _median(others_plain):.2f}",
        f"{_median(still) / _median(still_plain):.2f}",
        f"{_held(usual)} / {_held(plain)} / {_held(first)} / {_held(settled)}",
        f"{_width(first, plain)} / {_width(settled, plain)}",
        f"{_held(others_plain)} / {_held(others)}",
        _width(others, others_plain),
    ]


@click.command(help=__doc__)
@click.option(
    "--data", type=click.Path(path_type=Path, exists=True, file_okay=False), required=True
)
@click.option("--only", default="wasm_tasks,vision_models", show_default=True)
@click.option("--threads", default=1, show_default=True)
def main(data: Path, only: str, threads: int) -> None:
    table = Table(
        "changed",
        "groups",
        "error before",
        "uncorrected",
        "after 20",
        "ratio",
        "others' error",
        "nothing changed",
        "90 % held: before / uncorrected / outcomes 4-20 / after",
        "width: 4-20 / after",
        "others held: plain / corrected",
        "others' width",
    )
    for scene in SCENES:
        if scene.data_set in only.split(","):
            with tempfile.TemporaryDirectory(prefix="foretell-") as scratch:
                loaded = load(DATA_SETS[scene.data_set], data, Path(scratch))
                table.add_row(*row(scene, list(replays(scene, loaded, threads))))
    Console(width=200).print(table)


if __name__ == "__main__":
    main()
