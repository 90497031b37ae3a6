"""What is said of measurements that were made again."""

from __future__ import annotations

import numpy as np
import pytest

from benchmarks.repeats import deviations


def test_the_noise_is_found_whatever_the_size_of_the_sets() -> None:
    """Of sets of two and of ten, deviations are those of the noise itself, and lone rows count
    for nothing."""
    rng = np.random.default_rng(0)
    for size in (2, 10):
        which = np.repeat(np.arange(4000), size)
        logs = rng.normal(0, 3, 4000)[which] + rng.normal(0, 0.1, len(which))
        off, sets = deviations(np.append(logs, 99.0), np.append(which, 4000))
        assert sets == 4000
        assert len(off) == len(which)
        assert np.sqrt(np.mean(off**2)) == pytest.approx(0.1, rel=0.03)
