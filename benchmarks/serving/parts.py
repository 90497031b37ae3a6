"""Where the time of an answer goes, in one process without a network: the graph, and all else.

    python -m benchmarks.serving.parts

Of many tries the fastest counts, so a busy machine disturbs it less than it does calls per second.
Also: what the columns of a batch would cost in Arrow's IPC format instead of packed columns.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import click
import numpy as np
import pyarrow as pa

from benchmarks.serving import model
from foretell import logs
from foretell.predictor import Predictor
from foretell.v1 import prediction_pb2
from foretell_server.answers import read_answers
from foretell_server.converters import prediction
from foretell_server.converters.row import RowAnswer
from foretell_server.options import DEFAULT_OPTIONS
from foretell_server.shelf import LiveBundle

ANSWER_COLUMNS = 20
Part = tuple[str, float]
"""A name, and microseconds."""


@click.command(help=__doc__)
@click.option("--tries", default=100, show_default=True, type=click.IntRange(1))
@click.option("--bundle", type=click.Path(path_type=Path, exists=True, file_okay=False))
def main(tries: int, bundle: Path | None) -> None:
    logs.configure("error")
    live = LiveBundle(Predictor.load(bundle or model.bundle()))
    for together in (1, 4, 16):
        _show(f"one row of {together} in a run, µs", row_parts(live, together, tries))
    for rows in (256, 4096):
        _show(f"a batch of {rows:,}, µs per row", batch_parts(live, rows, tries))
    _show("columns of 4,096 rows, µs", column_parts(tries))


def row_parts(live: LiveBundle, together: int, tries: int) -> Iterable[Part]:
    """Yield what each step of Predict takes for one of so many rows that share a run."""
    bodies = model.requests(model.made_up(together, seed=1))
    encoder, parse = live.predictor.encoder, prediction_pb2.PredictRequest.FromString
    writer = RowAnswer(live.plan(DEFAULT_OPTIONS), live.predictor)
    requests = list(map(parse, bodies))
    questions = [prediction.question(request) for request in requests]
    rows = [encoder.encode_row(question.features) for question in questions]
    outputs = live.predictor.run_rows(rows)

    def each(work: Callable[[int], object]) -> float:
        return _fastest(lambda: [work(i) for i in range(together)], tries) / together

    yield "parse", each(lambda i: parse(bodies[i]))
    yield "read", each(lambda i: prediction.question(requests[i]))
    yield "encode", each(lambda i: encoder.encode_row(questions[i].features))
    yield "the graph", _fastest(lambda: live.predictor.run_rows(rows), tries) / together
    yield "answer", each(lambda i: writer.body(outputs[i], ()))


def batch_parts(live: LiveBundle, rows: int, tries: int) -> Iterable[Part]:
    """Yield what each step of PredictBatch takes per row, on one processor."""
    body = model.batch_request(model.made_up(rows, rows))
    plan, predictor = live.plan(DEFAULT_OPTIONS), live.predictor
    request = prediction_pb2.PredictBatchRequest.FromString(body)
    question = prediction.table_question(request)
    encoded = predictor.encoder.encode_columns(question.columns, rows)
    forecast = predictor.forecast(encoded)

    def answers() -> Any:  # noqa: ANN401 -- Answers
        return read_answers(
            plan,
            forecast,
            workload=live.workload,
            bundle_version=live.version,
            groups=live.groups,
            prediction_id="",
        )

    found = answers()

    def per_row(work: Callable[[], object]) -> float:
        return _fastest(work, max(3, tries * 256 // rows)) / rows

    def read() -> object:
        asked = prediction_pb2.PredictBatchRequest.FromString(body)
        return prediction.table_question(asked)

    yield "parse and read", per_row(read)
    yield "encode", per_row(lambda: predictor.encoder.encode_columns(question.columns, rows))
    yield "the graph", per_row(lambda: predictor.run(encoded.numbers, encoded.categories))
    yield "quantiles", per_row(answers)
    yield "answer", per_row(lambda: prediction.batch(found, request.encoding).SerializeToString())


def column_parts(tries: int, rows: int = 4096) -> Iterable[Part]:
    """Yield what reading a batch's columns and writing its answer's takes, in both formats."""
    asked = model.made_up(rows, rows)
    body = model.batch_request(asked)
    table = pa.table(
        {
            "function": pa.array(asked.function).dictionary_encode(),
            "node": pa.array(asked.node).dictionary_encode(),
            "argument": asked.argument,
            "payload_bytes": asked.payload_bytes,
        }
    )
    stream = _arrow_bytes(table)
    numbers = {f"column {i}": np.random.default_rng(i).random(rows) for i in range(ANSWER_COLUMNS)}

    def read_packed() -> object:
        return prediction.table_question(prediction_pb2.PredictBatchRequest.FromString(body))

    def write_packed() -> bytes:
        answer = prediction_pb2.PredictBatchResponse()
        for values in numbers.values():
            answer.metrics.add().median.raw = values.astype("<f8").tobytes()
        return answer.SerializeToString()

    yield "packed, read", _fastest(read_packed, tries)
    yield "Arrow, read", _fastest(lambda: _arrow_columns(stream), tries)
    yield "packed, write", _fastest(write_packed, tries)
    yield "Arrow, write", _fastest(lambda: _arrow_bytes(pa.table(numbers)), tries)


def _arrow_bytes(table: pa.Table) -> bytes:
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, table.schema) as writer:
        writer.write_table(table)
    content: bytes = sink.getvalue().to_pybytes()
    return content


def _arrow_columns(stream: bytes) -> list[Any]:
    """Return columns as the encoder takes them: arrays, or texts and places among them."""
    columns = [c.combine_chunks() for c in pa.ipc.open_stream(stream).read_all().columns]
    return [
        (c.dictionary.to_pylist(), c.indices.to_numpy(zero_copy_only=False))
        if pa.types.is_dictionary(c.type)
        else c.to_numpy(zero_copy_only=False)
        for c in columns
    ]


def _fastest(work: Callable[[], object], tries: int) -> float:
    """Return the microseconds of the fastest of some tries."""
    took = []
    for _ in range(tries):
        began = time.perf_counter()
        work()
        took.append(time.perf_counter() - began)
    return 1e6 * min(took)


def _show(title: str, parts: Iterable[Part]) -> None:
    click.echo(f"{title}: " + ", ".join(f"{name} {took:.1f}" for name, took in parts))


if __name__ == "__main__":
    main()
