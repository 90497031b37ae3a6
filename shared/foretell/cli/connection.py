"""A client for the server that a command's options name."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from foretell.client import Client, Tls
from foretell.client.channel import DEFAULT_ADDRESS
from foretell.settings import load_settings


def connect(
    address: str | None,
    *,
    tls: bool = False,
    ca_file: Path | None = None,
    token_file: Path | None = None,
    timeout: float = 10.0,
) -> Client:
    """Return a client; the token comes from the flag's file, the environment or the settings."""
    flags: dict[str, Any] = {"token_file": token_file}
    settings = load_settings(**flags)
    return Client(
        address or DEFAULT_ADDRESS,
        token=settings.admin_token(),
        tls=Tls(ca_file=ca_file) if ca_file else tls,
        insecure=settings.insecure,
        timeout=timeout,
    )
