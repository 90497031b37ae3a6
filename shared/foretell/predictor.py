"""Predictors: a bundle, checked and loaded, that answers rows with forecasts.

ONNX Runtime is imported when the first predictor is loaded, never with this module.
"""

from __future__ import annotations

import math
import os
from collections.abc import Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from foretell.bundle import INPUTS, MODEL_FILE, OUTPUTS, Manifest, read_file, read_manifest
from foretell.columns import MISSING, Codes, Numbers
from foretell.corrections import Corrections, CorrectionTable
from foretell.encoding import Encoded, EncodedRow, Encoder
from foretell.errors import BundleRejected
from foretell.feeds import Feeds
from foretell.forecast import Forecasts
from foretell.known import KNOWN_FILE, KnownRows
from foretell.schema import Schema

if TYPE_CHECKING:
    from onnxruntime import InferenceSession

ROWS_AT_ONCE = 256
"""Rows per run of the graph in a batch.

Runs of fewer pay more for the graph's nodes than for its trees, larger ones gain nothing:
`benchmarks.serving` measures the graph alone at each size.
"""

FEW_SHOT_ROWS = 20
"""With fewer training rows than this behind one of its ids, an answer is `few-shot`."""

GOLDEN_TOLERANCE = 1e-4
"""How far, relatively, golden rows may be from what the manifest says."""

TIERS = ("cold", "few-shot", "warm", "repeat")

_TIER_STARTS = np.array([np.nextafter(0.0, 1.0), FEW_SHOT_ROWS])
"""From so many rows on an answer is `few-shot`, and `warm`."""


@dataclass(frozen=True, slots=True)
class Outputs:
    """What the graph answers, [n, M], [n, M], [n], [n, M] and [n, G]."""

    location: NDArray[np.float64]
    scale: NDArray[np.float64]
    support: NDArray[np.float64]
    table: NDArray[np.int64]
    rows: NDArray[np.float64]

    def take(self, rows: slice) -> Outputs:
        """Return the outputs of some of the rows."""
        return Outputs(*(getattr(self, field.name)[rows] for field in fields(self)))


class RowOutputs(NamedTuple):
    """What the graph answers about one row, in plain numbers: [M], [M], one, [M] and [G]."""

    location: list[float]
    scale: list[float]
    support: float
    table: list[int]
    rows: list[float]
    correction: int = 0
    """The number of the corrections that were applied; 0 when there are none."""


@dataclass(frozen=True, slots=True)
class Prediction:
    """The forecasts of some rows, and what they rest on."""

    forecasts: Forecasts
    support: NDArray[np.float64]
    """[n], in [0, 1]."""
    tier: list[str]
    """[n]: cold, few-shot, warm or repeat."""
    rows: NDArray[np.float64]
    """[n, G]: training rows behind the value of each of the manifest's groups."""
    unknown: tuple[tuple[str, ...], ...]
    """[n]: the categories whose value the training data does not have."""
    correction: int = 0
    """The number of the corrections that were applied; 0 when there are none."""

    def __len__(self) -> int:
        return len(self.support)


class Predictor:
    """One loaded bundle. Shared by threads; swapped as a whole.

    Nothing about it changes but its corrections, which are one reference too.
    """

    def __init__(
        self, manifest: Manifest, session: InferenceSession, known: KnownRows | None = None
    ) -> None:
        self.manifest = manifest
        self.known = known
        """Rows of the training data; None in bundles of old, whose answers have no explanation."""
        self.schema = manifest.schema_
        self.encoder = Encoder(self.schema, manifest.vocabulary, manifest.catalogs)
        self._feeds = Feeds(len(self.schema.number_names), len(self.schema.category_names))
        # What is inside a session, without the checks around it: the signature was checked.
        self._run_graph = getattr(session, "_sess", session).run
        self.tables = manifest.quantiles.tables()
        self._log = np.array([metric.scale == "log" for metric in self.schema.metrics])
        self._ids = [i for i, group in enumerate(manifest.groups) if len(group) == 1]
        self._id_columns = np.array(self._ids, dtype=np.intp)
        names = manifest.quantiles.table_names
        self._is_repeat = np.array([name.startswith("repeat") for name in names])
        # Empty where no table is for repeats: nothing to look up then.
        self._is_repeat_table = self._is_repeat.tolist() if self._is_repeat.any() else []
        self.corrections: CorrectionTable | None = None
        """What answers are corrected by; `run`, and so the golden rows, are never corrected."""

    @classmethod
    def load(cls, folder: Path, expected_schema: Schema | None = None) -> Predictor:
        """Load the bundle in `folder`, and prove that it answers as it did when it was made.

        Checked: size and sha256 of the files, the schema against `expected_schema`, the
        graph's inputs and outputs against the manifest, and the golden rows. Raises
        BundleRejected, with the reason, when any of that fails.
        """
        manifest = read_manifest(folder)
        model = read_file(folder, manifest, MODEL_FILE)
        if expected_schema and expected_schema.fingerprint != manifest.schema_fingerprint:
            why = (
                f"its schema is {manifest.schema_fingerprint[:12]}…, "
                f"{expected_schema.fingerprint[:12]}… is expected"
            )
            raise BundleRejected(manifest.version, why)
        session = open_session(model, manifest.version)
        _check_signature(session, manifest)
        predictor = cls(manifest, session, _known_rows(folder, manifest))
        predictor.check_golden()
        return predictor

    @property
    def version(self) -> str:
        """The bundle's version, which every answer names."""
        return self.manifest.version

    def run_rows(self, rows: Sequence[EncodedRow]) -> list[RowOutputs]:
        """Return the outputs for a few rows, corrected, in plain numbers, from one run."""
        feed = self._feeds.take(len(rows))
        feed.fill(rows, met=bool(self.encoder.met))
        outputs = self._run_graph(OUTPUTS, feed.arrays, None)
        plain = zip(*[o.tolist() for o in outputs], strict=True)
        self._feeds.give_back(feed)
        table = self.corrections
        if table is None:
            return [RowOutputs(*row) for row in plain]
        return [
            _corrected(table, row, RowOutputs(*out)) for row, out in zip(rows, plain, strict=True)
        ]

    def tier_of(self, outputs: RowOutputs) -> str:
        """Return the tier of one row; see `Prediction.tier`."""
        if self._is_repeat_table and all(self._is_repeat_table[t] for t in outputs.table):
            return "repeat"
        fewest = min((outputs.rows[i] for i in self._ids), default=math.inf)
        if fewest <= 0:
            return "cold"
        return "few-shot" if fewest < FEW_SHOT_ROWS else "warm"

    def run(self, numbers: Numbers, categories: Codes) -> Outputs:
        """Return the graph's outputs for encoded rows, running it in runs of a few rows."""
        if not len(numbers):
            # Not every operator takes a batch of no rows; one of nothing known has the widths.
            some = np.full((1, numbers.shape[1]), np.nan), np.full((1, categories.shape[1]), -1)
            return self.run(*some).take(slice(0, 0))
        starts = range(0, len(numbers), ROWS_AT_ONCE)
        parts = [
            self._run(numbers[i : i + ROWS_AT_ONCE], categories[i : i + ROWS_AT_ONCE])
            for i in starts
        ]
        whole = (
            parts[0] if len(parts) == 1 else [np.concatenate(p) for p in zip(*parts, strict=True)]
        )
        location, scale, support, table, rows = whole
        return Outputs(
            location.astype(np.float64),
            scale.astype(np.float64),
            support.astype(np.float64),
            table,
            rows.astype(np.float64),
        )

    def forecast(self, encoded: Encoded) -> Prediction:
        """Return the forecasts of encoded rows, corrected."""
        outputs = self.run(encoded.numbers, encoded.categories)
        location, scale, corrections = outputs.location, outputs.scale, self.corrections
        if corrections is not None:
            codes, trained = encoded.categories, outputs.rows
            location, scale = corrections.rows(codes, location, scale, trained)
        forecasts = Forecasts(
            self.schema.metric_names,
            self._log,
            location,
            scale,
            outputs.table,
            self.tables,
            outputs.support,
        )
        return Prediction(
            forecasts,
            outputs.support,
            self._tiers(outputs),
            outputs.rows,
            encoded.unknown,
            corrections.number if corrections is not None else 0,
        )

    def compile(self, corrections: Corrections) -> CorrectionTable | None:
        """Return corrections as this bundle applies them; None when there is nothing to apply."""
        names, metrics = self.schema.category_names, len(self.schema.metrics)
        for entry in corrections.entries:
            for name, value in zip(entry.group, entry.values, strict=True):
                if name in names:
                    self.encoder.meet(name, value)
        table = CorrectionTable(
            corrections,
            names,
            self.manifest.vocabulary,
            metrics,
            met=self.encoder.met,
            groups=self.manifest.groups,
        )
        return table if len(table) else None

    @property
    def ids(self) -> tuple[str, ...]:
        """The categories that are a group by themselves."""
        return tuple(name for group in self.schema.groups if len(group) == 1 for name in group)

    def check_golden(self) -> None:
        """Run the golden rows, which also warms the graph up; BundleRejected if one is off."""
        golden = self.manifest.golden
        try:
            outputs = self.run(*golden.inputs())
        except Exception as error:  # whatever a foreign graph raises, it is not served
            raise BundleRejected(self.version, f"the graph does not run: {error}") from error
        for name in ("location", "scale", "support", "table"):
            expected = np.array(getattr(golden, name), dtype=np.float64)
            found = getattr(outputs, name)
            if expected.shape != found.shape or not _close(found, expected):
                why = f"golden rows: {name} is not what the manifest says"
                raise BundleRejected(self.version, why)

    def _run(self, numbers: Numbers, categories: Codes) -> Any:  # noqa: ANN401 -- ONNX Runtime's
        if self.encoder.met:  # codes that the graph does not have
            categories = np.maximum(categories, MISSING)
        return self._run_graph(OUTPUTS, {"numbers": numbers, "categories": categories}, None)

    # MUST agree with tier_of; a test compares them.
    def _tiers(self, outputs: Outputs) -> list[str]:
        ids = outputs.rows.take(self._id_columns, axis=1)
        fewest = np.minimum.reduce(ids, axis=1, initial=np.inf)
        tier: NDArray[np.intp] = np.asarray(_TIER_STARTS.searchsorted(fewest, side="right"))
        if self._is_repeat_table:
            tier[np.logical_and.reduce(self._is_repeat.take(outputs.table), axis=1)] = 3
        return [TIERS[i] for i in tier.tolist()]


def _corrected(table: CorrectionTable, row: EncodedRow, outputs: RowOutputs) -> RowOutputs:
    location, scale = table.row(row.categories, *outputs[:2], outputs.rows)
    return outputs._replace(location=location, scale=scale, correction=table.number)


def open_session(model: bytes, version: str) -> InferenceSession:
    """Return a session for a graph, with one thread; BundleRejected when it does not load."""
    # Before the import: from 1.31 on its wheels for Linux send usage data to their maker, and
    # leave a file in the temporary folder. Whoever wants that may set the variable to 0.
    os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")
    import onnxruntime as ort  # noqa: PLC0415 -- only those who predict pay for it

    options = ort.SessionOptions()
    # Calls come from many threads at once; each is too small to be split further.
    options.intra_op_num_threads = 1
    options.inter_op_num_threads = 1
    options.log_severity_level = 3
    try:
        return ort.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    except Exception as error:  # ONNX Runtime raises many kinds, all of them mean this
        raise BundleRejected(version, f"{MODEL_FILE} does not load: {error}") from error


def _known_rows(folder: Path, manifest: Manifest) -> KnownRows | None:
    if KNOWN_FILE not in manifest.files:
        return None
    schema = manifest.schema_
    sizes = tuple(len(manifest.vocabulary[name]) for name in schema.category_names)
    content = read_file(folder, manifest, KNOWN_FILE)
    try:
        return KnownRows.from_bytes(content, sizes, len(schema.number_names), len(schema.metrics))
    except ValueError as error:
        raise BundleRejected(manifest.version, f"{KNOWN_FILE} {error}") from error


def _check_signature(session: InferenceSession, manifest: Manifest) -> None:
    schema = manifest.schema_
    metrics = len(schema.metrics)
    expected: dict[str, tuple[str, tuple[int, ...]]] = {
        "numbers": ("tensor(double)", (len(schema.number_names),)),
        "categories": ("tensor(int64)", (len(schema.category_names),)),
        "location": ("tensor(float)", (metrics,)),
        "scale": ("tensor(float)", (metrics,)),
        "support": ("tensor(float)", ()),
        "table": ("tensor(int64)", (metrics,)),
        "rows": ("tensor(float)", (len(manifest.groups),)),
    }
    found: dict[str, Any] = {node.name: node for node in session.get_inputs()}
    if set(found) != set(INPUTS):
        why = f"the graph takes {', '.join(sorted(found))}, not {', '.join(INPUTS)}"
        raise BundleRejected(manifest.version, why)
    found |= {node.name: node for node in session.get_outputs()}
    for name, (kind, width) in expected.items():
        node = found.get(name)
        if node is None:
            raise BundleRejected(manifest.version, f"the graph has no output {name!r}")
        if node.type != kind or not _fits(node.shape, width):
            why = f"the graph's {name} is {node.type} {node.shape}, not {kind} [n, *{width}]"
            raise BundleRejected(manifest.version, why)


def _fits(shape: list[int | str | None], width: tuple[int, ...]) -> bool:
    """Return whether a declared shape is [n, *width]; a dimension without a number may be any."""
    if len(shape) != 1 + len(width):
        return False
    pairs = zip(shape[1:], width, strict=True)
    return not isinstance(shape[0], int) and all(
        not isinstance(found, int) or found == wanted for found, wanted in pairs
    )


def _close(found: NDArray[Any], expected: NDArray[np.float64]) -> bool:
    return bool(np.allclose(found, expected, rtol=GOLDEN_TOLERANCE, atol=1e-6))
