"""Inferring: from a ModelInferRequest to a question, and from answers to a ModelInferResponse."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from foretell.errors import InvalidInput, Violation
from foretell.schema import Schema
from foretell_server.answers import Answers
from foretell_server.data_plane import TableQuestion
from foretell_server.inference import service_pb2 as pb
from foretell_server.inference.outputs import Output, chosen
from foretell_server.inference.tensors import columns_of, put_typed, raw_of, rows_of
from foretell_server.options import DEFAULT_INTERVAL_LEVEL, DEFAULT_TOLERANCE, Options

Parameters = Mapping[str, pb.InferParameter]


@dataclass(frozen=True, slots=True)
class Inference:
    """A request that was read."""

    question: TableQuestion
    outputs: tuple[Output, ...]
    id: str
    raw: bool
    """Whether values travel as bytes."""
    column: bool
    """Whether shapes are [rows, 1] instead of [rows]."""


def rows_asked(request: pb.ModelInferRequest) -> int:
    """Return how many rows a request is about; InvalidInput when it does not say."""
    if not request.inputs:
        raise InvalidInput([Violation("inputs", "", "at least 1 input is needed")])
    first = request.inputs[0]
    try:
        return rows_of(first)
    except ValueError as error:
        raise InvalidInput([Violation(f"inputs[{first.name}]", "", str(error))]) from None


def inference_of(request: pb.ModelInferRequest, schema: Schema) -> Inference:
    """Return what a request asks; InvalidInput names what is malformed."""
    outputs = chosen([output.name for output in request.outputs], schema.metric_names)
    for output in request.outputs:
        for name in ("classification", "shared_memory_region"):
            if name in output.parameters:
                message = f"{name} is not offered"
                raise InvalidInput([Violation(f"outputs[{output.name}]", name, message)])
    rows = rows_asked(request)
    columns = columns_of(
        request, nan_is_missing=_flag(request.parameters, "nan_is_missing", default=False)
    )
    return Inference(
        TableQuestion(columns, rows, _options(request.parameters, outputs)),
        outputs,
        request.id,
        raw=bool(request.raw_input_contents),
        column=len(request.inputs[0].shape) > 1,
    )


def response_of(inference: Inference, answers: Answers) -> pb.ModelInferResponse:
    """Return what was asked, in the form that the request had."""
    response = pb.ModelInferResponse(
        model_name=answers.workload, model_version=answers.bundle_version, id=inference.id
    )
    response.parameters["prediction_id"].string_param = answers.prediction_id
    response.parameters["interval_level"].double_param = answers.interval_level
    shape = [len(answers), 1] if inference.column else [len(answers)]
    for output in inference.outputs:
        tensor = response.outputs.add(name=output.name, shape=shape)
        values = output.read(answers)
        if inference.raw:
            tensor.datatype, raw = raw_of(values)
            response.raw_output_contents.append(raw)
        else:
            tensor.datatype = put_typed(tensor.contents, values)
    return response


def _options(parameters: Parameters, outputs: tuple[Output, ...]) -> Options:
    levels = (output.quantile for output in outputs)
    return Options(
        metrics=tuple(dict.fromkeys(output.metric for output in outputs if output.metric)),
        quantiles=tuple(dict.fromkeys(level for level in levels if level is not None)),
        interval_level=_number(parameters, "interval_level", DEFAULT_INTERVAL_LEVEL),
        confidence_tolerance=_number(parameters, "confidence_tolerance", DEFAULT_TOLERANCE),
        support_floor=_number(parameters, "support_floor", 0.0),
    )


def _number(parameters: Parameters, name: str, default: float) -> float:
    if name not in parameters:
        return default
    value = parameters[name]
    kind = value.WhichOneof("parameter_choice")
    if kind not in ("double_param", "int64_param", "uint64_param"):
        raise InvalidInput([Violation(f"parameters[{name}]", "", "must be a number")])
    return float(getattr(value, kind))


def _flag(parameters: Parameters, name: str, *, default: bool) -> bool:
    if name not in parameters:
        return default
    value = parameters[name]
    if value.WhichOneof("parameter_choice") != "bool_param":
        raise InvalidInput([Violation(f"parameters[{name}]", "", "must be true or false")])
    return value.bool_param
