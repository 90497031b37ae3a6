"""Catalogs that ship with Foretell: facts of common hardware, each row with its source."""

from __future__ import annotations

import csv
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from types import MappingProxyType

from foretell.catalog import CatalogTable, load_catalog
from foretell.errors import NotFound
from foretell.schema import Catalog
from foretell.schema_file import builtin_schemas

BUILTIN = "builtin"
"""What stands for a file: the shipped catalog of the same name; `builtin:NAME` is another's."""

_FOLDER = Path(__file__).parent / "catalogs"


def shipped_names() -> tuple[str, ...]:
    """Return the names of the shipped catalogs."""
    return tuple(sorted(file.stem for file in _FOLDER.glob("*.csv")))


@cache
def shipped_columns(name: str) -> Mapping[str, tuple[str, ...]]:
    """Return a shipped catalog as columns of text, the key's first; NotFound if there is none."""
    if name not in shipped_names():
        raise NotFound("shipped catalog", name, shipped_names())
    with (_FOLDER / f"{name}.csv").open(encoding="utf-8", newline="") as file:
        header, *rows = csv.reader(file)
    return MappingProxyType(dict(zip(header, zip(*rows, strict=True), strict=True)))


def shipped_catalog(catalog: Catalog, name: str | None = None) -> CatalogTable:
    """Return the facts that a shipped catalog has for a schema's catalog.

    It is the one of the same name, unless `name` says which; facts that it does not have are
    unknown. Raises NotFound if there is none of that name.
    """
    columns = shipped_columns(name or catalog.name)
    key = next(iter(columns))
    return load_catalog(catalog, {**columns, catalog.source_column: columns[key]})


def default_catalog(catalog: Catalog) -> CatalogTable | None:
    """Return what is known where nobody gave a catalog: the shipped one, of a built-in schema.

    A schema of one's own has it too where it declares the catalog word for word as a built-in
    schema does; others ask for it, since their facts may mean something else.
    """
    declared = (own for schema in builtin_schemas().values() for own in schema.catalogs)
    if catalog.name not in shipped_names() or catalog not in declared:
        return None
    return shipped_catalog(catalog)


def shipped_by_file_name(catalog: Catalog, file: str) -> CatalogTable | None:
    """Return the shipped catalog that a file's name stands for; None if it names a file."""
    stem, _, name = file.partition(":")
    return shipped_catalog(catalog, name or None) if stem == BUILTIN else None
