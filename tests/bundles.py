"""Bundles small enough to build in a test: real graphs, with numbers that a test can predict.

The graph of `tiny_bundle` answers, for a workload with a number `size` and a category `kind`:
location = log(size) + shift (0 where size is missing), scale = 0.1, support = 1 for a known
kind and 0.1 for an unknown one, and 100 training rows behind every known kind. With the
symmetric quantile table, the median of each metric is size · exp(shift).
"""

from __future__ import annotations

import hashlib
import itertools
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from foretell.bundle import Golden, Lineage, Manifest, Quantiles, write_bundle
from foretell.registry import FolderRegistry
from foretell.schema import Feature, Metric, Schema

WORKLOAD = "toy"
SCALE = 0.1
KNOWN_ROWS = 100.0
KINDS = ("big", "small")
LEVELS = (0.01, 0.1, 0.25, 0.5, 0.75, 0.9, 0.99)
Z = (-2.326, -1.282, -0.674, 0.0, 0.674, 1.282, 2.326)

_seconds = itertools.count()


def toy_schema(workload: str = WORKLOAD, metrics: tuple[str, ...] = ("seconds", "kb")) -> Schema:
    """Return a workload with one feature of each kind, of which `kind` is required."""
    return Schema(
        workload=workload,
        title="Toys",
        features=(
            Feature(name="size", kind="number", scale="log", minimum=0, maximum=1e9),
            Feature(name="hot", kind="flag"),
            Feature(name="kind", kind="category", required=True),
            Feature(name="color", kind="category"),
        ),
        metrics=tuple(Metric(name=name, unit=f"unit of {name}") for name in metrics),
        groups=(("kind",),),
    )


def toy_graph(
    schema: Schema, shift: float = 0.0, ballast: int = 0, unknown_scale: float = SCALE
) -> bytes:
    """Return the ONNX graph that the module's docstring describes.

    `ballast` is how many numbers it carries that change nothing, to weigh as much as a model;
    `unknown_scale` is the scale of an unknown kind.
    """
    return graph_of(
        schema,
        [*_location_nodes(), *_certainty_nodes()],
        _constants(schema, shift, ballast, unknown_scale),
        groups=len(schema.groups),
    )


def graph_of(
    schema: Schema,
    nodes: Sequence[onnx.NodeProto],
    constants: Mapping[str, np.ndarray[Any, np.dtype[Any]]],
    groups: int,
) -> bytes:
    """Return a graph of these nodes with the inputs and outputs that every bundle's has."""
    metrics = len(schema.metrics)
    double, integer, single = TensorProto.DOUBLE, TensorProto.INT64, TensorProto.FLOAT
    value = helper.make_tensor_value_info
    graph = helper.make_graph(
        nodes,
        schema.workload,
        [
            value("numbers", double, ["n", len(schema.number_names)]),
            value("categories", integer, ["n", len(schema.category_names)]),
        ],
        [
            value("location", single, ["n", metrics]),
            value("scale", single, ["n", metrics]),
            value("support", single, ["n"]),
            value("table", integer, ["n", metrics]),
            value("rows", single, ["n", groups]),
        ],
        [numpy_helper.from_array(array, name) for name, array in constants.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.checker.check_model(model)
    return bytes(model.SerializeToString())


def _constants(
    schema: Schema, shift: float, ballast: int, unknown_scale: float
) -> dict[str, np.ndarray[Any, np.dtype[Any]]]:
    metrics, groups = len(schema.metrics), len(schema.groups)
    rows = [0.0 if "kind" in group else KNOWN_ROWS for group in schema.groups]
    return {
        "size_at": np.array([schema.number_names.index("size")], np.int64),
        "kind_at": np.array([schema.category_names.index("kind")], np.int64),
        "zero": np.array(0.0, np.float64),
        "zero_f": np.array(0.0, np.float32),
        "zero_i": np.array(0, np.int64),
        "zeros_i": np.zeros((1, metrics), np.int64),
        "shift": np.full((1, metrics), shift, np.float32),
        "ones": np.ones((1, metrics), np.float32),
        "known_scale": np.array(SCALE, np.float32),
        "unknown_scale": np.array(unknown_scale, np.float32),
        "known_support": np.array(1.0, np.float32),
        "unknown_support": np.array(0.1, np.float32),
        "known_rows": np.full((1, groups), KNOWN_ROWS, np.float32),
        "no_rows": np.array([rows], np.float32),
        "flat": np.array([-1], np.int64),
        "ballast": np.zeros((len(KINDS), 1 + ballast // len(KINDS)), np.float32),
        "last": np.array([1], np.int64),
    }


def _location_nodes() -> list[onnx.NodeProto]:
    return [
        helper.make_node("Gather", ["categories", "kind_at"], ["kind"], axis=1),
        helper.make_node("Gather", ["numbers", "size_at"], ["size"], axis=1),
        helper.make_node("IsNaN", ["size"], ["missing"]),
        helper.make_node("Log", ["size"], ["log_size"]),
        helper.make_node("Where", ["missing", "zero", "log_size"], ["filled"]),
        helper.make_node("Cast", ["filled"], ["x"], to=TensorProto.FLOAT),
        helper.make_node("Max", ["kind", "zero_i"], ["kind_row"]),
        helper.make_node("Reshape", ["kind_row", "flat"], ["kind_rows"]),
        helper.make_node("Gather", ["ballast", "kind_rows"], ["weights"], axis=0),
        helper.make_node("ReduceSum", ["weights", "last"], ["weight"], keepdims=1),
        helper.make_node("Add", ["x", "weight"], ["weighed"]),
        helper.make_node("Mul", ["weighed", "ones"], ["wide"]),
        helper.make_node("Add", ["wide", "shift"], ["location"]),
    ]


def _certainty_nodes() -> list[onnx.NodeProto]:
    """Return the nodes of the outputs that say how sure the location is."""
    return [
        helper.make_node("Less", ["kind", "zero_i"], ["unknown"]),
        helper.make_node("Where", ["unknown", "unknown_scale", "known_scale"], ["spread"]),
        helper.make_node("Mul", ["wide", "zero_f"], ["nothing"]),
        helper.make_node("Add", ["nothing", "spread"], ["scale"]),
        helper.make_node("Where", ["unknown", "no_rows", "known_rows"], ["rows"]),
        helper.make_node("Where", ["unknown", "unknown_support", "known_support"], ["near"]),
        helper.make_node("Reshape", ["near", "flat"], ["support"]),
        helper.make_node("Mul", ["kind", "zeros_i"], ["table"]),
    ]


def toy_manifest(schema: Schema, shift: float = 0.0, unknown_scale: float = SCALE) -> Manifest:
    """Return a draft that fits `toy_graph`; each call is a second younger than the one before."""
    numbers = np.array([[10.0, 1.0], [np.nan, 0.0]])
    categories = np.array([[0, -1], [-1, -1]], dtype=np.int64)
    metrics = len(schema.metrics)
    location = np.array([[np.log(10.0) + shift] * metrics, [shift] * metrics])
    return Manifest(
        workload=schema.workload,
        created_at=datetime(2030, 1, 1, tzinfo=UTC) + timedelta(seconds=next(_seconds)),
        schema=schema,
        schema_fingerprint=schema.fingerprint,
        vocabulary={"kind": KINDS, "color": ("red",)},
        quantiles=Quantiles(
            levels=LEVELS, values=((tuple(Z),) * metrics,), table_names=("global",)
        ),
        groups=schema.groups,
        family="toy",
        lineage=Lineage(
            snapshot_sha256=hashlib.sha256(b"toys").hexdigest(), rows=200, sources=("test",)
        ),
        evaluation={"random": {"seconds": {"mape": 0.1}}},
        golden=Golden.of(
            numbers,
            categories,
            location=location,
            scale=np.array([[SCALE] * metrics, [unknown_scale] * metrics]),
            support=np.array([1.0, 0.1]),
            table=np.zeros((2, metrics), np.int64),
        ),
    )


def tiny_bundle(
    folder: Path,
    *,
    shift: float = 0.0,
    schema: Schema | None = None,
    ballast: int = 0,
    unknown_scale: float = SCALE,
) -> Manifest:
    """Write a bundle into `folder` that predicts size · exp(shift) for every metric."""
    mine = schema or toy_schema()
    graph = toy_graph(mine, shift, ballast, unknown_scale)
    return write_bundle(folder, graph, toy_manifest(mine, shift, unknown_scale))


def publish_tiny(
    registry: Path,
    scratch: Path,
    *,
    shift: float = 0.0,
    schema: Schema | None = None,
    ballast: int = 0,
    unknown_scale: float = SCALE,
) -> str:
    """Publish a tiny bundle as current and return its version."""
    folder = scratch / f"bundle-{next(_seconds)}"
    manifest = tiny_bundle(
        folder, shift=shift, schema=schema, ballast=ballast, unknown_scale=unknown_scale
    )
    return FolderRegistry(registry).publish(
        manifest.workload, folder, promote=True, who="test", why="test"
    )
