"""One page of HTML that needs nothing from elsewhere: pictures inside, no scripts, no fonts."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path

Row = Sequence[str]

_STYLE = """
body{font:16px/1.5 system-ui,sans-serif;color:#222;background:#fff;margin:2rem auto;
max-width:70rem;padding:0 1rem}
h1{font-size:1.6rem;margin:0 0 .25rem}h2{font-size:1.2rem;margin:2.5rem 0 .5rem}
p{margin:.5rem 0;max-width:48rem}
figure{margin:1.5rem 0;overflow-x:auto}figure svg{max-width:100%;height:auto}
.table{overflow-x:auto}table{border-collapse:collapse;margin:1rem 0;font-size:.9rem}
th,td{text-align:left;padding:.3rem .8rem;border-bottom:1px solid #ddd;white-space:nowrap}
td.number{text-align:right;font-variant-numeric:tabular-nums}
"""

_NUMBER = re.compile(r"[-+]?[\d.,]+(e[-+]?\d+)?( ?%)?")


@dataclass(frozen=True)
class Section:
    """A heading, what is said under it, a table, pictures as SVG."""

    heading: str
    paragraphs: tuple[str, ...] = ()
    header: Row = ()
    rows: tuple[Row, ...] = ()
    figures: tuple[str, ...] = ()

    def html(self) -> str:
        """Return the section as HTML, every text escaped."""
        parts = [f"<h2>{escape(self.heading)}</h2>"] if self.heading else []
        parts += [f"<p>{escape(text)}</p>" for text in self.paragraphs]
        if self.header:
            parts.append(f'<div class="table">{_table(self.header, self.rows)}</div>')
        parts += [f"<figure>{_inline(figure)}</figure>" for figure in self.figures]
        return "\n".join(parts)

    def markdown(self) -> str:
        """Return the section as Markdown, without its pictures."""
        parts = [f"## {self.heading}"] if self.heading else []
        parts += self.paragraphs
        if self.header:
            parts.append(markdown_table(self.header, self.rows))
        return "\n\n".join(parts)


@dataclass(frozen=True)
class Page:
    """A title and sections."""

    title: str
    sections: tuple[Section, ...]

    def html(self) -> str:
        """Return the whole page."""
        title, body = escape(self.title), "\n".join(s.html() for s in self.sections)
        return (
            f'<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
            f'<meta name="viewport" content="width=device-width, initial-scale=1">\n'
            f"<title>{title}</title>\n<style>{_STYLE}</style>\n</head>\n"
            f"<body>\n<h1>{title}</h1>\n{body}\n</body>\n</html>\n"
        )

    def markdown(self) -> str:
        """Return the page as Markdown, without its pictures."""
        return "\n\n".join([f"# {self.title}", *(s.markdown() for s in self.sections)]) + "\n"

    def write(self, path: Path) -> None:
        """Write the page."""
        path.write_text(self.html(), encoding="utf-8")


def markdown_table(header: Row, rows: Sequence[Row]) -> str:
    """Return a table as Markdown."""
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join(f"| {' | '.join(_cell(c) for c in line)} |" for line in lines)


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ")


def _table(header: Row, rows: Sequence[Row]) -> str:
    head = "".join(f"<th>{escape(cell)}</th>" for cell in header)
    body = "".join(
        "<tr>" + "".join(f"<td{_class(c)}>{escape(c)}</td>" for c in row) + "</tr>" for row in rows
    )
    return f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"


def _class(cell: str) -> str:
    return ' class="number"' if _NUMBER.fullmatch(cell) else ""


def _inline(svg: str) -> str:
    """Return an SVG file as an element of a page: without the declarations of a file."""
    return svg[svg.index("<svg") :]
