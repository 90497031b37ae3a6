"""Logs: one JSON object per line on standard error, or text for people."""

from __future__ import annotations

import logging
import sys
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    import structlog
else:
    # structlog imports rich where it finds it, for tracebacks that are not drawn here, and rich
    # imports more: a tenth of the time in which a server starts.
    _found = sys.modules.get("rich")
    sys.modules["rich"] = None
    try:
        import structlog
    finally:
        del sys.modules["rich"]
        if _found is not None:
            sys.modules["rich"] = _found

LogFormat = Literal["json", "text"]


def configure(level: str = "info", fmt: LogFormat = "json") -> None:
    """Send this process's logs, and those of the libraries it uses, to standard error.

    `level` is debug, info, warning or error. Calling it again replaces what was configured.
    """
    shared: list[structlog.typing.Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_logger_name,
        structlog.stdlib.add_log_level,
        structlog.stdlib.ExtraAdder(),
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.StackInfoRenderer(),
    ]
    structlog.configure(
        processors=[
            structlog.stdlib.filter_by_level,
            *shared,
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=False,  # so that a second call takes effect everywhere
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                *_renderers(fmt),
            ],
        )
    )
    root = logging.getLogger()
    root.handlers = [handler]
    root.setLevel(level.upper())


def get_logger(name: str) -> structlog.stdlib.BoundLogger:
    """Return the logger of a module; events are short texts, data goes in keywords."""
    logger: structlog.stdlib.BoundLogger = structlog.stdlib.get_logger(name)
    return logger


def _renderers(fmt: LogFormat) -> list[structlog.typing.Processor]:
    if fmt == "text":
        return [
            structlog.dev.ConsoleRenderer(
                colors=sys.stderr.isatty(), exception_formatter=structlog.dev.plain_traceback
            )
        ]
    return [structlog.processors.format_exc_info, structlog.processors.JSONRenderer(default=str)]
