"""What the demo shows: a line per step, a bar while one runs, the table at the end."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table
from rich.text import Text

from foretell.cli.output import duration
from foretell.demo.outcomes import HeldOut, share_inside, typical_excess

if TYPE_CHECKING:
    from foretell.demo.result import DemoResult

NARROWEST = 100
PACE_WORTH_SAYING = 0.05
WIDTH_WITH_MEMORY = 126
"""Columns of text that the whole table takes; a narrower terminal gets the durations alone."""


@dataclass
class Step:
    """One step while it runs: what it says when it is done, and its bar until then."""

    name: str
    progress: Progress
    task: int
    said: list[str] = field(default_factory=list)

    def show(self, done: float, total: float, note: str = "") -> None:
        """Move the bar."""
        self.progress.update(self.task, completed=done, total=total, note=note)  # type: ignore[arg-type]  # an int, not the NewType

    def say(self, text: str) -> None:
        """Add to what is printed when the step is done."""
        self.said.append(text)


class Screen:
    """Prints the story as it happens."""

    def __init__(self, console: Console) -> None:
        self.console = console
        self.seconds: dict[str, float] = {}
        self._number = 0
        self.interrupted = False
        """Whether Ctrl-C was pressed; a library's callback may swallow the exception."""

    @contextmanager
    def step(self, name: str, doing: str) -> Iterator[Step]:
        """Run one step: a bar while it runs, then its line and how long it took."""
        self._number += 1
        began = time.monotonic()
        with self._progress() as progress:
            step = Step(name, progress, progress.add_task(doing, total=None, note=""))
            yield step
        if self.interrupted:
            raise KeyboardInterrupt
        took = time.monotonic() - began
        self.seconds[name] = round(took, 2)
        head = Text(f"{self._number:>2}  {name:<9}", style="bold")
        for line in step.said:
            self.console.print(head + Text(line), soft_wrap=True)
            head = Text(" " * 13)

    def _progress(self) -> Progress:
        return Progress(
            TextColumn("    {task.description}"),
            BarColumn(bar_width=30),
            TextColumn("{task.percentage:>3.0f} %"),
            TimeElapsedColumn(),
            TextColumn("{task.fields[note]}"),
            console=self.console,
            transient=True,
            disable=not self.console.is_terminal,
        )

    def title(self, text: str) -> None:
        """Print what comes first."""
        self.console.print(text, soft_wrap=True)
        self.console.print()

    def end(self, result: DemoResult) -> None:
        """Print the table and what follows from it."""
        self.console.print()
        with_memory = self.console.width >= WIDTH_WITH_MEMORY
        # A narrow terminal folds long lines; cells that are cut off would be worth nothing.
        self.console.width = max(self.console.width, NARROWEST)
        self.console.print(_table(result.held_out, with_memory=with_memory))
        self.console.print()
        for line in _conclusions(result):
            self.console.print(line, soft_wrap=True)


def _table(runs: Sequence[HeldOut], *, with_memory: bool) -> Table:
    table = Table(box=None, pad_edge=False, header_style="bold")
    for name in ("work", "node"):
        table.add_column(name, no_wrap=True)
    names = ["predicted", "80 % interval", "measured", "inside"]
    for name in names + (["memory", "measured", "inside"] if with_memory else []):
        table.add_column(name, justify="left" if name == "inside" else "right", no_wrap=True)
    for run in runs:
        cells = _work(run) + _duration(run)
        table.add_row(*cells, *(_memory(run) if with_memory else []))
    return table


def _work(run: HeldOut) -> list[str]:
    work = f"{run.configuration.task.name}({run.configuration.argument})"
    return [work + (" *" if run.configuration.beyond else ""), run.configuration.node.name]


def _duration(run: HeldOut) -> list[str]:
    forecast, measured = run.prediction["duration_s"], run.measured("duration_s")
    return [
        duration(forecast.median),
        f"{duration(forecast.interval.lower)} … {duration(forecast.interval.upper)}",
        duration(measured) if measured is not None else run.measurement.outcome,
        _inside(run.inside("duration_s")),
    ]


def _memory(run: HeldOut) -> list[str]:
    forecast, measured = run.prediction["memory_kb"], run.measured("memory_kb")
    return [
        megabytes(forecast.median),
        megabytes(measured) if measured is not None else "-",
        _inside(run.inside("memory_kb")),
    ]


def _inside(inside: bool | None) -> str:
    return "?" if inside is None else "yes" if inside else "[red]NO[/red]"


def megabytes(kilobytes: float) -> str:
    """Return an amount of memory given in KiB."""
    return f"{kilobytes / 1024:.1f} MB"


def _conclusions(result: DemoResult) -> list[str]:
    lines = ["* asks for more than was ever measured of this task on this node"]
    for metric, what in (("duration_s", "durations"), ("memory_kb", "memory peaks")):
        inside, known = share_inside(result.held_out, metric)
        share = f"{100 * inside / known:.0f} %" if known else "none"
        lines.append(f"{what}: {inside} of {known} inside their interval: {share}, next to 80 %")
    if result.repeat_noise is not None:
        noise = f"{100 * result.repeat_noise:.1f} %"
        lines.append(f"this machine: repeats of one and the same run lay {noise} from their median")
    lines += _pace(result)
    served = result.served
    lines += [
        f"bundles: {result.first_version}, then {result.second_version}, without a restart",
        f"requests during the swap: {served.answered} served, {served.failed} failed "
        f"({', '.join(f'{count} by {version}' for version, count in served.versions.items())}); "
        f"half of them took {duration(served.median_s)} at most",
    ]
    total = sum(result.seconds.values())
    lines.append(f"{total:.0f} s in all" + (f"; kept in {result.kept}" if result.kept else ""))
    return lines


def _pace(result: DemoResult) -> list[str]:
    """Return what a machine that changed its own pace did to medians and intervals."""
    pace = result.pace_change
    if pace is None or abs(pace) <= PACE_WORTH_SAYING:
        return []
    what = "slower" if pace > 0 else "faster"
    lines = [
        f"and the machine itself was {100 * abs(pace):.0f} % {what} while these ran than while it "
        "was learned from (others use it too), which no forecast could know:"
    ]
    excess = typical_excess(result.held_out, "duration_s")
    if excess is not None:
        side = "above" if excess > 0 else "below"
        lines.append(f"  durations lay {100 * abs(excess):.0f} % {side} their predicted medians;")
    inside, known = share_inside(result.held_out, "duration_s", pace)
    lines.append(f"  at the earlier pace {inside} of {known} would be inside their intervals")
    return lines
