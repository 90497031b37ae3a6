"""`foretell explain`: why a forecast is what it is, and what was measured nearby."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from foretell.cli import output
from foretell.cli.deciding import answering_options
from foretell.cli.options import json_option

if TYPE_CHECKING:
    from foretell.explain import Explanation, MetricExplanation

NO_FACTOR = 0.005
"""A factor this close to 1 is shown as x1.00."""
NO_ADDEND = 0.001
"""What adds less than this share of the median is nothing."""


@click.command(short_help="Say why a forecast is what it is, and what was measured nearby.")
@click.argument("workload")
@click.option(
    "--set", "sets", multiple=True, required=True, metavar="NAME=VALUE", help="A feature."
)
@click.option("--metric", "metrics", multiple=True, metavar="NAME", help="Only these metrics.")
@click.option("--neighbours", default=5, show_default=True, help="How many, at most 100.")
@answering_options
@json_option
def explain(
    workload: str,
    sets: tuple[str, ...],
    metrics: tuple[str, ...],
    neighbours: int,
    registry: Path | None,
    bundle: str | None,
    as_json: bool,
    **server: Any,  # noqa: ANN401 -- the options of server_options
) -> None:
    """Say what each feature does to the forecast of one item, and what was measured nearby.

    Effects are what a feature's value does compared with the training data: factors such as
    x3.10 for a metric on a log scale, else what it adds in the metric's unit. With `typical`
    and `calibration` they make the median.

    \b
    Example:
      foretell explain inference --set model=resnet50 --set hardware=A100 --set batch_size=64
    """
    asked = {"metrics": metrics, "neighbours": neighbours}
    if registry is not None:
        if server["address"] is not None:
            raise click.UsageError("give either --registry, to explain here, or --address")
        features, found = _here(workload, registry, bundle, sets, asked)
    else:
        features, found = _asked(workload, bundle, sets, asked, server)
    if as_json:
        output.print_json(_as_json(found, features))
    else:
        _print(found, features)


def _here(
    workload: str,
    registry: Path,
    bundle: str | None,
    sets: tuple[str, ...],
    asked: Mapping[str, Any],
) -> tuple[dict[str, Any], Explanation]:
    from foretell.cli.bundles import load_predictor
    from foretell.cli.one_item import features_as_declared
    from foretell.cli.sources import open_registry
    from foretell.explain import Explainer

    predictor = load_predictor(open_registry(registry), workload, bundle)
    kinds = {feature.name: feature.kind for feature in predictor.schema.inputs}
    features = features_as_declared(sets, kinds)
    return features, Explainer(predictor).explain(features, **asked)


def _asked(
    workload: str,
    bundle: str | None,
    sets: tuple[str, ...],
    asked: Mapping[str, Any],
    server: dict[str, Any],
) -> tuple[dict[str, Any], Explanation]:
    from foretell.cli.connection import connect
    from foretell.cli.one_item import read_features

    with connect(server.pop("address"), **server) as client:
        features = read_features(client, workload, sets)
        return features, client.explain(workload, features, bundle_version=bundle or "", **asked)


def _print(found: Explanation, features: Mapping[str, Any]) -> None:
    shown = list(found.metrics.values())
    caption = [found.workload, f"bundle {found.bundle_version}", found.tier]
    click.echo(" · ".join([*caption, f"support {found.support:.2f}"]))
    if found.unknown_features:
        click.echo(f"never seen in training: {', '.join(found.unknown_features)}")
    rows = [["typical", "", *(output.short(m.typical) for m in shown)]]
    rows += _effects(shown, features)
    rows.append(["calibration", "", *(m.effect_text(m.calibration) for m in shown)])
    rows.append(["median", "", *(output.short(m.median) for m in shown)])
    output.print_table(["feature", "value", *map(_titled, shown)], rows)
    how = "exact" if found.exact else "from sampled orders of the features"
    click.echo(f"\nEffects are {how}, compared with {found.background_rows} training rows.")
    if found.neighbours:
        click.echo("\nThe nearest that were measured:")
        _print_neighbours(found, shown)


def _effects(shown: Sequence[MetricExplanation], features: Mapping[str, Any]) -> list[list[str]]:
    """Return a line for each feature; those that were not given and do nothing share one."""
    names = _by_size(shown)
    unset = [name for name in names if name not in features]
    quiet = [name for name in unset if all(_is_nothing(m, name) for m in shown)]
    folded = quiet if len(quiet) > 1 else []
    rows = [
        [name, _cell(features.get(name)), *(m.effect_text(m.effect(name)) for m in shown)]
        for name in names
        if name not in folded
    ]
    if folded:
        # Together they may do a little, and the lines are to make the median.
        effects = (m.effect_text(_together(m, folded)) for m in shown)
        rows.append([f"{len(folded)} others", "-", *effects])
    return rows


def _is_nothing(m: MetricExplanation, name: str) -> bool:
    if m.kind == "factor":
        return abs(m.effect(name) - 1) < NO_FACTOR
    return abs(m.effect(name)) < NO_ADDEND * abs(m.median)


def _together(m: MetricExplanation, names: Iterable[str]) -> float:
    effects = [m.effect(name) for name in names]
    return math.prod(effects) if m.kind == "factor" else math.fsum(effects)


def _print_neighbours(found: Explanation, shown: Iterable[MetricExplanation]) -> None:
    metrics = list(shown)
    names = list(dict.fromkeys(name for one in found.neighbours for name in one.features))
    rows = []
    for one in found.neighbours:
        measured = (one.measured.get(m.metric, math.nan) for m in metrics)
        rows.append(
            [
                *(_cell(one.features.get(name)) for name in names),
                *map(output.short, measured),
                str(one.training_rows),
                f"{one.distance:.3f}",
            ]
        )
    output.print_table([*names, *map(_titled, metrics), "rows", "distance"], rows)


def _by_size(metrics: Iterable[MetricExplanation]) -> list[str]:
    """Return the features, first those with the largest share in the effects on any metric."""
    largest: dict[str, float] = {}
    for m in metrics:
        sizes = {c.feature: _size(m, c.effect) for c in m.contributions}
        most = max(sizes.values(), default=0.0) or 1.0
        for name, size in sizes.items():
            largest[name] = max(largest.get(name, 0.0), size / most)
    return sorted(largest, key=lambda name: -largest[name])


def _size(m: MetricExplanation, effect: float) -> float:
    return abs(math.log(max(effect, 1e-300))) if m.kind == "factor" else abs(effect)


def _titled(m: MetricExplanation) -> str:
    return f"{m.metric} ({m.unit})" if m.unit not in ("", "1") else m.metric


def _cell(value: float | bool | str | None) -> str:
    if value is None:
        return "-"
    if isinstance(value, bool | str):
        return str(value).lower() if isinstance(value, bool) else value
    return output.short(value)


def _as_json(found: Explanation, features: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "workload": found.workload,
        "bundle": found.bundle_version,
        "tier": found.tier,
        "support": found.support,
        "unknown_features": found.unknown_features,
        "features": features,
        "exact": found.exact,
        "background_rows": found.background_rows,
        "metrics": {
            name: {
                "unit": m.unit,
                "kind": m.kind,
                "typical": m.typical,
                "effects": {one.feature: one.effect for one in m.contributions},
                "calibration": m.calibration,
                "median": m.median,
            }
            for name, m in found.metrics.items()
        },
        "neighbours": found.neighbours,
    }
