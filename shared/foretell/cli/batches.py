"""Tables of items and nodes, as the commands about batches read them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import click

from foretell.cli.deciding import feature_value
from foretell.errors import InvalidInput, Violation, listing

OF_ITEMS = ("deadline_s", "work")
"""The numbers of an item that are no features."""


def rows_of(
    path: Path,
    option: str,
    numbers: Sequence[str],
    kinds: Mapping[str, str],
    names: Sequence[str] = (),
) -> list[dict[str, Any]]:
    """Return the rows of a table: `name`, `kind`, the numbers, and `features`.

    Where there is no column `name`, the first of the features in `names` that is a column stands
    for it: the table is a catalog's then, and it is said which of its columns are not used. Raises
    InvalidInput, with the line, for a column that is neither and for what is no number.
    """
    from foretell.cli.tables import read_tables

    table = read_tables([path])
    known = ("name", "kind", *numbers, *kinds)
    naming = _naming(path, option, list(table.columns), known, names)
    used = {name: column for name, column in table.columns.items() if name in known}
    found = []
    for i in range(len(table)):
        cells = {name: column[i] for name, column in used.items() if column[i] not in (None, "")}
        row: dict[str, Any] = {"name": str(cells.pop(naming, "")), "features": {}}
        for name, cell in cells.items():
            field = f"{table.source}:{table.lines[i]} {name}"
            if name in numbers and name not in kinds:
                row[name] = _number(field, cell)
            elif name == "kind" and name not in kinds:
                row[name] = str(cell)
            else:
                plain = feature_value(field, name, cell, kinds) if isinstance(cell, str) else cell
                row["features"][name] = plain
        found.append(row)
    return found


def _naming(
    path: Path, option: str, columns: Sequence[str], known: Sequence[str], names: Sequence[str]
) -> str:
    """Return the column that names the rows, and say what is wrong with the others."""
    naming = next((n for n in ("name", *names) if n in columns), "")
    unknown = [name for name in columns if name not in known]
    if naming in names and unknown:
        note = f"{path.name}: not used, as the workload does not know them: {listing(unknown)}"
        click.echo(note, err=True)
    elif unknown or not naming:
        wanted = " or ".join(map(repr, ("name", *names)))
        lacking = "" if naming else f"no column {wanted}, and "
        what = f"{lacking}unknown columns: {listing(unknown)}" if unknown else f"no column {wanted}"
        message = f"{path.name} has {what}; its columns may be {', '.join(known)}"
        raise InvalidInput([Violation(option, str(path), message)])
    return naming


def _number(field: str, cell: object) -> float:
    try:
        return float(cell)  # type: ignore[arg-type]  # TypeError is an answer
    except (TypeError, ValueError):
        raise InvalidInput([Violation(field, str(cell), f"{cell!r} is not a number")]) from None


def item_of(row: dict[str, Any]) -> Any:  # noqa: ANN401 -- an Item
    """Return the item that a row is."""
    from foretell.decide import Item

    return Item(**row)
