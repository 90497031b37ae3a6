"""Why a command failed, in one line, and with which exit code."""

from __future__ import annotations

from dataclasses import dataclass

import click

from foretell.errors import Cancelled, ForetellError, InvalidInput, Unauthenticated, Unavailable

LONGEST_VALUE = 200
USAGE, FAILED = 2, 1
CANCELLED = 3
"""What was waited for was cancelled by somebody. Ctrl-C here ends with 130, as everywhere."""


@dataclass(frozen=True, slots=True)
class Failure:
    """What is printed, and what the process ends with."""

    line: str
    code: int = FAILED


def failure_of(error: Exception, extras: str = "") -> Failure:
    """Return the failure that an exception is; `extras` are those that the command needs."""
    if isinstance(error, click.UsageError):
        return Failure(_usage(error), USAGE)
    if isinstance(error, click.ClickException):
        return Failure(one_line(error.format_message()))
    if isinstance(error, ForetellError):
        code = CANCELLED if isinstance(error, Cancelled) else FAILED
        return Failure(_foretell(error), code)
    return Failure(_unexpected(error, extras))


def one_line(text: str) -> str:
    """Return a text on one line."""
    return " ".join(text.split())


def _unexpected(error: Exception, extras: str) -> str:
    if isinstance(error, ModuleNotFoundError) and extras:
        noun = "extras" if "," in extras else "extra"
        install = f"pip install 'foretell[{extras}]'"
        return f"this command needs the {noun} {extras}: {install} (no module {error.name!r})"
    if isinstance(error, OSError) and error.strerror:
        # Of a copy that fails, the second is the one that was written.
        place = error.filename2 or error.filename
        return f"{error.strerror}: {place}" if place else error.strerror
    hint = "set FORETELL_TRACEBACK=1 to see where"
    return f"{type(error).__name__}: {one_line(str(error))} ({hint})"


def _usage(error: click.UsageError) -> str:
    where = error.ctx.command_path if error.ctx else "foretell"
    return f"{one_line(error.format_message())} (see {where} --help)"


def _foretell(error: ForetellError) -> str:
    if isinstance(error, InvalidInput) and "\n" in error.message:
        first, *rest = error.message.splitlines()
        return f"{first} (and {len(rest)} more: `foretell workload check` names them)"
    line = one_line(error.message)
    if isinstance(error, Unavailable) and getattr(error, "what", "").startswith("the server at "):
        return f"{line}; `foretell up` starts a server, --address names another one"
    if isinstance(error, Unauthenticated):
        return f"{line}; --token-file names the file that has it"
    if isinstance(error, InvalidInput) and len(error.violations) == 1:
        # Over gRPC the value travels beside the message; on one line it has to be in it.
        value = one_line(error.violations[0].value)
        shown = value and value not in line and len(value) <= LONGEST_VALUE
        return f"{line} ({value})" if shown else line
    return line
