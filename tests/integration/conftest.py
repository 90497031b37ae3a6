"""What every integration test may use: a real broker and a folder for state."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from foretell.broker import EmbeddedBroker


@pytest.fixture(scope="session")
def shared_broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedBroker]:
    """One Valkey server for all tests of the session."""
    with EmbeddedBroker(tmp_path_factory.mktemp("broker")) as running:
        yield running


@pytest.fixture
def broker(shared_broker: EmbeddedBroker) -> str:
    """The URL of a running broker that holds nothing."""
    import redis  # noqa: PLC0415 -- tests that need no broker run without it

    with redis.Redis.from_url(shared_broker.url) as client:
        client.flushall()
    return shared_broker.url


@pytest.fixture
def state_folder(tmp_path: Path) -> Path:
    """A folder that is empty, for the store, the registry and whatever else is kept."""
    return tmp_path
