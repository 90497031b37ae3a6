"""How commands write pictures and Markdown, beside text and JSON."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import compress
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from foretell.cli import output
from foretell.cli.options import FILE, json_option

if TYPE_CHECKING:
    from matplotlib.figure import Figure

F = TypeVar("F", bound=Callable[..., Any])


def writing_options(command: F) -> F:
    """Add --plot, --markdown and --json."""
    markdown = click.option(
        "--markdown", "as_markdown", is_flag=True, help="Print Markdown, for documents."
    )
    plot = click.option(
        "--plot",
        "pictures",
        type=FILE,
        multiple=True,
        metavar="FILE",
        help="Draw a .png, an .svg, or a page .html that works offline; may be given many times.",
    )
    return plot(markdown(json_option(command)))


def check_pictures(pictures: Sequence[Path]) -> None:
    """Raise before any work is done when a picture cannot be written, or nothing can draw."""
    if pictures:
        from foretell.plots import check_picture

        for path in pictures:
            check_picture(path)


def draw(
    pictures: Sequence[Path], figures: Callable[[], Sequence[Figure]], title: str, *, quiet: bool
) -> None:
    """Draw figures into every file, and say which were written."""
    if not pictures:
        return
    from foretell.plots import save

    drawn = figures()
    for path in pictures:
        written = save(drawn, path, title)
        output.say(f"drawn: {', '.join(map(str, written))}", quiet=quiet)


def estimate(median: float, lower: float, upper: float) -> str:
    """Return a median and its interval as tables have them: 12 [10, 15]."""
    return f"{output.short(median)} [{output.short(lower)}, {output.short(upper)}]"


def print_rows(header: Sequence[str], rows: Sequence[Sequence[str]], *, markdown: bool) -> None:
    """Print a table in plain text or as Markdown."""
    if not markdown:
        output.print_table(header, rows)
        return
    from foretell.plots.page import markdown_table

    click.echo(markdown_table(header, rows))


def print_told(header: Sequence[str], rows: Sequence[Sequence[str]], *, markdown: bool) -> None:
    """Print a table without columns that say nothing but "-": costs where there is no price."""
    told = [any(row[i] != "-" for row in rows) for i in range(len(header))]
    left = [list(compress(row, told)) for row in rows]
    print_rows(list(compress(header, told)), left, markdown=markdown)
