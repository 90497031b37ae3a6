"""The echo server: Foretell's own stack with handlers that do nothing.

    python -m benchmarks.serving.echo --port N --registry DIR

It listens with the same options, on the same loop, and answers every message with fixed bytes,
those that a real server answered before.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import click
import grpc
import uvloop
from foretell.settings import Settings
from foretell_server.listening import listen, server_options

SERVICE = "foretell.v1.PredictionService"


def answers_in(folder: Path) -> dict[str, bytes]:
    """Return the answer to each message of a folder, by the message's number of bytes."""
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def _handlers(answers: dict[str, bytes]) -> grpc.GenericRpcHandler:
    one, piece = answers["Predict"], answers["PredictStream"]

    async def predict(_raw: bytes, _context: Any) -> bytes:  # noqa: ANN401 -- gRPC's
        return one

    async def stream(requests: AsyncIterator[bytes], _context: Any) -> AsyncIterator[bytes]:  # noqa: ANN401
        async for _raw in requests:
            yield piece

    async def batch(raw: bytes, _context: Any) -> bytes:  # noqa: ANN401
        return answers[f"PredictBatch-{len(raw)}"]

    return grpc.method_handlers_generic_handler(
        SERVICE,
        {
            "Predict": grpc.unary_unary_rpc_method_handler(predict),
            "PredictStream": grpc.stream_stream_rpc_method_handler(stream),
            "PredictBatch": grpc.unary_unary_rpc_method_handler(batch),
        },
    )


async def _run(settings: Settings, answers: dict[str, bytes]) -> None:
    server = grpc.aio.server(
        options=server_options(settings), maximum_concurrent_rpcs=settings.max_concurrent_calls
    )
    server.add_generic_rpc_handlers((_handlers(answers),))
    listen(server, settings)
    await server.start()
    await server.wait_for_termination()


@click.command()
@click.option("--port", required=True, type=int)
@click.option("--answers", required=True, type=click.Path(path_type=Path, exists=True))
def main(port: int, answers: Path) -> None:
    """Answer with the files of a folder until killed."""
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(_run(Settings(port=port), answers_in(answers)))


if __name__ == "__main__":
    main()
