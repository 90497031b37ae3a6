"""The command line, `foretell`.

Each command is a module of its own that is imported when it is called for, and each imports
what it needs when it runs: `foretell --help` must not wait for numerical libraries, and a
client without the extras must still be able to run the commands that need none.
"""

from __future__ import annotations

import sys

OLDEST_PYTHON = (3, 11)


def main() -> None:
    """Run the command line of this process, and end it with the command's exit code."""
    if sys.version_info < OLDEST_PYTHON:
        sys.exit(f"error: foretell needs Python 3.11 or newer, this is {sys.version.split()[0]}")
    from foretell.cli.app import end_in_order, run

    end_in_order()
    sys.exit(run(sys.argv[1:]))
