"""Options that several commands share."""

from __future__ import annotations

import getpass
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Literal, TypeVar, get_args, get_origin

import click

from foretell.errors import InvalidInput, Violation

F = TypeVar("F", bound=Callable[..., Any])

FILE = click.Path(dir_okay=False, path_type=Path)
FOLDER = click.Path(file_okay=False, path_type=Path)

json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON, for machines.")
registry_option = click.option(
    "--registry", type=FOLDER, help="Folder of the bundles.  [default: .foretell/registry]"
)
data_option = click.option(
    "--data",
    "data",
    type=FILE,
    multiple=True,
    metavar="FILE…",
    help="CSV, Parquet, JSON Lines or DuckDB (file.duckdb#TABLE); may be given many times.",
)
more_files = click.argument("more", type=FILE, nargs=-1, metavar="")
"""What follows `--data FILE`: more files."""
catalog_option = click.option(
    "--catalog",
    "catalogs",
    multiple=True,
    metavar="NAME=FILE",
    help="A table of facts, such as hardware=hardware.csv; may be given many times. The file "
    "`builtin` is the catalog that ships with Foretell.",
)


def fit_options(command: F) -> F:
    """Add what says how to fit: the family."""
    return click.option(
        "--family",
        metavar="NAME",
        help="lightgbm, ridge, sgd, ensemble, xgboost or catboost.  [default: the schema's]",
    )(command)


def split_options(command: F) -> F:
    """Add --split and --folds."""
    command = click.option(
        "--folds", type=click.IntRange(min=2), default=5, show_default=True, help="With --split."
    )(command)
    return click.option(
        "--split",
        metavar="KIND[:CATEGORY,…]",
        help="Leave rows out and predict them: kfold, grouped:CATEGORY (all rows of one value "
        "together), stratified:CATEGORY,… (each value in its proportion), or time (the later from "
        "the earlier).",
    )(command)


def server_options(command: F) -> F:
    """Add what reaching a server takes: address, TLS, token, deadline."""
    for option in (
        click.option("--timeout", type=float, default=10.0, show_default=True, help="Seconds."),
        click.option(
            "--token-file",
            type=FILE,
            help="File whose first line is the server's token; administrative calls need it.",
        ),
        click.option("--ca-file", type=FILE, help="Authorities to trust; means --tls."),
        click.option("--tls", is_flag=True, help="Speak TLS."),
        click.option(
            "--address", metavar="HOST:PORT", help="The server.  [default: localhost:50051]"
        ),
    ):
        command = option(command)
    return command


def setting_options(*names: str) -> Callable[[F], F]:
    """Add a flag for each of these settings, with the documentation that the setting has."""
    from foretell.settings import Settings

    def add(command: F) -> F:
        for name in reversed(names):
            field = Settings.model_fields[name]
            flag = f"--{name.replace('_', '-')}"
            kind = _click_type(field.annotation)
            has_default = field.default is not None and kind is not click.BOOL
            shown = field.description or ""
            shown += f"  [default: {field.default}]" if has_default else ""
            if kind is click.BOOL:
                option = click.option(flag, name, is_flag=True, default=None, help=shown)
            else:
                option = click.option(flag, name, type=kind, default=None, help=shown)
            command = option(command)
        return click.option(
            "--config", type=FILE, help="File of settings.  [default: ./foretell.yaml]"
        )(command)

    return add


def _click_type(annotation: Any) -> Any:  # noqa: ANN401 -- whatever pydantic was given
    if get_origin(annotation) is Literal:
        return click.Choice(get_args(annotation))
    kinds = {bool: click.BOOL, int: int, float: float, Path: click.Path(path_type=Path)}
    for kind in (annotation, *get_args(annotation)):
        if kind in kinds:
            return kinds[kind]
    return str


def named_files(catalogs: Sequence[str]) -> list[tuple[str, Path]]:
    """Return NAME=FILE arguments as pairs; InvalidInput for one that is not like that."""
    return [(name, Path(path)) for name, path in pairs("--catalog", catalogs, "NAME=FILE")]


def pairs(option: str, given: Sequence[str], form: str) -> list[tuple[str, str]]:
    """Return name=value arguments as pairs; InvalidInput with all that are not like that."""
    parts = [(text, *text.partition("=")) for text in given]
    wrong = [text for text, name, equals, _ in parts if not (name and equals)]
    if wrong:
        raise InvalidInput(
            [Violation(option, text, f"{text!r} is not of the form {form}") for text in wrong]
        )
    return [(name, value) for _, name, _, value in parts]


def some_files(data: Sequence[Path], more: Sequence[Path]) -> list[Path]:
    """Return the files given by --data and after it; UsageError when there are none."""
    if not data:
        raise click.UsageError("Missing option '--data': which files are to be read?")
    return [*data, *more]


def login() -> str:
    """Return the user's name, as the audit is to have it; empty where there is none."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # a container's user may have a number and no name
        return ""
