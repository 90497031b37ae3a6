"""The graph behind KServe's Python server.

Runs in its own environment: python kserve_model.py --port N --http-port N --model FILE
"""

from __future__ import annotations

import argparse
from pathlib import Path

import onnxruntime as ort
from kserve import InferOutput, InferRequest, InferResponse, Model, ModelServer

OUTPUTS = {"location": "FP32", "scale": "FP32"}


class Graph(Model):
    """One ONNX graph."""

    def __init__(self, name: str, model: Path) -> None:
        super().__init__(name)
        options = ort.SessionOptions()
        options.intra_op_num_threads = 1
        self.session = ort.InferenceSession(model.read_bytes(), options)
        self.ready = True

    def predict(self, payload: InferRequest, *_: object, **__: object) -> InferResponse:
        """Run the graph."""
        inputs = {tensor.name: tensor.as_numpy() for tensor in payload.inputs}
        found = self.session.run(list(OUTPUTS), inputs)
        outputs = []
        for (name, kind), values in zip(OUTPUTS.items(), found, strict=True):
            output = InferOutput(name=name, shape=list(values.shape), datatype=kind)
            output.set_data_from_numpy(values, binary_data=True)
            outputs.append(output)
        return InferResponse(payload.id or "1", self.name, outputs)


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    for flag in ("--port", "--http-port", "--model"):
        parser.add_argument(flag, required=True)
    given = parser.parse_args()
    server = ModelServer(
        http_port=int(given.http_port),
        grpc_port=int(given.port),
        enable_grpc=True,
        workers=1,
        access_log_format=None,
    )
    server.start([Graph("serverless", Path(given.model))])
