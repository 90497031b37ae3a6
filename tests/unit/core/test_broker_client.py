"""What talks to the broker costs nothing before it is used."""

from __future__ import annotations

import subprocess
import sys

import pytest

from foretell.broker_client import check_url
from foretell.errors import InvalidInput


def test_a_client_imports_its_package_when_it_is_used() -> None:
    """To make a client, and to close one that was never used, needs no redis; logs need no rich."""
    program = (
        "import asyncio, sys\n"
        "from foretell import logs\n"
        "from foretell.jobs_async import AsyncJobStore\n"
        "asyncio.run(AsyncJobStore('redis://127.0.0.1:1/0').close())\n"
        "assert not {'redis', 'rich'} & set(sys.modules)\n"
        "import rich.console\n"
    )
    subprocess.run([sys.executable, "-c", program], check=True)


@pytest.mark.parametrize("url", ["", "nonsense", "http://broker", "redis://broker:port/0"])
def test_a_url_that_is_none_of_a_broker_is_refused(url: str) -> None:
    """What cannot be a broker's URL is named, with what is allowed, before anything connects."""
    with pytest.raises(InvalidInput, match="Redis or Valkey") as refused:
        check_url(url)
    assert refused.value.violations[0].field == "broker_url"


@pytest.mark.parametrize("url", ["redis://h", "rediss://u:p@h:6380/2", "unix:///run/valkey.sock"])
def test_urls_of_brokers_are_taken(url: str) -> None:
    """By network, by TLS and by socket of the machine."""
    check_url(url)
