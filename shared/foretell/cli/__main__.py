"""`python -m foretell.cli`: the same as `foretell`, with this very interpreter."""

from __future__ import annotations

from foretell.cli import main

if __name__ == "__main__":
    main()
