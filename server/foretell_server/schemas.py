"""Which schema a workload has, as far as this server can tell."""

from __future__ import annotations

from foretell.errors import ForetellError, Unavailable
from foretell.registry import Registry
from foretell.schema import Schema
from foretell_server.shelf import Shelf


class Schemas:
    """The registry's schemas, and what is live where the registry has no good answer."""

    def __init__(self, registry: Registry, shelf: Shelf) -> None:
        self._registry = registry
        self._shelf = shelf

    def get(self, workload: str) -> Schema:
        """Return a workload's schema. Blocking.

        The registry is asked first. When it is gone, or the workload's files are broken, the
        schema of the live bundle stands in. Raises NotFound, naming the known workloads.
        """
        try:
            return self._registry.schema(workload)
        except (ForetellError, OSError, ValueError) as error:
            live = self._shelf.live.get(workload)
            if live is not None:
                return live.predictor.schema
            if isinstance(error, ForetellError):
                raise
            raise Unavailable("the registry", str(error)) from error
