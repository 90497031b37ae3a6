"""What one turn of one side does: load on a server for a while, and what it cost."""

from __future__ import annotations

import http.client
import itertools
import statistics
import time
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from onnxruntime import InferenceSession

from benchmarks.serving import load
from benchmarks.serving.duel import Sample, Turn
from benchmarks.serving.servers import Server
from foretell.columns import Codes, Numbers

PREDICTION = "/foretell.v1.PredictionService"
INFER = "/inference.GRPCInferenceService/ModelInfer"
CHUNKS = (16, 32, 64, 128, 256, 512, 1024)


def throughput(server: Server, act: Callable[[], load.Seen]) -> Turn:
    """Return a turn whose value is answers per second."""

    def turn() -> Sample:
        before = server.cpu_s()
        seen = act()
        cpu_us = 1e6 * (server.cpu_s() - before) / max(seen.answers, 1)
        return Sample(seen.answers / seen.seconds, cpu_us, seen.failed)

    return turn


def unary(server: Server, bodies: Sequence[bytes], in_flight: int, seconds: float) -> Turn:
    """Predict calls, so many in flight."""
    target = load.Target(server.port, f"{PREDICTION}/Predict")
    return throughput(
        server, lambda: load.unary(target, bodies, in_flight=in_flight, seconds=seconds)
    )


def capacity(
    server: Server, bodies: Sequence[bytes], in_flight: int, seconds: float, processes: int
) -> Turn:
    """Predict calls; the value is how many would take all time of so many processors a second."""
    act = unary(server, bodies, in_flight, seconds)

    def turn() -> Sample:
        seen = act()
        return Sample(processes * 1e6 / (seen.cpu_us or 1), seen.cpu_us, seen.failed)

    return turn


def stream(server: Server, bodies: Sequence[bytes], in_flight: int, seconds: float) -> Turn:
    """Messages of one PredictStream call, so many in flight."""
    target = load.Target(server.port, f"{PREDICTION}/PredictStream")
    return throughput(
        server, lambda: load.stream(target, bodies, in_flight=in_flight, seconds=seconds)
    )


def latency_at(
    server: Server, bodies: Sequence[bytes], rate: Callable[[], float], seconds: float
) -> Turn:
    """Predict calls at a steady rate; the value is the 99th percentile in milliseconds."""
    target = load.Target(server.port, f"{PREDICTION}/Predict")

    def turn() -> Sample:
        before = server.cpu_s()
        seen = load.unary_at_rate(target, bodies, rate=rate(), seconds=seconds)
        cpu_us = 1e6 * (server.cpu_s() - before) / max(seen.answers, 1)
        p99 = 1000 * float(np.quantile(seen.latencies_s, 0.99))
        return Sample(p99, cpu_us, seen.failed)

    return turn


def batches(server: Server, body: bytes, rows: int, seconds: float) -> Turn:
    """PredictBatch calls, one after the other; the value is rows per second."""
    return _rows_per_second(server, _batch_call(server), body, rows, seconds)


def _rows_per_second(server: Server, call: Any, body: bytes, rows: int, seconds: float) -> Turn:  # noqa: ANN401
    def turn() -> Sample:
        before, began, count = server.cpu_s(), time.perf_counter(), 0
        while count == 0 or time.perf_counter() - began < seconds:
            call(body)
            count += 1
        spent = time.perf_counter() - began
        return Sample(rows * count / spent, 1e6 * (server.cpu_s() - before) / (rows * count))

    return turn


def infer(server: Server, bodies: Sequence[bytes], in_flight: int, seconds: float) -> Turn:
    """ModelInfer calls of the Open Inference Protocol, so many in flight."""
    target = load.Target(server.port, INFER)
    return throughput(
        server, lambda: load.unary(target, bodies, in_flight=in_flight, seconds=seconds)
    )


def infer_batches(server: Server, body: bytes, rows: int, seconds: float) -> Turn:
    """ModelInfer calls, one after the other; the value is rows per second."""
    return _rows_per_second(server, server.channel().unary_unary(INFER), body, rows, seconds)


def http_latency(server: Server, path: str, bodies: Sequence[bytes], seconds: float) -> Turn:
    """POSTs over one connection, one after the other; the value is the median in milliseconds."""
    connection = http.client.HTTPConnection("127.0.0.1", server.port)

    def call(body: bytes) -> None:
        headers = {"content-type": "application/json"}
        connection.request("POST", path, body, headers)
        response = connection.getresponse()
        if response.status != 200:
            raise ConnectionError(f"HTTP status {response.status}: {response.read()!r}")
        response.read()

    return latency(call, bodies, seconds)


def batch_latency(server: Server, bodies: Sequence[bytes], seconds: float) -> Turn:
    """PredictBatch calls, one after the other; the value is the median in milliseconds."""
    return latency(_batch_call(server), bodies, seconds)


def latency(call: Callable[[bytes], object], bodies: Sequence[bytes], seconds: float) -> Turn:
    """Calls one after the other; the value is the median in milliseconds."""
    turns = itertools.cycle(bodies)

    def turn() -> Sample:
        took: list[float] = []
        end = time.perf_counter() + seconds
        while not took or time.perf_counter() < end:
            body = next(turns)
            began = time.perf_counter()
            call(body)
            took.append(time.perf_counter() - began)
        return Sample(1000 * statistics.median(took))

    return turn


def raw_onnx(
    session: InferenceSession, numbers: Numbers, codes: Codes, chunk: int, seconds: float
) -> Turn:
    """The graph alone, on one thread, in runs of `chunk` rows; the value is rows per second."""

    def turn() -> Sample:
        began, done = time.perf_counter(), 0
        while done == 0 or time.perf_counter() - began < seconds:
            for i in range(0, len(numbers), chunk):
                rows = slice(i, i + chunk)
                session.run(None, {"numbers": numbers[rows], "categories": codes[rows]})
            done += len(numbers)
        spent = time.perf_counter() - began
        return Sample(done / spent, 1e6 * spent / done)

    return turn


def best_chunk(session: InferenceSession, numbers: Numbers, codes: Codes) -> int:
    """Return the size of run at which the graph is fastest on these rows."""
    speeds = {
        chunk: max(raw_onnx(session, numbers, codes, chunk, 0.1)().value for _ in range(3))
        for chunk in CHUNKS
        if chunk <= max(len(numbers), CHUNKS[0])
    }
    return max(speeds, key=speeds.__getitem__)


def _batch_call(server: Server) -> Any:  # noqa: ANN401 -- gRPC's callables have no type
    # Never closed: it lives as long as the process, and so does what it measures.
    return server.channel().unary_unary(f"{PREDICTION}/PredictBatch")
