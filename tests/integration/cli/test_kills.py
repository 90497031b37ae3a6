"""Nothing that was acknowledged is lost or doubled, whichever part is killed."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks.kills import VICTIMS, storm
from foretell.stack.folder import StateFolder


@pytest.mark.process
def test_no_acknowledged_observation_is_missing_or_doubled(tmp_path: Path) -> None:
    """Broker, server, worker and the process that stores are killed while outcomes are reported;
    afterwards the store has each acknowledged one exactly once."""
    found = storm(StateFolder(tmp_path), seconds=1.0, seed=1)
    assert all(found.kills[victim] for victim in VICTIMS)
    assert found.acknowledged
    assert (found.missing, found.doubled) == (0, 0)
