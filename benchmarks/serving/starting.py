"""How long a server takes from its start to its first answer, with a bundle in its registry."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import grpc
import psutil

from benchmarks.serving.servers import foretell_variables
from foretell.client.channel import Stubs
from foretell.ports import free_port
from foretell.v1 import prediction_pb2


@dataclass(frozen=True)
class Start:
    """One start."""

    seconds: float
    cpu_s: float
    """Processor time that it took, which a busy machine does not stretch as much."""


def start_once(registry: Path, request: bytes) -> Start:
    """Start a server, ask it until it answers, and stop it."""
    port = free_port()
    variables = {**os.environ, **foretell_variables(registry, port=port)}
    message = prediction_pb2.PredictRequest.FromString(request)
    began = time.perf_counter()
    process = subprocess.Popen([sys.executable, "-m", "foretell_server"], env=variables)
    try:
        # Reconnects are tried every 20 ms, so that waiting for the next one is not measured.
        options = [
            ("grpc.initial_reconnect_backoff_ms", 20),
            ("grpc.min_reconnect_backoff_ms", 20),
            ("grpc.max_reconnect_backoff_ms", 20),
        ]
        with grpc.insecure_channel(f"127.0.0.1:{port}", options) as channel:
            Stubs(channel).prediction.Predict(message, timeout=60, wait_for_ready=True)
        seconds = time.perf_counter() - began
        times = psutil.Process(process.pid).cpu_times()
        return Start(seconds, times.user + times.system)
    finally:
        process.terminate()
        process.wait()
