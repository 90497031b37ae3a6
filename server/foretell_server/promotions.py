"""Promotions: which bundle is current, changed by a call. No transport.

A bundle is loaded and proved before it takes over, so that what cannot be served is not made
current; then one alias changes, this process swaps at once, and the others are told.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from concurrent.futures import Executor
from contextlib import suppress
from dataclasses import dataclass
from typing import TypeVar

from foretell.errors import InvalidInput, Unavailable, Violation
from foretell.registry import Registry
from foretell_server.control_plane import LONGEST_REASON, BundleView, ControlPlane, check_text
from foretell_server.hot_swap import HotSwap
from foretell_server.threads import in_thread

LONGEST_AUTHOR = 200

_T = TypeVar("_T")


@dataclass(frozen=True, slots=True)
class Signature:
    """Who changes something and why, as the audit will have it."""

    author: str
    """What the caller calls itself; may be empty."""
    peer: str
    """Where the call came from."""
    reason: str

    def check(self) -> None:
        """Raise InvalidInput for a change that nobody could explain later."""
        check_text("author", self.author, LONGEST_AUTHOR)
        check_text("reason", self.reason, LONGEST_REASON)
        if not self.reason.strip():
            message = "must say why, for the audit"
            raise InvalidInput([Violation("reason", self.reason, message)])

    @property
    def who(self) -> str:
        """The author at the address that the call came from."""
        return f"{self.author or 'admin'} at {self.peer}"


class Promotions:
    """Changes which bundle is current. Used on the event loop."""

    def __init__(
        self,
        *,
        registry: Registry,
        swap: HotSwap,
        plane: ControlPlane,
        executor: Executor,
        announce: Callable[[str, str], Awaitable[None]],
    ) -> None:
        self._registry = registry
        self._swap = swap
        self._plane = plane
        self._executor = executor
        self._announce = announce

    async def promote(self, workload: str, name: str, signature: Signature) -> BundleView:
        """Make the bundle of a version or an alias current.

        Raises NotFound, and BundleRejected when it cannot be loaded here.
        """
        signature.check()
        version = (await self._plane.bundle(workload, name)).version
        await self._swap.pinned(workload, version)
        registry, who, why = self._registry, signature.who, signature.reason
        await self._changed(lambda: registry.promote(workload, version, who, why))
        return await self._swapped(workload, version)

    async def roll_back(self, workload: str, from_version: str, signature: Signature) -> BundleView:
        """Make the previous bundle current again.

        Raises NotFound when there is none, Conflict when `from_version` is given and is not
        current any more, and BundleRejected when the previous one cannot be loaded here.
        """
        signature.check()
        previous = (await self._plane.bundle(workload, "previous")).version
        await self._swap.pinned(workload, previous)
        registry, who, why = self._registry, signature.who, signature.reason
        version = await self._changed(
            lambda: registry.rollback(workload, who, why, only_from=from_version or None)
        )
        return await self._swapped(workload, version)

    async def _changed(self, change: Callable[[], _T]) -> _T:
        try:
            return await in_thread(self._executor, change)
        except OSError as error:
            raise Unavailable("the registry", str(error)) from error

    async def _swapped(self, workload: str, version: str) -> BundleView:
        await self._swap.reconcile()
        with suppress(Unavailable):  # the others look by themselves, a little later
            await self._announce(workload, version)
        return await self._plane.bundle(workload, version)
