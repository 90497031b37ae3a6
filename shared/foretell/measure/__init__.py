"""Measuring real WebAssembly runs on this machine: `measure_wasm`, and what it needs.

Needs the extra `measure` (wasmtime, pyarrow). Importing this package does not import either;
calling it without them raises `Unavailable`, with what to install.
"""

from foretell.measure.configuration import Configuration
from foretell.measure.measurements import Measurement, Measurements
from foretell.measure.nodes import NODES, Node
from foretell.measure.plan import held_out_plan
from foretell.measure.sweep import measure_wasm, run_one, run_plan
from foretell.measure.tasks import TASKS, Task
from foretell.measure.wasm_features import WasmFeatures, features_of

__all__ = [
    "NODES",
    "TASKS",
    "Configuration",
    "Measurement",
    "Measurements",
    "Node",
    "Task",
    "WasmFeatures",
    "features_of",
    "held_out_plan",
    "measure_wasm",
    "run_one",
    "run_plan",
]
