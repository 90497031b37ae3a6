"""The Python client: `Client`, `AsyncClient` and the values that they return."""

from foretell.client.aio import AsyncClient
from foretell.client.batch import Chunk, MetricColumns, Predictions, ReservationColumn
from foretell.client.channel import Tls
from foretell.client.decision_answers import MatrixAnswer
from foretell.client.decision_asks import CurveAsk, PlaceAsk, RecommendAsk, ShareAsk, WhatIfAsk
from foretell.client.models import (
    Acknowledgement,
    Acknowledgements,
    AuditEntry,
    Bundle,
    Catalog,
    Feature,
    Job,
    Lineage,
    Link,
    Metric,
    Workload,
    WorkloadSchema,
)
from foretell.client.requests import Ask, Cost
from foretell.client.results import (
    GroupRows,
    Interval,
    MetricForecast,
    Prediction,
    Reservation,
    StreamAnswer,
)
from foretell.client.sync import Client

__all__ = [
    "Acknowledgement",
    "Acknowledgements",
    "Ask",
    "AsyncClient",
    "AuditEntry",
    "Bundle",
    "Catalog",
    "Chunk",
    "Client",
    "Cost",
    "CurveAsk",
    "Feature",
    "GroupRows",
    "Interval",
    "Job",
    "Lineage",
    "Link",
    "MatrixAnswer",
    "Metric",
    "MetricColumns",
    "MetricForecast",
    "PlaceAsk",
    "Prediction",
    "Predictions",
    "RecommendAsk",
    "Reservation",
    "ReservationColumn",
    "ShareAsk",
    "StreamAnswer",
    "Tls",
    "WhatIfAsk",
    "Workload",
    "WorkloadSchema",
]
