"""Schema files: YAML and TOML, and errors that lead to the line."""

from __future__ import annotations

from pathlib import Path

import pytest

from foretell.errors import NotFound, SchemaError
from foretell.schema_file import builtin_schemas, load_schema, parse_schema

YAML = """workload: w
features:
  - name: f
    kind: category
  - name: n
    kind: number
metrics:
  - {name: m}
"""

TOML = """workload = "w"
# a comment
[[features]]
name = "f"
kind = "category"

[[features]]
name = "n"
kind = "number"

[[metrics]]
name = "m"
"""


def test_yaml_and_toml_say_the_same() -> None:
    """A schema is the same, whichever of the two it is written in."""
    assert parse_schema(YAML, "w.yaml") == parse_schema(TOML, "w.toml")


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ("category", "colour", "w.yaml:4: features[0].kind: 'colour' is not allowed; one of"),
        ("name: n", "nme: n", "w.yaml:5: features[1].name: is missing"),
        ("name: n", "nme: n", "w.yaml:5: features[1].nme: is not a field of a schema here"),
        ("workload: w", "workload: W", "w.yaml:1: workload: 'W' is not allowed; it must match"),
        ("{name: m}", "{name: f}", "w.yaml:8: metrics[0].name: 'f' is used twice"),
        ("kind: number", "kind: [", "w.yaml:8: not YAML"),
        ("name: n", "name: n\n    name: q", "w.yaml:6: features[1].name: is set twice"),
        ("metrics:", "groups: [[q]]\nmetrics:", "w.yaml:7: groups[0][0]: 'q' names no category"),
    ],
)
def test_a_mistake_in_yaml_is_told_with_its_line(old: str, new: str, expected: str) -> None:
    """The message names the file, the line, the field, the value and what is allowed."""
    with pytest.raises(SchemaError) as caught:
        parse_schema(YAML.replace(old, new, 1), "w.yaml")
    assert expected in caught.value.message


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ('"number"', '"colour"', "w.toml:9: features[1].kind: 'colour' is not allowed"),
        ('name = "m"', 'nme = "m"', "w.toml:11: metrics[0].name: is missing"),
        ('"category"', "category", "w.toml:5: not TOML"),
    ],
)
def test_a_mistake_in_toml_is_told_with_its_line(old: str, new: str, expected: str) -> None:
    """TOML has lines as well, down to the key of a table."""
    with pytest.raises(SchemaError) as caught:
        parse_schema(TOML.replace(old, new, 1), "w.toml")
    assert expected in caught.value.message


def test_an_empty_file_is_no_schema() -> None:
    """A file that holds nothing is refused, not taken for a schema with nothing in it."""
    with pytest.raises(SchemaError, match=r"empty.yaml:1"):
        parse_schema("", "empty.yaml")


def test_load_takes_names_and_paths(tmp_path: Path) -> None:
    """A word is a built-in schema; what has a suffix is a file."""
    path = tmp_path / "w.yaml"
    path.write_text(YAML)
    assert load_schema("serverless") is builtin_schemas()["serverless"]
    assert load_schema(path) == load_schema(str(path)) == parse_schema(YAML, "w.yaml")


def test_load_names_what_there_is() -> None:
    """An unknown name, or a file that does not exist, is answered with what is built in."""
    for name in ("serverles", "nowhere.yaml"):
        with pytest.raises(NotFound, match="inference, serverless"):
            load_schema(name)


def test_a_file_that_is_not_text_is_refused(tmp_path: Path) -> None:
    """Bytes that are no text are an error of the file, with its name."""
    path = tmp_path / "w.yaml"
    path.write_bytes(b"\xff\xfe\x00workload")
    with pytest.raises(SchemaError, match="cannot be read"):
        load_schema(path)
