"""A small schema, and bundles whose graph is so small that its answers can be done by hand."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from foretell.bundle import Golden, Lineage, Manifest, Quantiles, write_bundle
from foretell.encoding import Encoder
from foretell.forecast import QuantileTables
from foretell.schema import Schema
from foretell.schema_file import parse_schema

SCHEMA = """
workload: rendering
features:
  - {name: scene, kind: category, required: true}
  - {name: machine, kind: category}
  - {name: family, kind: category, derive: {source: machine, pattern: "^([a-z]+)-"}}
  - {name: samples, kind: number, scale: log, minimum: 1, maximum: 4096}
  - {name: texture, kind: number, format: quantity}
  - {name: frame, kind: number, format: dimensions, column: resolution}
  - {name: denoise, kind: flag}
catalogs:
  - name: machines
    key: machine
    facts:
      - {name: cores, kind: number, scale: log}
      - {name: vendor, kind: category}
      - {name: runtime_kind, kind: category, column: runtime}
      - {name: ecc, kind: flag}
metrics:
  - {name: duration_s, unit: s, column: runtime}
  - {name: score, scale: linear, direction: higher, minimum: 0, maximum: 100}
groups: [[scene], [machine], [scene, machine]]
"""

VOCABULARY = {
    "scene": ("forest", "kitchen"),
    "machine": ("big-1", "small-1", "small-2"),
    "family": ("big", "small"),
    "vendor": ("acme",),
    "runtime_kind": (),
}


@pytest.fixture(scope="session")
def schema() -> Schema:
    """The schema above: every kind of feature, a catalog, two metrics."""
    return parse_schema(SCHEMA, "rendering.yaml")


@pytest.fixture(scope="session")
def encoder(schema: Schema) -> Encoder:
    """An encoder that knows two scenes and three machines."""
    return Encoder(schema, VOCABULARY)


def graph(schema: Schema, *, offset: float = 0.0) -> bytes:
    """Return a graph: location [offset, offset + 1], scale 0.5, support 0.75, table 0.

    The three groups have as many rows as the codes of scene, machine and the third category.
    """
    names = {"numbers": (TensorProto.DOUBLE, [len(schema.number_names)])}
    names["categories"] = (TensorProto.INT64, [len(schema.category_names)])
    inputs = [helper.make_tensor_value_info(n, t, ["n", *w]) for n, (t, w) in names.items()]
    out = {
        "location": (TensorProto.FLOAT, [2]),
        "scale": (TensorProto.FLOAT, [2]),
        "support": (TensorProto.FLOAT, []),
        "table": (TensorProto.INT64, [2]),
        "rows": (TensorProto.FLOAT, [3]),
    }
    outputs = [helper.make_tensor_value_info(n, t, ["n", *w]) for n, (t, w) in out.items()]
    constants = {
        "first": np.array([0]),
        "third": np.array([3]),
        "axis": np.array([1]),
        "nothing": np.zeros((1, 1), dtype=np.float32),
        "shift": np.array([[offset, offset + 1]], dtype=np.float32),
        "spread": np.array([[0.5, 0.5]], dtype=np.float32),
        "quarter": np.array(0.25, dtype=np.float32),
    }
    nodes = [
        helper.make_node("Slice", ["categories", "first", "third", "axis"], ["codes"]),
        helper.make_node("Cast", ["codes"], ["rows"], to=TensorProto.FLOAT),
        helper.make_node("ReduceMax", ["rows", "axis"], ["most"], keepdims=1),
        helper.make_node("Mul", ["most", "nothing"], ["zero"]),
        helper.make_node("Add", ["zero", "shift"], ["location"]),
        helper.make_node("Add", ["zero", "spread"], ["scale"]),
        helper.make_node("ReduceMax", ["scale", "axis"], ["half"], keepdims=0),
        helper.make_node("Add", ["half", "quarter"], ["support"]),
        helper.make_node("Cast", ["scale"], ["table"], to=TensorProto.INT64),
    ]
    stored = [numpy_helper.from_array(value, name) for name, value in constants.items()]
    made = helper.make_graph(nodes, "tiny", inputs, outputs, stored)
    model: onnx.ModelProto = helper.make_model(
        made, opset_imports=[helper.make_opsetid("", 18)], ir_version=9
    )
    return bytes(model.SerializeToString())


def draft(schema: Schema, *, offset: float = 0.0, created: datetime | None = None) -> Manifest:
    """Return the manifest of `graph`, before it is written."""
    encoded = Encoder(schema, VOCABULARY).encode({"scene": "kitchen", "machine": "small-2"})
    tables = QuantileTables(
        np.array([0.1, 0.5, 0.9]), np.array([[[-1.0, 0.0, 1.0], [-2.0, 0.0, 2.0]]])
    )
    return Manifest(
        workload=schema.workload,
        created_at=created or datetime.now(UTC),
        schema=schema,
        schema_fingerprint=schema.fingerprint,
        vocabulary=VOCABULARY,
        quantiles=Quantiles.of(tables, ("global",)),
        groups=schema.groups,
        family="tiny",
        lineage=Lineage(snapshot_sha256="0" * 64, rows=10, sources=("test",)),
        golden=Golden.of(
            encoded.numbers,
            encoded.categories,
            location=np.array([[offset, offset + 1]]),
            scale=np.array([[0.5, 0.5]]),
            support=np.array([0.75]),
            table=np.array([[0, 0]]),
        ),
        evaluation={"random": {"duration_s": {"mape": 0.1, "worst": float("nan")}}},
    )


MakeBundle = Callable[..., Path]


@pytest.fixture
def make_bundle(tmp_path: Path, schema: Schema) -> MakeBundle:
    """A function that writes a bundle whose first location is `offset`, and returns its folder."""

    def make(name: str = "bundle", offset: float = 0.0, created: datetime | None = None) -> Path:
        folder = tmp_path / name
        manifest = draft(schema, offset=offset, created=created)
        write_bundle(folder, graph(schema, offset=offset), manifest)
        return folder

    return make
