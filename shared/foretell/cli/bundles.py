"""Bundles by version or alias, loaded to predict in this process."""

from __future__ import annotations

from typing import TYPE_CHECKING

from foretell.errors import NotFound

if TYPE_CHECKING:
    from foretell.predictor import Predictor
    from foretell.registry import Registry

ALIASES = ("current", "candidate", "previous")


def resolve(registry: Registry, workload: str, name: str | None) -> str:
    """Return the version that a name stands for; NotFound or NoBundle."""
    if name in (None, "current"):
        return registry.current(workload)
    if name in ALIASES:
        version = registry.aliases(workload).get(name)
        if version is None:
            raise NotFound("alias", name, list(registry.aliases(workload)))
        return version
    return name


def load_predictor(registry: Registry, workload: str, name: str | None = None) -> Predictor:
    """Return a workload's bundle, checked and ready to answer."""
    from foretell.predictor import Predictor

    return Predictor.load(registry.path(workload, resolve(registry, workload, name)))
