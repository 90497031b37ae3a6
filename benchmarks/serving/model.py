"""The bundle that everything in this benchmark serves, and the rows that it is asked about.

Built in is a made-up workload of functions on nodes, so that the benchmark needs no data; its
graph is what `foretell train` makes of it.
"""

from __future__ import annotations

import hashlib
import json
import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

import foretell_trainer.engine
from foretell.bundle import Manifest, read_manifest
from foretell.catalog import CatalogTable, load_catalog
from foretell.columns import Coded, Codes, Numbers
from foretell.predictor import Predictor
from foretell.registry import FolderRegistry
from foretell.schema import Schema
from foretell.schema_file import load_schema
from foretell.v1 import common_pb2, prediction_pb2
from foretell_server.inference import service_pb2
from foretell_trainer.snapshot import snapshot_from_files
from foretell_trainer.training import FitSettings, train

WORKLOAD = "serverless"
CACHE = Path(".foretell/benchmarks/serving")

_FUNCTIONS, _NODES, _ROWS = 24, 8, 1500


@dataclass(frozen=True)
class Rows:
    """Made-up work: one entry per row."""

    function: tuple[str, ...]
    node: tuple[str, ...]
    argument: Numbers
    payload_bytes: Numbers

    def __len__(self) -> int:
        return len(self.function)


def made_up(count: int, seed: int) -> Rows:
    """Return rows of which hardly two are alike."""
    random = np.random.default_rng(seed)
    return Rows(
        tuple(f"function-{i}" for i in random.integers(_FUNCTIONS, size=count)),
        tuple(f"node-{i}" for i in random.integers(_NODES, size=count)),
        np.exp(random.uniform(0, 12, count)),
        np.exp(random.uniform(3, 14, count)),
    )


def bundle(cache: Path = CACHE) -> Path:
    """Return the folder of the bundle, fitted when there is none of this engine's yet."""
    folder = cache / f"bundle-{_engine_digest()}"
    if not folder.is_dir():
        with tempfile.TemporaryDirectory(prefix="foretell-") as scratch:
            out = Path(scratch) / "bundle"
            _fit(load_schema(WORKLOAD), Path(scratch), out)
            cache.mkdir(parents=True, exist_ok=True)
            shutil.move(out, folder)
    return folder


def publish(folder: Path, registry: Path) -> Manifest:
    """Publish a bundle as the current one of its workload."""
    manifest = read_manifest(folder)
    FolderRegistry(registry).publish(
        manifest.workload, folder, promote=True, who="benchmark", why="benchmark"
    )
    return manifest


def requests(rows: Rows) -> list[bytes]:
    """Return one PredictRequest for each row, serialized."""
    return [
        prediction_pb2.PredictRequest(
            workload=WORKLOAD,
            features={
                "function": common_pb2.Value(text=rows.function[i]),
                "node": common_pb2.Value(text=rows.node[i]),
                "argument": common_pb2.Value(number=rows.argument[i]),
                "payload_bytes": common_pb2.Value(number=rows.payload_bytes[i]),
            },
        ).SerializeToString()
        for i in range(len(rows))
    ]


def batch_request(rows: Rows) -> bytes:
    """Return one PredictBatchRequest for all rows, raw columns both ways, serialized."""
    return prediction_pb2.PredictBatchRequest(
        workload=WORKLOAD,
        row_count=len(rows),
        encoding=common_pb2.ENCODING_RAW,
        columns=[
            common_pb2.Column(name="function", texts=_texts(rows.function)),
            common_pb2.Column(name="node", texts=_texts(rows.node)),
            common_pb2.Column(name="argument", numbers=_numbers(rows.argument)),
            common_pb2.Column(name="payload_bytes", numbers=_numbers(rows.payload_bytes)),
        ],
    ).SerializeToString()


def json_request(rows: Rows) -> bytes:
    """Return the same as JSON, an object for each row."""
    items = [
        {
            "function": rows.function[i],
            "node": rows.node[i],
            "argument": float(rows.argument[i]),
            "payload_bytes": float(rows.payload_bytes[i]),
        }
        for i in range(len(rows))
    ]
    return json.dumps({"items": items}).encode()


def tensor_request(predictor: Predictor, rows: Rows) -> bytes:
    """Return the graph's own inputs as a ModelInferRequest, serialized."""
    numbers, codes = encoded(predictor, rows)
    request = service_pb2.ModelInferRequest(model_name=WORKLOAD)
    for name, kind, values in (("numbers", "FP64", numbers), ("categories", "INT64", codes)):
        request.inputs.add(name=name, datatype=kind, shape=values.shape)
        request.raw_input_contents.append(values.tobytes())
    return request.SerializeToString()


def encoded(predictor: Predictor, rows: Rows) -> tuple[Numbers, Codes]:
    """Return rows as the graph takes them."""
    found = predictor.encoder.encode_columns(
        {
            "function": _coded(rows.function),
            "node": _coded(rows.node),
            "argument": rows.argument,
            "payload_bytes": rows.payload_bytes,
        },
        len(rows),
    )
    return found.numbers, found.categories


def _fit(schema: Schema, scratch: Path, out: Path) -> None:
    rows = made_up(_ROWS, seed=1)
    random = np.random.default_rng(2)
    speed = dict(zip(_names("node", _NODES), random.lognormal(0, 0.8, _NODES), strict=True))
    work = dict(
        zip(_names("function", _FUNCTIONS), random.lognormal(-6, 1, _FUNCTIONS), strict=True)
    )
    duration = (
        np.array([work[f] / speed[n] for f, n in zip(rows.function, rows.node, strict=True)])
        * rows.argument**0.7
        * random.lognormal(0, 0.15, _ROWS)
    )
    memory = 2000 + rows.payload_bytes / 200 * random.lognormal(0, 0.1, _ROWS)
    file = scratch / "rows.parquet"
    pq.write_table(
        pa.table(
            {
                "function": rows.function,
                "node": rows.node,
                "argument": rows.argument,
                "payload_bytes": rows.payload_bytes,
                "duration_s": duration,
                "memory_kb": memory,
            }
        ),
        file,
    )
    snapshot, _ = snapshot_from_files(schema, [file], scratch)
    train(schema, snapshot, _catalogs(schema), out, FitSettings(family="lightgbm", threads=2))


def _catalogs(schema: Schema) -> list[CatalogTable]:
    """Return facts about every function and node."""
    random = np.random.default_rng(3)
    tables = []
    for name, key, count in (("functions", "function", _FUNCTIONS), ("nodes", "node", _NODES)):
        catalog = schema.catalog(name)
        facts: dict[str, list[float | str]] = {
            fact.name: (
                random.lognormal(5, 2, count).tolist()
                if fact.kind == "number"
                else random.integers(2, size=count).astype(float).tolist()
                if fact.kind == "flag"
                else [f"{fact.name}-{i}" for i in random.integers(3, size=count)]
            )
            for fact in catalog.facts
        }
        tables.append(load_catalog(catalog, {key: _names(key, count), **facts}))
    return tables


def _engine_digest() -> str:
    """Return what changes when the graphs of this engine may."""
    digest = hashlib.sha256(Path(__file__).read_bytes())
    for path in sorted(Path(foretell_trainer.engine.__file__).parent.rglob("*.py")):
        digest.update(path.read_bytes())
    return digest.hexdigest()[:12]


def _names(kind: str, count: int) -> list[str]:
    return [f"{kind}-{i}" for i in range(count)]


def _coded(texts: tuple[str, ...]) -> Coded:
    dictionary = tuple(dict.fromkeys(texts))
    place = {text: i for i, text in enumerate(dictionary)}
    return Coded(dictionary, np.array([place[text] for text in texts], dtype=np.int64))


def _texts(texts: tuple[str, ...]) -> common_pb2.Texts:
    coded = _coded(texts)
    raw = coded.indices.astype("<u4").tobytes()
    return common_pb2.Texts(dictionary=[str(v) for v in coded.values], raw_indices=raw)


def _numbers(values: Numbers) -> common_pb2.Numbers:
    return common_pb2.Numbers(raw=values.astype("<f8").tobytes())
