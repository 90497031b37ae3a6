"""Bundles that several test modules ask; each is fitted once."""

from __future__ import annotations

import pytest

from tests.conftest import MadeOnce
from tests.unit.engine.noise import LAWS, Noise, noisy


@pytest.fixture(scope="session")
def worlds(made_once: MadeOnce) -> tuple[Noise, ...]:
    """Bundles of some worlds of known noise, with fresh runs of each."""
    return tuple(noisy(made_once, seed) for seed in range(LAWS))


@pytest.fixture(scope="session")
def noise(worlds: tuple[Noise, ...]) -> Noise:
    """One of the worlds."""
    return worlds[0]
