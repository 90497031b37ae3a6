"""How many observations the trainer's store has, and the catalogs that go with them."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

from foretell.errors import Unavailable
from foretell.schema_file import builtin_schemas

LOOK_EVERY_S = 0.1


class StoredRows:
    """Looks into the store of one workload; it is held for a moment each time."""

    def __init__(self, folder: Path, workload: str) -> None:
        from foretell_trainer.store import Store

        self._store = Store(folder)
        self._workload = workload

    def add_catalogs(self, measured: Path) -> str:
        """Store the facts about functions and nodes; return how many there are, in words."""
        from foretell_trainer.catalogs import catalog_from_file, store_catalog

        schema = builtin_schemas()[self._workload]
        found = []
        for name in ("functions", "nodes"):
            table = catalog_from_file(schema, name, measured / f"{name}.csv")
            store_catalog(self._store, self._workload, table, "foretell demo")
            found.append(f"{len(table)} {name}")
        return f"facts about {' and '.join(found)}"

    def count(self) -> int:
        """Return how many observations there are."""
        statement = "SELECT count(*) FROM observations WHERE workload = ?"
        with self._store.open() as connection:
            rows = connection.execute(statement, [self._workload]).fetchall()
        return int(rows[0][0])

    def until(self, wanted: int, within_s: float) -> Iterator[int]:
        """Yield the number of observations until it is what is wanted; Unavailable if it is not."""
        deadline = time.monotonic() + within_s
        while (now := self.count()) < wanted:
            yield now
            if time.monotonic() > deadline:
                raise Unavailable(
                    "the worker", f"{now} of {wanted} observations stored in {within_s:g} s"
                )
            time.sleep(LOOK_EVERY_S)
        yield now
