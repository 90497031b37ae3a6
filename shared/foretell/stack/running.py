"""Broker, worker and server, started in order, watched, and stopped in the opposite order."""

from __future__ import annotations

import json
import os
import threading
import time
from types import TracebackType
from typing import Self

from foretell.broker import EmbeddedBroker, in_use
from foretell.errors import ForetellError, Unavailable
from foretell.ports import free_port, why_not_bound
from foretell.settings import ENV_PREFIX, Settings
from foretell.stack.folder import StateFolder
from foretell.stack.news import News, Tell
from foretell.stack.part import Part

READY_WITHIN_S = 60.0
WATCH_EVERY_S = 0.2
# Beyond the server's own drain, and the time that a worker gives the message it works on.
GRACE_S = 10.0
BROKER_PAUSE_S = 2.0
"""How long after a broker did not start it is tried again."""


class Stack:
    """The three parts on one state folder; a context manager.

    Args:
        folder: holds all state; started again on it, everything continues.
        settings: what the parts are configured with, except for where the state is. Port 0
            takes a free one, and so does the metrics page when none is given.
        tell: is told what happens to the parts once they run.
    """

    def __init__(
        self, folder: StateFolder, settings: Settings, tell: Tell = lambda _news: None
    ) -> None:
        self.folder = folder
        self.host = settings.host
        self.port = settings.port
        self.metrics_port = settings.metrics_port or 0
        self._settings = settings
        self._tell = tell
        self._broker = EmbeddedBroker(folder.broker)
        self._parts: dict[str, Part] = {}
        self._due: dict[str, float] = {}
        self._known_url = ""

    @property
    def address(self) -> str:
        """Where the server listens, as clients write it."""
        return f"{self.host}:{self.port}"

    @property
    def metrics_url(self) -> str:
        """Where the server's metrics are for Prometheus."""
        return f"http://{self._settings.metrics_host}:{self.metrics_port}/metrics"

    @property
    def broker_url(self) -> str:
        """The broker's URL, with its password."""
        return self._broker.url

    def pids(self) -> dict[str, int]:
        """Return the process id of each part."""
        return {"broker": self._broker.pid} | {name: p.pid for name, p in self._parts.items()}

    def check(self) -> None:
        """Raise Unavailable where it cannot start: the folder is in use, or the port is taken."""
        if in_use(self.folder.broker):
            raise Unavailable(f"the folder {self.folder.root}", self._who_is_there())
        if self.port and not self.host.startswith("unix:"):
            why = why_not_bound(self.host, self.port)
            if why:
                raise Unavailable(f"port {self.port}", why)

    def start(self) -> None:
        """Start the broker, then worker and server together, and wait until both are ready.

        Raises Unavailable when one of them does not start; the others are stopped. What `check`
        finds is said before anything is started.
        """
        self.check()
        self.folder.logs.mkdir(parents=True, exist_ok=True)
        try:
            self._broker.start()
            self.port = self.port or free_port()
            self.metrics_port = self.metrics_port or free_port()
            self._start_parts()
            for part in self._parts.values():
                part.wait_ready(READY_WITHIN_S)
            self._leave_notice()
        except BaseException:
            self.stop()
            raise

    def watch(self, stop: threading.Event) -> None:
        """Start parts again that die, until `stop` is set."""
        while not stop.wait(WATCH_EVERY_S):
            self._look_after_broker()
            for name, part in self._parts.items():
                self._look_after(name, part)

    def stop(self) -> None:
        """Stop all: the server drains, the worker finishes its message, the broker goes last."""
        self._stop_parts()
        if self._broker.alive():
            self.folder.notice.unlink(missing_ok=True)
        self._broker.stop()

    def _leave_notice(self) -> None:
        notice = {"pid": os.getpid(), "address": self.address, "metrics": self.metrics_url}
        self.folder.notice.write_text(json.dumps(notice) + "\n", encoding="utf-8")

    def _who_is_there(self) -> str:
        try:
            notice = json.loads(self.folder.notice.read_text(encoding="utf-8"))
            who = f" (process {notice['pid']}, serving on {notice['address']})"
        except (OSError, ValueError, KeyError):
            who = ""  # it has not come so far yet
        return (
            f"another `foretell up` runs on it{who}; use that one, or give this one another "
            "--state and another --port"
        )

    def hurry(self) -> None:
        """Ask the server to cut off what is in flight, because somebody asked to stop twice."""
        if "server" in self._parts:
            self._parts["server"].hurry()

    def _look_after(self, name: str, part: Part) -> None:
        code = part.ended()
        if code is None:
            if part.became_ready():
                self._tell(News(name, "ready", f"the {name} is ready again", part.pid))
            return
        now = time.monotonic()
        if name not in self._due:
            self._due[name] = now + part.pause_s()
            text = f"the {name} died ({_cause(code)}) and is started again; see {part.log}"
            self._tell(News(name, "died", text))
        if now >= self._due[name]:
            del self._due[name]
            part.start()

    def _look_after_broker(self) -> None:
        if self._broker.alive() or time.monotonic() < self._due.get("broker", 0.0):
            return
        if "broker" not in self._due:
            self._tell(News("broker", "died", "the broker died and is started again"))
        self._broker.stop()
        try:
            self._broker.start()
        except ForetellError as error:
            self._due["broker"] = time.monotonic() + BROKER_PAUSE_S
            text = f"the broker did not start: {error.message}"
            self._tell(News("broker", "failed", text))
            return
        self._due.pop("broker", None)
        self._tell(News("broker", "ready", "the broker is ready again", self._broker.pid))
        if self._broker.url != self._known_url:
            # Somebody took its port meanwhile. The parts have to hear of the new one.
            self._stop_parts()
            self._start_parts()

    def _start_parts(self) -> None:
        self._known_url = self._broker.url
        self._due.clear()
        self._parts = self._make_parts()
        for part in self._parts.values():
            part.start()

    def _stop_parts(self) -> None:
        for name, within_s in (
            ("server", self._settings.drain_seconds + GRACE_S),
            ("worker", GRACE_S),
        ):
            part = self._parts.get(name)
            if part is not None and not part.stop(within_s):
                text = f"the {name} did not end within {within_s:g} s and was killed"
                self._tell(News(name, "killed", text))

    def _make_parts(self) -> dict[str, Part]:
        return {name: self._part(name, c) for name, c in (("server", "serve"), ("worker", "work"))}

    def _part(self, name: str, command: str) -> Part:
        settings = self._settings.model_copy(
            update={
                "broker_url": self._broker.url,
                "registry": self.folder.registry,
                "data": self.folder.data,
                "port": self.port,
                "metrics_port": self.metrics_port,
            }
        )
        # The settings are handed down whole: nothing of ours must mix with them on the way.
        outer = {k: v for k, v in os.environ.items() if not k.startswith(ENV_PREFIX)}
        environment = {**outer, **settings.as_environment()}
        return Part(name, [command], environment, self.folder.logs / f"{name}.log")

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()


def _cause(code: int) -> str:
    return f"signal {-code}" if code < 0 else f"exit code {code}"
