"""One row in plain numbers says what the arrays say."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from foretell.forecast import Forecasts, QuantileTables
from foretell.row_forecast import RowReader
from tests.unit.core.test_forecast import forecasts

levels = st.lists(st.floats(1e-6, 1 - 1e-6), max_size=5)
limits = st.lists(st.floats(-10, 1e6), max_size=3)


@settings(max_examples=40)
@given(forecasts(strict=False, rows=3), levels, st.floats(0.01, 3), limits)
def test_one_row_in_plain_numbers_is_the_row_of_the_arrays(
    forecast: Forecasts, asked: list[float], tolerance: float, deadlines: list[float]
) -> None:
    """Quantiles, confidence and deadlines of a row do not depend on how they are computed."""
    for m, name in enumerate(forecast.metric_names):
        reader = RowReader(
            forecast.tables,
            m,
            log=bool(forecast.log[m]),
            levels=asked,
            tolerance=tolerance,
            deadlines=deadlines,
        )
        quantiles = forecast.quantiles([0.5, *asked])[:, m]
        confidence = forecast.confidence(tolerance)[:, m]
        within = [forecast.probability_within(name, limit) for limit in deadlines]
        for i in range(len(forecast)):
            row = (
                float(forecast.location[i, m]),
                float(forecast.scale[i, m]),
                int(forecast.table[i, m]),
            )
            assert reader.quantiles(*row) == pytest.approx(quantiles[i].tolist(), rel=1e-12)
            assert reader.confidence(*row) == pytest.approx(confidence[i], abs=1e-12)
            found = [column[i] for column in within]
            assert reader.deadlines(*row) == pytest.approx(found, abs=1e-12)


def test_what_would_overflow_is_the_largest_number_there_is_use_for() -> None:
    """A quantile beyond exp(700) is exp(700), in plain numbers as in arrays."""
    tables = Forecasts(
        ("duration_s",),
        np.array([True]),
        np.array([[800.0]]),
        np.array([[1.0]]),
        np.array([[0]]),
        QuantileTables(np.array([0.1, 0.9]), np.array([[[-1.0, 1.0]]])),
        np.array([1.0]),
    )
    reader = RowReader(tables.tables, 0, log=True, levels=(0.9,), tolerance=0.2)
    assert reader.quantiles(800.0, 1.0, 0) == tables.quantiles([0.5, 0.9])[0, 0].tolist()
