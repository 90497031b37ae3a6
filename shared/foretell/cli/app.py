"""All commands by name, loaded when they are called, and how failures leave the process."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib import import_module
from types import FrameType, MappingProxyType

import click

from foretell import __version__
from foretell.cli.failures import Failure, failure_of


@dataclass(frozen=True, slots=True)
class Entry:
    """Where a command is, what it is for, and which extras it cannot run without."""

    place: str
    """module:attribute"""
    summary: str
    extras: str = ""

    def load(self) -> click.Command:
        """Import the command."""
        module, _, attribute = self.place.partition(":")
        command = getattr(import_module(f"foretell.cli.{module}"), attribute)
        if not isinstance(command, click.Command):
            raise TypeError(f"{self.place} is not a command")
        return command


COMMANDS: Mapping[str, Entry] = MappingProxyType(
    {
        "demo": Entry(
            "demo:demo",
            "Measure, train, predict and check the predictions, on this machine.",
            "server,trainer,broker,measure",
        ),
        "up": Entry(
            "up:up",
            "Run broker, worker and server in one command.",
            "server,trainer,broker",
        ),
        "serve": Entry("serve:serve", "Run the prediction server.", "server"),
        "work": Entry("work:work", "Run the worker that ingests and trains.", "trainer"),
        "measure": Entry("measure:measure", "Measure real work on this machine.", "measure"),
        "ingest": Entry("ingest:ingest", "Read files of measurements into the store.", "trainer"),
        "catalog": Entry(
            "catalog:catalog", "Keep facts about hardware, models, functions.", "trainer"
        ),
        "train": Entry("train:train", "Train from files, in this process, and publish.", "trainer"),
        "evaluate": Entry(
            "evaluate:evaluate", "Compare a bundle's forecasts with files.", "trainer"
        ),
        "tune": Entry(
            "tune:tune", "Search for settings that err less than the defaults.", "trainer,search"
        ),
        "prequential": Entry(
            "prequential:prequential",
            "Replay files in time: predict each row, then learn it.",
            "trainer",
        ),
        "predict": Entry(
            "predict:predict", "Predict a table, or one item of work.", "server,trainer"
        ),
        "explain": Entry(
            "explain:explain",
            "Say why a forecast is what it is, and what was measured nearby.",
            "server",
        ),
        "recommend": Entry(
            "recommend:recommend", "Rank hardware for one item of work.", "server,plot"
        ),
        "matrix": Entry(
            "matrix:matrix",
            "Forecast all combinations of models, hardware, batch sizes.",
            "server,trainer,plot",
        ),
        "curve": Entry(
            "curve:curve",
            "Follow one feature: bands, knees, the best point under limits.",
            "server,trainer,plot",
        ),
        "compare": Entry(
            "compare:compare",
            "Say whether one configuration is really better than another.",
            "server,plot",
        ),
        "share": Entry(
            "share:share",
            "Run several items on one device: in parallel, in sequence, batched.",
            "server,trainer,plot",
        ),
        "report": Entry(
            "report:report",
            "Write how far a bundle can be relied on, with pictures.",
            "server,trainer,plot",
        ),
        "place": Entry("place:place", "Place a batch of items on nodes.", "server,trainer,plot"),
        "observe": Entry("observe:observe", "Report to a server what work really took."),
        "anomalies": Entry(
            "anomalies:anomalies", "List, confirm and discard observations that cannot be."
        ),
        "events": Entry(
            "events:events", "Follow drift, bias, anomalies, regressions as they are noticed."
        ),
        "live": Entry("live:live", "Show how a workload's answers have done lately."),
        "regressions": Entry(
            "live:regressions", "Show what has become slower, or costs more, than it did."
        ),
        "replay": Entry("replay:replay", "Give an answer of the past once more, by its id."),
        "retrain": Entry("retrain:retrain", "Ask a server to train anew."),
        "jobs": Entry("jobs:jobs", "List, watch and cancel training runs."),
        "promote": Entry("promotion:promote", "Make a bundle current."),
        "rollback": Entry(
            "promotion:rollback", "Make the bundle before the current one current again."
        ),
        "history": Entry(
            "promotion:history", "Show what was done to a workload's bundles, and why."
        ),
        "models": Entry("models:models", "Show the bundles of a registry or a server."),
        "prune": Entry(
            "prune:prune", "Remove bundles and snapshots that are no longer needed.", "trainer"
        ),
        "workload": Entry("workload:workload", "Show, write and check schemas.", "trainer"),
    }
)


class LazyGroup(click.Group):
    """A group that knows its commands' names and summaries without importing them."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 -- click's signature
        """Return the names, in the order in which a new user meets them."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002
        """Import one command."""
        entry = COMMANDS.get(cmd_name)
        return entry.load() if entry else None

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002
        """Write the list of commands of the help page."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, entry.summary) for name, entry in COMMANDS.items()])

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Find the command that the arguments name; UsageError lists those that there are."""
        name = args[0]
        if name not in COMMANDS and not name.startswith("-"):
            raise click.UsageError(f"no command {name!r}; one of {', '.join(COMMANDS)}", ctx)
        return super().resolve_command(ctx, args)


@click.group(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="foretell")
def cli() -> None:
    """Predict what work will take: how long, how much memory, and how sure that is.

    \b
    Begin with:
      foretell demo                      all of it, with work measured on this machine
      foretell up                        a server of your own, in .foretell/
      foretell workload init NAME --from data.csv --metric duration_s
    """


def run(args: Sequence[str]) -> int:
    """Run a command line and return its exit code; a failure is one line on standard error."""
    try:
        code = cli.main(args=list(args), prog_name="foretell", standalone_mode=False)
        sys.stdout.flush()
    except click.exceptions.Exit as ended:
        return int(ended.exit_code)
    except BrokenPipeError:
        # Nobody reads any more. The interpreter's own flush at exit must not complain either.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 128 + signal.SIGPIPE
    except (click.Abort, KeyboardInterrupt) as stopped:
        # click takes the end of any file for somebody who pressed Ctrl-D.
        if isinstance(stopped.__cause__, EOFError):
            return _tell(failure_of(stopped.__cause__, _extras_of(args)))
        return 128 + signal.SIGINT
    except Exception as error:
        if os.environ.get("FORETELL_TRACEBACK"):
            raise
        return _tell(failure_of(error, _extras_of(args)))
    return code if isinstance(code, int) else 0


def _tell(failure: Failure) -> int:
    click.echo(f"error: {failure.line}", err=True)
    return failure.code


def _extras_of(args: Sequence[str]) -> str:
    named = next((COMMANDS[arg] for arg in args if arg in COMMANDS), None)
    return named.extras if named else ""


def end_in_order() -> None:
    """Let SIGTERM and a closed terminal unwind the stack, so that what was started is stopped."""

    def leave(number: int, _frame: FrameType | None) -> None:
        raise SystemExit(128 + number)

    for number in (signal.SIGTERM, signal.SIGHUP):
        # Under nohup the second one is ignored, and stays so.
        if signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, leave)
