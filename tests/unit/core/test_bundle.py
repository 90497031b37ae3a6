"""Bundles: whole, or refused with the reason."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from foretell.bundle import MANIFEST_FILE, MODEL_FILE, read_bundle, read_file, read_manifest
from foretell.errors import BundleRejected
from foretell.schema import Schema

MakeBundle = Callable[..., Path]


def test_what_is_written_is_read(make_bundle: MakeBundle, schema: Schema) -> None:
    """A manifest comes back as it was written, with its version and files."""
    created = datetime(2025, 1, 31, 23, 59, 59, tzinfo=UTC)
    manifest = read_bundle(make_bundle(created=created))
    assert manifest.version.startswith("20250131T235959Z-")
    assert manifest.schema_ == schema
    assert manifest.created_at == created
    assert set(manifest.files) == {MODEL_FILE}
    assert manifest.evaluation["random"]["duration_s"] == {"mape": 0.1, "worst": None}


def test_versions_tell_contents_apart(make_bundle: MakeBundle) -> None:
    """Two bundles of the same second have different versions when anything differs."""
    created = datetime(2025, 1, 31, tzinfo=UTC)
    one = read_manifest(make_bundle("one", created=created)).version
    two = read_manifest(make_bundle("two", created=created)).version
    other = read_manifest(make_bundle("other", offset=1.0, created=created)).version
    assert one == two
    assert one != other


def test_golden_rows_keep_missing_numbers(make_bundle: MakeBundle) -> None:
    """NaN in golden rows survives JSON, which has none."""
    numbers, categories = read_bundle(make_bundle()).golden.inputs()
    assert numbers.shape == (1, 6)
    assert np.isnan(numbers).all()
    assert categories.dtype == np.int64


def flip_a_bit(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(bytes(content))


@pytest.mark.parametrize(
    ("damage", "why"),
    [
        (lambda f: flip_a_bit(f / MODEL_FILE), "model.onnx has sha256"),
        (lambda f: (f / MODEL_FILE).write_bytes(b""), "model.onnx has 0 bytes"),
        (lambda f: (f / MODEL_FILE).unlink(), "model.onnx cannot be read"),
        (lambda f: (f / MANIFEST_FILE).unlink(), "manifest.json cannot be read"),
        (lambda f: (f / MANIFEST_FILE).write_text("{"), "manifest.json cannot be read"),
        (lambda f: (f / MANIFEST_FILE).write_text("[]"), "has format None; known: 1"),
        (lambda f: edit(f, rows=11), "manifest.json was changed"),
    ],
)
def test_a_damaged_bundle_is_refused(
    make_bundle: MakeBundle, damage: Callable[[Path], Any], why: str
) -> None:
    """Whatever was changed since it was written, the bundle is refused and says why."""
    folder = make_bundle()
    damage(folder)
    with pytest.raises(BundleRejected, match="is refused") as caught:
        read_bundle(folder)
    assert why in caught.value.why


def edit(folder: Path, rows: int) -> None:
    path = folder / MANIFEST_FILE
    data = json.loads(path.read_text())
    data["lineage"]["rows"] = rows
    path.write_text(json.dumps(data))


def test_a_manifest_of_another_format_is_refused(make_bundle: MakeBundle) -> None:
    """A bundle of a format that is not known is refused, not guessed at."""
    folder = make_bundle()
    path = folder / MANIFEST_FILE
    path.write_text(path.read_text().replace('"format": 1', '"format": 2'))
    with pytest.raises(BundleRejected, match="format 2; known: 1"):
        read_manifest(folder)


def test_only_listed_files_can_be_read(make_bundle: MakeBundle) -> None:
    """A file that the manifest does not list is not part of the bundle."""
    folder = make_bundle()
    (folder / "extra.bin").write_bytes(b"x")
    with pytest.raises(BundleRejected, match=r"does not list extra.bin"):
        read_file(folder, read_manifest(folder), "extra.bin")
