"""Tables of items and nodes, as the commands about batches read them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from foretell.cli.deciding import feature_value
from foretell.errors import InvalidInput, Violation

OF_ITEMS = ("deadline_s", "work")
"""The numbers of an item that are no features."""


def rows_of(
    path: Path, option: str, numbers: Sequence[str], kinds: Mapping[str, str]
) -> list[dict[str, Any]]:
    """Return the rows of a table: `name`, `kind`, the numbers, and `features`.

    Raises InvalidInput, with the line, for a column that is neither and for what is no number.
    """
    from foretell.cli.tables import read_tables

    table = read_tables([path])
    unknown = [n for n in table.columns if n not in ("name", "kind", *numbers) and n not in kinds]
    if unknown or "name" not in table.columns:
        what = f"unknown columns {', '.join(unknown)}" if unknown else "no column 'name'"
        allowed = ", ".join(("name", "kind", *numbers, *kinds))
        raise InvalidInput([Violation(option, str(path), f"{path} has {what}; allowed: {allowed}")])
    found = []
    for i in range(len(table)):
        cells = {n: column[i] for n, column in table.columns.items() if column[i] not in (None, "")}
        row: dict[str, Any] = {"name": str(cells.pop("name", "")), "features": {}}
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


def _number(field: str, cell: object) -> float:
    try:
        return float(cell)  # type: ignore[arg-type]
    except (TypeError, ValueError):
        raise InvalidInput([Violation(field, str(cell), f"{cell!r} is not a number")]) from None


def item_of(row: dict[str, Any]) -> Any:  # noqa: ANN401 -- an Item
    """Return the item that a row is."""
    from foretell.decide import Item

    return Item(**row)
