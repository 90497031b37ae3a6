"""From servicers to gRPC handlers, by the protos' own descriptors."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import grpc
from google.protobuf.descriptor import FileDescriptor, MethodDescriptor, ServiceDescriptor
from google.protobuf.descriptor_pool import DescriptorPool
from google.protobuf.message_factory import GetMessageClass
from grpc_health.v1 import health_pb2
from grpc_reflection.v1alpha import reflection, reflection_pb2

from foretell.v1 import decision_pb2, model_pb2, monitoring_pb2, observation_pb2, prediction_pb2
from foretell_server.delivery import Delivery
from foretell_server.error_edge import ErrorEdge
from foretell_server.inference import service_pb2
from foretell_server.servicers import PREDICT, STREAM

_FILES = (
    prediction_pb2,
    observation_pb2,
    model_pb2,
    decision_pb2,
    monitoring_pb2,
    health_pb2,
    service_pb2,
)

SERVICES: Mapping[str, ServiceDescriptor] = {
    service.full_name: service
    for file in _FILES
    for service in file.DESCRIPTOR.services_by_name.values()
}
"""The services by full name, without reflection, which brings its own handlers."""


class _Handlers(grpc.GenericRpcHandler):  # type: ignore[misc]  # gRPC has no types
    """The handlers by their methods' paths, some of them others while the server shuts down."""

    def __init__(self, delivery: Delivery) -> None:
        self._delivery = delivery
        self._usual: dict[str, grpc.RpcMethodHandler] = {}
        self._last: dict[str, grpc.RpcMethodHandler] = {}

    def add(self, name: str, usual: grpc.RpcMethodHandler, last: grpc.RpcMethodHandler) -> None:
        """Add a method, named with its service."""
        self._usual[f"/{name}"], self._last[f"/{name}"] = usual, last

    def service(self, details: grpc.HandlerCallDetails) -> grpc.RpcMethodHandler | None:
        """Return what answers a call; None when nobody does."""
        return (self._last if self._delivery.last else self._usual).get(details.method)


def add_services(server: grpc.aio.Server, servicers: Mapping[str, Any], edge: ErrorEdge) -> None:
    """Register one servicer for each of `SERVICES`, every method behind the edge."""
    handlers = _Handlers(edge.delivery)
    for service_name, service in SERVICES.items():
        for method in service.methods:
            name = f"{service_name}/{method.name}"
            usual = _handler(name, method, servicers[service_name], edge)
            handlers.add(
                name, usual, _last_handler(name, method, servicers[service_name], edge) or usual
            )
    server.add_generic_rpc_handlers((handlers,))
    names = (*SERVICES, reflection.SERVICE_NAME)
    reflection.enable_server_reflection(names, server, _one_pool((*_FILES, reflection_pb2)))


def _one_pool(files: Iterable[Any]) -> DescriptorPool:
    """Return one pool with the protos of all these modules, wherever each of them is kept."""
    pool = DescriptorPool()
    added: set[str] = set()

    def add(file: FileDescriptor) -> None:
        if file.name not in added:
            added.add(file.name)
            for dependency in file.dependencies:
                add(dependency)
            pool.AddSerializedFile(file.serialized_pb)

    for module in files:
        add(module.DESCRIPTOR)
    return pool


def _handler(
    name: str, method: MethodDescriptor, servicer: object, edge: ErrorEdge
) -> grpc.RpcMethodHandler:
    # No serializers: messages are bytes here, so that the edge can say what is malformed.
    call = getattr(servicer, method.name)
    kind = GetMessageClass(method.input_type)
    if name == PREDICT:
        quick = servicer.quick  # type: ignore[attr-defined]  # of PredictionService alone
        return grpc.unary_unary_rpc_method_handler(edge.unary_bytes(name, quick, call, kind))
    if name == STREAM:
        return grpc.stream_stream_rpc_method_handler(edge.stream_bytes(name, call))
    if method.client_streaming:
        return grpc.stream_stream_rpc_method_handler(edge.stream(name, call, None))
    if method.server_streaming:
        return grpc.unary_stream_rpc_method_handler(edge.stream(name, call, kind))
    return grpc.unary_unary_rpc_method_handler(edge.unary(name, call, kind))


def _last_handler(
    name: str, method: MethodDescriptor, servicer: object, edge: ErrorEdge
) -> grpc.RpcMethodHandler | None:
    """Return what answers a method's calls while the server shuts down, if that is another one."""
    if name == PREDICT or method.client_streaming or method.server_streaming:
        return None  # the answer is small, or waited for anyway
    call, kind = getattr(servicer, method.name), GetMessageClass(method.input_type)
    # For the client a stream of one message is the same as that message.
    return grpc.unary_stream_rpc_method_handler(edge.last_unary(name, call, kind))
