"""A predictor as llm-d's is built: FastAPI, JSON in bulk, each item checked by itself.

Runs in its own environment: python http_bulk.py --port N --model FILE --about FILE
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime as ort
import uvicorn
from fastapi import FastAPI
from pydantic import BaseModel, Field


class Item(BaseModel):
    """One candidate."""

    function: str
    node: str
    argument: float = Field(ge=0)
    payload_bytes: float = Field(ge=0)


class Bulk(BaseModel):
    """Many candidates."""

    items: list[Item] = Field(min_length=1, max_length=1000)


class Forecast(BaseModel):
    """What is said about one candidate."""

    median: dict[str, float]
    lower: dict[str, float]
    upper: dict[str, float]
    bundle_version: str


class BulkAnswer(BaseModel):
    """What is said about all of them."""

    predictions: list[Forecast]
    errors: list[str]


def application(model: Path, about: dict[str, Any]) -> FastAPI:
    """Return the service."""
    options = ort.SessionOptions()
    options.intra_op_num_threads = 1
    session = ort.InferenceSession(model.read_bytes(), options)
    codes = {name: {v: i for i, v in enumerate(known)} for name, known in about["codes"].items()}
    numbers, categories, metrics = about["numbers"], about["categories"], about["metrics"]
    spread = float(about["spread"])
    app = FastAPI()

    def forecasts(items: list[Item]) -> list[Forecast]:
        rows = np.full((len(items), len(numbers)), np.nan)
        ids = np.full((len(items), len(categories)), -1, dtype=np.int64)
        for i, item in enumerate(items):
            rows[i, numbers.index("argument")] = item.argument
            rows[i, numbers.index("payload_bytes")] = item.payload_bytes
            for name in ("function", "node"):
                ids[i, categories.index(name)] = codes[name].get(getattr(item, name), -1)
        location, scale = session.run(["location", "scale"], {"numbers": rows, "categories": ids})
        median = np.exp(location)
        lower, upper = np.exp(location - spread * scale), np.exp(location + spread * scale)
        return [
            Forecast(
                median=dict(zip(metrics, median[i].tolist(), strict=True)),
                lower=dict(zip(metrics, lower[i].tolist(), strict=True)),
                upper=dict(zip(metrics, upper[i].tolist(), strict=True)),
                bundle_version=about["version"],
            )
            for i in range(len(items))
        ]

    @app.post("/predict/bulk")
    def each(bulk: Bulk) -> BulkAnswer:
        """Predict item by item, so that one that fails is an error of its own."""
        found, errors = [], []
        for item in bulk.items:
            try:
                found += forecasts([item])
            except Exception as error:
                errors.append(str(error))
        return BulkAnswer(predictions=found, errors=errors)

    @app.post("/predict/bulk/strict")
    def together(bulk: Bulk) -> BulkAnswer:
        """Predict all items in one run of the graph; one that fails fails them all."""
        return BulkAnswer(predictions=forecasts(bulk.items), errors=[])

    return app


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    for flag in ("--port", "--model", "--about"):
        parser.add_argument(flag, required=True)
    given = parser.parse_args()
    told = json.loads(Path(given.about).read_text(encoding="utf-8"))
    uvicorn.run(
        application(Path(given.model), told), port=int(given.port), log_level="error", loop="uvloop"
    )
