"""How fast decisions are through gRPC: a ranking against one prediction, a large matrix."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.serving.servers import foretell
from foretell import Client
from foretell.client.decision_asks import recommend_question
from foretell.client.decision_requests import recommend_request
from foretell.client.requests import builder
from foretell.decide import Candidate
from foretell.predictor import Predictor
from foretell.registry import FolderRegistry

CANDIDATES = 50
CELLS = 100_000
MODELS = 1000
_ROUNDS = 9
_CALLS = 60


@dataclass(frozen=True)
class Speed:
    """Medians, in seconds."""

    predict_s: float
    recommend_s: float
    """Of the call alone: the request is built before, the answer is not read."""
    client_predict_s: float
    client_recommend_s: float
    """Of the client's method, from Python values to Python values."""
    matrix_s: float
    cells: int


def measure(bundle: Path, scratch: Path) -> Speed:
    """Start a server with the bundle of `vision_models`, and ask it in alternating order."""
    registry = scratch / "registry"
    manifest = Predictor.load(bundle).manifest
    workload = manifest.workload
    FolderRegistry(registry).publish(workload, bundle, promote=True, who="bench", why="bench")
    models = manifest.vocabulary["model"]
    with foretell(registry) as server, Client(server.address, timeout=120.0) as client:
        asked = _Asked(client, workload, models)
        calls = {
            "predict": asked.raw_predict,
            "recommend": asked.raw_recommend,
            "client predict": asked.predict,
            "client recommend": asked.recommend,
        }
        times = _alternating(calls)
        cells, seconds = asked.matrix()
    return Speed(
        times["predict"],
        times["recommend"],
        times["client predict"],
        times["client recommend"],
        seconds,
        cells,
    )


class _Asked:
    """Requests that are never the same, so that nothing is answered from a cache."""

    def __init__(self, client: Client, workload: str, models: tuple[str, ...]) -> None:
        self._client, self._workload, self._models = client, workload, models
        self._places = ("rtx3090", "rtx4090", "i9_10940x", "i7_12700h")
        self._number = 0
        self._build = builder(workload, {})
        names = (self._places[i % 4] for i in range(CANDIDATES))
        self._candidates = [
            Candidate(name, {"batch_size": float(8 + i)}) for i, name in enumerate(names)
        ]

    def _item(self) -> dict[str, Any]:
        self._number += 1
        model = self._models[self._number % len(self._models)]
        return {"model": model, "precision": "amp", "image_size": 224.0 + self._number * 1e-3}

    def raw_predict(self) -> Callable[[], object]:
        request = self._build({**self._item(), "hardware": "rtx3090", "batch_size": 64.0})
        return lambda: self._client._stubs.prediction.Predict(request)

    def raw_recommend(self) -> Callable[[], object]:
        ask: Any = {"candidates": self._candidates}
        question = recommend_question(self._item(), "throughput_per_s", ask)
        request = recommend_request(self._workload, question, "")
        return lambda: self._client._stubs.decision.RecommendHardware(request)

    def predict(self) -> Callable[[], object]:
        item = {**self._item(), "hardware": "rtx3090", "batch_size": 64.0}
        return lambda: self._client.predict(self._workload, item)

    def recommend(self) -> Callable[[], object]:
        item = self._item()
        return lambda: self._client.recommend(
            self._workload, item, "throughput_per_s", candidates=self._candidates
        )

    def matrix(self) -> tuple[int, float]:
        """Return how many cells there are, and the best time of three."""
        models = self._models[:MODELS]
        sizes = np.arange(1.0, 1.0 + CELLS // (len(models) * len(self._places)))
        axes = {"model": models, "hardware": self._places, "batch_size": sizes}
        times = []
        for _ in range(3):
            began = time.perf_counter()
            answer = self._client.matrix(self._workload, axes, {"image_size": 224.0})
            times.append(time.perf_counter() - began)
        return len(answer.cells), min(times)


def _alternating(calls: dict[str, Callable[[], Callable[[], object]]]) -> dict[str, float]:
    found: dict[str, list[float]] = {name: [] for name in calls}
    for round_ in range(_ROUNDS + 1):
        for name, prepare in calls.items():
            prepared = [prepare() for _ in range(_CALLS)]
            times = []
            for call in prepared:
                began = time.perf_counter()
                call()
                times.append(time.perf_counter() - began)
            if round_:  # the first one warms up
                found[name].append(statistics.median(times))
    return {name: statistics.median(times) for name, times in found.items()}
