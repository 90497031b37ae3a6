"""All that runs while the benchmark does: servers, peers, and what they are asked."""

from __future__ import annotations

import sys
from contextlib import AbstractContextManager, ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from onnxruntime import InferenceSession

from benchmarks.serving import model, turns
from benchmarks.serving.peers.environments import http_bulk, kserve, mlserver
from benchmarks.serving.servers import Server, foretell, running
from foretell.bundle import MODEL_FILE
from foretell.client.channel import Stubs
from foretell.ports import free_port
from foretell.predictor import Predictor, open_session
from foretell.v1 import prediction_pb2

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
    registry: Path
    peers: tuple[Server, ...]
    http: Server | None

    @classmethod
    def start(cls, stack: ExitStack, bundle: Path, scratch: Path, *, peers: bool) -> Self:
        """Start the servers; `stack` stops them. With `peers`, also those of other projects."""
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
            registry,
            tuple(map(stack.enter_context, (kserve(bundle), mlserver(bundle, scratch))))
            if peers
            else (),
            stack.enter_context(http_bulk(bundle, scratch)) if peers else None,
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
