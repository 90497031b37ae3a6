"""The report: results as Markdown tables."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from benchmarks.accuracy.baselines import GROUPS, LIGHTGBM, QUANTILE, SGD
from benchmarks.accuracy.records import Record

_LEVELS = ("0.8", "0.9", "0.95")
_BASELINES = {
    SGD: "SGD",
    LIGHTGBM: "LightGBM",
    QUANTILE: "quantile LightGBM",
    GROUPS: "group means",
}
_OURS = (
    "split", "metric", "rows", "MAPE", "median APE", "R²", "bias", "covers 80 / 90 / 95 %",
    "width 80 / 90 / 95 %", "split conformal 90 %", "worst group at 90 %", "over-provisioned",
    "confidence off by",
)  # fmt: skip
_COSTS = ("split", "left out", "folds", "rows to learn from", "fit, s", "bundle, KB", "one row, µs")
_INTRODUCTION = """# Accuracy and calibration

Written by `{command}` on {dates}, version `{sources}` of engine, benchmark and data. Every number
comes from bundles that the real `train` wrote, and the exported graph that a server would load.

- A split says what the bundle had never seen; the rows of all its folds are scored together.
- MAPE and median APE are errors of the median forecast. Bias is the mean of
  log(predicted / measured): above 0 is too much.
- Width is the median of log(upper / lower). Split conformal is the width that a constant interval
  around the same medians needs to cover 90 %, calibrated on the other half of the tested rows.
- The worst group is the id of 100 tested rows or more that the 90 % interval covers least.
- Over-provisioned is the mean of max(0, bound / measured - 1) at the one-sided 95 % bound.
- Confidence is P(within 20 %); it is off by the largest gap between what was said and what was
  true, in a tenth of the scale with 100 rows or more.
- Baselines, on the same folds: the reference notebook's SGD; LightGBM on logs; three LightGBM
  quantile models as they are (coverage and width of their 90 % interval); the mean of the finest
  group seen.
- No data set says when its rows were measured, so none is split in order of time.
{quick}"""


def render(
    records: Sequence[Record], questions: Mapping[tuple[str, str], str], command: str
) -> str:
    """Return the report; `questions` says, by (data, split), what a split leaves out."""
    parts = [
        _INTRODUCTION.format(
            command=command,
            dates=" and ".join(sorted({record.date for record in records})),
            sources=", ".join(sorted({record.key.sources for record in records})),
            quick=_QUICK if any(record.key.quick for record in records) else "",
        )
    ]
    for data in dict.fromkeys(record.key.data for record in records):
        mine = [record for record in records if record.key.data == data]
        parts.append(f"## {data}\n")
        if rejected := mine[0].rejected:
            parts.append(f"Not used: {len(rejected)} rows, the first: {rejected[0]}\n")
        parts.append(_table(_OURS, (row for record in mine for row in _ours(record))))
        if any(record.key.baselines for record in mine):
            parts.append(_baselines(mine))
        parts.append(_table(_COSTS, (_costs(record, questions) for record in mine)))
    return "\n".join(parts)


_QUICK = """
**A quick run**: rows were sampled, so these are not the numbers of the data sets.
"""


def _ours(record: Record) -> Iterator[list[str]]:
    for name, found in record.metrics.items():
        if found["rows"]:
            yield [
                record.key.split,
                name,
                str(found["rows"]),
                _percent(found["mape"]),
                _percent(found["median_ape"]),
                _plain(found["r2"]),
                _plain(found["bias"], "+.3f"),
                " / ".join(f"{100 * found['coverage'][level]:.1f}" for level in _LEVELS),
                " / ".join(f"{found['width'][level]:.2f}" for level in _LEVELS),
                _plain(found["conformal_width"], ".2f"),
                _group(found["worst_group"]),
                _percent(found["overprovision"]),
                _points(found["confidence_gap"]),
            ]


def _baselines(records: Sequence[Record]) -> str:
    head = ("split", "metric", "Foretell", *_BASELINES.values(), "quantile covers 90 %, width")
    rows = [
        [
            record.key.split,
            name,
            _errors(found),
            *(_errors(found["baselines"][one]) for one in _BASELINES),
            _interval(found["baselines"][QUANTILE]),
        ]
        for record in records
        for name, found in record.metrics.items()
        if found.get("baselines")
    ]
    return "MAPE (median APE) of the baselines:\n\n" + _table(head, rows)


def _costs(record: Record, questions: Mapping[tuple[str, str], str]) -> list[str]:
    question = questions[record.key.data, record.key.split]
    return [
        record.key.split,
        ": ".join(filter(None, (question, ", ".join(record.left_out)))),
        str(record.folds),
        str(record.train_rows),
        f"{record.fit_seconds:.1f}",
        f"{record.bundle_bytes / 1000:.0f}",
        f"{record.row_us:.0f}",
    ]


def _errors(found: Mapping[str, Any]) -> str:
    if found["mape"] is None:
        return "diverged"
    return f"{_percent(found['mape'])} ({_percent(found['median_ape'])})"


def _interval(found: Mapping[str, Any]) -> str:
    return f"{100 * found['coverage']:.1f}, {found['width']:.2f}"


def _group(found: Mapping[str, Any] | None) -> str:
    return f"{100 * found['coverage']:.1f} ({found['name']})" if found else "-"


def _percent(value: float) -> str:
    return f"{100 * value:.3g} %" if value < 10 else f"{100 * value:.0f} %"


def _points(value: float | None) -> str:
    return "-" if value is None else f"{100 * value:.1f} points"


def _plain(value: float | None, form: str = ".3f") -> str:
    return "-" if value is None else format(value, form)


def _table(head: Sequence[str], rows: Iterator[list[str]] | Sequence[list[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "".join("| " + " | ".join(line) + " |\n" for line in lines)
