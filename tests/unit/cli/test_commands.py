"""What holds for every command."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator

import click
import pytest

from foretell.cli.app import COMMANDS, cli


def leaves() -> Iterator[tuple[str, click.Command]]:
    """Yield every command that does something, by its full name."""
    for name, entry in COMMANDS.items():
        command = entry.load()
        if isinstance(command, click.Group):
            for inner, leaf in command.commands.items():
                yield f"{name} {inner}", leaf
        else:
            yield name, command


LEAVES = dict(leaves())


@pytest.mark.parametrize("name", LEAVES)
def test_every_command_shows_an_example(name: str) -> None:
    """The help of each command has an example that begins with the command."""
    context = click.Context(LEAVES[name], info_name=f"foretell {name}")
    _, example, after = LEAVES[name].get_help(context).partition("Example:")
    assert example
    assert after.split()[: len(name.split()) + 1] == ["foretell", *name.split()]


@pytest.mark.parametrize("name", LEAVES)
def test_every_command_speaks_json(name: str) -> None:
    """Each command has --json, for machines."""
    assert any("--json" in parameter.opts for parameter in LEAVES[name].params)


def test_the_list_of_commands_says_what_each_command_is_for() -> None:
    """The summaries of the list, which imports no command, are there for all of them."""
    context = click.Context(cli, info_name="foretell")
    text = " ".join(cli.get_help(context).split())
    assert all(entry.summary in text for entry in COMMANDS.values())


def test_help_waits_for_no_library() -> None:
    """`foretell --help` imports nothing heavy, so that it is there at once."""
    script = (
        "import sys; from foretell.cli.app import run; run(['--help']); "
        "heavy = {'numpy', 'pydantic', 'grpc', 'rich', 'duckdb'} & set(sys.modules); "
        "sys.exit(', '.join(heavy) or 0)"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
