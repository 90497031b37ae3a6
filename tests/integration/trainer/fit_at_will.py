"""A worker of the queue `train` whose fit is in the test's hands, instead of the engine's.

It is run as ``python -m tests.integration.trainer.fit_at_will QUEUE NAME PARENT``. The fit adds
its process id to the file `begun-WORKLOAD` in the data folder, goes on when a file `go-WORKLOAD` is
there, and then writes a real, tiny bundle. A spec with ``"fail": TEXT`` makes it fail.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from foretell.bundle import Manifest
from foretell.catalog import CatalogTable
from foretell.errors import Cancelled
from foretell.schema import Schema
from foretell.settings import load_settings
from foretell_trainer.fits import Progress, ShouldStop
from foretell_trainer.snapshot import Snapshot
from foretell_trainer.worker import run_worker
from tests.bundles import tiny_bundle


def fit(
    schema: Schema,
    snapshot: Snapshot,
    catalogs: Sequence[CatalogTable],  # noqa: ARG001 -- the signature of a fit
    out: Path,
    *,
    spec: Mapping[str, Any],
    progress: Progress,
    should_stop: ShouldStop,
) -> Manifest:
    """Wait for the test."""
    folder = load_settings().data
    with (folder / f"begun-{schema.workload}").open("a") as begun:
        begun.write(f"{os.getpid()}\n")
    for rounds, metric in enumerate(schema.metric_names):
        progress(f"fitting {metric}", 0.4, {"rounds": rounds})
    progress("waiting", 0.5, {"rows": snapshot.rows})
    while not (folder / f"go-{schema.workload}").exists():
        if should_stop():
            raise Cancelled
        time.sleep(0.02)
    if "fail" in spec:
        raise ArithmeticError(spec["fail"])
    return tiny_bundle(out, schema=schema)


if __name__ == "__main__":
    sys.exit(run_worker(load_settings(), *sys.argv[1:], fit=fit))
