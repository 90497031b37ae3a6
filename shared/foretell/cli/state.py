"""The store and the registry that a command works on: `--state`, or the settings."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import wraps
from pathlib import Path
from typing import Any

import click

from foretell.cli.options import FOLDER
from foretell.cli.sources import open_registry
from foretell.registry import Registry
from foretell.settings import load_settings


@dataclass(frozen=True)
class Places:
    """Where observations and bundles are."""

    data: Path
    registry: Registry


def state_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add --state, --store and --registry; the command gets `places`."""

    @click.option("--state", type=FOLDER, help="The folder of `foretell up`.  [default: .foretell]")
    @click.option("--store", type=FOLDER, help="Folder of the DuckDB store, if it is elsewhere.")
    @click.option("--registry", type=FOLDER, help="Folder of the bundles, if it is elsewhere.")
    @wraps(command)
    def with_places(
        *args: Any,  # noqa: ANN401
        state: Path | None,
        store: Path | None,
        registry: Path | None,
        **more: Any,  # noqa: ANN401
    ) -> Any:  # noqa: ANN401
        settings = load_settings()
        data = store or (state / "data" if state else settings.data)
        bundles = registry or (state / "registry" if state else None)
        return command(*args, places=Places(data, open_registry(bundles)), **more)

    return with_places
