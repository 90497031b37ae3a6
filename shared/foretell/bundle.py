"""Bundles: one immutable, versioned model in a folder, `model.onnx` beside `manifest.json`.

Further files may stand beside them: `known.npz` (see `foretell.known`) explains answers, and
`state.npz` is what an update goes on from.

The graph takes `numbers` (double [n, F_num]) and `categories` (int64 [n, F_cat]), laid out as
`foretell.encoding` says, and answers `location` and `scale` (float [n, M]), `support`
(float [n]), `table` (int64 [n, M]: which quantile table holds for each metric) and `rows` (float
[n, G]: how many training rows, of any metric, stand behind the row's value of each group; 0 is
never seen). A metric that was never measured for an id has a table for unseen ones, whatever the
other metrics have.
"""

from __future__ import annotations

import hashlib
import json
import math
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np
from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, ValidationError

from foretell.catalog import CatalogTable
from foretell.columns import Codes, Numbers
from foretell.disk import naming
from foretell.errors import BundleRejected
from foretell.forecast import QuantileTables
from foretell.schema import Schema

FORMAT = 1
MODEL_FILE = "model.onnx"
MANIFEST_FILE = "manifest.json"
STATE_FILE = "state.npz"
"""What a trainer goes on from (`foretell_trainer.engine.state`); servers have no use for it."""
VERSION_PATTERN = r"^\d{8}T\d{6}Z-[0-9a-f]{8}$"

INPUTS = ("numbers", "categories")
OUTPUTS = ("location", "scale", "support", "table", "rows")

_Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
_FileName = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]*$")]
_Matrix = Annotated[tuple[tuple[float | None, ...], ...], Field(min_length=1)]


class _Part(BaseModel):
    # What a newer trainer adds is ignored; what an older server could misread raises `format`.
    model_config = ConfigDict(
        frozen=True, extra="ignore", populate_by_name=True, ser_json_inf_nan="null"
    )


class Quantiles(_Part):
    """The calibrated quantiles of standardised residuals."""

    levels: tuple[float, ...]
    values: tuple[tuple[tuple[float, ...], ...], ...]
    """[tables][metrics][levels]"""
    table_names: tuple[str, ...]
    """What each table is for. A name that begins with "repeat" is for repeated configurations."""
    dispersion: tuple[tuple[float, ...], ...] | None = None
    """[tables][metrics]: how sums of many rows vary, as a multiple of what is said; none is 1."""
    draws: tuple[int, ...] | None = None
    """[tables]: on how many independent draws each rests; none is enough for all levels."""

    def tables(self) -> QuantileTables:
        """Return the tables as arrays; ValueError when they are not monotone."""
        spread = None if self.dispersion is None else np.array(self.dispersion, dtype=np.float64)
        values = np.array(self.values, dtype=np.float64)
        draws = None if self.draws is None else np.array(self.draws, dtype=np.int64)
        return QuantileTables(np.array(self.levels), values, spread, draws)

    @classmethod
    def of(cls, tables: QuantileTables, table_names: tuple[str, ...]) -> Quantiles:
        """Return the tables as a manifest holds them."""
        values = tuple(tuple(map(tuple, table)) for table in tables.values.tolist())
        spread, draws = tables.dispersion, tables.draws
        return cls(
            levels=tuple(tables.levels.tolist()),
            values=values,
            table_names=table_names,
            dispersion=None if spread is None else tuple(map(tuple, spread.tolist())),
            draws=None if draws is None else tuple(draws.tolist()),
        )


class Lineage(_Part):
    """Where the training data came from."""

    snapshot_sha256: str
    rows: int
    time_range: tuple[AwareDatetime, AwareDatetime] | None = None
    sources: tuple[str, ...] = ()
    parent: str | None = None
    """The version that this bundle was made from, when it was not fitted from nothing."""


class Golden(_Part):
    """Rows with the outputs that the graph gave when it was proved; checked at every load."""

    numbers: _Matrix
    """None is NaN (JSON has none)."""
    categories: Annotated[tuple[tuple[int, ...], ...], Field(min_length=1)]
    location: tuple[tuple[float, ...], ...]
    scale: tuple[tuple[float, ...], ...]
    support: tuple[float, ...]
    table: tuple[tuple[int, ...], ...]

    @classmethod
    def of(
        cls,
        numbers: Numbers,
        categories: Codes,
        *,
        location: np.ndarray,
        scale: np.ndarray,
        support: np.ndarray,
        table: np.ndarray,
    ) -> Golden:
        """Return golden rows from what went into the graph and what came out."""
        return cls(
            numbers=tuple(
                tuple(None if math.isnan(v) else v for v in row) for row in numbers.tolist()
            ),
            categories=tuple(map(tuple, categories.tolist())),
            location=tuple(map(tuple, location.tolist())),
            scale=tuple(map(tuple, scale.tolist())),
            support=tuple(support.tolist()),
            table=tuple(map(tuple, table.tolist())),
        )

    def inputs(self) -> tuple[Numbers, Codes]:
        """Return the rows as the graph takes them."""
        rows = [[math.nan if v is None else v for v in row] for row in self.numbers]
        # Shapes are given, because a schema may well have no numbers, or no categories.
        numbers = np.array(rows, dtype=np.float64).reshape(len(rows), len(rows[0]))
        codes = np.array(self.categories, dtype=np.int64)
        return numbers, codes.reshape(len(rows), len(self.categories[0]))


class BundleFile(_Part):
    """The size in bytes and the sha256 of one file of a bundle."""

    sha256: _Sha256
    size: int = Field(ge=0)


class Manifest(_Part):
    """All that a bundle says of itself."""

    format: Literal[1] = 1
    workload: str
    version: str = ""
    """Given by `write_bundle`: the time of creation and 8 digits of the content's sha256."""
    created_at: AwareDatetime
    schema_: Schema = Field(alias="schema")
    schema_fingerprint: _Sha256
    vocabulary: dict[str, tuple[str, ...]]
    catalogs: tuple[CatalogTable, ...] = ()
    """For show; the graph has its own copy of the facts."""
    quantiles: Quantiles
    groups: tuple[tuple[str, ...], ...] = ()
    """The order of the graph's output `rows`."""
    family: str
    training: dict[str, Any] = Field(default_factory=dict)
    """Seconds, settings and what else there is to say of the fit."""
    lineage: Lineage
    evaluation: dict[str, Any] = Field(default_factory=dict)
    """The report card."""
    libraries: dict[str, str] = Field(default_factory=dict)
    golden: Golden
    files: dict[_FileName, BundleFile] = Field(default_factory=dict)

    def to_json(self) -> str:
        """Return the manifest's JSON; numbers that JSON does not have become null."""
        data = _finite(self.model_dump(mode="python", by_alias=True))
        return json.dumps(data, indent=1, default=_plain, allow_nan=False)


def write_bundle(
    folder: Path, model: bytes, draft: Manifest, beside: Mapping[str, bytes] | None = None
) -> Manifest:
    """Write a bundle into `folder`, making it, and return the manifest with version and files.

    `draft` is the manifest without `version` and `files`; `beside` are files beside the model,
    by name.
    """
    folder.mkdir(parents=True, exist_ok=True)
    contents = {MODEL_FILE: model, **(beside or {})}
    files = {
        name: BundleFile(sha256=hashlib.sha256(content).hexdigest(), size=len(content))
        for name, content in contents.items()
    }
    unnamed = draft.model_copy(update={"files": files, "version": ""})
    stamp = draft.created_at.astimezone(UTC).strftime("%Y%m%dT%H%M%SZ")
    version = f"{stamp}-{_content_digest(json.loads(unnamed.to_json()))}"
    text = unnamed.model_copy(update={"version": version}).to_json()
    with naming(folder):
        for name, content in contents.items():
            (folder / name).write_bytes(content)
        (folder / MANIFEST_FILE).write_text(text, encoding="utf-8")
    return Manifest.model_validate_json(text)


def read_manifest(folder: Path) -> Manifest:
    """Return a bundle's manifest, having checked that it is whole; not the other files."""
    name = folder.name
    try:
        text = (folder / MANIFEST_FILE).read_text(encoding="utf-8")
        data = json.loads(text)
    except (OSError, ValueError) as error:
        raise BundleRejected(name, f"{MANIFEST_FILE} cannot be read: {error}") from error
    if not isinstance(data, dict) or data.get("format") != FORMAT:
        found = data.get("format") if isinstance(data, dict) else None
        raise BundleRejected(name, f"{MANIFEST_FILE} has format {found!r}; known: {FORMAT}")
    version = str(data.get("version"))
    if not re.match(VERSION_PATTERN, version) or version[-8:] != _content_digest(data):
        raise BundleRejected(name, f"{MANIFEST_FILE} was changed: it does not match {version!r}")
    try:
        manifest = Manifest.model_validate_json(text)
        _check(manifest)
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(map(str, first["loc"]))
        why = f"{MANIFEST_FILE}: {place}: {first['msg']}"
        raise BundleRejected(version, why) from error
    except ValueError as error:
        raise BundleRejected(version, f"{MANIFEST_FILE}: {error}") from error
    return manifest


def read_bundle(folder: Path) -> Manifest:
    """Return the manifest of a bundle of which every file has been verified.

    Raises BundleRejected, naming the file, when one is missing, has another size or another
    sha256, or when the manifest contradicts itself.
    """
    manifest = read_manifest(folder)
    for name in manifest.files:
        read_file(folder, manifest, name)
    return manifest


def read_file(folder: Path, manifest: Manifest, name: str) -> bytes:
    """Return the content of one file of a bundle, verified; BundleRejected otherwise."""
    expected = manifest.files.get(name)
    if expected is None:
        raise BundleRejected(manifest.version, f"{MANIFEST_FILE} does not list {name}")
    try:
        content = (folder / name).read_bytes()
    except OSError as error:
        raise BundleRejected(manifest.version, f"{name} cannot be read: {error}") from error
    if len(content) != expected.size:
        why = f"{name} has {len(content)} bytes; {MANIFEST_FILE} says {expected.size}"
        raise BundleRejected(manifest.version, why)
    found = hashlib.sha256(content).hexdigest()
    if found != expected.sha256:
        why = f"{name} has sha256 {found[:12]}…; {MANIFEST_FILE} says {expected.sha256[:12]}…"
        raise BundleRejected(manifest.version, why)
    return content


def _check(manifest: Manifest) -> None:
    """Raise ValueError where parts of a manifest contradict each other."""
    schema = manifest.schema_
    tables = manifest.quantiles.tables()
    if manifest.workload != schema.workload:
        raise ValueError(f"is for {manifest.workload!r}, its schema for {schema.workload!r}")
    if manifest.schema_fingerprint != schema.fingerprint:
        raise ValueError("schema_fingerprint is not that of the schema")
    if tables.values.shape[1] != len(schema.metrics):
        raise ValueError(f"quantiles are for {tables.values.shape[1]} metrics")
    if len(manifest.quantiles.table_names) != len(tables.values):
        raise ValueError("quantiles.table_names must name every table")
    missing = [name for name in schema.category_names if name not in manifest.vocabulary]
    if missing:
        raise ValueError(f"vocabulary lacks {', '.join(missing)}")
    if MODEL_FILE not in manifest.files:
        raise ValueError(f"files lacks {MODEL_FILE}")


def _content_digest(data: Mapping[str, Any]) -> str:
    content = {name: value for name, value in data.items() if name != "version"}
    canonical = json.dumps(content, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(canonical.encode()).hexdigest()[:8]


def _finite(value: object) -> object:
    if isinstance(value, Mapping):
        return {str(key): _finite(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_finite(item) for item in value]
    if isinstance(value, np.ndarray | np.generic):
        return _finite(value.tolist())
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _plain(value: object) -> object:
    if isinstance(value, datetime):
        return value.astimezone(UTC).isoformat().replace("+00:00", "Z")
    raise TypeError(f"a manifest cannot hold {value!r}")
