"""A small builder for ONNX graphs: named constants in, names of results out."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import onnx
from numpy.typing import DTypeLike, NDArray
from onnx import TensorProto, helper, numpy_helper

OPSET = 18
ML_OPSET = 3
IR_VERSION = 9

_TYPES = {
    np.dtype(np.float32): TensorProto.FLOAT,
    np.dtype(np.float64): TensorProto.DOUBLE,
    np.dtype(np.int64): TensorProto.INT64,
}


class GraphBuilder:
    """Collects nodes and constants; every method returns the name of what it made."""

    def __init__(self) -> None:
        self._nodes: list[onnx.NodeProto] = []
        self._constants: list[onnx.TensorProto] = []
        self._inputs: list[onnx.ValueInfoProto] = []
        self._outputs: list[onnx.ValueInfoProto] = []
        self._count = 0

    def input(self, name: str, dtype: DTypeLike, columns: int) -> str:
        """Declare a graph input of shape [n, columns]."""
        kind = _TYPES[np.dtype(dtype)]
        self._inputs.append(helper.make_tensor_value_info(name, kind, ["n", columns]))
        return name

    def output(self, name: str, value: str, dtype: DTypeLike, columns: int | None) -> None:
        """Declare a graph output, [n, columns] or [n]: a node's result that nothing else takes."""
        (producer,) = (node for node in self._nodes if value in node.output)
        producer.output[list(producer.output).index(value)] = name
        shape: list[str | int | None] = ["n"] if columns is None else ["n", columns]
        kind = _TYPES[np.dtype(dtype)]
        self._outputs.append(helper.make_tensor_value_info(name, kind, shape))

    def constant(self, value: NDArray[Any]) -> str:
        """Add a constant tensor."""
        name = self._name("c")
        self._constants.append(numpy_helper.from_array(np.asarray(value, order="C"), name))
        return name

    def add(self, operator: str, *inputs: str, domain: str = "", **attributes: Any) -> str:  # noqa: ANN401 - what onnx takes
        """Add a node with one output."""
        name = self._name(operator.lower())
        self._nodes.append(
            helper.make_node(operator, list(inputs), [name], domain=domain, **attributes)
        )
        return name

    def cast(self, value: str, dtype: DTypeLike) -> str:
        """Convert a value to another element type."""
        return self.add("Cast", value, to=_TYPES[np.dtype(dtype)])

    def rows_of(self, table: NDArray[Any], index: str) -> str:
        """Look rows of a constant table up: [n] indices give [n, …]."""
        return self.add("Gather", self.constant(table), index, axis=0)

    def column(self, matrix: str, position: int) -> str:
        """Take one column of an [n, k] matrix as [n]."""
        return self.add("Gather", matrix, self.constant(np.array(position, np.int64)), axis=1)

    def columns(self, matrix: str, positions: NDArray[np.int64]) -> str:
        """Take some columns of an [n, k] matrix as [n, len(positions)]."""
        return self.add("Gather", matrix, self.constant(positions.astype(np.int64)), axis=1)

    def split(self, matrix: str, widths: Sequence[int]) -> list[str]:
        """Take an [n, sum of widths] matrix apart into its columns from left to right."""
        if len(widths) == 1:
            return [matrix]
        names = [self._name("split") for _ in widths]
        sizes = self.constant(np.array(widths, np.int64))
        self._nodes.append(helper.make_node("Split", [matrix, sizes], names, axis=1))
        return names

    def unsqueezed(self, value: str, axis: int) -> str:
        """Put an axis of length 1 at a place."""
        return self.add("Unsqueeze", value, self.constant(np.array([axis], np.int64)))

    def side_by_side(self, *parts: str) -> str:
        """Join [n, …] matrices along their columns."""
        return parts[0] if len(parts) == 1 else self.add("Concat", *parts, axis=1)

    def sum_over(self, value: str, axis: int, *, keep: bool = False) -> str:
        """Sum over one axis, which is kept with length 1 if asked."""
        axes = self.constant(np.array([axis], np.int64))
        return self.add("ReduceSum", value, axes, keepdims=int(keep))

    def model(self, name: str) -> onnx.ModelProto:
        """Return the checked model."""
        graph = helper.make_graph(
            self._nodes, name, self._inputs, self._outputs, initializer=self._constants
        )
        opsets = [helper.make_opsetid("", OPSET), helper.make_opsetid("ai.onnx.ml", ML_OPSET)]
        model = helper.make_model(graph, opset_imports=opsets, producer_name="foretell")
        model.ir_version = IR_VERSION
        onnx.checker.check_model(model)
        return model

    def _name(self, stem: str) -> str:
        self._count += 1
        return f"{stem}_{self._count}"
