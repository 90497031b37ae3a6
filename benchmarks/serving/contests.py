"""Every comparison: who does what, against whom, and what the ratio ought to be."""

from __future__ import annotations

from collections.abc import Iterator

from benchmarks.serving import load, model, turns
from benchmarks.serving.duel import Duel, Sample, Turn
from benchmarks.serving.field import CANDIDATES, Field
from benchmarks.serving.servers import Server, foretell

IN_FLIGHT = 96
"""With 32 the client has nothing to send while a batch is run, and the echo is not saturated."""
FLOOD = 256


def duels(field: Field, seconds: float) -> Iterator[Duel]:
    """Yield every comparison."""
    yield from _unary(field, seconds)
    yield from _streams(field, seconds)
    yield from _batches(field, seconds)
    yield from _against_peers(field, seconds)
    yield _two_processes(field, seconds)


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


def _against_peers(field: Field, seconds: float) -> Iterator[Duel]:
    """Compare with servers that answer with the graph's bare output, from ready-made tensors."""
    if field.http is not None:
        asked = [model.made_up(CANDIDATES, seed) for seed in range(50)]
        bodies = list(map(model.json_request, asked))
        kinds = (("item by item", "/predict/bulk"), ("one run", "/predict/bulk/strict"))
        for name, path in kinds:
            yield Duel(
                f"{CANDIDATES} candidates in one call, p50",
                "ms",
                turns.batch_latency(field.foretell, list(map(model.batch_request, asked)), seconds),
                f"FastAPI, JSON in bulk, {name}",
                turns.http_latency(field.http, path, bodies, seconds),
                at_least=5,
                faster=True,
            )
    for peer in field.peers:
        one = [
            model.tensor_request(field.predictor, model.made_up(1, seed)) for seed in range(2000)
        ]
        yield Duel(
            "unary, never seen before",
            "calls/s",
            turns.unary(field.without_cache, field.fresh, IN_FLIGHT, seconds),
            f"{peer.name}, bare output",
            turns.infer(peer, one, IN_FLIGHT, seconds),
            at_least=1.5,
        )
        for rows in (256, 4096):
            body = model.tensor_request(field.predictor, model.made_up(rows, rows))
            yield Duel(
                f"batch of {rows:,}",
                "rows/s",
                turns.batches(field.foretell, field.batches[rows], rows, seconds),
                f"{peer.name}, bare output",
                turns.infer_batches(peer, body, rows, seconds),
                at_least=2,
            )


def _two_processes(field: Field, seconds: float) -> Duel:
    """Compare what two processes could answer with what one could, each on its own processor.

    The client takes a processor, too, so this is reckoned from what an answer costs the servers.
    """

    def started(workers: int) -> Turn:
        def turn() -> Sample:
            # The client does not follow when it is asked to go to another process.
            settings = {"cache_entries": 0, "workers": workers, "max_connection_age_s": 3600}
            with foretell(field.registry, f"{workers} processes", **settings) as server:
                _await_answer(server, field.fresh[0])
                # As many for each process, or their batches would be smaller.
                in_flight = IN_FLIGHT * workers
                return turns.capacity(server, field.fresh, in_flight, seconds, workers)()

        return turn

    return Duel(
        "2 processes, by processor time",
        "calls/s",
        started(2),
        "1 process",
        started(1),
        at_least=1.8,
    )


def _await_answer(server: Server, request: bytes) -> None:
    with server.channel() as channel:
        call = channel.unary_unary(f"{turns.PREDICTION}/Predict")
        call(request, timeout=60, wait_for_ready=True)
