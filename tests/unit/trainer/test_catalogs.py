"""Catalogs in files and in the store."""

from __future__ import annotations

from pathlib import Path

import pytest
from foretell.errors import InvalidInput, NotFound
from foretell.schema import Schema
from foretell_trainer.catalogs import (
    catalog_from_file,
    catalogs_from_files,
    store_catalog,
    stored_catalogs,
)
from foretell_trainer.store import Store


def catalog_file(folder: Path, text: str, name: str = "tasks.csv") -> Path:
    path = folder / name
    path.write_text("task,code_bytes,language\n" + text)
    return path


def test_a_stored_catalog_comes_back(schema: Schema, store: Store, tmp_path: Path) -> None:
    """What was stored of a catalog is what a fit gets; blanks stay unknown."""
    catalog = catalog_from_file(schema, "tasks", catalog_file(tmp_path, "fib,10,\nsort,20,rust\n"))
    report = store_catalog(store, "runs", catalog, "tasks.csv")
    assert (report.added, report.changed, report.keys) == (2, 0, 2)
    (stored,) = stored_catalogs(store, schema)
    assert stored.describe("fib") == {"code_bytes": 10.0}
    assert stored.describe("sort") == {"code_bytes": 20.0, "language": "rust"}


def test_the_newest_fact_wins_and_is_said(schema: Schema, store: Store, tmp_path: Path) -> None:
    """A fact with another value replaces the old one and is reported; unknown replaces nothing."""
    older = catalog_from_file(schema, "tasks", catalog_file(tmp_path, "fib,10,c\n"))
    newer = catalog_from_file(schema, "tasks", catalog_file(tmp_path, "fib,12,\nsort,1,c\n"))
    store_catalog(store, "runs", older)
    report = store_catalog(store, "runs", newer)
    assert (report.added, report.changed, report.keys) == (1, 1, 2)
    assert report.conflicts == ("fib.code_bytes: 10.0 -> 12.0",)
    assert stored_catalogs(store, schema)[0].describe("fib") == {
        "code_bytes": 12.0,
        "language": "c",
    }


def test_a_workload_without_facts_has_empty_catalogs(schema: Schema, store: Store) -> None:
    """Every catalog of the schema is there, even when nothing is known."""
    (stored,) = stored_catalogs(store, schema)
    assert (stored.name, len(stored)) == ("tasks", 0)


def test_several_files_of_one_catalog_are_merged(schema: Schema, tmp_path: Path) -> None:
    """Catalog files given by name are merged in order, the later one winning."""
    files = [
        ("tasks", catalog_file(tmp_path, "fib,10,c\n", "a.csv")),
        ("tasks", catalog_file(tmp_path, "fib,11,\n", "b.csv")),
    ]
    (catalog,), reports = catalogs_from_files(schema, files)
    assert catalog.describe("fib") == {"code_bytes": 11.0, "language": "c"}
    assert reports[1].conflicts == ("fib.code_bytes: 10.0 -> 11.0",)


def test_bad_catalogs_are_refused(schema: Schema, tmp_path: Path) -> None:
    """A key that is there twice, and a catalog that the schema does not have, are errors."""
    twice = catalog_file(tmp_path, "fib,10,c\nfib,11,c\n")
    with pytest.raises(InvalidInput, match="twice"):
        catalog_from_file(schema, "tasks", twice)
    with pytest.raises(NotFound, match="tasks"):
        catalog_from_file(schema, "nodes", twice)
