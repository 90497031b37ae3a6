"""Catalogs: facts about names, from files and in the store."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import duckdb

from foretell.catalog import ALIASES, CatalogTable, empty_catalog, load_catalog
from foretell.parsing import Value
from foretell.schema import Catalog, Schema
from foretell.shipped import default_catalog, shipped_by_file_name
from foretell_trainer.readers import read_table
from foretell_trainer.store import Store, transaction


@dataclass(frozen=True)
class CatalogReport:
    """What storing a catalog did: keys that were new, keys whose facts changed, keys in all.

    ``conflicts`` names each fact that had another value before, as ``key.fact: old -> new``.
    """

    catalog: str
    added: int
    changed: int
    keys: int
    conflicts: tuple[str, ...]


def catalog_from_file(schema: Schema, name: str, path: Path) -> CatalogTable:
    """Read one catalog of a schema from a CSV, Parquet, JSON Lines or DuckDB file.

    The path `builtin` stands for the catalog of that name that ships with Foretell, and
    `builtin:NAME` for another one.

    Raises:
        NotFound: the schema has no such catalog.
        InvalidInput: a key is missing or there twice, or a fact has a value that it cannot have.
    """
    catalog = schema.catalog(name)
    shipped = shipped_by_file_name(catalog, str(path))
    return load_catalog(catalog, read_table(path).columns) if shipped is None else shipped


def merge_catalogs(older: CatalogTable, newer: CatalogTable) -> tuple[CatalogTable, CatalogReport]:
    """Return both catalogs as one. Fact by fact the newer wins; unknown never wins."""
    rows = {key: older.describe(key) for key in older.keys}
    added = changed = 0
    conflicts: list[str] = []
    for key in newer.keys:
        facts = newer.describe(key)
        before = rows.get(key)
        if before is None:
            added += 1
        elif {**before, **facts} != before:
            changed += 1
            conflicts += [
                f"{key}.{name}: {before[name]} -> {value}"
                for name, value in facts.items()
                if name in before and before[name] != value
            ]
        rows[key] = {**(before or {}), **facts}
    report = CatalogReport(newer.name, added, changed, len(rows), tuple(conflicts))
    # None says that names are exact; so it is only where neither knows others.
    known = [table.aliases for table in (older, newer) if table.aliases is not None]
    aliases = {alias: key for names in known for alias, key in names.items()} if known else None
    return _table(newer.name, tuple(newer.facts), rows, aliases), report


def store_catalog(
    store: Store, workload: str, catalog: CatalogTable, source: str = ""
) -> CatalogReport:
    """Add a catalog's facts to the store's; the newest value of a fact wins, and is reported."""
    with store.open() as connection:
        rows = _stored_rows(connection, workload, catalog.name)
        merged, report = merge_catalogs(_table(catalog.name, tuple(catalog.facts), rows), catalog)
        names = _names_by_key(catalog)
        written = [
            [
                workload,
                catalog.name,
                key,
                json.dumps({**rows.get(key, {}), **merged.describe(key), **names.get(key, {})}),
            ]
            for key in catalog.keys
        ]
        with transaction(connection):
            for row in written:
                connection.execute(
                    "INSERT OR REPLACE INTO catalogs"
                    " VALUES (?, ?, ?, ?, ?, now() AT TIME ZONE 'UTC')",
                    [*row, source],
                )
    return report


def stored_catalogs(store: Store, schema: Schema) -> list[CatalogTable]:
    """Return the catalogs of a schema, in its order: what is stored of them, or the default."""
    with store.open() as connection:
        rows = {c.name: _stored_rows(connection, schema.workload, c.name) for c in schema.catalogs}
    return [
        _of_schema(catalog, rows[catalog.name]) if rows[catalog.name] else _unstored(catalog)
        for catalog in schema.catalogs
    ]


def catalogs_from_files(
    schema: Schema, files: Sequence[tuple[str, Path]]
) -> tuple[list[CatalogTable], list[CatalogReport]]:
    """Return every catalog of a schema, read from named files, in the schema's order.

    A catalog that is named twice is merged; the later file wins. One that is not named is the
    default.
    """
    given = {name for name, _ in files}
    tables = {
        catalog.name: empty_catalog(catalog) if catalog.name in given else _unstored(catalog)
        for catalog in schema.catalogs
    }
    reports: list[CatalogReport] = []
    for name, path in files:
        newer = catalog_from_file(schema, name, path)
        tables[name], report = merge_catalogs(tables[name], newer)
        reports.append(report)
    return list(tables.values()), reports


def _stored_rows(
    connection: duckdb.DuckDBPyConnection, workload: str, name: str
) -> dict[str, dict[str, Value]]:
    rows = connection.execute(
        "SELECT key, facts FROM catalogs WHERE workload = ? AND catalog = ? ORDER BY key",
        [workload, name],
    ).fetchall()
    return {str(key): json.loads(facts) for key, facts in rows}


def _of_schema(catalog: Catalog, rows: Mapping[str, Mapping[str, Value]]) -> CatalogTable:
    """Check stored facts against the schema of today, which may have changed since."""
    columns: dict[str, list[Any]] = {catalog.source_column: list(rows)}
    for fact in catalog.facts:
        columns[fact.source_column] = [facts.get(fact.name) for facts in rows.values()]
    if any(ALIASES in facts for facts in rows.values()):
        columns.setdefault(ALIASES, [facts.get(ALIASES) for facts in rows.values()])
    return load_catalog(catalog, columns)


def _unstored(catalog: Catalog) -> CatalogTable:
    return default_catalog(catalog) or empty_catalog(catalog)


def _names_by_key(catalog: CatalogTable) -> dict[str, dict[str, str]]:
    """Return, as what is stored beside its facts, the other names of each key."""
    if catalog.aliases is None or ALIASES in catalog.facts:
        return {}
    names: dict[str, list[str]] = {key: [] for key in catalog.keys}
    for alias, key in catalog.aliases.items():
        names[key].append(alias)
    return {key: {ALIASES: ";".join(found)} for key, found in names.items()}


def _table(
    name: str,
    facts: Sequence[str],
    rows: Mapping[str, Mapping[str, Value]],
    aliases: Mapping[str, str] | None = None,
) -> CatalogTable:
    values = {fact: tuple(row.get(fact) for row in rows.values()) for fact in facts}
    return CatalogTable(name, tuple(rows), values, aliases)
