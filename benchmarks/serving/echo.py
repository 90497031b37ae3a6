"""The echo server: Foretell's own stack with handlers that do nothing.

    python -m benchmarks.serving.echo --port N --answers DIR [--bytes]

It listens with the same options, on the same loop, and answers each message with what a real
server answered before. Its handlers take and give messages, as everybody's do that are written
with gRPC's generated code; with --bytes they take and give bytes, which nobody can do less than.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import Any

import click
import grpc
import uvloop

from foretell.settings import Settings
from foretell.v1 import prediction_pb2
from foretell_server.listening import listen, server_options

Answers = Mapping[str, bytes]
"""What a real server answered, by the method's name and, for batches, the request's size."""


def handler(answers: Answers, *, as_bytes: bool) -> grpc.GenericRpcHandler:
    """Return what answers the calls of PredictionService."""
    pb = prediction_pb2
    one = pb.PredictResponse.FromString(answers["Predict"])
    piece = pb.PredictStreamResponse.FromString(answers["PredictStream"])
    batches = {
        name: pb.PredictBatchResponse.FromString(answer)
        for name, answer in answers.items()
        if name.startswith("PredictBatch-")
    }
    give_one: Any = answers["Predict"] if as_bytes else one
    give_piece: Any = answers["PredictStream"] if as_bytes else piece

    async def predict(_request: Any, _context: Any) -> Any:  # noqa: ANN401 -- gRPC's
        return give_one

    async def stream(requests: AsyncIterator[Any], _context: Any) -> AsyncIterator[Any]:  # noqa: ANN401
        async for _request in requests:
            yield give_piece

    async def batch(request: pb.PredictBatchRequest, _context: Any) -> pb.PredictBatchResponse:  # noqa: ANN401
        return batches[f"PredictBatch-{request.row_count}"]

    # As the generated code registers them.
    asked, said = pb.PredictRequest.FromString, pb.PredictResponse.SerializeToString
    streamed = pb.PredictStreamResponse.SerializeToString
    unary, streaming = grpc.unary_unary_rpc_method_handler, grpc.stream_stream_rpc_method_handler
    return grpc.method_handlers_generic_handler(
        "foretell.v1.PredictionService",
        {
            "Predict": unary(predict) if as_bytes else unary(predict, asked, said),
            "PredictStream": streaming(stream) if as_bytes else streaming(stream, asked, streamed),
            "PredictBatch": unary(
                batch,
                pb.PredictBatchRequest.FromString,
                pb.PredictBatchResponse.SerializeToString,
            ),
        },
    )


async def _run(settings: Settings, answers: Answers, *, as_bytes: bool) -> None:
    server = grpc.aio.server(
        options=server_options(settings), maximum_concurrent_rpcs=settings.max_concurrent_calls
    )
    server.add_generic_rpc_handlers((handler(answers, as_bytes=as_bytes),))
    listen(server, settings)
    await server.start()
    await server.wait_for_termination()


@click.command()
@click.option("--port", required=True, type=int)
@click.option("--answers", required=True, type=click.Path(path_type=Path, exists=True))
@click.option("--bytes", "as_bytes", is_flag=True)
def main(port: int, answers: Path, as_bytes: bool) -> None:
    """Answer with the files of a folder until killed."""
    found = {path.name: path.read_bytes() for path in answers.iterdir()}
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(_run(Settings(port=port), found, as_bytes=as_bytes))


if __name__ == "__main__":
    main()
