"""Where commands find schemas and bundles: files, the registry, what is built in."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from foretell.errors import NotFound
from foretell.registries import registry_of
from foretell.registry import Registry
from foretell.schema import Schema
from foretell.schema_file import SUFFIXES, load_schema
from foretell.settings import load_settings


@dataclass(frozen=True)
class SchemaSource:
    """A schema, and the file it came from, if it came from one."""

    schema: Schema
    file: Path | None = None

    def keep_in(self, registry: Registry) -> None:
        """Let the registry know a schema that came from a file."""
        if self.file is not None:
            registry.register(self.file.read_text(encoding="utf-8"), suffix=self.file.suffix)


def open_registry(folder: Path | None) -> Registry:
    """Return the registry in a folder; without one, the one that the settings name."""
    settings = load_settings()
    if folder is not None:
        settings = settings.model_copy(update={"registry": folder, "registry_url": None})
    return registry_of(settings)


def is_schema_file(source: str) -> bool:
    """Return whether a text names a file, and not a workload."""
    return "/" in source or source.endswith(SUFFIXES)


def find_schema(source: str, registry: Registry) -> SchemaSource:
    """Return the schema of a file, of a workload in the registry, or a built-in one."""
    if is_schema_file(source):
        return SchemaSource(load_schema(Path(source)), Path(source))
    try:
        return SchemaSource(registry.schema(source))
    except NotFound as error:
        known = [*error.known, "or the path of a .yaml or .toml file"]
        raise NotFound("workload", source, known) from None
