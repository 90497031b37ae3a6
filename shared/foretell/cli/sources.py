"""Where commands find schemas and bundles: files, the registry, what is built in."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from foretell.errors import NotFound
from foretell.registry import FolderRegistry
from foretell.schema import Schema
from foretell.schema_file import SUFFIXES, load_schema
from foretell.settings import load_settings


@dataclass(frozen=True)
class SchemaSource:
    """A schema, and the file it came from, if it came from one."""

    schema: Schema
    file: Path | None = None

    def keep_in(self, registry: FolderRegistry) -> None:
        """Let the registry know a schema that came from a file."""
        if self.file is not None:
            registry.register(self.file.read_text(encoding="utf-8"), suffix=self.file.suffix)


def open_registry(folder: Path | None) -> FolderRegistry:
    """Return the registry in a folder; without one, in the folder that the settings name."""
    return FolderRegistry(folder or load_settings().registry)


def is_schema_file(source: str) -> bool:
    """Return whether a text names a file, and not a workload."""
    return "/" in source or source.endswith(SUFFIXES)


def find_schema(source: str, registry: FolderRegistry) -> SchemaSource:
    """Return the schema of a file, of a workload in the registry, or a built-in one."""
    if is_schema_file(source):
        return SchemaSource(load_schema(Path(source)), Path(source))
    try:
        return SchemaSource(registry.schema(source))
    except NotFound as error:
        known = [*error.known, "or the path of a .yaml or .toml file"]
        raise NotFound("workload", source, known) from None
