"""Logs: one JSON object per line on standard error."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator

import pytest

from foretell import logs


@pytest.fixture(autouse=True)
def _restored() -> Iterator[None]:
    """Put the root logger back as it was."""
    root = logging.getLogger()
    handlers, level = root.handlers, root.level
    yield
    root.handlers = handlers
    root.setLevel(level)


def test_events_are_json_lines(capsys: pytest.CaptureFixture[str]) -> None:
    """An event is one line with its data, whoever logs it, and nothing goes to standard out."""
    logs.configure("info", "json")
    logs.get_logger("mine").info("bundle loaded", version="v", rows=3)
    logging.getLogger("library").warning("slow %s", "disk")
    captured = capsys.readouterr()
    first, second = map(json.loads, captured.err.splitlines())
    assert (first["event"], first["version"], first["rows"]) == ("bundle loaded", "v", 3)
    assert (first["level"], first["logger"]) == ("info", "mine")
    assert first["timestamp"].endswith("Z")
    assert (second["event"], second["level"]) == ("slow disk", "warning")
    assert captured.out == ""


def test_levels_filter(capsys: pytest.CaptureFixture[str]) -> None:
    """What is less important than the level is not written; configuring again replaces it."""
    logger = logs.get_logger("mine")
    logs.configure("error", "json")
    logger.warning("not this")
    logs.configure("debug", "json")
    logger.debug("but this")
    assert [json.loads(x)["event"] for x in capsys.readouterr().err.splitlines()] == ["but this"]


def test_exceptions_stay_on_their_line(capsys: pytest.CaptureFixture[str]) -> None:
    """A traceback is part of the object, so that one event is one line."""
    logs.configure("info", "json")
    try:
        raise ValueError("secret")
    except ValueError:
        logs.get_logger("mine").exception("failed")
    (line,) = capsys.readouterr().err.splitlines()
    assert "ValueError: secret" in json.loads(line)["exception"]


def test_text_for_people(capsys: pytest.CaptureFixture[str]) -> None:
    """The text format is readable and holds the data as well."""
    logs.configure("info", "text")
    logs.get_logger("mine").info("bundle loaded", version="v")
    assert "bundle loaded" in capsys.readouterr().err
