"""Tensors of the Open Inference Protocol: what comes in, whatever it is, and what goes out."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from foretell.columns import Coded
from foretell.errors import InvalidInput
from foretell_server.inference import service_pb2 as pb
from foretell_server.inference.tensors import DATATYPES, columns_of, raw_of

shapes = st.lists(st.integers(-(2**63), 2**63 - 1) | st.integers(0, 3), max_size=3)
texts = st.lists(st.text("a,\0é世", max_size=5), max_size=20)


@given(st.sampled_from([*DATATYPES, "", "FP8"]), shapes, st.binary(max_size=64))
@settings(max_examples=200, deadline=None)
def test_any_bytes_are_a_column_or_a_violation(kind: str, shape: list[int], raw: bytes) -> None:
    """Whatever lies in a raw tensor, it is read with as many rows as its shape says, or refused
    under its name."""
    request = pb.ModelInferRequest(raw_input_contents=[raw])
    request.inputs.add(name="x", datatype=kind, shape=shape)
    refused = None
    try:
        column = columns_of(request, nan_is_missing=True)["x"]
    except InvalidInput as error:
        refused = [violation.field for violation in error.violations]
    assert refused == ["inputs[x]"] if refused else len(column) == shape[0]


@given(texts)
@settings(max_examples=50, deadline=None)
def test_texts_come_back_as_they_were(values: list[str]) -> None:
    """Texts that were written as bytes are read as the same texts."""
    datatype, raw = raw_of(values)
    request = pb.ModelInferRequest(raw_input_contents=[raw])
    request.inputs.add(name="x", datatype=datatype, shape=[len(values)])
    column = columns_of(request, nan_is_missing=False)["x"]
    assert isinstance(column, Coded)
    assert list(column) == values


@given(st.lists(st.floats(), max_size=20))
@settings(max_examples=50, deadline=None)
def test_numbers_come_back_as_they_were(values: list[float]) -> None:
    """Numbers that were written as bytes are read as the same; NaN is masked if it says missing."""
    datatype, raw = raw_of(np.array(values))
    request = pb.ModelInferRequest(raw_input_contents=[raw])
    request.inputs.add(name="x", datatype=datatype, shape=[len(values)])
    column = columns_of(request, nan_is_missing=False)["x"]
    np.testing.assert_array_equal(np.asarray(column), np.array(values))
    masked = columns_of(request, nan_is_missing=True)["x"]
    assert isinstance(masked, np.ma.MaskedArray)
    np.testing.assert_array_equal(np.ma.getmaskarray(masked), np.isnan(np.array(values)))
