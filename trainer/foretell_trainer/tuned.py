"""Tuned settings: what a search found for a workload, kept beside its bundles.

Trainings of the workload and family then start from it, wherever they run. The file is
`<registry>/<workload>/tuned.json`; without it, and for other families, the defaults hold.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from foretell.errors import InvalidInput, Violation

FILE = "tuned.json"


def read_tuned(registry: Path, workload: str, family: str) -> dict[str, float]:
    """Return the tuned settings of a workload's family; none if nothing was found for it.

    Raises InvalidInput for a file that cannot be read.
    """
    path = registry / workload / FILE
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
        kept = found["tuned"] if found["family"] == family else {}
        return {str(name): float(value) for name, value in kept.items()}
    except FileNotFoundError:
        return {}
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        why = f"holds no tuned settings: {error!r}; remove it or search again"
        raise InvalidInput([Violation(FILE, str(path), why)]) from error


def write_tuned(registry: Path, workload: str, found: Mapping[str, Any]) -> Path:
    """Keep what a search found; `found` is what `Verdict.describe` gives."""
    path = registry / workload / FILE
    path.parent.mkdir(parents=True, exist_ok=True)
    content = {**found, "found_at": datetime.now(UTC).isoformat(timespec="seconds")}
    written = path.with_name(f".{FILE}.{os.getpid()}")
    written.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")
    # Readers see the old file or the new one, never half of it.
    written.replace(path)
    return path


def forget_tuned(registry: Path, workload: str) -> bool:
    """Return to the defaults; return whether there was anything to forget."""
    path = registry / workload / FILE
    if not path.exists():
        return False
    path.unlink()
    return True
