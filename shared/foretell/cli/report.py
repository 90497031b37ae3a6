"""`foretell report`: what a bundle is, and how far it can be relied on, as one document."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from foretell.cli import output
from foretell.cli.options import FILE, data_option, json_option, more_files, registry_option
from foretell.cli.pictures import check_pictures, draw
from foretell.cli.sources import open_registry
from foretell.disk import naming
from foretell.errors import InvalidInput, Violation

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from foretell.bundle import Manifest
    from foretell.cli.measured import MeasuredRows
    from foretell.plots import Section
    from foretell.predictor import Predictor

SUFFIXES = (".html", ".md", ".json")


@click.command(short_help="Write how far a bundle can be relied on, with pictures.")
@click.argument("workload")
@more_files
@data_option
@click.option("--out", required=True, type=FILE, help="A page .html, a .md, or a .json.")
@registry_option
@click.option("--bundle", metavar="VERSION", help="A version or an alias.  [default: current]")
@click.option(
    "--plot",
    "pictures",
    type=FILE,
    multiple=True,
    metavar="FILE",
    help="Also draw its pictures as .png or .svg, numbered; may be given many times.",
)
@json_option
def report(
    workload: str,
    more: tuple[Path, ...],
    data: tuple[Path, ...],
    out: Path,
    registry: Path | None,
    bundle: str | None,
    pictures: tuple[Path, ...],
    as_json: bool,
) -> None:
    """Write a report of a bundle: its data, its accuracy by split, its calibration.

    With files of measurements that it was not trained on, forecasts are compared with them. A
    page is one file that works offline, its pictures inside; --plot writes them as files, too.

    \b
    Example:
      foretell report serverless --data later.csv --out report.html
    """
    if out.suffix.lower() not in SUFFIXES:
        message = f"{out} must end in one of {', '.join(SUFFIXES)}"
        raise InvalidInput([Violation("--out", str(out), message)])
    check_pictures(pictures)
    from foretell.cli.bundles import load_predictor

    predictor = load_predictor(open_registry(registry), workload, bundle)
    rows = _measured(predictor, [*data, *more])
    found = _found(predictor, rows)
    if out.suffix.lower() == ".json":
        with naming(out):
            out.write_text(output.json_text(found) + "\n", encoding="utf-8")
    else:
        _write_document(out, predictor, rows, found)
    if as_json:
        output.print_json({**found, "out": out})
    else:
        click.echo(f"written: {out}")
    title = f"{workload}: {predictor.version}"
    draw(pictures, lambda: _figures(predictor, rows, found), title, quiet=as_json)


def _measured(predictor: Predictor, files: Sequence[Path]) -> MeasuredRows | None:
    if not files:
        return None
    from foretell.cli.measured import read_measured

    return read_measured(predictor, files)


def _found(predictor: Predictor, rows: MeasuredRows | None) -> dict[str, Any]:
    """Return what the report says, as data."""
    manifest = predictor.manifest
    found: dict[str, Any] = {
        "workload": manifest.workload,
        "bundle": predictor.version,
        "created_at": manifest.created_at,
        "family": manifest.family,
        "lineage": manifest.lineage.model_dump(mode="json"),
        "training": manifest.training,
        "known": {name: len(values) for name, values in manifest.vocabulary.items()},
        "report_card": manifest.evaluation,
    }
    if rows is not None:
        from foretell_trainer.engine.evaluation import evaluate

        compared = evaluate(predictor, predictor.schema, rows.encoded, rows.metrics)
        found["measured"] = {**compared, "rejected": len(rows.rejected)}
    return found


def _write_document(
    out: Path, predictor: Predictor, rows: MeasuredRows | None, found: dict[str, Any]
) -> None:
    from foretell.plots import Page

    pictures = out.suffix.lower() == ".html"
    sections = [_identity(predictor.manifest), *_card(found["report_card"], pictures=pictures)]
    if rows is not None:
        sections += _comparison(predictor, rows, found["measured"], pictures=pictures)
    page = Page(f"{predictor.manifest.workload}: {predictor.version}", tuple(sections))
    with naming(out):
        out.write_text(page.html() if pictures else page.markdown(), encoding="utf-8")


def _identity(manifest: Manifest) -> Section:
    from foretell.plots import Section

    lineage = manifest.lineage
    rows = [
        ["made", manifest.created_at.strftime("%Y-%m-%d %H:%M UTC")],
        ["family", manifest.family],
        ["trained on", f"{lineage.rows} rows of {', '.join(lineage.sources) or 'the store'}"],
        ["snapshot", lineage.snapshot_sha256[:16]],
    ]
    if lineage.time_range:
        rows.append(["observed", " to ".join(str(end)[:16] for end in lineage.time_range)])
    rows += [[f"known: {name}", str(len(v))] for name, v in manifest.vocabulary.items()]
    return Section("The bundle", header=("", ""), rows=tuple(rows))


def _figures(
    predictor: Predictor, rows: MeasuredRows | None, found: Mapping[str, Any]
) -> list[Figure]:
    """Return the pictures of a report; InvalidInput when there is nothing to draw."""
    splits = [_splits(metric, about) for metric, about in _card_metrics(found["report_card"])]
    figures = [figure for figure in splits if figure is not None]
    if rows is not None:
        figures += _compared(predictor, rows, _with_rows(found["measured"]))
    if not figures:
        message = "there is nothing to draw: the bundle has no report card, and no --data is given"
        raise InvalidInput([Violation("--plot", "", message)])
    return figures


def _card_metrics(card: Mapping[str, Any]) -> list[tuple[str, Mapping[str, Any]]]:
    return list(card.get("metrics", {}).items())


def _splits(metric: str, about: Mapping[str, Any]) -> Figure | None:
    """Return the picture of a metric's coverage by split; None where none was measured."""
    from foretell.plots import coverage_figure

    splits = about.get("splits", {})
    coverage = {name: s["coverage"] for name, s in splits.items() if "coverage" in s}
    return (
        coverage_figure(coverage, f"{metric}: coverage by what was left out") if coverage else None
    )


def _card(card: Mapping[str, Any], *, pictures: bool) -> list[Section]:
    """Return a section for each metric: errors and coverage by what was left out."""
    from foretell.plots import Section
    from foretell.plots.saving import svg

    sections = []
    for metric, about in _card_metrics(card):
        rows = tuple(_split_row(name, split) for name, split in about.get("splits", {}).items())
        figure = _splits(metric, about) if pictures else None
        sections.append(
            Section(
                f"{metric}, in training",
                (f"Protocol: {card.get('protocol', 'not stated')}.",),
                ("left out", "rows", "mean error", "median error", "bias", "80 % holds",
                 "90 % holds", "95 % holds"),
                rows,
                () if figure is None else (svg(figure),),
            )
        )  # fmt: skip
    return sections


def _split_row(name: str, split: Mapping[str, Any]) -> tuple[str, ...]:
    coverage = split.get("coverage", {})
    return (
        name,
        str(split.get("rows", "-")),
        _percent(split.get("mape")),
        _percent(split.get("median_ape")),
        "-" if split.get("bias") is None else f"{split['bias']:+.3f}",
        *(_percent(coverage.get(level)) for level in ("0.8", "0.9", "0.95")),
    )


def _comparison(
    predictor: Predictor, rows: MeasuredRows, found: Mapping[str, Any], *, pictures: bool
) -> list[Section]:
    from foretell.plots import Section
    from foretell.plots.saving import svg

    metrics = _with_rows(found)
    table = []
    for name, one in metrics.items():
        worst = one.get("worst_group")
        group = "-" if worst is None else f"{worst['name']}: {_percent(worst['coverage'])}"
        r2 = one.get("r2")
        table.append((*_split_row(name, one), "-" if r2 is None else f"{r2:.3f}", group))
    said = f"{found['rows']} rows of {rows.table.source}; {found['rejected']} could not be used."
    return [
        Section(
            "Against measurements",
            (said,),
            ("metric", "rows", "mean error", "median error", "bias", "80 % holds", "90 % holds",
             "95 % holds", "R²", "worst group at 90 %"),
            tuple(table),
            tuple(map(svg, _compared(predictor, rows, metrics))) if pictures else (),
        )
    ]  # fmt: skip


def _with_rows(measured: Mapping[str, Any]) -> dict[str, Any]:
    return {name: one for name, one in measured["metrics"].items() if one.get("rows")}


def _compared(predictor: Predictor, rows: MeasuredRows, metrics: Mapping[str, Any]) -> list[Figure]:
    """Return coverage, reliability, and forecasts against measurements by metric."""
    import numpy as np

    from foretell.plots import coverage_figure, reliability_figure, scatter_figure

    level = 0.8
    forecasts = predictor.forecast(rows.encoded).forecasts
    median, (lower, upper) = forecasts.median(), forecasts.interval(level)
    figures = [
        coverage_figure({n: one["coverage"] for n, one in metrics.items()}, "Intervals"),
        reliability_figure({n: one["confidence"] for n, one in metrics.items()}, "Confidence"),
    ]
    for name in metrics:
        m = forecasts.metric_index(name)
        known = np.isfinite(rows.metrics[:, m])
        truth, middle, low, high = (a[known, m] for a in (rows.metrics, median, lower, upper))
        unit = predictor.schema.metric(name).unit
        figures.append(scatter_figure(name, unit, truth, middle, low, high, level))
    return figures


def _percent(share: float | None) -> str:
    return "-" if share is None else f"{100 * share:.1f} %"
