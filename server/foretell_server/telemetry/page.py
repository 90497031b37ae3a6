"""The metrics page: Prometheus text over HTTP, in a thread of its own."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from socketserver import ThreadingMixIn
from typing import Any
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer, make_server

from prometheus_client.exposition import generate_latest, make_wsgi_app
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from foretell.errors import Unavailable
from foretell.logs import get_logger
from foretell_server.telemetry.families import Family

Collect = Callable[[], Iterable[Family]]
"""Called from the page's threads."""

READ_WITHIN_S = 10.0
"""Who takes longer over sending a request is cut off."""

_log = get_logger(__name__)


class _Families(Collector):
    """Families as prometheus_client wants them."""

    def __init__(self, collect: Collect) -> None:
        self._collect = collect

    def collect(self) -> Iterator[Metric]:
        for family in self._collect():
            # The library takes the ending that all counters have away and puts it there again.
            metric = Metric(family.name.removesuffix("_total"), family.help, family.kind)
            for sample in family.samples:
                name = family.name + sample.suffix
                metric.add_sample(name, dict(sample.labels), sample.value)
            yield metric


def exposed(families: Iterable[Family]) -> bytes:
    """Return the page's text in the classic format."""
    return generate_latest(_Families(lambda: families))


class _Server(ThreadingMixIn, WSGIServer):
    daemon_threads = True

    def handle_error(self, request: Any, client_address: Any) -> None:  # noqa: ANN401, ARG002
        """Log what went wrong with a request in one line, instead of printing it."""
        _log.warning("the metrics page was not sent", exc_info=True)


class _ServerV6(_Server):
    address_family = socket.AF_INET6


class _Handler(WSGIRequestHandler):
    timeout = READ_WITHIN_S

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002, ANN401
        """Log nothing: a page that is looked at every few seconds is no news."""


@contextmanager
def metrics_page(host: str, port: int, collect: Collect) -> Iterator[int]:
    """Serve the page, at any path, and yield its port; Unavailable when it is taken."""
    kind = _ServerV6 if ":" in host else _Server
    app = make_wsgi_app(_Families(collect))
    try:
        server = make_server(host.strip("[]"), port, app, kind, _Handler)
    except OSError as error:
        why = f"{host}:{port} cannot be bound: {error.strerror or error}"
        raise Unavailable("the metrics page", why) from error
    thread = threading.Thread(target=server.serve_forever, name="metrics-page", daemon=True)
    thread.start()
    try:
        yield server.server_port
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
