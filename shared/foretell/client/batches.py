"""PredictBatch in chunks: a long table becomes several calls and one answer."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager

from foretell.client.columns import CHUNK_ROWS, Table, chunks, pack
from foretell.client.requests import Ask, forecast_options
from foretell.errors import InvalidInput, Violation
from foretell.v1 import common_pb2
from foretell.v1.prediction_pb2 import PredictBatchRequest

# The server counts rows from the start of its message: "columns[argument][17]".
_ROW = re.compile(r"^(columns\[.+\])\[(\d+)\]")


def batch_requests(
    workload: str, table: Table, ask: Ask, chunk_rows: int = CHUNK_ROWS
) -> Iterator[tuple[int, PredictBatchRequest]]:
    """Yield the first row of each chunk, and its request."""
    options = forecast_options(ask)
    columns, rows = pack(table)
    for part in chunks(columns, rows, chunk_rows):
        yield (
            part.start,
            PredictBatchRequest(
                workload=workload,
                columns=[column.message(part) for column in columns],
                row_count=part.stop - part.start,
                options=options,
                bundle_version=ask.get("bundle_version", ""),
                encoding=common_pb2.ENCODING_RAW,
            ),
        )


@contextmanager
def rows_from(start: int) -> Iterator[None]:
    """Count the rows that violations name from the start of the caller's table."""
    try:
        yield
    except InvalidInput as error:
        if start == 0:
            raise
        moved = [
            Violation(_ROW.sub(lambda m: _moved(m, start), v.field), v.value, v.message)
            for v in error.violations
        ]
        raise InvalidInput(moved) from error


def _moved(match: re.Match[str], start: int) -> str:
    return f"{match[1]}[{int(match[2]) + start}]"
