"""Schemas from files: YAML or TOML, with errors that name the file, the line and the field."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping
from functools import cache
from importlib.resources import files
from pathlib import Path
from types import MappingProxyType
from typing import Any

import yaml
from pydantic import ValidationError
from pydantic_core import ErrorDetails

from foretell.errors import NotFound, SchemaError, Violation
from foretell.schema import Schema

Loc = tuple[str | int, ...]
Lines = dict[Loc, int]

SUFFIXES = (".yaml", ".yml", ".toml")

# By way of libyaml, where PyYAML was built with it: an eighth of the time.
_FAST_LOADER: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


def load_schema(source: str | Path) -> Schema:
    """Return the schema in a file, or the built-in one of that name.

    Anything that ends in .yaml, .yml or .toml, or contains a slash, is a file. Raises
    SchemaError when the file is not a schema, NotFound when there is no such file or name.
    """
    text = str(source)
    if isinstance(source, str) and "/" not in text and not text.endswith(SUFFIXES):
        builtin = builtin_schemas()
        if text not in builtin:
            raise NotFound("schema", text, [*builtin, "or the path of a .yaml or .toml file"])
        return builtin[text]
    path = Path(source)
    try:
        content = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise NotFound("schema", text, [*builtin_schemas(), "or an existing file"]) from None
    except (OSError, UnicodeDecodeError) as error:
        raise SchemaError(text, [Violation("", "", f"{text}: cannot be read: {error}")]) from error
    return parse_schema(content, text)


def parse_schema(content: str, path: str) -> Schema:
    """Return the schema that a file's text holds; `path` names it in errors and tells TOML."""
    data, lines = _read_toml(content, path) if path.endswith(".toml") else _read_yaml(content, path)
    if not isinstance(data, dict):
        raise _at(path, 1, "", "a schema is a table of workload, features, metrics, …")
    try:
        return Schema.model_validate(data)
    except ValidationError as error:
        violations = [_violation(path, lines, detail) for detail in error.errors()]
        raise SchemaError(path, violations) from error


@cache
def builtin_schemas() -> Mapping[str, Schema]:
    """Return the schemas that ship with Foretell, by workload."""
    folder = files("foretell") / "schemas"
    found = sorted((f for f in folder.iterdir() if f.name.endswith(".yaml")), key=lambda f: f.name)
    schemas = [parse_schema(f.read_text(encoding="utf-8"), f"schemas/{f.name}") for f in found]
    return MappingProxyType({schema.workload: schema for schema in schemas})


def _violation(path: str, lines: Lines, detail: ErrorDetails) -> Violation:
    loc = detail["loc"]
    field = _field(loc)
    value = detail["input"]
    shown = "" if value is None or isinstance(value, (dict, list, tuple)) else repr(value)
    message = f"{path}:{_line(lines, loc)}: {field}: {_message(detail, shown)}"
    return Violation(field, shown, message)


def _message(detail: ErrorDetails, shown: str) -> str:
    kind, context = detail["type"], detail.get("ctx", {})
    if kind == "literal_error":
        allowed = str(context["expected"]).replace("'", "").replace(" or ", ", ")
        return f"{shown} is not allowed; one of {allowed}"
    if kind == "extra_forbidden":
        return "is not a field of a schema here"
    if kind == "missing":
        return "is missing"
    if kind == "string_pattern_mismatch":
        return f"{shown} is not allowed; it must match {context['pattern']}"
    if kind == "schema":
        return detail["msg"]
    return f"{shown}: {detail['msg']}" if shown else detail["msg"]


def _field(loc: Loc) -> str:
    text = ""
    for part in loc:
        text += f"[{part}]" if isinstance(part, int) else f".{part}" if text else part
    return text or "schema"


def _line(lines: Lines, loc: Loc) -> int:
    """Return the line of the nearest thing that encloses `loc` and whose line is known."""
    for end in range(len(loc), -1, -1):
        if loc[:end] in lines:
            return lines[loc[:end]]
    return 1


def _at(path: str, line: int, field: str, message: str) -> SchemaError:
    return SchemaError(path, [Violation(field, "", f"{path}:{line}: {message}")])


def _read_yaml(content: str, path: str) -> tuple[Any, Lines]:
    try:
        try:
            node, data = _load_yaml(content, _FAST_LOADER)
        except yaml.YAMLError:
            # The other one says better what is wrong.
            node, data = _load_yaml(content, yaml.SafeLoader)
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else 1
        raise _at(path, line, "", f"not YAML: {error.problem}") from error
    except yaml.YAMLError as error:
        raise _at(path, 1, "", f"not YAML: {error}") from error
    lines: Lines = {}
    if node is not None:
        _walk_yaml(node, (), lines, path)
    return data, lines


def _load_yaml(content: str, loader: Any) -> tuple[yaml.Node | None, Any]:  # noqa: ANN401
    return yaml.compose(content, Loader=loader), yaml.load(content, Loader=loader)  # noqa: S506


def _walk_yaml(node: yaml.Node, loc: Loc, lines: Lines, path: str) -> None:
    lines.setdefault(loc, node.start_mark.line + 1)
    if isinstance(node, yaml.SequenceNode):
        for i, item in enumerate(node.value):
            _walk_yaml(item, (*loc, i), lines, path)
    elif isinstance(node, yaml.MappingNode):
        for key, value in node.value:
            here = (*loc, str(key.value))
            line = key.start_mark.line + 1
            if here in lines:
                # YAML readers keep the last of two in silence; a schema must not lose one.
                raise _at(path, line, _field(here), f"{_field(here)}: is set twice")
            lines[here] = line
            _walk_yaml(value, here, lines, path)


_TOML_TABLE = re.compile(r"^\s*(\[\[?)\s*([A-Za-z0-9_.\-]+)\s*\]\]?\s*(?:#.*)?$")
_TOML_KEY = re.compile(r"^\s*([A-Za-z0-9_\-]+)\s*=")


def _read_toml(content: str, path: str) -> tuple[Any, Lines]:
    try:
        data = tomllib.loads(content)
    except tomllib.TOMLDecodeError as error:
        found = re.search(r"at line (\d+)", str(error))
        raise _at(path, int(found[1]) if found else 1, "", f"not TOML: {error}") from error
    return data, _toml_lines(content)


def _toml_lines(content: str) -> Lines:
    """Return where tables and plain keys stand; what is inside an inline table has no line."""
    lines: Lines = {(): 1}
    counts: dict[Loc, int] = {}
    here: Loc = ()
    for number, text in enumerate(content.splitlines(), start=1):
        if table := _TOML_TABLE.match(text):
            here = _toml_table(table[2].split("."), counts, is_array=table[1] == "[[")
            lines.setdefault(here, number)
        elif key := _TOML_KEY.match(text):
            lines.setdefault((*here, key[1]), number)
    return lines


def _toml_table(names: list[str], counts: dict[Loc, int], *, is_array: bool) -> Loc:
    """Return where a table header leads, counting the elements of arrays of tables."""
    loc: Loc = ()
    for depth, name in enumerate(names):
        loc = (*loc, name)
        if is_array and depth == len(names) - 1:
            counts[loc] = counts.get(loc, 0) + 1
        if loc in counts:
            loc = (*loc, counts[loc] - 1)
    return loc
