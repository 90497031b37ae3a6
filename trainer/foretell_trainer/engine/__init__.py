"""The forecast engine: base, residual, scale and calibration, exported as one ONNX graph."""
