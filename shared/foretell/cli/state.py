"""The store and the registry that a command works on: `--state`, or the settings."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import wraps
from pathlib import Path
from typing import Any

import click

from foretell.broker import running_url
from foretell.cli.options import FOLDER
from foretell.cli.sources import open_registry
from foretell.registry import Registry
from foretell.settings import Settings, load_settings
from foretell.stack.folder import StateFolder


@dataclass(frozen=True)
class Places:
    """Where observations and bundles are."""

    data: Path
    registry: Registry
    broker_url: str | None = None
    """The broker of the worker that has the store; None when none runs here and none is named."""


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
        url = _broker_url(settings, state or (None if store else settings.data.parent))
        return command(*args, places=Places(data, open_registry(bundles), url), **more)

    return with_places


def _broker_url(settings: Settings, state: Path | None) -> str | None:
    running = running_url(StateFolder(state).broker) if state else None
    return running or (settings.broker_url if "broker_url" in settings.model_fields_set else None)
