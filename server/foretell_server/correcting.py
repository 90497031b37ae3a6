"""Correcting: keeps the corrections of the live bundles in step with the broker's.

They are read at once when the broker says that they changed and when another bundle goes live,
and every few seconds besides. While the broker is away, what was read last holds.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress

from foretell.correction_channel import CorrectionReader
from foretell.corrections import Corrections
from foretell.errors import InvalidInput, Unavailable
from foretell.logs import get_logger
from foretell_server.shelf import Shelf
from foretell_server.telemetry.meters import Meters, Reading

_LISTEN_AGAIN_AFTER_S = 2.0

_log = get_logger(__name__)


class Correcting:
    """Follows the corrections. One per process; used on the event loop."""

    def __init__(
        self,
        reader: CorrectionReader,
        shelf: Shelf,
        *,
        poll_s: float,
        meters: Meters,
        remember: Callable[[str, str, int, str], None],
    ) -> None:
        """`remember` is told what a bundle is going to answer with: workload, version, number and
        text of the corrections."""
        self._reader = reader
        self._shelf = shelf
        self._poll_s = poll_s
        self._remember = remember
        self._wake = asyncio.Event()
        meters.show(
            Reading(
                "foretell_corrected_groups",
                "Combinations of categories whose answers are corrected by recent outcomes.",
                lambda: float(sum(bundle.corrected for bundle in shelf.live.values())),
                across="max",
            )
        )

    def wake(self) -> None:
        """Have the corrections read soon."""
        self._wake.set()

    async def follow(self) -> None:
        """Read the corrections again and again, until cancelled."""
        while True:
            with suppress(TimeoutError):
                async with asyncio.timeout(self._poll_s):
                    await self._wake.wait()
            self._wake.clear()
            try:
                await self.read()
            except Unavailable:
                continue  # `HotSwap.listen` says it, and the health service

    async def listen(self) -> None:
        """Wake `follow` whenever the broker says that corrections changed, until cancelled."""
        while True:
            with suppress(Unavailable):
                async for _ in self._reader.listen():
                    self._wake.set()
            await asyncio.sleep(_LISTEN_AGAIN_AFTER_S)

    async def read(self) -> None:
        """Bring the corrections of all live bundles in step with the broker's."""
        workloads = list(self._shelf.live)
        texts = await self._reader.read(workloads)
        for workload, text in zip(workloads, texts, strict=True):
            live = self._shelf.live.get(workload)
            if text is None or live is None:
                continue
            try:
                corrections = Corrections.from_json(text)
                if corrections.entries and corrections.bundle_version == live.version:
                    self._remember(workload, live.version, corrections.number, str(text))
                live.correct(corrections)
            except InvalidInput as error:
                _log.error("corrections cannot be read", workload=workload, error=error.message)
