"""Reading a WebAssembly binary: the cursor, the sections, and nothing that needs an engine.

The format is that of the core specification, https://webassembly.github.io/spec/core/binary/.
Only what the features need is decoded; what a section holds beyond that is skipped by its size.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from foretell.errors import InvalidInput, Violation

MAGIC = b"\0asm"
CORE_VERSION = b"\1\0\0\0"
COMPONENT_LAYER = b"\1\0"

TYPE, IMPORT, FUNCTION, TABLE, MEMORY, GLOBAL, EXPORT = 1, 2, 3, 4, 5, 6, 7
ELEMENT, CODE, DATA = 9, 10, 11
_LAST_SECTION = 13  # the tag section of the exceptions proposal
_REFERENCES_TO_HEAP_TYPES = (0x63, 0x64)


def malformed(message: str, offset: int) -> InvalidInput:
    """Says what is wrong with a binary, and at which byte."""
    where = f"byte {offset}"
    return InvalidInput(
        [Violation("wasm", where, message)], f"not a usable WebAssembly module: {message} ({where})"
    )


class Cursor:
    """A place in a binary, moved forward by every read; never past `end`."""

    def __init__(self, binary: bytes, position: int = 0, end: int | None = None) -> None:
        self.binary = binary
        self.position = position
        self.end = len(binary) if end is None else end

    @property
    def left(self) -> int:
        """Bytes that have not been read."""
        return self.end - self.position

    def byte(self) -> int:
        """The next byte."""
        if self.position >= self.end:
            raise malformed("it ends in the middle of a value", self.position)
        self.position += 1
        return self.binary[self.position - 1]

    def skip(self, count: int) -> None:
        """Moves over `count` bytes."""
        if count > self.left:
            raise malformed(f"{count} bytes are announced, {self.left} are left", self.position)
        self.position += count

    def number(self, bits: int = 32) -> int:
        """An unsigned LEB128 number of at most `bits` bits."""
        start, value = self.position, 0
        for shift in range(0, bits, 7):
            byte = self.byte()
            value |= (byte & 0x7F) << shift
            if not byte & 0x80:
                if value >> bits:
                    raise malformed(f"a number does not fit {bits} bits", start)
                return value
        raise malformed(f"a number is longer than {bits} bits", start)

    def skip_number(self, bits: int) -> None:
        """Moves over a LEB128 number, signed or not, of at most `bits` bits."""
        start = self.position
        for _ in range(0, bits, 7):
            if not self.byte() & 0x80:
                return
        raise malformed(f"a number is longer than {bits} bits", start)

    def part(self, size: int) -> Cursor:
        """A cursor over the next `size` bytes, which this one skips."""
        start = self.position
        self.skip(size)
        return Cursor(self.binary, start, start + size)

    def value_type(self) -> None:
        """Moves over a value type; references to heap types take more than one byte."""
        if self.byte() in _REFERENCES_TO_HEAP_TYPES:
            self.skip_number(33)


@dataclass(frozen=True, slots=True)
class Limits:
    """The size of a memory or table when it starts, in its own units."""

    minimum: int
    page_bytes: int = 65_536


def read_limits(cursor: Cursor) -> Limits:
    """Limits with the flags of the memory64, threads and custom-page-sizes proposals."""
    start = cursor.position
    flags = cursor.byte()
    if flags > 0x0F:
        raise malformed(f"limits have the unknown flags {flags:#x}", start)
    bits = 64 if flags & 0x04 else 32
    minimum = cursor.number(bits)
    if flags & 0x01:
        cursor.number(bits)
    return Limits(minimum, 1 << min(cursor.number(), 16) if flags & 0x08 else 65_536)


@dataclass(frozen=True, slots=True)
class Section:
    """One section: its number, and a cursor over what it holds."""

    number: int
    cursor: Cursor


def sections(binary: bytes) -> Iterator[Section]:
    """The sections of a core module, in the order of the file; custom ones (number 0) too.

    Raises `InvalidInput` when this is no core module, or a section is longer than the file.
    """
    _check_header(binary)
    cursor = Cursor(binary, 8)
    while cursor.left:
        start = cursor.position
        number = cursor.byte()
        if number > _LAST_SECTION:
            raise malformed(f"there is no section {number}", start)
        yield Section(number, cursor.part(cursor.number()))


def _check_header(binary: bytes) -> None:
    if binary[:4] != MAGIC:
        raise malformed("it does not start with the four bytes \\0asm", 0)
    if binary[6:8] == COMPONENT_LAYER:
        raise malformed("it is a component; only core modules are supported", 4)
    if binary[4:8] != CORE_VERSION:
        raise malformed("its version is not 1", 4)
