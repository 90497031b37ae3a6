"""The Open Inference Protocol, spoken by hand: what tritonclient has no way to send."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import Any

import grpc
import pytest
from google.protobuf.descriptor_pb2 import FileDescriptorProto
from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc

from foretell_server.inference import service_pb2 as pb
from tests.integration.server.conftest import WAIT_S, RunningServer

SERVICE = "inference.GRPCInferenceService"


def ask(server: RunningServer, request: pb.ModelInferRequest) -> pb.ModelInferResponse:
    """Call ModelInfer."""
    call = server.channel.unary_unary(
        f"/{SERVICE}/ModelInfer",
        request_serializer=pb.ModelInferRequest.SerializeToString,
        response_deserializer=pb.ModelInferResponse.FromString,
    )
    answer: pb.ModelInferResponse = call(request, timeout=WAIT_S)
    return answer


def toys(rows: int = 2, **changes: Any) -> pb.ModelInferRequest:  # noqa: ANN401
    """Return a request about toys of size 10, 20 and so on, in typed contents."""
    request = pb.ModelInferRequest(**{"model_name": "toy", "id": "7", **changes})
    sizes = request.inputs.add(name="size", datatype="FP64", shape=[rows])
    sizes.contents.fp64_contents.extend(10.0 * (i + 1) for i in range(rows))
    kinds = request.inputs.add(name="kind", datatype="BYTES", shape=[rows])
    kinds.contents.bytes_contents.extend([b"big"] * rows)
    return request


def read(response: pb.ModelInferResponse) -> dict[str, list[Any]]:
    """Return an answer's outputs by name."""
    fields = {"FP64": "fp64_contents", "BOOL": "bool_contents", "BYTES": "bytes_contents"}
    return {o.name: list(getattr(o.contents, fields[o.datatype])) for o in response.outputs}


def test_typed_contents_are_answered_in_kind(shared_server: RunningServer) -> None:
    """Who sends typed contents gets typed contents, with the shape that was sent."""
    response = ask(shared_server, toys())
    assert not response.raw_output_contents
    found = read(response)
    assert found["seconds"] == pytest.approx([10, 20])
    assert found["tier"] == [b"warm", b"warm"]
    assert found["abstained"] == [False, False]
    assert {tuple(output.shape) for output in response.outputs} == {(2,)}
    assert response.id == "7"


def test_every_number_type_is_read(shared_server: RunningServer) -> None:
    """A number may come in any field of InferTensorContents, or as any type in bytes."""
    for datatype, field in (
        *((kind, "int_contents") for kind in ("INT8", "INT16", "INT32")),
        *((kind, "uint_contents") for kind in ("UINT8", "UINT16", "UINT32")),
        ("INT64", "int64_contents"),
        ("UINT64", "uint64_contents"),
        ("FP32", "fp32_contents"),
    ):
        request = toys()
        del request.inputs[0].contents.fp64_contents[:]
        request.inputs[0].datatype = datatype
        getattr(request.inputs[0].contents, field).extend([3, 4])
        assert read(ask(shared_server, request))["kb"] == pytest.approx([3, 4])
    request = pb.ModelInferRequest(model_name="toy")
    for name, datatype in (("size", "BF16"), ("kind", "BYTES"), ("hot", "BOOL")):
        request.inputs.add(name=name, datatype=datatype, shape=[1, 1])
    # 3.0 has 0x4040 as the upper half of its single precision.
    request.raw_input_contents.extend([b"\x40\x40", b"\x03\0\0\0big", b"\x01"])
    request.outputs.add(name="kb")
    response = ask(shared_server, request)
    assert struct.unpack("<d", response.raw_output_contents[0]) == pytest.approx((3,))
    assert list(response.outputs[0].shape) == [1, 1]


def test_many_rows_are_answered_off_the_loop(shared_server: RunningServer) -> None:
    """A batch of any size has its rows answered in order, and a floor makes rows abstain."""
    request = toys(1000)
    request.parameters["support_floor"].double_param = 0.5
    request.inputs[1].contents.bytes_contents[999] = b"odd"
    found = read(ask(shared_server, request))
    assert found["seconds"] == pytest.approx([10.0 * (i + 1) for i in range(1000)])
    assert found["abstained"] == [False] * 999 + [True]


def broken() -> Iterator[tuple[str, pb.ModelInferRequest]]:
    """Yield requests that cannot be read, and what is said about each."""
    yield "inputs: at least 1 input is needed", pb.ModelInferRequest(model_name="toy")
    request = toys()
    request.inputs[0].shape[:] = [1, 2]
    yield "inputs[size]: has the shape [1, 2]", request
    request = toys()
    request.inputs[0].shape[:] = [3]
    yield "inputs[size]: has 2 values for 3 rows", request
    request = toys()
    request.inputs[1].shape[:] = [1]
    del request.inputs[1].contents.bytes_contents[1]
    yield "kind", request
    request = toys()
    request.inputs[0].datatype = "FLOAT"
    yield "inputs[size]: has the datatype 'FLOAT'; allowed: BOOL", request
    request = toys()
    request.inputs[0].datatype = "FP16"
    yield "which travels in raw_input_contents alone", request
    request = toys()
    request.raw_input_contents.append(b"")
    yield "has 1 entries for 2 inputs", request
    request = toys()
    request.raw_input_contents.extend([bytes(16), bytes(8)])
    yield "has both contents and raw_input_contents", request
    request = raw_toys(bytes(15), b"\x03\0\0\0big")
    yield "has 15 bytes, which is no multiple of 8", request
    yield "ends within text 0", raw_toys(bytes(8), b"\xff\0\0\0big")
    yield "ends within text 1", raw_toys(bytes(8), b"\x01\0\0\0a\x01\0")
    yield "not UTF-8", raw_toys(bytes(8), b"\x01\0\0\0\xff")
    request = toys()
    request.inputs.add().CopyFrom(request.inputs[0])
    yield "inputs[size]: is there twice", request
    request = toys()
    request.parameters["interval_level"].string_param = "high"
    yield "parameters[interval_level]: must be a number", request
    request = toys()
    request.outputs.add(name="seconds").parameters["classification"].int64_param = 3
    yield "classification is not offered", request
    request = toys()
    request.inputs[0].parameters["shared_memory_region"].string_param = "mine"
    yield "lies in shared memory", request


def raw_toys(sizes: bytes, kinds: bytes) -> pb.ModelInferRequest:
    """Return a request about one toy, in raw contents."""
    request = pb.ModelInferRequest(model_name="toy", raw_input_contents=[sizes, kinds])
    request.inputs.add(name="size", datatype="FP64", shape=[1])
    request.inputs.add(name="kind", datatype="BYTES", shape=[1])
    return request


def test_what_cannot_be_read_is_said_input_by_input(shared_server: RunningServer) -> None:
    """A request that is malformed is INVALID_ARGUMENT, and names the input and what is allowed."""
    for words, request in broken():
        with pytest.raises(grpc.RpcError) as caught:
            ask(shared_server, request)
        assert caught.value.code() is grpc.StatusCode.INVALID_ARGUMENT
        assert words in str(caught.value.details())


def test_reflection_shows_the_protocol(shared_server: RunningServer) -> None:
    """Reflection lists the service and hands out its definition, though it is kept apart."""
    wanted = [
        reflection_pb2.ServerReflectionRequest(list_services=""),
        reflection_pb2.ServerReflectionRequest(file_containing_symbol=SERVICE),
        reflection_pb2.ServerReflectionRequest(
            file_containing_symbol="foretell.v1.PredictionService"
        ),
    ]
    stub = reflection_pb2_grpc.ServerReflectionStub(shared_server.channel)
    listed, theirs, ours = stub.ServerReflectionInfo(iter(wanted), timeout=WAIT_S)
    names = {service.name for service in listed.list_services_response.service}
    assert {SERVICE, "foretell.v1.PredictionService", "grpc.health.v1.Health"} <= names
    (file,) = theirs.file_descriptor_response.file_descriptor_proto
    assert FileDescriptorProto.FromString(file).package == "inference"
    assert len(ours.file_descriptor_response.file_descriptor_proto) > 1


def test_messages_of_a_stream_are_counted(shared_server: RunningServer) -> None:
    """Each message of ModelStreamInfer is a request: its rows, its status, and its time."""
    meter = shared_server.serving.census.meters.method(f"{SERVICE}/ModelStreamInfer")

    def counts() -> list[int]:
        tallies = [meter.tallies.get(("toy", s)) for s in ("OK", "INVALID_ARGUMENT")]
        return [n for t in tallies for n in ((t.count, t.rows) if t else (0, 0))]

    before = counts()
    stream = shared_server.channel.stream_stream(
        f"/{SERVICE}/ModelStreamInfer",
        request_serializer=pb.ModelInferRequest.SerializeToString,
        response_deserializer=pb.ModelStreamInferResponse.FromString,
    )
    good, bad = stream(iter([toys(3), pb.ModelInferRequest(model_name="toy")]), timeout=WAIT_S)
    assert good.infer_response.outputs
    assert "at least 1 input" in bad.error_message
    assert [now - then for now, then in zip(counts(), before, strict=True)] == [1, 3, 1, 0]
    assert meter.in_flight == 0
