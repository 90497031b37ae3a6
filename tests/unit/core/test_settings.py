"""Settings: where they come from, and which of them wins."""

from __future__ import annotations

from pathlib import Path

import pytest

from foretell.errors import InvalidInput, NotFound
from foretell.settings import Settings, load_settings, settings_table

DOCUMENT = Path(__file__).parents[3] / "docs" / "settings.md"


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Run in an empty folder and without variables of Foretell."""
    monkeypatch.chdir(tmp_path)
    for name in Settings.model_fields:
        monkeypatch.delenv(f"FORETELL_{name.upper()}", raising=False)
    monkeypatch.delenv("FORETELL_CONFIG", raising=False)


def test_flags_win_over_the_file_and_the_file_over_variables(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The nearest to the command wins, setting by setting."""
    config = tmp_path / "mine.yaml"
    config.write_text("port: 1\nworkers: 2\nlog_level: debug\n")
    monkeypatch.setenv("FORETELL_PORT", "10")
    monkeypatch.setenv("FORETELL_WORKERS", "20")
    monkeypatch.setenv("FORETELL_DRAIN_SECONDS", "3")
    settings = load_settings(config, port=100, host=None)
    assert (settings.port, settings.workers, settings.log_level) == (100, 2, "debug")
    assert (settings.drain_seconds, settings.host) == (3, "127.0.0.1")


def test_handed_down_settings_arrive_whatever_file_lies_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A process that is given `as_environment` has the same settings, file or no file."""
    monkeypatch.setenv("FORETELL_TOKEN", "secret")
    given = load_settings(port=7, insecure=True, registry=tmp_path / "r", log_level="debug")
    for name, value in given.as_environment().items():
        monkeypatch.setenv(name, value)
    (tmp_path / "foretell.yaml").write_text("port: 1\nregistry: elsewhere\n")
    received = load_settings()
    assert received.as_environment() == given.as_environment()
    assert (received.port, received.registry, received.insecure) == (7, tmp_path / "r", True)
    assert received.admin_token() == "secret"


def test_files_that_are_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without --config it is the file in FORETELL_CONFIG, else foretell.yaml in the folder."""
    (tmp_path / "foretell.yaml").write_text("port: 1")
    assert load_settings().port == Settings().port == 1
    (tmp_path / "other.yaml").write_text("port: 2")
    monkeypatch.setenv("FORETELL_CONFIG", str(tmp_path / "other.yaml"))
    assert load_settings().port == 2
    (tmp_path / "flag.yaml").write_text("workers: 3")
    chosen = load_settings(tmp_path / "flag.yaml")
    assert (chosen.workers, chosen.port) == (3, 50051)


def test_mistakes_are_named(tmp_path: Path) -> None:
    """An unknown setting, a value out of range and a file that is not there are told."""
    config = tmp_path / "c.yaml"
    config.write_text("prt: 1")
    with pytest.raises(InvalidInput, match="there is no setting 'prt'; known: registry, data"):
        load_settings(config)
    with pytest.raises(InvalidInput, match="port: 70000"):
        load_settings(port=70000)
    config.write_text("[1")
    with pytest.raises(InvalidInput, match="is not YAML"):
        load_settings(config)
    config.write_text("just text")
    with pytest.raises(InvalidInput, match="must hold"):
        load_settings(config)
    with pytest.raises(NotFound):
        load_settings(tmp_path / "nowhere.yaml")


def test_the_token_is_not_shown(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The token comes from a variable or a file's first line, and is not printed."""
    assert load_settings().admin_token() is None
    (tmp_path / "token").write_text("from-file\n# comment\n")
    assert load_settings(token_file=tmp_path / "token").admin_token() == "from-file"
    monkeypatch.setenv("FORETELL_TOKEN", "from-variable")
    settings = load_settings(token_file=tmp_path / "token")
    assert settings.admin_token() == "from-variable"
    assert "from-variable" not in repr(settings)


def test_a_token_file_that_gives_no_token_is_refused(tmp_path: Path) -> None:
    """An empty token file, or none, is an error and not an open server."""
    (tmp_path / "token").write_text("\n")
    for name in ("token", "nowhere"):
        with pytest.raises(InvalidInput, match="token_file"):
            load_settings(token_file=tmp_path / name).admin_token()


@pytest.mark.parametrize(
    ("host", "expected"),
    [
        ("127.0.0.1", True),
        ("localhost", True),
        ("::1", True),
        ("[::1]", True),
        ("unix:/run/foretell", True),
        ("0.0.0.0", False),  # noqa: S104 -- the point of the test
        ("example.org", False),
    ],
)
def test_loopback(host: str, expected: bool) -> None:
    """Only addresses that nobody else can reach are loopback."""
    assert load_settings(host=host).is_loopback is expected


def test_the_documentation_is_current() -> None:
    """docs/settings.md is what the code says; write it anew with settings_table()."""
    assert DOCUMENT.read_text() == settings_table()
