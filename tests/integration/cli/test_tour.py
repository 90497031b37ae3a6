"""The README's tour, command by command, in a fresh folder."""

from __future__ import annotations

import re
import shlex
import shutil
from collections.abc import Iterator
from contextlib import redirect_stdout
from dataclasses import dataclass
from io import StringIO
from pathlib import Path

import pytest

from tests.integration.cli.conftest import Ran, foretell, running

pytestmark = pytest.mark.process

ROOT = Path(__file__).parents[3]
DEFAULT_ADDRESS = "localhost:50051"
# A linear model is fitted in a tenth of the time; the commands and what they print are the same.
FASTER = {"train": ("--family", "ridge"), "retrain": ("--family", "ridge")}
ASK_A_SERVER = ("retrain", "recommend")
# Which candidates keep the limit, and so what is said of them, depends on the model.
DIFFERS = ("recommend",)


@dataclass(frozen=True)
class Shown:
    """A command of the README, and what it says that the command prints."""

    command: str
    lines: list[str]

    @property
    def words(self) -> list[str]:
        """The command's words."""
        return shlex.split(self.command)


def tour() -> str:
    """Return the README from the tour to the end of the section about a service."""
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    return text[text.index("## A tour") : text.index("## Decisions")]


def blocks(language: str) -> list[str]:
    """Return the tour's blocks of a language."""
    return re.findall(rf"^```{language}\n(.*?)^```$", tour(), re.M | re.S)


def shown() -> Iterator[Shown]:
    """Yield the commands of the tour in order."""
    text = "".join(blocks("console")).replace("\\\n", " ")
    for part in re.split(r"^\$ ", text, flags=re.M)[1:]:
        command, _, output = part.partition("\n")
        yield Shown(command, output.strip().splitlines())


def masked(line: str) -> str:
    """Return a line with its numbers, versions and groups masked, and single spaces."""
    line = re.sub(r"\d{8}T\d{6}Z-[0-9a-f]+", "VERSION", line)
    # Why so many were learned from depends on the family and on how long a fit takes.
    line = re.sub(r"(observations) \(.*\)$", r"\1 WHY", line)
    line = re.sub(r"\w+=\S+( \d+\.\d %$)", r"GROUP\1", line)
    line = re.sub(r"[-+]?\d+(\.\d+)?(e[-+]?\d+)?", "#", line)
    return " ".join(line.split())


def same(told: list[str], printed: str, command: str) -> None:
    """Compare what the README shows with what was printed, all but the numbers."""
    found = [masked(line) for line in printed.strip().splitlines()]
    wanted = [masked(line) for line in told]
    if command in DIFFERS:
        assert found
    else:
        assert found == wanted, command


def run(one: Shown, folder: Path, address: str) -> str:
    """Run one command as it stands, and return what it prints."""
    program, *args = one.words
    if program == "head":
        count, name = int(args[1]), args[2]
        return "".join((folder / name).read_text(encoding="utf-8").splitlines(True)[:count])
    assert program == "foretell", program
    more = [*FASTER.get(args[0], ())]
    more += ["--address", address] if args[0] in ASK_A_SERVER else []
    done: Ran = foretell(*args, *more, cwd=folder)
    assert done.code == 0, done.err
    return done.out


def test_the_tour_of_the_readme_is_what_happens(tmp_path: Path) -> None:
    """Each command works as it stands and prints what the README says, numbers apart."""
    commands = list(shown())
    assert commands[0].command == "cp -r examples/wasm tour && cd tour"
    folder = tmp_path / "tour"
    shutil.copytree(ROOT / "examples" / "wasm", folder)
    at = next(i for i, one in enumerate(commands) if one.words[:2] == ["foretell", "up"])
    for one in commands[1:at]:
        same(one.lines, run(one, folder, ""), one.command)
    with running("up", "--port", 0, cwd=folder) as process:
        assert process.stdout is not None
        greeting = "".join(process.stdout.readline() for _ in commands[at].lines)
        same(commands[at].lines, greeting, commands[at].command)
        found = re.search(r"serving on (\S+);", greeting)
        assert found is not None
        for one in commands[at + 1 :]:
            same(one.lines, run(one, folder, found[1]), one.words[1])
        (program,), (printed,) = blocks("python"), blocks("text")
        out = StringIO()
        with redirect_stdout(out):
            exec(program.replace(DEFAULT_ADDRESS, found[1]), {})  # noqa: S102 -- the README's own
        same(printed.splitlines(), out.getvalue(), "python")
