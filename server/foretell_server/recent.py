"""Recent answers: what was asked, kept for a bounded time, by the id that the answer carried.

An outcome may then be reported by this id alone. On the way of an answer nothing happens but that
its request, in the bytes in which it came, is appended to a list; a thread writes the list to a
file a few times a second. The files are in a folder that all processes of the registry share, so
an outcome may come to any of them, and after a restart. A process that is killed loses what it had
not written: the outcomes of these answers have to carry their features.

A file is `<prefix>-<number>.answers`: the prefix of one process's ids and the number of the first
answer in it. A record is number, length (little-endian, 8 and 4 bytes), request.
"""

from __future__ import annotations

import asyncio
import struct
import time
from collections.abc import Sequence
from concurrent.futures import Executor
from contextlib import suppress
from functools import partial
from pathlib import Path
from threading import Lock

from foretell.logs import get_logger
from foretell_server.threads import in_thread

WRITTEN_EVERY_S = 0.1
FILE_BYTES = 4 << 20
"""A file of so many bytes is full, and the next is begun."""
MOST_WAITING = 200_000
"""So many answers wait to be written at most, if the disk is slow or full."""
INDEXES = 16
"""Of so many files it is remembered what is where in them: about 2 MB each."""
SUFFIX = ".answers"

_RECORD = struct.Struct("<QI")
_log = get_logger(__name__)


class RecentAnswers:
    """The requests behind recent answers. `keep` is called on the event loop, `find` anywhere."""

    def __init__(self, folder: Path, prefix: str, *, most_bytes: int, kept_s: float) -> None:
        self._folder = folder
        self._prefix = prefix
        self._most_bytes = most_bytes
        self._kept_s = kept_s
        self._waiting: list[tuple[str, bytes]] = []
        self._writing: list[tuple[str, bytes]] = []
        self._path: Path | None = None
        self._size = 0
        self._failing = False
        self._indexes: dict[Path, _Index] = {}
        self._reading = Lock()

    def keep(self, prediction_id: str, request: bytes) -> None:
        """Remember what an answer was asked with."""
        if len(self._waiting) < MOST_WAITING and self._most_bytes:
            self._waiting.append((prediction_id, request))

    async def follow(self, executor: Executor) -> None:
        """Write what is new again and again, until cancelled."""
        while True:
            await asyncio.sleep(WRITTEN_EVERY_S)
            if self._waiting:
                batch, self._waiting = self._waiting, []
                self._writing = batch
                await in_thread(executor, partial(self._write, batch))
                self._writing = []

    def close(self) -> None:
        """Write what is left."""
        batch, self._waiting = self._waiting, []
        self._write(batch)

    def find(self, prediction_id: str) -> bytes | None:
        """Return the request behind an answer; None when it is not known, or not any more."""
        prefix, _, text = prediction_id.partition("-")
        try:
            number = int(text, 16)
        except ValueError:
            return None
        if not prefix.isalnum():
            return None
        for waiting in (self._waiting, self._writing):
            for known, request in tuple(waiting):
                if known == prediction_id:
                    return request
        found = self._stored(prefix, number)
        if found is None and prefix != self._prefix and any(self._files(prefix)):
            # Another process may be about to write it.
            time.sleep(2 * WRITTEN_EVERY_S)
            found = self._stored(prefix, number)
        return found

    def _stored(self, prefix: str, number: int) -> bytes | None:
        # Answers that were made at the same time may be a few places apart from their numbers.
        files = [path for first, path in self._files(prefix) if first <= number + MOST_WAITING]
        with self._reading:
            for path in reversed(files):
                with suppress(OSError):  # pruned in this moment
                    if time.time() - path.stat().st_mtime > self._kept_s:
                        continue
                    found = self._index(path).find(number)
                    if found is not None:
                        return found
        return None

    def _index(self, path: Path) -> _Index:
        """Return what is where in a file; the files that were asked for last are remembered."""
        known = self._indexes.pop(path, None) or _Index(path)
        self._indexes[path] = known
        if len(self._indexes) > INDEXES:
            del self._indexes[next(iter(self._indexes))]
        return known

    def _files(self, prefix: str) -> list[tuple[int, Path]]:
        found = self._folder.glob(f"{prefix}-*{SUFFIX}")
        return sorted((int(path.stem.partition("-")[2], 16), path) for path in found)

    def _write(self, batch: Sequence[tuple[str, bytes]]) -> None:
        try:
            if batch:
                self._append(batch)
        except OSError as error:
            if not self._failing:
                why, place = str(error), str(self._folder)
                _log.error("recent answers cannot be kept", folder=place, error=why)
            self._failing = True
        else:
            self._failing = False

    def _append(self, batch: Sequence[tuple[str, bytes]]) -> None:
        content = b"".join(part for name, request in batch for part in _record(name, request))
        if self._path is None or self._size >= FILE_BYTES:
            self._folder.mkdir(parents=True, exist_ok=True)
            first = int(batch[0][0].partition("-")[2], 16)
            self._path, self._size = self._folder / f"{self._prefix}-{first:x}{SUFFIX}", 0
            self._prune()
        # One write: whoever reads meanwhile sees whole records, and at most a torn last one.
        with self._path.open("ab", buffering=0) as file:
            file.write(content)
        self._size += len(content)

    def _prune(self) -> None:
        """Remove what is too old or, from the oldest on, too much; of all processes."""
        left, now = self._most_bytes, time.time()
        stated = []
        for path in self._folder.glob(f"*{SUFFIX}"):
            with suppress(OSError):
                about = path.stat()
                stated.append((about.st_mtime, about.st_size, path))
        for changed, size, path in sorted(stated, key=lambda one: one[0], reverse=True):
            left -= size
            if left < 0 or now - changed > self._kept_s:
                with suppress(OSError):
                    path.unlink()


def _record(name: str, request: bytes) -> tuple[bytes, bytes]:
    return _RECORD.pack(int(name.partition("-")[2], 16), len(request)), request


class _Index:
    """What is where in one file; reads on where it stopped."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._places: dict[int, tuple[int, int]] = {}
        self._read = 0

    def find(self, number: int) -> bytes | None:
        """Return the request of an answer; None when it is not in the file."""
        with self._path.open("rb") as file:
            if number not in self._places:
                file.seek(self._read)
                self._add(file.read())
            start, size = self._places.get(number, (0, -1))
            file.seek(start)
            return file.read(size) if size >= 0 else None

    def _add(self, content: bytes) -> None:
        at = 0
        while at + _RECORD.size <= len(content):
            number, size = _RECORD.unpack_from(content, at)
            after = at + _RECORD.size + size
            if after > len(content):
                break
            self._places[number] = (self._read + after - size, size)
            at = after
        self._read += at
