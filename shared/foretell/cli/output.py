"""What commands print: tables and progress for people, JSON for machines."""

from __future__ import annotations

import json
import math
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, is_dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from rich.console import Console
    from rich.progress import Progress

WIDTH_WITHOUT_TERMINAL = 130
FIRST_REJECTIONS = 5


def print_json(value: object, *, compact: bool = False) -> None:
    """Print a value as JSON; see `json_text`."""
    click.echo(json_text(value, compact=compact))
    sys.stdout.flush()


def json_text(value: object, *, compact: bool = False) -> str:
    """Return a value as JSON; NaN and infinity, which JSON does not have, become null."""
    return json.dumps(_plain(value), indent=None if compact else 1, ensure_ascii=False)


def say(text: str = "", *, quiet: bool = False) -> None:
    """Print a line for people, unless JSON was asked for."""
    if not quiet:
        click.echo(text)


def console(*, stderr: bool = False) -> Console:
    """Return a console that is as wide as the terminal, or wide enough for tables in a file."""
    from rich.console import Console

    stream = sys.stderr if stderr else sys.stdout
    width = None if stream.isatty() else WIDTH_WITHOUT_TERMINAL
    return Console(stderr=stderr, width=width, highlight=False)


def print_table(header: Sequence[str], rows: Sequence[Sequence[str]], indent: int = 0) -> None:
    """Print a plain table, columns aligned to the left."""
    widths = [max(map(len, column)) for column in zip(header, *rows, strict=True)]
    for row in (header, *rows):
        cells = (cell.ljust(width) for cell, width in zip(row, widths, strict=True))
        click.echo(" " * indent + "  ".join(cells).rstrip())


@contextmanager
def progress_bar(*, quiet: bool = False) -> Iterator[Progress]:
    """Show progress on standard error while the block runs, if that is a terminal."""
    from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

    shown = console(stderr=True)
    with Progress(
        TextColumn("{task.description:<28}"),
        BarColumn(),
        TextColumn("{task.percentage:>3.0f} %"),
        TimeElapsedColumn(),
        TextColumn("{task.fields[note]}"),
        console=shown,
        transient=True,
        disable=quiet or not shown.is_terminal,
    ) as progress:
        yield progress


@contextmanager
def progress_of(
    first: str, *, quiet: bool = False
) -> Iterator[Callable[[str, float, Mapping[str, float]], None]]:
    """Show the progress of one piece of work, told as stage, fraction done and numbers so far."""
    with progress_bar(quiet=quiet) as progress:
        task = progress.add_task(first, total=1.0, note="")

        def tell(stage: str, fraction: float, numbers: Mapping[str, float]) -> None:
            progress.update(task, description=stage, completed=fraction, note=numbers_text(numbers))

        yield tell


@contextmanager
def stages_of(
    job_id: str, *, quiet: bool = False
) -> Iterator[Callable[[str, float, Mapping[str, float]], None]]:
    """Show the progress of a job; where nobody watches a terminal, as a line for each stage."""
    if quiet or console(stderr=True).is_terminal:
        with progress_of("queued", quiet=quiet) as bar:
            yield bar
        return
    told = ""

    def tell(stage: str, fraction: float, numbers: Mapping[str, float]) -> None:
        nonlocal told
        if stage != told:
            told = stage
            line = {"job": job_id, "stage": stage, "fraction_done": round(fraction, 3), **numbers}
            click.echo(json.dumps(_plain(line)), err=True)

    yield tell


def numbers_text(numbers: Mapping[str, float], most: int = 4) -> str:
    """Return the numbers that a training run has so far, as one short text."""
    shown = list(numbers.items())[-most:]
    return ", ".join(f"{name} {short(value)}" for name, value in shown)


def short(value: float, unit: str = "") -> str:
    """Return a number with four significant digits, and its unit if it has one."""
    if not math.isfinite(value):
        return "-"
    text = f"{value:.0f}" if 1000 <= abs(value) < 1e7 else f"{value:.4g}"
    return text if unit in ("", "1") else f"{text} {unit}"


def duration(seconds: float) -> str:
    """Return a duration with the unit that suits it: 1.23 ms, 45.6 ms, 1.23 s."""
    for limit, factor, unit in ((1e-3, 1e6, "µs"), (1.0, 1e3, "ms")):
        if seconds < limit:
            return f"{seconds * factor:.3g} {unit}"
    return f"{seconds:.3g} s" if seconds < 100 else f"{seconds:.0f} s"


def print_rejections(rejected: Sequence[object], *, quiet: bool = False) -> None:
    """Print how many rows were not used, and why the first of them were not."""
    if not quiet:
        rows = "row" if len(rejected) == 1 else "rows"
        _print_first(f"{rows} rejected", rejected)


def print_left_out(left_out: Sequence[object], *, quiet: bool = False) -> None:
    """Print how many rows are used without some of their measurements, and the first of them."""
    if not quiet:
        rows = "row has" if len(left_out) == 1 else "rows have"
        _print_first(f"{rows} measurements that cannot be and are left out", left_out)


def print_flagged(flagged: int, *, quiet: bool = False) -> None:
    """Print how many observations break what the schema declares."""
    if flagged and not quiet:
        some = "observation breaks" if flagged == 1 else "observations break"
        kept = "is" if flagged == 1 else "are"
        click.echo(
            f"{flagged} {some} a declared identity and {kept} kept out of training: anomalies",
            err=True,
        )


def _print_first(what: str, rows: Sequence[object]) -> None:
    if rows:
        click.echo(f"{len(rows)} {what}:", err=True)
    for row in rows[:FIRST_REJECTIONS]:
        click.echo(f"  {row}", err=True)
    if len(rows) > FIRST_REJECTIONS:
        click.echo(f"  and {len(rows) - FIRST_REJECTIONS} more", err=True)


def _plain(value: object) -> Any:  # noqa: ANN401, PLR0911 -- JSON is any of these
    if is_dataclass(value) and not isinstance(value, type):
        return _plain(asdict(value))
    if hasattr(value, "_asdict"):  # a named tuple
        return _plain(value._asdict())
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple | set | frozenset | range):
        return [_plain(item) for item in value]
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, Path):
        return str(value)
    if hasattr(value, "tolist"):
        return _plain(value.tolist())
    if isinstance(value, float) and not math.isfinite(value):
        return None
    if value is None or isinstance(value, str | int | float | bool):
        return value
    return str(value)
