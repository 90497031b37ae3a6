"""From the request behind a recent answer to the features that it asked about."""

from __future__ import annotations

from google.protobuf.message import DecodeError

from foretell.errors import InvalidInput
from foretell.parsing import Value
from foretell.v1 import prediction_pb2
from foretell_server.converters import prediction
from foretell_server.recent import RecentAnswers


class Recall:
    """Returns the features of recent answers; see `foretell_server.reporting.FeaturesOf`."""

    def __init__(self, recent: RecentAnswers) -> None:
        self._recent = recent

    def __call__(self, workload: str, prediction_id: str) -> dict[str, Value] | None:
        """Return what a workload's answer was asked with; None when it is not known."""
        raw = self._recent.find(prediction_id)
        if raw is None:
            return None
        try:
            request = prediction_pb2.PredictRequest.FromString(raw)
            return prediction.features(request.features) if request.workload == workload else None
        except (DecodeError, InvalidInput):  # a torn record
            return None
