"""Deciders: kept for the bundles asked last, and no bundle is kept by them for ever."""

from __future__ import annotations

import gc
import weakref
from pathlib import Path

from foretell.decide import Bounds
from foretell.predictor import Predictor
from foretell_server.decisions import MOST_DECIDERS, Deciders
from tests.bundles import tiny_bundle


def test_bundles_that_nobody_asks_any_more_can_go(tmp_path: Path) -> None:
    """After as many other bundles as are kept, nothing holds the first one."""

    def bundle(number: int) -> Predictor:
        tiny_bundle(tmp_path / str(number), shift=float(number))
        return Predictor.load(tmp_path / str(number))

    deciders = Deciders(Bounds())
    first = bundle(0)
    kept = deciders.of(first)
    assert deciders.of(first) is kept
    gone = weakref.ref(first)
    del first, kept
    for number in range(MOST_DECIDERS):
        deciders.of(bundle(number + 1))
    gc.collect()
    assert gone() is None
