"""The one folder that holds all state of `foretell up`."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class StateFolder:
    """What is where in the state folder."""

    root: Path

    @property
    def registry(self) -> Path:
        """Published bundles."""
        return self.root / "registry"

    @property
    def data(self) -> Path:
        """The DuckDB store."""
        return self.root / "data"

    @property
    def broker(self) -> Path:
        """The broker's append-only file, its log and its password."""
        return self.root / "broker"

    @property
    def notice(self) -> Path:
        """Where the server is, for as long as `foretell up` runs on the folder."""
        return self.root / "up.json"

    @property
    def logs(self) -> Path:
        """One log per part."""
        return self.root / "logs"
