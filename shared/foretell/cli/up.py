"""`foretell up`: broker, worker and server in one foreground command, with state in one folder."""

from __future__ import annotations

import signal
import threading
from pathlib import Path
from typing import Any

import click

from foretell.cli import output
from foretell.cli.options import FOLDER, json_option, setting_options
from foretell.settings import load_settings
from foretell.stack import News, Stack, StateFolder


@click.command(short_help="Run broker, worker and server in one command.")
@click.option(
    "--state",
    type=FOLDER,
    default=Path(".foretell"),
    show_default=True,
    help="Folder of all state; the next `foretell up` on it continues.",
)
@setting_options(
    "host",
    "port",
    "workers",
    "metrics_port",
    "metrics_host",
    "drain_seconds",
    "retrain_after_observations",
    "retrain_every_s",
    "retrain_at",
    "retrain_on_drift",
    "regression_percent",
    "token_file",
    "insecure",
    "tls_cert_file",
    "tls_key_file",
    "log_level",
)
@json_option
def up(
    state: Path,
    config: Path | None,
    as_json: bool,
    **flags: Any,  # noqa: ANN401 -- the settings of setting_options
) -> None:
    """Run an embedded broker, a worker and a server until Ctrl-C.

    A part that dies is started again. Ctrl-C stops all of them in order and loses nothing: the
    server finishes its calls, the worker its message, and what is queued waits in the folder
    for the next start. A second Ctrl-C cuts off the calls that are still in flight.

    With --json, each line is an object. The first one has `address`, `metrics`, `state` and `pids`
    once all parts are ready; the later ones say in `event` what happens, with `part` and `status`
    ("died", then "ready" with its `pid` when it answers again) where it happens to one of them.

    The other settings, such as the token, come from the environment or foretell.yaml.

    \b
    Example:
      foretell up --state .foretell --port 50051
    """
    settings = load_settings(config, **flags)
    if settings.retrain_at is not None:
        # The worker would say so, when all of it has been started.
        from foretell_trainer.beat import crontab_of

        crontab_of(settings.retrain_at)
    folder = StateFolder(state)

    def say(line: str, **more: object) -> None:
        if as_json:
            output.print_json({"event": line, **more}, compact=True)
        else:
            click.echo(line)

    def tell(news: News) -> None:
        pid = {"pid": news.pid} if news.pid else {}
        say(news.text, part=news.part, status=news.status, **pid)

    stack = Stack(folder, settings, tell)
    stop = threading.Event()

    def asked(_number: int, _frame: object) -> None:
        if stop.is_set():
            stack.hurry()
        stop.set()

    stack.check()
    output.say("starting broker, worker and server …", quiet=as_json)
    with stack:
        # Until here Ctrl-C has its usual meaning; from here on it asks for an orderly end.
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, asked)
        _greet(stack, as_json=as_json)
        stack.watch(stop)
        say("stopping: the server first, then the worker, then the broker")
    say(f"stopped; `foretell up --state {state}` continues from here")


def _greet(stack: Stack, *, as_json: bool) -> None:
    if as_json:
        about = {
            "event": "serving",
            "address": stack.address,
            "metrics": stack.metrics_url,
            "state": stack.folder.root,
            "pids": stack.pids(),
        }
        output.print_json(about, compact=True)
        return
    root = stack.folder.root
    click.echo(
        f"serving on {stack.address}; state, logs and bundles are in {root}/\n"
        f"metrics for Prometheus are on {stack.metrics_url}\n"
        f"next, in another terminal:\n"
        f"  foretell workload list --address {stack.address}\n"
        f"  foretell ingest serverless --data runs.csv --state {root}\n"
        f"  foretell retrain serverless --wait --address {stack.address}\n"
        f"Ctrl-C stops all of it, and loses nothing"
    )
