"""Which schema a workload has: the registry's own file, else the built-in one."""

from __future__ import annotations

from pathlib import Path

from foretell.errors import NotFound
from foretell.schema import Schema
from foretell.schema_file import builtin_schemas, load_schema

SCHEMA_NAMES = ("schema.yaml", "schema.yml", "schema.toml")


def schema_for(workload: str, registry: Path) -> Schema:
    """Return the schema in ``<registry>/<workload>/schema.yaml``, or the built-in one.

    Raises:
        NotFound: there is neither.
        SchemaError: the file is no schema.
    """
    known = workloads(registry)
    if workload not in known:
        # Also keeps a name with a slash in it from being looked up as a path.
        raise NotFound("workload", workload, known)
    for name in SCHEMA_NAMES:
        path = registry / workload / name
        if path.is_file():
            return load_schema(path)
    return builtin_schemas()[workload]


def workloads(registry: Path) -> list[str]:
    """Return the names of all workloads that have a schema, sorted."""
    own = {
        path.parent.name
        for name in SCHEMA_NAMES
        for path in registry.glob(f"*/{name}")
        if path.is_file()
    }
    return sorted(own | set(builtin_schemas()))
