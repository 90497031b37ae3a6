"""An HTTP/2 connection to a gRPC server that costs its own core very little.

A load generator must not be what is measured. gRPC's Python client spends more cycles on a call
than the server does, and h2load sends one body for all of its requests, so that a cache would
answer them. Here the frames of a request are joined from bytes that were made beforehand, and
of an answer only the frames' heads are read. Plain text only; RFC 9113 and 7541.
"""

from __future__ import annotations

import socket
from collections.abc import Iterator
from typing import NamedTuple, Self

DATA, HEADERS, RST_STREAM, SETTINGS, PING, GOAWAY, WINDOW_UPDATE = 0, 1, 3, 4, 6, 7, 8
END_STREAM, ACK, END_HEADERS = 1, 1, 4

_PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
_INITIAL_WINDOW = 0x4
_LARGEST_WINDOW = 2**31 - 1
_DEFAULT_WINDOW = 65_535
_LARGEST_FRAME = 16_384
_RECEIVE = 1 << 18
_WINDOW_BACK_AT = 1 << 24


class Frame(NamedTuple):
    """One frame that matters to a caller."""

    kind: int
    flags: int
    stream: int
    payload: bytes


def frame(kind: int, flags: int, stream: int, payload: bytes) -> bytes:
    """Return a frame's bytes."""
    head = len(payload).to_bytes(3, "big") + bytes((kind, flags)) + stream.to_bytes(4, "big")
    return head + payload


def message(body: bytes) -> bytes:
    """Return a gRPC message: uncompressed, with its length before it."""
    return b"\0" + len(body).to_bytes(4, "big") + body


class Connection:
    """One connection. Not for threads; its socket blocks only while it connects and sends."""

    def __init__(self, host: str, port: int, path: str) -> None:
        self.socket = socket.create_connection((host, port))
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._next_stream = 1
        self._buffer = b""
        self._room = _DEFAULT_WINDOW
        self._initial_window = self._stream_room = _DEFAULT_WINDOW
        self._received = 0
        self._goodbye = ""
        self._first_block, self._block = _header_blocks(f"{host}:{port}", path)
        settings = _INITIAL_WINDOW.to_bytes(2, "big") + _LARGEST_WINDOW.to_bytes(4, "big")
        grow = (_LARGEST_WINDOW - _DEFAULT_WINDOW).to_bytes(4, "big")
        self.socket.sendall(
            _PREFACE + frame(SETTINGS, 0, 0, settings) + frame(WINDOW_UPDATE, 0, 0, grow)
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.socket.close()

    @property
    def stream_room(self) -> int:
        """How many bytes of DATA the server still takes on the stream that was opened last."""
        return min(self._room, self._stream_room)

    def open(self) -> tuple[int, bytes]:
        """Return the number of a new stream, and the frame that opens it.

        Raises ConnectionError when the server has said that it takes no more.
        """
        if self._goodbye:
            raise ConnectionError(self._goodbye)
        stream = self._next_stream
        self._next_stream += 2
        block, self._first_block = self._first_block, self._block
        return stream, frame(HEADERS, END_HEADERS, stream, block)

    def call(self, body: bytes) -> tuple[int, bytes]:
        """Return the number and the frames of a unary call; `body` is a gRPC `message`."""
        stream, head = self.open()
        self._room -= len(body)
        if self._room < 0:
            raise ConnectionError("the server's window is full; keep fewer calls in flight")
        return stream, head + frame(DATA, END_STREAM, stream, body)

    def data(self, stream: int, payload: bytes) -> bytes:
        """Return frames that carry messages on an open stream, and take up their room."""
        self._room -= len(payload)
        self._stream_room -= len(payload)
        pieces = range(0, len(payload), _LARGEST_FRAME)
        return b"".join(frame(DATA, 0, stream, payload[i : i + _LARGEST_FRAME]) for i in pieces)

    def receive(self) -> Iterator[Frame]:
        """Yield the frames that have arrived, having answered those that ask for it.

        Blocks until there are some. Raises ConnectionError when the server has gone.
        """
        chunk = self.socket.recv(_RECEIVE)
        if not chunk:
            raise ConnectionError("the server closed the connection")
        buffer, at = self._buffer + chunk, 0
        end = len(buffer) - 9
        while at <= end:
            size = int.from_bytes(buffer[at : at + 3], "big")
            if at + 9 + size > len(buffer):
                break
            kind, flags = buffer[at + 3], buffer[at + 4]
            stream = int.from_bytes(buffer[at + 5 : at + 9], "big")
            payload = buffer[at + 9 : at + 9 + size]
            at += 9 + size
            if kind == DATA:
                self._received += size
            if kind <= RST_STREAM:
                yield Frame(kind, flags, stream, payload)
            else:
                self._control(kind, flags, stream, payload)
        self._buffer = buffer[at:]
        self._give_window_back()

    def _control(self, kind: int, flags: int, stream: int, payload: bytes) -> None:
        if kind == WINDOW_UPDATE:
            more = int.from_bytes(payload, "big")
            if stream == 0:
                self._room += more
            else:
                self._stream_room += more
        elif kind == SETTINGS and not flags & ACK:
            self._take_settings(payload)
            self.socket.sendall(frame(SETTINGS, ACK, 0, b""))
        elif kind == PING and not flags & ACK:
            self.socket.sendall(frame(PING, ACK, 0, payload))
        elif kind == GOAWAY:
            self._goodbye = f"the server said GOAWAY: {payload[8:].decode(errors='replace')}"
            if any(payload[4:8]):
                raise ConnectionError(self._goodbye)

    def _take_settings(self, payload: bytes) -> None:
        for at in range(0, len(payload), 6):
            if int.from_bytes(payload[at : at + 2], "big") == _INITIAL_WINDOW:
                window = int.from_bytes(payload[at + 2 : at + 6], "big")
                self._stream_room += window - self._initial_window
                self._initial_window = window

    def _give_window_back(self) -> None:
        # Streams have the largest window there is and end long before; the connection does not.
        if self._received >= _WINDOW_BACK_AT:
            update = frame(WINDOW_UPDATE, 0, 0, self._received.to_bytes(4, "big"))
            self.socket.sendall(update)
            self._received = 0


class Messages:
    """Counts the gRPC messages in a stream's payloads, which need not begin where frames do."""

    def __init__(self) -> None:
        self.count = 0
        self._head = b""
        self._left = 0

    def take(self, payload: bytes) -> None:
        """Take the next bytes of the stream."""
        at = 0
        while at < len(payload):
            if self._left == 0:
                need = 5 - len(self._head)
                self._head += payload[at : at + need]
                at += need
                if len(self._head) < 5:
                    return
                self._left = int.from_bytes(self._head[1:], "big")
                self._head = b""
            else:
                taken = min(self._left, len(payload) - at)
                self._left -= taken
                at += taken
            if self._left == 0 and not self._head:
                self.count += 1


def _header_blocks(authority: str, path: str) -> tuple[bytes, bytes]:
    """Return the HPACK blocks of the first request and of all others.

    As other clients do, the first one puts what repeats into the server's dynamic table, where
    the newest entry has the number 62.
    """
    post, http = b"\x83", b"\x86"
    first = [
        post,
        http,
        b"\x44" + _text(path),  # the static table has the names :path, :authority, content-type
        b"\x41" + _text(authority),
        b"\x5f" + _text("application/grpc"),
        b"\x40" + _text("te") + _text("trailers"),
    ]
    later = [post, http, bytes((0x80 | 65, 0x80 | 64, 0x80 | 63, 0x80 | 62))]
    return b"".join(first), b"".join(later)


def _text(text: str) -> bytes:
    encoded = text.encode()
    if len(encoded) > 126:
        raise ValueError(f"{text!r} is too long for one byte of length")
    return bytes((len(encoded),)) + encoded
