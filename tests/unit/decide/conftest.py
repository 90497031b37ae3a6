"""One decider for all tests: it is immutable."""

from __future__ import annotations

import pytest

from foretell.decide import Decider
from tests.lab import lab_predictor


@pytest.fixture(scope="session")
def decider(tmp_path_factory: pytest.TempPathFactory) -> Decider:
    """A decider with the bundle of `tests.lab`."""
    return Decider(lab_predictor(tmp_path_factory.mktemp("lab") / "bundle"))
