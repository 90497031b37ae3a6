"""Saving pictures: PNG and SVG as they are, HTML as one page that needs nothing else."""

from __future__ import annotations

import io
from collections.abc import Sequence
from pathlib import Path

from matplotlib.figure import Figure

from foretell.errors import InvalidInput, Violation
from foretell.plots.page import Page, Section
from foretell.plots.style import look

SUFFIXES = (".png", ".svg", ".html")

# Without them, the same answer would be another file each time.
_SVG_METADATA = {"Date": None, "Creator": "foretell"}


def check_picture(path: Path) -> None:
    """Raise InvalidInput when no picture can be written there, before any work is done."""
    if path.suffix.lower() not in SUFFIXES:
        message = f"{path} must end in one of {', '.join(SUFFIXES)}"
        raise InvalidInput([Violation("--plot", str(path), message)])
    if not path.parent.is_dir():
        raise InvalidInput([Violation("--plot", str(path), f"there is no folder {path.parent}")])


def save(figures: Sequence[Figure], path: Path, title: str) -> list[Path]:
    """Write pictures; several PNG or SVG are numbered. Returns the files that were written."""
    check_picture(path)
    if path.suffix.lower() == ".html":
        Page(title, (Section("", figures=tuple(map(svg, figures))),)).write(path)
        return [path]
    written = []
    for number, figure in enumerate(figures, start=1):
        name = path if len(figures) == 1 else path.with_stem(f"{path.stem}-{number}")
        name.write_bytes(png(figure) if path.suffix.lower() == ".png" else svg(figure).encode())
        written.append(name)
    return written


def png(figure: Figure) -> bytes:
    """Return a picture as PNG."""
    buffer = io.BytesIO()
    with look():
        figure.savefig(buffer, format="png", metadata={"Software": "foretell"})
    return buffer.getvalue()


def svg(figure: Figure) -> str:
    """Return a picture as SVG, its texts as paths: it looks the same without our fonts."""
    buffer = io.BytesIO()
    with look():
        figure.savefig(buffer, format="svg", metadata=_SVG_METADATA)
    return buffer.getvalue().decode()
