"""The results, as lines while they come and as Markdown in the end."""

from __future__ import annotations

from collections.abc import Sequence

import click

from benchmarks.serving.duel import Result

HEAD = (
    "| what | ours | against | theirs | ratio (lowest to highest) | asked "
    "| server CPU µs, ours / theirs | failed |\n|---|---:|---|---:|---:|---:|---:|---:|"
)


def show(result: Result) -> None:
    """Print one result as a line."""
    verdict = {True: "met", False: "NOT MET", None: ""}[result.met]
    click.echo(
        f"{result.duel.name:32} {_value(result.ours, result)} vs {result.duel.against}: "
        f"{_value(result.theirs, result)}  ratio {_ratio(result)} {_asked(result)} {verdict}  "
        f"cpu {_cpu(result)} µs" + (f"  FAILED {result.failed}" if result.failed else "")
    )


def render(results: Sequence[Result]) -> str:
    """Return all results as a Markdown table."""
    return "\n".join([HEAD, *map(_row, results), ""])


def _row(result: Result) -> str:
    cells = (
        result.duel.name,
        _value(result.ours, result),
        result.duel.against,
        _value(result.theirs, result),
        _ratio(result),
        _asked(result),
        _cpu(result),
        str(result.failed),
    )
    return f"| {' | '.join(cells)} |"


def _value(value: float, result: Result) -> str:
    digits = 0 if value >= 100 else 2
    return f"{value:,.{digits}f} {result.duel.unit}"


def _ratio(result: Result) -> str:
    return f"{result.ratio:.2f} ({min(result.ratios):.2f} to {max(result.ratios):.2f})"


def _asked(result: Result) -> str:
    duel = result.duel
    if duel.at_least is not None:
        return f"≥ {duel.at_least:g}"
    return "" if duel.at_most is None else f"≤ {duel.at_most:g}"


def _cpu(result: Result) -> str:
    sides = (result.ours_cpu_us, result.theirs_cpu_us)
    return " / ".join("-" if cpu is None else f"{cpu:.0f}" for cpu in sides)
