"""Groups of commands of which `list` may be left out."""

from __future__ import annotations

import click


class ListFirst(click.Group):
    """A group whose command `list` may be left out: what is no command is an argument of it.

    With `no_args_is_help` false, it lists as well when nothing is given.
    """

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Put `list` before arguments that begin with no command."""
        if not args and not self.no_args_is_help:
            args = ["list"]
        elif args and args[0] not in (*self.commands, *ctx.help_option_names):
            args = ["list", *args]
        return super().parse_args(ctx, args)
