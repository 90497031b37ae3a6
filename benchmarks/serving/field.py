"""Who is measured against whom."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import AbstractContextManager, ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from foretell.broker import free_port
from foretell.bundle import MODEL_FILE
from foretell.client.channel import Stubs
from foretell.predictor import Predictor, open_session
from foretell.v1 import prediction_pb2
from onnxruntime import InferenceSession

from benchmarks.serving import load, model, turns
from benchmarks.serving.duel import Duel
from benchmarks.serving.servers import Server, foretell, running

IN_FLIGHT = 32
FLOOD = 256
BATCHES = (1, 32, 256, 4096, 100_000)
CANDIDATES = 64

_FRESH = 20_000


@dataclass(frozen=True)
class Field:
    """All that runs, and what it is asked."""

    foretell: Server
    without_cache: Server
    echo: Server
    bytes_echo: Server
    session: InferenceSession
    predictor: Predictor
    fresh: list[bytes]
    batches: dict[int, bytes]

    @classmethod
    def start(cls, stack: ExitStack, bundle: Path, scratch: Path, *, peers: bool) -> Self:
        """Start the servers; `stack` stops them."""
        registry = scratch / "registry"
        manifest = model.publish(bundle, registry)
        fresh = model.requests(model.made_up(_FRESH, seed=10))
        batches = {rows: model.batch_request(model.made_up(rows, rows)) for rows in BATCHES}
        ours = stack.enter_context(foretell(registry))
        answers = scratch / "answers"
        _record(ours, answers, fresh[0], batches)
        return cls(
            ours,
            stack.enter_context(foretell(registry, "foretell, no cache", cache_entries=0)),
            stack.enter_context(_echo(answers)),
            stack.enter_context(_echo(answers, "--bytes")),
            open_session((bundle / MODEL_FILE).read_bytes(), manifest.version),
            Predictor.load(bundle),
            fresh,
            batches,
        )


def duels(field: Field, seconds: float) -> Iterator[Duel]:
    """Yield every comparison."""
    yield from _unary(field, seconds)
    yield from _streams(field, seconds)
    yield from _batches(field, seconds)


def _unary(field: Field, seconds: float) -> Iterator[Duel]:
    ours, echo, fresh = field.foretell, field.echo, field.fresh
    repeated = fresh[:1]
    yield Duel(
        "unary, never seen before",
        "calls/s",
        turns.unary(field.without_cache, fresh, IN_FLIGHT, seconds),
        "echo",
        turns.unary(echo, fresh, IN_FLIGHT, seconds),
        at_least=0.75,
    )
    yield Duel(
        "unary, repeated",
        "calls/s",
        turns.unary(ours, repeated, IN_FLIGHT, seconds),
        "echo",
        turns.unary(echo, repeated, IN_FLIGHT, seconds),
        at_least=1.1,
    )
    yield Duel(
        "unary, repeated",
        "calls/s",
        turns.unary(ours, repeated, IN_FLIGHT, seconds),
        "echo of bytes",
        turns.unary(field.bytes_echo, repeated, IN_FLIGHT, seconds),
    )
    saturation = _Saturation(echo, fresh)
    yield Duel(
        "unary p99 at half of saturation",
        "ms",
        turns.latency_at(field.without_cache, fresh, saturation.half, seconds),
        "echo",
        turns.latency_at(echo, fresh, saturation.half, seconds),
        at_most=1.4,
    )


class _Saturation:
    """Knows, once it was asked, how many calls per second a server answers at most."""

    def __init__(self, server: Server, bodies: list[bytes]) -> None:
        self._target = load.Target(server.port, f"{turns.PREDICTION}/Predict")
        self._bodies = bodies
        self._half: float | None = None

    def half(self) -> float:
        """Return half of it."""
        if self._half is None:
            seen = load.unary(self._target, self._bodies, in_flight=IN_FLIGHT, seconds=3)
            self._half = seen.answers / seen.seconds / 2
        return self._half


def _streams(field: Field, seconds: float) -> Iterator[Duel]:
    kinds = (
        ("flood, never seen before", field.without_cache, field.fresh, FLOOD, 0.9),
        ("flood, repeated", field.foretell, field.fresh[:1], FLOOD, 0.9),
        ("ping-pong, never seen before", field.without_cache, field.fresh, 1, None),
        ("ping-pong, repeated", field.foretell, field.fresh[:1], 1, None),
    )
    for name, server, bodies, in_flight, at_least in kinds:
        yield Duel(
            f"stream, {name}",
            "messages/s",
            turns.stream(server, bodies, in_flight, seconds),
            "echo",
            turns.stream(field.echo, bodies, in_flight, seconds),
            at_least=at_least,
        )


def _batches(field: Field, seconds: float) -> Iterator[Duel]:
    for rows, body in field.batches.items():
        ours = turns.batches(field.foretell, body, rows, seconds)
        yield Duel(
            f"batch of {rows:,}",
            "rows/s",
            ours,
            "echo",
            turns.batches(field.echo, body, rows, seconds),
        )
        numbers, codes = model.encoded(field.predictor, model.made_up(rows, rows))
        chunk = turns.best_chunk(field.session, numbers[:8192], codes[:8192])
        yield Duel(
            f"batch of {rows:,}",
            "rows/s",
            ours,
            f"the graph alone, {min(chunk, rows)} rows a run",
            turns.raw_onnx(field.session, numbers, codes, chunk, seconds),
            at_least=0.8 if rows == 4096 else None,
        )


def _record(server: Server, folder: Path, one: bytes, batches: dict[int, bytes]) -> None:
    """Write down what the server answers, for the echo to repeat."""
    folder.mkdir()
    with server.channel() as channel:
        stub = Stubs(channel).prediction
        request = prediction_pb2.PredictRequest.FromString(one)
        predicted = stub.Predict(request, timeout=60, wait_for_ready=True)
        (folder / "Predict").write_bytes(predicted.SerializeToString())
        piece = prediction_pb2.PredictStreamResponse(prediction=predicted)
        (folder / "PredictStream").write_bytes(piece.SerializeToString())
        call = channel.unary_unary(f"{turns.PREDICTION}/PredictBatch")
        for rows, body in batches.items():
            (folder / f"PredictBatch-{rows}").write_bytes(call(body, timeout=60))


def _echo(answers: Path, *flags: str) -> AbstractContextManager[Server]:
    port = free_port()
    command = [sys.executable, "-m", "benchmarks.serving.echo", *flags]
    settings = {"FORETELL_MAX_MESSAGE_BYTES": str(64 * 1024 * 1024)}
    arguments = ["--port", str(port), "--answers", str(answers)]
    return running(" ".join(("echo", *flags)), port, [*command, *arguments], settings)
