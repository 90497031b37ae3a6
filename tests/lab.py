"""A workload whose forecasts can be done by hand, for decisions: jobs on made-up hardware.

`LAB` is a workload with a catalog of hardware; the graph of its bundle answers, for hardware h
and batch size b, with the normal table below:

    latency_ms        median LATENCY[h] · b ** 0.5    spread SPREAD[h] in its logarithm
    throughput_per_s  1000 · b / latency_ms
    memory_mb         median 1000 · b                 spread 0.1
    power_w           median POWER[h]                 spread 0.05

Beside another job, latency is SLOWDOWN times as much, and throughput as much less. With a metric
`slowdown` beside these, that says OWN_SLOWDOWN times SLOWDOWN.
Hardware that is not in the bundle answers as `unknown` does, with support 0.05.
"""

from __future__ import annotations

import hashlib
import itertools
import math
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
from onnx import NodeProto, TensorProto, helper

from foretell.bundle import Golden, Lineage, Manifest, Quantiles, write_bundle
from foretell.catalog import CatalogTable
from foretell.known import KNOWN_FILE, KnownRows
from foretell.predictor import Predictor
from foretell.schema import Schema
from foretell.schema_file import parse_schema
from tests.bundles import graph_of

LAB = """
workload: lab
features:
  - {name: job, kind: category}
  - {name: beside, kind: category}
  - {name: hardware, kind: category, required: true}
  - {name: batch_size, kind: number, scale: log, minimum: 1, maximum: 4096, required: true}
  - {name: compiled, kind: flag}
catalogs:
  - name: hardware
    key: hardware
    facts:
      - {name: vendor, kind: category}
      - {name: memory_gb, kind: number, unit: GB, scale: log}
      - {name: tdp_w, kind: number, unit: W, scale: log}
metrics:
  - {name: latency_ms, unit: ms, direction: lower, scale: log}
  - {name: throughput_per_s, unit: jobs/s, direction: higher, scale: log}
  - {name: memory_mb, unit: MB, direction: lower, scale: log}
  - {name: power_w, unit: W, direction: lower, scale: log}
groups: [[hardware]]
links:
  - {metric: throughput_per_s, constant: 1000, factors: {batch_size: 1, latency_ms: -1}}
"""

HARDWARE = ("fast", "huge", "old", "vague")
LATENCY = {"fast": 10.0, "huge": 12.0, "old": 40.0, "vague": 9.5, "unknown": 15.0}
SPREAD = {"fast": 0.05, "huge": 0.05, "old": 0.1, "vague": 0.8, "unknown": 1.0}
POWER = {"fast": 300.0, "huge": 500.0, "old": 100.0, "vague": 200.0, "unknown": 250.0}
OWN_SLOWDOWN = 1.1
SLOWDOWN = {"a": 1.2, "alone": 1.0, "b": 1.5}
FACTS: dict[str, tuple[Any, ...]] = {
    "vendor": ("acme", "acme", "bolt", None),
    "memory_gb": (16.0, 80.0, 8.0, None),
    "tdp_w": (350.0, 600.0, 120.0, 250.0),
}
LEVELS = (0.005, 0.05, 0.1, 0.25, 0.5, 0.75, 0.9, 0.95, 0.995)
Z = (-2.576, -1.645, -1.2816, -0.6745, 0.0, 0.6745, 1.2816, 1.645, 2.576)

_seconds = itertools.count()


def lab_schema() -> Schema:
    """Return the schema of the workload."""
    return parse_schema(LAB, "lab.yaml")


def with_slowdown() -> Schema:
    """Return the schema with a metric `slowdown`."""
    metric = "  - {name: slowdown, direction: lower, scale: log}\ngroups:"
    return parse_schema(LAB.replace("groups:", metric), "lab.yaml")


def lab_predictor(folder: Path, schema: Schema | None = None) -> Predictor:
    """Write the bundle into a folder and load it."""
    lab_bundle(folder, schema)
    return Predictor.load(folder)


def lab_bundle(folder: Path, schema: Schema | None = None) -> Manifest:
    """Write the bundle into a folder."""
    mine = schema or lab_schema()
    beside = {KNOWN_FILE: lab_known(mine).to_bytes()}
    graph = graph_of(mine, _nodes(), _constants(mine), groups=1)
    return write_bundle(folder, graph, _manifest(mine), beside)


def lab_known(schema: Schema) -> KnownRows:
    """Return what was measured: fast and old hardware, each with batches of 1, 4 and 16."""
    runs = [(hardware, batch) for hardware in ("fast", "old") for batch in (1.0, 4.0, 16.0)]
    numbers = np.full((len(runs), len(schema.number_names)), np.nan)
    numbers[:, schema.number_names.index("batch_size")] = [batch for _, batch in runs]
    categories = np.full((len(runs), len(schema.category_names)), -1, dtype=np.int64)
    place = schema.category_names.index("hardware")
    categories[:, place] = [HARDWARE.index(hardware) for hardware, _ in runs]
    laws = [[_table(metric, hardware) for metric in schema.metric_names] for hardware, _ in runs]
    at_one, slope, _ = np.moveaxis(np.array(laws), 2, 0)
    logs = at_one + slope * np.log([[batch] for _, batch in runs])
    return KnownRows(numbers, categories, np.full(len(runs), 10), np.exp(logs))


def _table(metric: str, hardware: str) -> tuple[float, float, float]:
    """Return location at batch 1, slope along log(batch) and spread."""
    latency = math.log(LATENCY[hardware])
    return {
        "latency_ms": (latency, 0.5, SPREAD[hardware]),
        "throughput_per_s": (math.log(1000) - latency, 0.5, SPREAD[hardware]),
        "memory_mb": (math.log(1000), 1.0, 0.1),
        "power_w": (math.log(POWER[hardware]), 0.0, 0.05),
        "slowdown": (math.log(OWN_SLOWDOWN), 0.0, 0.05),
    }[metric]


def _sign(metric: str) -> float:
    return {"latency_ms": 1.0, "throughput_per_s": -1.0, "slowdown": 1.0}.get(metric, 0.0)


def _tables(schema: Schema) -> tuple[np.ndarray[Any, Any], ...]:
    """Return location, slope and spread, [hardware + unknown, metrics] each."""
    rows = [[_table(m, h) for m in schema.metric_names] for h in (*HARDWARE, "unknown")]
    return tuple(np.moveaxis(np.array(rows, np.float32), 2, 0))


def _constants(schema: Schema) -> dict[str, np.ndarray[Any, np.dtype[Any]]]:
    location, slope, spread = _tables(schema)
    metrics = len(schema.metrics)
    return {
        "hardware_at": np.array([schema.category_names.index("hardware")], np.int64),
        "batch_at": np.array([schema.number_names.index("batch_size")], np.int64),
        "locations": location,
        "slopes": slope,
        "spreads": spread,
        "supports": np.array([0.9, 0.8, 0.7, 0.2, 0.05], np.float32),
        "counts": np.array([100, 100, 100, 3, 0], np.float32),
        "unknown": np.array(len(HARDWARE), np.int64),
        "zero": np.array(0, np.int64),
        "zeros": np.zeros((1, metrics), np.int64),
        "flat": np.array([-1], np.int64),
        "beside_at": np.array([schema.category_names.index("beside")], np.int64),
        "one": np.array(1, np.int64),
        "column": np.array([-1, 1], np.int64),
        "slowdowns": np.array(
            [
                [_sign(m) * math.log(f) for m in schema.metric_names]
                for f in (1.0, *SLOWDOWN.values())
            ],
            np.float32,
        ),
    }


def _nodes() -> list[NodeProto]:
    node = helper.make_node
    return [
        node("Gather", ["categories", "hardware_at"], ["sent"], axis=1),
        node("Less", ["sent", "zero"], ["missing"]),
        node("Where", ["missing", "unknown", "sent"], ["known"]),
        node("Reshape", ["known", "flat"], ["row"]),
        node("Gather", ["numbers", "batch_at"], ["batch"], axis=1),
        node("Log", ["batch"], ["log_batch"]),
        node("Cast", ["log_batch"], ["x"], to=TensorProto.FLOAT),
        node("Gather", ["locations", "row"], ["base"], axis=0),
        node("Gather", ["slopes", "row"], ["slope"], axis=0),
        node("Mul", ["slope", "x"], ["rise"]),
        node("Add", ["base", "rise"], ["undisturbed"]),
        node("Gather", ["categories", "beside_at"], ["other"], axis=1),
        node("Add", ["other", "one"], ["other_row"]),
        node("Reshape", ["other_row", "flat"], ["other_rows"]),
        node("Gather", ["slowdowns", "other_rows"], ["slowed"], axis=0),
        node("Add", ["undisturbed", "slowed"], ["location"]),
        node("Gather", ["spreads", "row"], ["scale"], axis=0),
        node("Gather", ["supports", "row"], ["support"], axis=0),
        node("Gather", ["counts", "row"], ["seen"], axis=0),
        node("Reshape", ["seen", "column"], ["rows"]),
        node("Mul", ["known", "zeros"], ["table"]),
    ]


def _manifest(schema: Schema) -> Manifest:
    location, _, spread = _tables(schema)
    numbers = np.full((2, len(schema.number_names)), np.nan)
    numbers[:, schema.number_names.index("batch_size")] = 1.0
    categories = np.full((2, len(schema.category_names)), -1, dtype=np.int64)
    categories[0, schema.category_names.index("hardware")] = 0
    rows = [0, len(HARDWARE)]
    return Manifest(
        workload=schema.workload,
        created_at=datetime(2030, 1, 1, tzinfo=UTC) + timedelta(seconds=next(_seconds)),
        schema=schema,
        schema_fingerprint=schema.fingerprint,
        vocabulary={
            "job": ("a", "b"),
            "beside": tuple(SLOWDOWN),
            "hardware": HARDWARE,
            "vendor": ("acme", "bolt"),
        },
        catalogs=(CatalogTable("hardware", HARDWARE, FACTS),),
        quantiles=Quantiles(
            levels=LEVELS, values=((Z,) * len(schema.metrics),), table_names=("global",)
        ),
        groups=schema.groups,
        family="lab",
        lineage=Lineage(snapshot_sha256=hashlib.sha256(b"lab").hexdigest(), rows=303),
        golden=Golden.of(
            numbers,
            categories,
            location=location[rows].astype(np.float64),
            scale=spread[rows].astype(np.float64),
            support=np.array([0.9, 0.05]),
            table=np.zeros((2, len(schema.metrics)), np.int64),
        ),
    )
