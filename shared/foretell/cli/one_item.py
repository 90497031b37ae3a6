"""One item of work from `--set NAME=VALUE`, and its forecast: by a server, or by a bundle here."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from foretell.cli.options import pairs

if TYPE_CHECKING:
    from foretell.client import Client, Prediction
    from foretell.client.results import Tier
    from foretell.forecast import Forecasts
    from foretell.predictor import Predictor

TOLERANCE = 0.2
"""What confidence is about: P(|actual - median| <= tolerance x median), as servers say it."""

_FLAGS = {"true": True, "yes": True, "1": True, "false": False, "no": False, "0": False}


def ask_server(
    workload: str, sets: Sequence[str], level: float, bundle: str | None, server: dict[str, Any]
) -> tuple[dict[str, Any], Prediction]:
    """Return the features of an item, and what a server answers about it."""
    from foretell.cli.connection import connect

    with connect(server.pop("address"), **server) as client:
        features = read_features(client, workload, sets)
        answer = client.predict(
            workload, features, interval_level=level, bundle_version=bundle or ""
        )
        return features, answer


def predict_here(
    workload: str, sets: Sequence[str], level: float, registry: Path, bundle: str | None
) -> tuple[dict[str, Any], Prediction]:
    """Return the features of an item, and what a bundle of a registry says about it."""
    from foretell.cli.bundles import load_predictor
    from foretell.cli.sources import open_registry

    predictor = load_predictor(open_registry(registry), workload, bundle)
    kinds = {feature.name: feature.kind for feature in predictor.schema.inputs}
    features = features_as_declared(sets, kinds)
    return features, forecast_of(predictor, features, level)


def forecast_of(predictor: Predictor, features: Mapping[str, Any], level: float) -> Prediction:
    """Return a bundle's forecast of one item; it has no prediction id, which servers give."""
    from foretell.client import Prediction
    from foretell.client.results import GroupRows

    found = predictor.forecast(predictor.encoder.encode(features))
    rows = found.rows[0].astype(int).tolist()
    return Prediction(
        workload=predictor.manifest.workload,
        metrics=_metrics(predictor, found.forecasts, level),
        bundle_version=predictor.version,
        tier=cast("Tier", found.tier[0]),
        groups=tuple(map(GroupRows, predictor.manifest.groups, rows)),
        unknown_features=found.unknown[0],
        prediction_id="",
        correction=found.correction,
    )


def _metrics(predictor: Predictor, forecasts: Forecasts, level: float) -> dict[str, Any]:
    from foretell.client import Interval, MetricForecast

    lower, upper = (bound[0].tolist() for bound in forecasts.interval(level))
    median = forecasts.median()[0].tolist()
    confidence = forecasts.confidence(TOLERANCE)[0].tolist()
    return {
        metric.name: MetricForecast(
            metric=metric.name,
            unit=metric.unit,
            median=median[m],
            interval=Interval(lower[m], upper[m], level),
            quantiles={},
            confidence=confidence[m],
            support=float(forecasts.support[0]),
            abstained=False,
            abstention_reason="",
            deadlines={},
            reservations=(),
        )
        for m, metric in enumerate(predictor.schema.metrics)
    }


def read_features(client: Client, workload: str, sets: Sequence[str]) -> dict[str, Any]:
    """Return NAME=VALUE texts as features, each read as the kind that the server's schema has."""
    schema = client.schema(workload)
    facts = [fact for catalog in schema.catalogs for fact in catalog.facts]
    kinds = {feature.name: feature.kind for feature in (*schema.features, *facts)}
    return features_as_declared(sets, kinds)


def features_as_declared(sets: Sequence[str], kinds: Mapping[str, str]) -> dict[str, Any]:
    """Return NAME=VALUE texts as features, each read as its kind.

    A name that is not among them stays a text: whoever encodes it says which ones there are.
    """
    given = pairs("--set", sets, "NAME=VALUE")
    return {name: _read(text, kinds.get(name, "category")) for name, text in given}


def _read(text: str, kind: str) -> float | bool | str:
    """Return a text as a value; one that is no such value stays a text, to be refused by name."""
    if kind == "flag":
        return _FLAGS.get(text.lower(), text)
    if kind == "number":
        try:
            return float(text)
        except ValueError:
            return text  # a format such as "43.9 MB" is the schema's to read
    return text
