"""`python -m foretell_server`: serve with the settings of the environment and the file."""

from __future__ import annotations

import sys

from foretell.errors import ForetellError
from foretell.settings import load_settings
from foretell_server.main import serve

if __name__ == "__main__":
    try:
        serve(load_settings())
    except ForetellError as error:
        sys.exit(f"error: {error.message}")
