"""Talks to a server as users of tritonclient do, and prints what it heard as JSON.

Runs in `.venv-tritonclient`, with the address and the admin token as arguments. Nothing of
Foretell is imported, but the messages whose definition is compared with Triton's.
"""

# ruff: noqa: ANN401 -- tritonclient has no types

from __future__ import annotations

import importlib.util
import json
import queue
import sys
from typing import Any

import numpy as np
import tritonclient.grpc as triton
from tritonclient.grpc import service_pb2
from tritonclient.utils import InferenceServerException

Array = np.ndarray[Any, Any]

KINDS = np.array(["big", "odd", "small"], dtype=object)


def tensor(name: str, values: Array, datatype: str) -> Any:
    """Returns an input of one feature."""
    sent = triton.InferInput(name, list(values.shape), datatype)
    sent.set_data_from_numpy(values)
    return sent


def toys(sizes: Array, datatype: str = "FP64") -> list[Any]:
    """Returns the inputs of three toys."""
    return [tensor("size", sizes, datatype), tensor("kind", KINDS.reshape(sizes.shape), "BYTES")]


def heard(result: Any, *names: str) -> dict[str, list[Any]]:
    """Returns outputs of an answer as lists."""
    return {name: texts(result.as_numpy(name)) for name in names}


def texts(values: Array) -> list[Any]:
    """Returns an array as a list, its bytes as text."""
    return [v.decode() if isinstance(v, bytes) else v for v in values.reshape(-1).tolist()]


def failure(call: Any, *arguments: Any, **options: Any) -> list[str] | None:
    """Returns the status and the message of a call that has to fail."""
    try:
        call(*arguments, **options)
    except InferenceServerException as error:
        return [error.status(), error.message()]
    return None


def predictions(client: Any) -> dict[str, Any]:
    """Returns what was predicted, for every way to send numbers."""
    everything = client.infer("toy", toys(np.array([1.0, 10.0, 100.0])), request_id="mine")
    response = everything.get_response()
    found: dict[str, Any] = {
        "names": [output.name for output in response.outputs],
        "id": response.id,
        "version": response.model_version,
        "everything": heard(everything, *(output.name for output in response.outputs)),
        "parameters": sorted(response.parameters),
    }
    for datatype, dtype in (("FP32", "f4"), ("INT64", "i8"), ("UINT16", "u2"), ("FP16", "f2")):
        sizes = np.array([[1], [10], [100]], dtype=dtype)
        result = client.infer("toy", toys(sizes, datatype))
        found[datatype] = heard(result, "seconds")
        found["shape"] = list(result.as_numpy("seconds").shape)
    wanted = [triton.InferRequestedOutput(n) for n in ("kb_p99", "support", "kb_lower")]
    options = {"interval_level": 0.98, "nan_is_missing": True}
    chosen = client.infer(
        "toy", toys(np.array([1.0, np.nan, 100.0])), outputs=wanted, parameters=options
    )
    found["chosen"] = [output.name for output in chosen.get_response().outputs]
    found["values"] = heard(chosen, "kb_p99", "support", "kb_lower")
    return found


def failures(client: Any) -> dict[str, Any]:
    """Returns how requests fail that have to."""
    sizes = np.array([1.0, 2.0, 3.0])
    return {
        "workload": failure(client.infer, "nothing", toys(sizes)),
        "no bundle": failure(client.infer, "serverless", toys(sizes)),
        "version": failure(client.infer, "toy", toys(sizes), model_version="9"),
        "feature": failure(client.infer, "toy", [*toys(sizes), tensor("mass", sizes, "FP64")]),
        "missing": failure(client.infer, "toy", [tensor("size", sizes, "FP64")]),
        "not a number": failure(client.infer, "toy", toys(np.array([1.0, np.nan, 3.0]))),
        "output": failure(
            client.infer, "toy", toys(sizes), outputs=[triton.InferRequestedOutput("hours")]
        ),
        "level": failure(client.infer, "toy", toys(sizes), parameters={"interval_level": 2.0}),
    }


def stream(client: Any) -> list[Any]:
    """Returns what a stream of good and bad requests answered, in order."""
    answers: queue.Queue[Any] = queue.Queue()
    client.start_stream(lambda result, error: answers.put((result, error)))
    for i in range(5):
        workload = "nothing" if i == 2 else "toy"
        client.async_stream_infer(workload, toys(np.full(3, i + 1.0)), request_id=str(i))
    found: list[Any] = []
    for _ in range(5):
        result, error = answers.get(timeout=60)
        if error is not None:
            found.append(["error", error.message()])
        else:
            found.append([result.get_response().id, texts(result.as_numpy("seconds"))])
    client.stop_stream()
    return found


def loading(client: Any, token: str) -> dict[str, Any]:
    """Returns what happens when a workload is unloaded and loaded again."""
    sizes = np.array([1.0, 2.0, 3.0])
    admin = {"authorization": f"Bearer {token}"}
    found: dict[str, Any] = {"stranger": failure(client.unload_model, "toy")}
    client.unload_model("toy", headers=admin)
    found["ready"] = client.is_model_ready("toy")
    found["index"] = client.get_model_repository_index(as_json=True)["models"]
    found["infer"] = failure(client.infer, "toy", toys(sizes))
    client.load_model("toy", headers=admin)
    found["again"] = heard(client.infer("toy", toys(sizes)), "seconds")
    found["config"] = failure(client.load_model, "toy", headers=admin, config="{}")
    found["unknown"] = failure(client.load_model, "nothing", headers=admin)
    return found


def differences(path: str) -> list[Any]:
    """Returns where our definition of the protocol is not Triton's, of what ours has."""
    spec = importlib.util.spec_from_file_location("ours", path)
    assert spec is not None
    assert spec.loader is not None
    ours = importlib.util.module_from_spec(spec)
    # Both packages are called `inference`; this very line fails unless ours keeps to itself.
    spec.loader.exec_module(ours)
    theirs = service_pb2.DESCRIPTOR.pool
    found: list[Any] = []
    pending = list(ours.DESCRIPTOR.message_types_by_name.values())
    while pending:
        message = pending.pop()
        pending += message.nested_types
        other = theirs.FindMessageTypeByName(message.full_name)
        for field in message.fields:
            same = other.fields_by_name.get(field.name)
            shape = [same and shape_of(same), shape_of(field)]
            if shape[0] != shape[1]:
                found.append([f"{message.full_name}.{field.name}", *shape])
    for method in ours.DESCRIPTOR.services_by_name["GRPCInferenceService"].methods:
        other = theirs.FindMethodByName(method.full_name)
        for kind in ("input_type", "output_type"):
            if getattr(method, kind).full_name != getattr(other, kind).full_name:
                found.append(method.full_name)
    return found


def shape_of(field: Any) -> list[Any]:
    """Returns what a field is on the wire."""
    kind = field.message_type or field.enum_type
    repeated = field.is_repeated
    return [field.number, field.type, repeated, kind.full_name if kind else None]


def main(address: str, token: str, definition: str) -> None:
    """Says everything once."""
    with triton.InferenceServerClient(address) as client:
        answers = {
            "live": client.is_server_live(),
            "server ready": client.is_server_ready(),
            "ready": [client.is_model_ready(name) for name in ("toy", "serverless", "nothing")],
            "server": client.get_server_metadata(as_json=True),
            "metadata": client.get_model_metadata("toy", as_json=True),
            "config": client.get_model_config("toy", as_json=True)["config"],
            "index": client.get_model_repository_index(as_json=True)["models"],
            "predictions": predictions(client),
            "failures": failures(client),
            "stream": stream(client),
            "statistics": client.get_inference_statistics("toy", as_json=True)["model_stats"],
            "loading": loading(client, token),
            "differences": differences(definition),
        }
    print(json.dumps(answers))


if __name__ == "__main__":
    main(*sys.argv[1:])
