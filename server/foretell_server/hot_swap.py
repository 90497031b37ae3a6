"""Hot swap: keeps the shelf in step with the registry, while calls go on.

The registry is looked at every few seconds, and at once when an announcement comes. A bundle
that `current` newly stands for is loaded and proved in a thread; then one reference is
replaced. A bundle that fails is refused and the old one keeps serving; it is tried again only
when its files change.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from concurrent.futures import Executor
from contextlib import suppress
from functools import partial
from typing import TypeVar

from foretell.errors import Unavailable
from foretell.jobs import Announcement
from foretell.logs import get_logger
from foretell.registry import Registry
from foretell.schema_file import builtin_schemas
from foretell_server.loader import Loader, RegistryUnreachable
from foretell_server.shelf import FileStamp, LiveBundle, Refusal, Shelf
from foretell_server.telemetry.meters import Meters, Reading
from foretell_server.threads import in_thread

_log = get_logger(__name__)

_LISTEN_AGAIN_AFTER_S = 2.0

_T = TypeVar("_T")


class HotSwap:
    """Follows the registry. One per process; its methods run on the event loop."""

    def __init__(
        self,
        registry: Registry,
        shelf: Shelf,
        executor: Executor,
        *,
        poll_s: float,
        on_change: Callable[[], None],
        on_broker: Callable[[bool], None],
        meters: Meters,
        announce: Callable[[str], Awaitable[None]],
    ) -> None:
        self._registry = registry
        self._shelf = shelf
        self._loader = Loader(registry)
        self._executor = executor
        self._poll_s = poll_s
        self._on_change = on_change
        self._on_broker = on_broker
        self._meters = meters
        self._announce = announce
        self._wake = asyncio.Event()
        self._tried: dict[tuple[str, str], FileStamp] = {}
        self._unreadable: set[str] = set()
        self._passing = asyncio.Lock()
        self._hears = False
        meters.show(
            Reading(
                "foretell_broker_reachable",
                "Whether announcements of the broker are heard, 1 or 0.",
                lambda: float(self._hears),
                across="min",
            ),
            Reading(
                "foretell_registry_readable",
                "Whether the registry could be read when it was looked at last, 1 or 0.",
                lambda: float(not self._unreadable),
                across="min",
            ),
        )

    async def follow(self) -> None:
        """Look at the registry again and again, until cancelled."""
        while True:
            with suppress(TimeoutError):
                async with asyncio.timeout(self._poll_s):
                    await self._wake.wait()
            self._wake.clear()
            try:
                await self.reconcile()
            except Exception:
                # Nothing may end this loop: the process would serve an old bundle for ever.
                _log.exception("the registry could not be followed")

    async def listen(self, announcements: Callable[[], AsyncIterator[Announcement | None]]) -> None:
        """Wake `follow` for each announcement of the broker, until cancelled."""
        lost = False
        while True:
            try:
                async for _ in announcements():
                    self._hears = True
                    self._on_broker(True)
                    if lost:
                        _log.info("announcements are heard again")
                    lost = False
                    self._wake.set()
            except Unavailable as error:
                self._hears = False
                self._on_broker(False)
                if not lost:
                    _log.warning("announcements are not heard; polling goes on", error=error.why)
                lost = True
            await asyncio.sleep(_LISTEN_AGAIN_AFTER_S)

    async def reconcile(self) -> None:
        """Bring the shelf in step with the registry as it is now."""
        async with self._passing:
            names = await self._guarded("", self._registry.workloads) or []
            self._shelf.known = frozenset((*builtin_schemas(), *names))
            for name in names:
                unloaded = await self._guarded(name, partial(self._registry.is_unloaded, name))
                if unloaded:
                    self._take_off(name)
                    continue
                aliases = await self._guarded(name, partial(self._registry.aliases, name))
                if aliases is not None:
                    self._shelf.unloaded -= {name}
                    await self._follow_one(name, aliases)
            self._on_change()

    async def pinned(self, workload: str, version: str) -> LiveBundle:
        """Return a bundle that a caller asked for by its version, loading it if need be.

        Raises NotFound for a version that is not there, BundleRejected for one that is refused.
        """
        async with self._passing:
            known = self._shelf.find(workload, version)
            if known is not None:
                return known
            try:
                # MUST be looked up before it is loaded: a refusal is for bundles that exist.
                await self._in_thread(lambda: self._registry.path(workload, version))
                stamp = await self._in_thread(lambda: self._loader.stamp(workload, version))
                refused = self._known_refusal(workload, version, stamp)
                if refused is not None:
                    raise refused.error()
                found = await self._in_thread(lambda: self._loader.load(workload, version, stamp))
            except (OSError, RegistryUnreachable) as error:
                raise Unavailable("the registry", str(error)) from error
            if isinstance(found, Refusal):
                self._refuse(found)
                raise found.error()
            self._shelf.pin(found)
            return found

    async def unload(self, workload: str) -> None:
        """Have a workload answer no more, here at once and wherever the registry is served.

        Raises NotFound or NoBundle when nothing answers for it anyway.
        """
        if workload not in self._shelf.unloaded:
            self._shelf.find(workload)
        await self._change(workload, self._registry.unload)

    async def load(self, workload: str) -> None:
        """Have a workload answer again, and with what the registry calls current by now.

        Raises NotFound, NoBundle, or BundleRejected when the current bundle is refused.
        """
        await self._change(workload, self._registry.load)
        live = self._shelf.find(workload)
        aliases = await self._guarded(workload, lambda: self._registry.aliases(workload))
        refusal = self._shelf.refusals.get((workload, (aliases or {}).get("current", "")))
        if refusal is not None and (live is None or live.version != refusal.version):
            raise refusal.error()

    async def _change(self, workload: str, change: Callable[[str, str, str], None]) -> None:
        try:
            await self._in_thread(lambda: change(workload, "admin", "asked for by a call"))
        except OSError as error:
            raise Unavailable("the registry", str(error)) from error
        await self.reconcile()
        with suppress(Unavailable):  # the others look by themselves, a little later
            await self._announce(workload)

    def _take_off(self, workload: str) -> None:
        before = self._shelf.take_off(workload)
        if before is not None:
            _log.info("workload is unloaded", workload=workload, bundle_version=before.version)

    def quarantine(self, bundle: LiveBundle, error: Exception) -> LiveBundle | None:
        """Stop serving a bundle whose graph failed on a row; return who answers instead.

        That is the bundle before it. None when there is none, or when the caller asked for
        this very version: the error is theirs then.
        """
        live = self._shelf.live.get(bundle.workload)
        if live is not bundle:
            return live if bundle.life.over else None
        refusal = Refusal(bundle.workload, bundle.version, f"its graph failed: {error}")
        instead = self._shelf.take_back(refusal)
        if instead is None:
            return None
        # MUST be remembered at once: `current` still stands for it.
        self._tried[bundle.workload, bundle.version] = bundle.stamp
        _log.error(
            "bundle is quarantined",
            workload=bundle.workload,
            bundle_version=bundle.version,
            why=refusal.why,
            serving=instead.version,
        )
        return instead

    def _known_refusal(self, workload: str, version: str, stamp: FileStamp) -> Refusal | None:
        """Return why a bundle was refused whose files have not changed since."""
        if self._tried.get((workload, version)) != stamp:
            return None
        return self._shelf.refusals.get((workload, version))

    async def _guarded(self, part: str, read: Callable[[], _T]) -> _T | None:
        """Read something of the registry in a thread; None, logged once, when it cannot be."""
        try:
            found = await self._in_thread(read)
        except (OSError, ValueError, AttributeError, RegistryUnreachable, Unavailable) as error:
            if part not in self._unreadable:
                _log.error(
                    "the registry cannot be read; what is loaded keeps serving",
                    workload=part,
                    error=str(error),
                )
            self._unreadable.add(part)
            return None
        if part in self._unreadable:
            _log.info("the registry can be read again", workload=part)
            self._unreadable.discard(part)
        return found

    async def _in_thread(self, work: Callable[[], _T]) -> _T:
        return await in_thread(self._executor, work)

    async def _follow_one(self, workload: str, aliases: Mapping[str, str]) -> None:
        live = self._shelf.live.get(workload)
        current = aliases.get("current")
        if current is None or (live is not None and live.version == current):
            return
        if await self._take(workload, current) or live is not None:
            return
        # Nothing answers yet and the newest is bad: the one before it is better than nothing.
        previous = aliases.get("previous")
        if previous is not None:
            await self._take(workload, previous)

    async def _take(self, workload: str, version: str) -> bool:
        """Load a bundle and let it serve; return whether it does."""
        began = time.monotonic()
        stamp = await self._in_thread(lambda: self._loader.stamp(workload, version))
        if self._tried.get((workload, version)) == stamp:
            return False
        found = await self._guarded(workload, lambda: self._loader.load(workload, version, stamp))
        if found is None:
            return False
        if isinstance(found, Refusal):
            self._tried[workload, version] = stamp
            self._refuse(found)
            return False
        self._tried.pop((workload, version), None)
        before = self._shelf.put(found)
        self._meters.swaps.add(time.monotonic() - began)
        _log.info(
            "bundle is live",
            workload=workload,
            bundle_version=version,
            before=before.version if before else "",
        )
        return True

    def _refuse(self, refusal: Refusal) -> None:
        if self._shelf.refuse(refusal):
            live = self._shelf.live.get(refusal.workload)
            _log.error(
                "bundle is refused",
                workload=refusal.workload,
                bundle_version=refusal.version,
                why=refusal.why,
                serving=live.version if live else "",
            )
