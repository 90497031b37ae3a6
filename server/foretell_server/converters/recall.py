"""From the request behind a recent answer to what it asked about, and who answered."""

from __future__ import annotations

from google.protobuf.message import DecodeError

from foretell.errors import InvalidInput
from foretell.v1 import prediction_pb2
from foretell_server.converters import prediction
from foretell_server.recent import RecentAnswers
from foretell_server.reporting import Recalled


class Recall:
    """Returns the features of recent answers; see `foretell_server.reporting.Recall`."""

    def __init__(self, recent: RecentAnswers) -> None:
        self._recent = recent

    def __call__(self, workload: str, prediction_id: str) -> Recalled | None:
        """Return what a workload's answer was asked with; None when it is not known."""
        found = self._recent.find(prediction_id)
        if found is None:
            return None
        try:
            request = prediction_pb2.PredictRequest.FromString(found.request)
            if request.workload != workload:
                return None
            return Recalled(prediction.features(request.features), found.bundle_version)
        except (DecodeError, InvalidInput):  # a torn record
            return None
