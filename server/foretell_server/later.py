"""What answers need that nobody asks first: imported while calls are answered already."""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property
from typing import Any

from foretell.broker_client import import_client


class Later:
    """Stands for a servicer that is made with its first call."""

    def __init__(self, make: Callable[[], object]) -> None:
        self._make = make

    @cached_property
    def _servicer(self) -> object:
        return self._make()

    def __getattr__(self, name: str) -> Callable[[Any, Any], Any]:
        def call(request: Any, context: Any) -> Any:  # noqa: ANN401 -- of any method
            return getattr(self._servicer, name)(request, context)

        return call


def import_the_rest() -> None:
    """Import what was left for later. For a thread."""
    import_client()
    import foretell_server.decisions  # noqa: F401, PLC0415 -- as the module says
