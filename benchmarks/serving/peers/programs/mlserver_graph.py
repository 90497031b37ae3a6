"""The graph behind MLServer, as a runtime of its own. Imported in MLServer's environment."""

from __future__ import annotations

import onnxruntime as ort
from mlserver import MLModel
from mlserver.codecs import NumpyCodec
from mlserver.types import InferenceRequest, InferenceResponse

OUTPUTS = ("location", "scale")


class Graph(MLModel):
    """One ONNX graph."""

    async def load(self) -> bool:
        """Load the graph that the settings name."""
        options = ort.SessionOptions()
        options.intra_op_num_threads = 1
        self.session = ort.InferenceSession(self.settings.parameters.uri, options)
        return True

    async def predict(self, payload: InferenceRequest) -> InferenceResponse:
        """Run the graph."""
        inputs = {tensor.name: NumpyCodec.decode_input(tensor) for tensor in payload.inputs}
        found = self.session.run(list(OUTPUTS), inputs)
        outputs = [
            NumpyCodec.encode_output(name, values)
            for name, values in zip(OUTPUTS, found, strict=True)
        ]
        return InferenceResponse(model_name=self.name, outputs=outputs)
