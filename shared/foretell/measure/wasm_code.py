"""Walking the instructions of a function body, far enough to count its decisions.

Known are the instructions of WebAssembly 2.0 without vectors, and tail calls. A body with any
other instruction has no count, because the size of what follows the unknown one is not known.
"""

from __future__ import annotations

from collections.abc import Callable

from foretell.measure.wasm_binary import Cursor, malformed

_IF, _BR_IF, _BR_TABLE = 0x04, 0x0D, 0x0E


def decisions(body: Cursor) -> int | None:
    """How many times control may part in a body: `if`, `br_if`, and each target of `br_table`.

    `body` stands behind the declarations of locals and ends with the body. None when an
    instruction is not known here. Raises `InvalidInput` when the body is cut short.
    """
    count = 0
    while body.left:
        opcode = body.byte()
        if opcode == _BR_TABLE:
            targets = body.number()
            # Each target takes a byte or more: checked first, or a lying count loops for long.
            if targets >= body.left:
                raise malformed(f"a br_table announces {targets} targets", body.position)
            for _ in range(targets + 1):
                body.number()
            count += targets
            continue
        count += opcode in (_IF, _BR_IF)
        skip = _IMMEDIATES.get(opcode)
        if skip is None:
            return None
        if skip(body) is _UNKNOWN:
            return None
    return count


_UNKNOWN = object()


def _nothing(_: Cursor) -> object:
    return None


def _index(cursor: Cursor) -> object:
    return cursor.number()


def _two_indices(cursor: Cursor) -> object:
    cursor.number()
    return cursor.number()


def _signed(bits: int) -> Callable[[Cursor], object]:
    return lambda cursor: cursor.skip_number(bits)


def _fixed(size: int) -> Callable[[Cursor], object]:
    return lambda cursor: cursor.skip(size)


def _memory_argument(cursor: Cursor) -> object:
    # Bit 6 of the alignment announces the index of a memory (multi-memory proposal).
    if cursor.number() & 0x40:
        cursor.number()
    return cursor.number(64)


def _types(cursor: Cursor) -> object:
    for _ in range(cursor.number()):
        cursor.value_type()
    return None


def _prefixed(cursor: Cursor) -> object:
    """The instructions behind 0xFC: saturating conversions and bulk memory."""
    opcode = cursor.number()
    if opcode <= 7:
        return None
    if opcode in (8, 10, 12, 14):  # memory.init and .copy, table.init and .copy
        return _two_indices(cursor)
    if opcode in (9, 11, 13, 15, 16, 17):  # data.drop, memory.fill, elem.drop, table.*
        return _index(cursor)
    return _UNKNOWN


def _immediates() -> dict[int, Callable[[Cursor], object]]:
    """What follows each opcode; opcodes that are not here are not known."""
    plain = [0x00, 0x01, 0x05, 0x0B, 0x0F, 0x1A, 0x1B, 0xD1, *range(0x45, 0xC5)]
    indexed = [0x0C, _BR_IF, 0x10, 0x12, *range(0x20, 0x27), 0x3F, 0x40, 0xD2]
    return {
        **dict.fromkeys(plain, _nothing),
        **dict.fromkeys(indexed, _index),
        **dict.fromkeys((0x02, 0x03, _IF), _signed(33)),  # block types
        **dict.fromkeys((0x11, 0x13), _two_indices),  # call_indirect, return_call_indirect
        **dict.fromkeys(range(0x28, 0x3F), _memory_argument),
        0x1C: _types,  # select with types
        0x41: _signed(32),
        0x42: _signed(64),
        0x43: _fixed(4),
        0x44: _fixed(8),
        0xD0: _signed(33),  # ref.null
        0xFC: _prefixed,
    }


_IMMEDIATES = _immediates()
