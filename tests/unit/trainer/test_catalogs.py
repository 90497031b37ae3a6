"""Catalogs in files and in the store."""

from __future__ import annotations

from pathlib import Path

import pytest

from foretell.errors import InvalidInput, NotFound
from foretell.schema import Schema
from foretell.schema_file import builtin_schemas
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


def test_other_names_are_stored_with_the_facts(
    schema: Schema, store: Store, tmp_path: Path
) -> None:
    """A catalog with aliases keeps them in the store and when it is merged with another."""
    file = tmp_path / "named.csv"
    file.write_text("task,code_bytes,aliases\nfib,10,fibonacci;f\nsort,20,\n")
    named = catalog_from_file(schema, "tasks", file)
    store_catalog(store, "runs", named)
    store_catalog(
        store, "runs", catalog_from_file(schema, "tasks", catalog_file(tmp_path, "x,1,\n"))
    )
    (stored,) = stored_catalogs(store, schema)
    assert [stored.key_of(name) for name in ("f", "Fibonacci", "sort", "x")] == [
        *("fib", "fib", "sort", "x")
    ]
    plain = catalog_file(tmp_path, "fib,11,c\n")
    (merged,), _ = catalogs_from_files(schema, [("tasks", file), ("tasks", plain)])
    assert merged.describe("fibonacci") == {"code_bytes": 11.0, "language": "c"}


def test_the_shipped_catalog_is_used_until_there_is_another(store: Store, tmp_path: Path) -> None:
    """Training on `inference` knows the shipped hardware; a file or a stored row replaces it."""
    inference = builtin_schemas()["inference"]
    (tmp_path / "mine.csv").write_text("hardware,memory_gb\nboard,8\n")
    mine = [("hardware", tmp_path / "mine.csv")]
    shipped = stored_catalogs(store, inference)[0]
    assert shipped == catalogs_from_files(inference, [])[0][0]
    assert shipped.describe("Tesla T4")["memory_gb"] == 16.0
    assert catalogs_from_files(inference, mine)[0][0].keys == ("board",)
    both, _ = catalogs_from_files(inference, [("hardware", Path("builtin")), *mine])
    assert both[0].describe("Tesla T4")["memory_gb"] == 16.0
    assert both[0].describe("board") == {"memory_gb": 8.0}
    store_catalog(store, "inference", catalog_from_file(inference, *mine[0]))
    assert stored_catalogs(store, inference)[0].keys == ("board",)
