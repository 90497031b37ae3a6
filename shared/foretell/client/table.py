"""Small tables for terminals and notebooks."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

Row = Sequence[str]


def text_table(header: Row, rows: Sequence[Row]) -> str:
    """Return a table in plain text: columns aligned to the left, two spaces apart."""
    widths = [max(map(len, column)) for column in zip(header, *rows, strict=True)]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in (header, *rows)
    )


def html_table(caption: str, header: Row, rows: Sequence[Row]) -> str:
    """Return a table as HTML, with every text escaped."""
    head = "".join(f"<th>{escape(cell)}</th>" for cell in header)
    body = "".join(
        "<tr>" + "".join(f"<td>{escape(cell)}</td>" for cell in row) + "</tr>" for row in rows
    )
    return (
        f"<table><caption>{escape(caption)}</caption>"
        f"<thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"
    )


def number(value: float, unit: str = "") -> str:
    """Return a number with four significant digits and its unit, if it has one."""
    text = f"{value:.4g}"
    return text if unit in ("", "1") else f"{text} {unit}"


def percent(share: float) -> str:
    """Return a share in [0, 1] as a percentage: 0.8 is '80 %', 0.995 is '99.5 %'."""
    return f"{100 * share:.4g} %"
