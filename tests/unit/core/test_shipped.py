"""What ships: facts of hardware with their sources, found by the names that people use."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest

import foretell
from foretell.catalog import CatalogTable
from foretell.errors import NotFound
from foretell.naming import plain_name
from foretell.schema_file import builtin_schemas
from foretell.shipped import (
    default_catalog,
    shipped_by_file_name,
    shipped_catalog,
    shipped_names,
)

INFERENCE = builtin_schemas()["inference"]
FIGURES = ("fp32_tflops", "fp16_tflops", "memory_gb", "memory_bandwidth_gb_s", "tdp_w")


@pytest.fixture(scope="module")
def hardware() -> CatalogTable:
    """The shipped hardware, as the schema `inference` reads it."""
    return shipped_catalog(INFERENCE.catalog("hardware"))


@pytest.fixture(scope="module")
def rows() -> list[dict[str, str]]:
    """The file's rows as they are."""
    file = Path(foretell.__file__).parent / "catalogs" / "hardware.csv"
    with file.open(newline="") as text:
        return list(csv.DictReader(text))


def test_every_row_says_where_it_is_from(rows: list[dict[str, str]]) -> None:
    """Each row has a name, a vendor, a kind, a year and a source; figures may be blank."""
    assert len(rows) > 150
    for row in rows:
        assert all(row[name] for name in ("hardware", "vendor", "source"))
        assert row["kind"] in ("cpu", "gpu", "npu", "accelerator")
        assert 2010 <= int(row["launch_year"]) <= 2030


def test_figures_are_possible(rows: list[dict[str, str]]) -> None:
    """Figures are above 0, and 16-bit arithmetic is never slower than 32-bit."""
    for row in rows:
        assert all(float(row[name]) > 0 for name in FIGURES if row[name]), row["hardware"]
        if row["fp32_tflops"] and row["fp16_tflops"]:
            assert float(row["fp16_tflops"]) >= float(row["fp32_tflops"]), row["hardware"]


def test_no_two_rows_have_a_name_in_common(hardware: CatalogTable) -> None:
    """However it is spelled, every key and alias leads to one row, its own."""
    for name, key in [(key, key) for key in hardware.keys] + [*hardware.aliases.items()]:  # type: ignore[union-attr]  # it has aliases
        assert hardware.key_of(plain_name(name)) == key, name


@pytest.mark.parametrize(
    ("name", "key"),
    [
        ("NVIDIA A100-SXM4-80GB", "NVIDIA A100 80GB SXM"),
        ("NVIDIA A100-PCIE-40GB", "NVIDIA A100 40GB PCIe"),
        ("NVIDIA H100 80GB HBM3", "NVIDIA H100 SXM"),
        ("Tesla V100-SXM2-16GB", "NVIDIA Tesla V100 SXM2 16GB"),
        ("Tesla T4", "NVIDIA T4"),
        ("rtx4090", "NVIDIA GeForce RTX 4090"),
        ("NVIDIA GeForce RTX 3090 Ti", "NVIDIA GeForce RTX 3090 Ti"),
        ("AMD MI300X GPU", "AMD Instinct MI300X"),
        ("Habana Gaudi2", "Intel Gaudi 2"),
        ("i9_10940x", "Intel Core i9-10940X"),
        ("12th Gen Intel(R) Core(TM) i7-12700H", "Intel Core i7-12700H"),
        ("Intel(R) Xeon(R) Platinum 8380 CPU @ 2.30GHz", "Intel Xeon Platinum 8380"),
        ("Intel(R) Xeon(R) Platinum 8480+", "Intel Xeon Platinum 8480+"),
        ("AMD EPYC 7763 64-Core Processor", "AMD EPYC 7763"),
        ("tpu-v5e", "Google TPU v5e"),
        ("NVIDIA GeForce RTX 4090 Laptop GPU", None),
        ("RTX 9999", None),
        ("GPU", None),
        ("", None),
    ],
)
def test_hardware_is_found_as_tools_name_it(
    hardware: CatalogTable, name: str, key: str | None
) -> None:
    """Names from nvidia-smi, lscpu and people lead to the row; what is other hardware does not."""
    assert hardware.key_of(name) == key


def test_figures_that_are_known_well(hardware: CatalogTable) -> None:
    """Dense, and with sums in 32 bits: an A100 has 312, an RTX 3090 71 and not 142 or 285."""
    assert hardware.describe("A100-SXM4-80GB") == {
        "vendor": "NVIDIA",
        "hardware_kind": "gpu",
        "fp32_tflops": 19.5,
        "fp16_tflops": 312.0,
        "memory_gb": 80.0,
        "memory_bandwidth_gb_s": 2039.0,
        "tdp_w": 400.0,
    }
    assert hardware.describe("rtx3090")["fp16_tflops"] == 71.0


def test_a_built_in_catalog_has_the_shipped_facts_by_default() -> None:
    """So has a schema that declares it alike; one that means something else has to ask."""
    declared = INFERENCE.catalog("hardware")
    default = default_catalog(declared)
    assert default is not None
    assert len(default) > 150
    assert default_catalog(INFERENCE.catalog("models")) is None
    other = declared.model_copy(update={"facts": declared.facts[:1]})
    assert default_catalog(other) is None
    assert shipped_by_file_name(other, "builtin") is not None


def test_the_name_builtin_stands_for_a_file() -> None:
    """`builtin` is the shipped catalog of the same name, `builtin:NAME` another; else a file."""
    devices = INFERENCE.catalog("hardware").model_copy(update={"name": "devices"})
    assert shipped_by_file_name(devices, "hardware.csv") is None
    named = shipped_by_file_name(devices, "builtin:hardware")
    assert named is not None
    assert named.name == "devices"
    with pytest.raises(NotFound, match=", ".join(shipped_names())):
        shipped_by_file_name(devices, "builtin")
