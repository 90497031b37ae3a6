"""Recent answers: what was asked, kept for a bounded time, by the id that the answer carried.

An outcome may then be reported by this id alone. On the way of an answer nothing happens but that
its request, in the bytes in which it came, is appended to a list; a thread writes the list to a
file a few times a second. The files are in a folder that all processes of the registry share, so
an outcome may come to any of them, and after a restart. A process that is killed loses what it had
not written: the outcomes of these answers have to carry their features.

A file is `<prefix>-<number>.answers`: the prefix of one process's ids and the number of the first
answer in it. A record is number and length (little-endian, 8 and 4 bytes), the version of the
bundle that answered (25 bytes), the number of its corrections and when it was written (8 bytes
each), and the request. The corrections themselves are beside them, one file for each state that
was ever answered with, so that an answer can be given once more.
"""

from __future__ import annotations

import asyncio
import struct
import time
from collections.abc import Sequence
from concurrent.futures import Executor
from contextlib import suppress
from functools import cache, partial
from itertools import chain
from pathlib import Path
from threading import Lock
from typing import NamedTuple

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
CORRECTIONS_SUFFIX = ".corrections"

_RECORD = struct.Struct("<QI")
_ORIGIN = struct.Struct("<25sQd")
_log = get_logger(__name__)


class Recent(NamedTuple):
    """What is known of an answer of the past."""

    request: bytes
    bundle_version: str
    correction: int
    """The number of the corrections that it was given with; 0 for none."""
    written_at: float
    """When it was written down, in seconds since 1970; 0 if it is about to be."""


class RecentAnswers:
    """The requests behind recent answers. `keep` is called on the event loop, `find` anywhere."""

    def __init__(self, folder: Path, prefix: str, *, most_bytes: int, kept_s: float) -> None:
        self._folder = folder
        self._prefix = prefix
        self._most_bytes = most_bytes
        self._kept_s = kept_s
        self._waiting: list[_Answer] = []
        self._writing: list[_Answer] = []
        self._corrections: dict[str, str] = {}
        self._path: Path | None = None
        self._size = 0
        self._failing = False
        self._indexes: dict[Path, _Index] = {}
        self._reading = Lock()

    def keep(
        self, prediction_id: str, request: bytes, version: str = "", correction: int = 0
    ) -> None:
        """Remember what an answer was asked with, and what gave it."""
        if len(self._waiting) < MOST_WAITING and self._most_bytes:
            self._waiting.append((prediction_id, request, version, correction))

    def keep_corrections(self, workload: str, version: str, number: int, text: str) -> None:
        """Remember the corrections that a bundle answers with from now on."""
        if self._most_bytes:
            self._corrections[_corrections_name(workload, version, number)] = text

    async def follow(self, executor: Executor) -> None:
        """Write what is new again and again, until cancelled."""
        while True:
            await asyncio.sleep(WRITTEN_EVERY_S)
            if self._waiting or self._corrections:
                batch, self._waiting = self._waiting, []
                self._writing = batch
                await in_thread(executor, partial(self._write, batch))
                self._writing = []

    def close(self) -> None:
        """Write what is left."""
        batch, self._waiting = self._waiting, []
        self._write(batch)

    def corrections(self, workload: str, version: str, number: int) -> str | None:
        """Return the text of corrections that a bundle answered with; None when it is gone."""
        name = _corrections_name(workload, version, number)
        with suppress(OSError):
            return (self._folder / name).read_text(encoding="utf-8")
        return self._corrections.get(name)

    def find(self, prediction_id: str) -> Recent | None:
        """Return what is behind an answer; None when it is not known, or not any more."""
        prefix, _, text = prediction_id.partition("-")
        try:
            number = int(text, 16)
        except ValueError:
            return None
        if not prefix.isalnum():
            return None
        for waiting in (self._waiting, self._writing):
            for known, request, version, correction in tuple(waiting):
                if known == prediction_id:
                    return Recent(request, version, correction, 0.0)
        found = self._stored(prefix, number)
        if found is None and prefix != self._prefix and any(self._files(prefix)):
            # Another process may be about to write it.
            time.sleep(2 * WRITTEN_EVERY_S)
            found = self._stored(prefix, number)
        return found

    def _stored(self, prefix: str, number: int) -> Recent | None:
        # Answers that were made at the same time may be a few places apart from their numbers.
        files = [path for first, path in self._files(prefix) if first <= number + MOST_WAITING]
        with self._reading:
            for path in reversed(files):
                with suppress(OSError):  # pruned in this moment
                    if time.time() - path.stat().st_mtime > self._kept_s:
                        continue
                    found = self._index(path).find(number)
                    if found is not None:
                        version, correction, written_at = _ORIGIN.unpack_from(found)
                        name = version.rstrip(b"\0").decode(errors="replace")
                        return Recent(found[_ORIGIN.size :], name, correction, written_at)
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

    def _write(self, batch: Sequence[_Answer]) -> None:
        try:
            self._write_corrections()
            if batch:
                self._append(batch)
        except OSError as error:
            if not self._failing:
                why, place = str(error), str(self._folder)
                _log.error("recent answers cannot be kept", folder=place, error=why)
            self._failing = True
        else:
            self._failing = False

    def _write_corrections(self) -> None:
        for name, text in tuple(self._corrections.items()):
            path = self._folder / name
            if not path.exists():  # another process answers with the same
                self._make_folder()
                beside = path.with_name(f".{name}-{self._prefix}")
                beside.write_text(text, encoding="utf-8")
                beside.replace(path)
            del self._corrections[name]

    def _append(self, batch: Sequence[_Answer]) -> None:
        now = time.time()
        origin_of = cache(lambda version, number: _ORIGIN.pack(version.encode(), number, now))
        parts: list[bytes] = []
        for name, request, version, correction in batch:
            origin = origin_of(version, correction)
            size = len(origin) + len(request)
            parts += (_RECORD.pack(int(name.partition("-")[2], 16), size), origin, request)
        content = b"".join(parts)
        if self._path is None or self._size >= FILE_BYTES:
            self._make_folder()
            first = int(batch[0][0].partition("-")[2], 16)
            self._path, self._size = self._folder / f"{self._prefix}-{first:x}{SUFFIX}", 0
            self._prune()
        # One write: whoever reads meanwhile sees whole records, and at most a torn last one.
        with self._path.open("ab", buffering=0) as file:
            file.write(content)
        self._size += len(content)

    def _make_folder(self) -> None:
        # A registry that has gone away, and may be back, is not made anew for its answers.
        self._folder.mkdir(exist_ok=True)

    def _prune(self) -> None:
        """Remove what is too old or, from the oldest on, too much; of all processes."""
        left, now = self._most_bytes, time.time()
        stated = []
        files = (self._folder.glob(f"*{suffix}") for suffix in (SUFFIX, CORRECTIONS_SUFFIX))
        for path in chain.from_iterable(files):
            with suppress(OSError):
                about = path.stat()
                stated.append((about.st_mtime, about.st_size, path))
        for changed, size, path in sorted(stated, key=lambda one: one[0], reverse=True):
            left -= size
            if left < 0 or now - changed > self._kept_s:
                with suppress(OSError):
                    path.unlink()


_Answer = tuple[str, bytes, str, int]
"""Prediction id, request, version, number of the corrections."""


def _corrections_name(workload: str, version: str, number: int) -> str:
    return f"{workload}-{version}-{number}{CORRECTIONS_SUFFIX}"


class _Index:
    """What is where in one file; reads on where it stopped."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._places: dict[int, tuple[int, int]] = {}
        self._read = 0

    def find(self, number: int) -> bytes | None:
        """Return what is recorded of an answer; None when it is not in the file."""
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
