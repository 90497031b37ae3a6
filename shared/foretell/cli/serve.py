"""`foretell serve`: the prediction server in the foreground."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from foretell.cli import output
from foretell.cli.options import json_option, setting_options
from foretell.cli.parent import parent_options, with_parent


@click.command(short_help="Run the prediction server.")
@setting_options(
    "registry",
    "broker_url",
    "host",
    "port",
    "workers",
    "max_message_bytes",
    "max_rows_per_call",
    "max_candidates",
    "max_matrix_cells",
    "max_placement_pairs",
    "max_concurrent_calls",
    "cache_entries",
    "max_streams_per_connection",
    "max_metadata_bytes",
    "min_ping_interval_s",
    "max_connection_age_s",
    "drain_seconds",
    "registry_poll_s",
    "token_file",
    "insecure",
    "tls_cert_file",
    "tls_key_file",
    "log_level",
    "log_format",
    "log_answers_share",
    "otlp_endpoint",
    "trace_share",
    "metrics_port",
    "metrics_host",
)
@parent_options
@json_option
def serve(
    config: Path | None,
    ready_fd: int | None,
    parent: int | None,
    as_json: bool,
    **flags: Any,  # noqa: ANN401 -- the settings of setting_options
) -> None:
    """Serve the bundles of a registry until SIGTERM or Ctrl-C, then drain and stop.

    New versions are taken over as they are published. Without a broker it predicts all the
    same; reporting and retraining then answer UNAVAILABLE.

    \b
    Example:
      foretell serve --registry models --port 50051 --workers 2
    """
    from foretell.settings import load_settings
    from foretell_server.main import serve as run

    settings = load_settings(config, **flags)
    tell_parent = with_parent(ready_fd, parent)

    def ready(port: int) -> None:
        tell_parent(str(port))
        if as_json:
            output.print_json({"address": f"{settings.host}:{port}", "port": port}, compact=True)

    run(settings, ready)
