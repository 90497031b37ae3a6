"""Tables through the synchronous client: columns there, columns back."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest

from foretell.client import Client
from foretell.client.columns import Table
from foretell.errors import (
    InvalidInput,
)

if TYPE_CHECKING:
    from tests.unit.client.conftest import FixedServer


class TestPredictMany:
    @pytest.mark.parametrize(
        "table",
        [
            {"function": ["a", "b", "a"], "argument": [1, 2.5, 3]},
            {"function": np.array(["a", "b", "a"]), "argument": np.array([1, 2.5, 3])},
            [
                {"function": "a", "argument": 1},
                {"function": "b", "argument": 2.5},
                {"argument": 3, "function": "a"},
            ],
        ],
        ids=["lists", "arrays", "rows"],
    )
    def test_tables_of_any_form_are_answered_in_columns(
        self, client: Client, table: Table, server: FixedServer
    ) -> None:
        """Columns as lists, arrays or rows give the same packed request and arrays back."""
        predictions = client.predict_many("rules", table, quantiles=[0.99])
        assert predictions.duration_s.median.tolist() == [2, 5, 6]
        assert predictions.duration_s.quantiles[0.99] == pytest.approx([2.98, 7.45, 8.94])
        assert predictions.tiers.tolist() == ["cold", "warm", "warm"]
        assert predictions.groups["function",].tolist() == [0, 1, 2]
        assert not predictions.abstained.any()
        columns = {column.name: column for column in server.seen[0].columns}
        assert list(columns["function"].texts.dictionary) == ["a", "b"]
        assert columns["function"].texts.raw_indices == bytes([0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0])
        assert columns["function"].validity == b""

    def test_missing_values_are_marked(self, client: Client, server: FixedServer) -> None:
        """None and masked values are missing; a column without any value is left out."""
        table: Table = {
            "argument": [1, 2, 3],
            "function": ["a", None, "b"],
            "warm": [True, None, False],
            "size": [None, 2, 3],
            "other": np.ma.masked_invalid([1.0, np.nan, 3.0]),
            "nothing": [None, None, None],
        }
        client.predict_many("rules", table)
        columns = {column.name: column for column in server.seen[0].columns}
        assert columns.keys() == {"argument", "function", "warm", "size", "other"}
        assert columns["function"].validity == bytes([0b101])
        assert columns["warm"].validity == bytes([0b101])
        assert columns["size"].validity == bytes([0b110])
        assert columns["other"].validity == bytes([0b101])

    def test_long_tables_are_cut_into_calls(self, client: Client, server: FixedServer) -> None:
        """100,000 rows become several small calls and one answer, rows in order."""
        arguments = np.arange(1, 100_001, dtype=np.float64)
        predictions = client.predict_many("rules", {"argument": arguments})
        assert len(server.seen) > 5
        assert max(request.ByteSize() for request in server.seen) < 3_000_000
        assert np.array_equal(predictions.duration_s.median, 2 * arguments)
        assert predictions.bundle_versions == tuple(f"v{i + 1}" for i in range(len(server.seen)))
        starts = [chunk.first_row for chunk in predictions.chunks]
        assert predictions.unknown_features["function"].tolist() == starts
        row = predictions[starts[1] + 5]
        assert (row.bundle_version, row.prediction_id) == ("v2", "b2/5")
        assert row.duration_s.median == 2 * (starts[1] + 6)
        assert predictions[starts[1]].unknown_features == ("function",)
        assert row.unknown_features == ()
        assert predictions[-1].duration_s.median == 200_000

    def test_violations_count_rows_from_the_start_of_the_table(self, client: Client) -> None:
        """A bad row far down is named by its place in the caller's table, not in a chunk."""
        arguments = np.ones(20_000)
        arguments[15_000] = np.nan
        with pytest.raises(InvalidInput) as caught:
            client.predict_many("rules", {"argument": arguments})
        assert caught.value.violations[0].field == "columns[argument][15000]"

    def test_columns_that_cannot_travel_are_named(self, client: Client) -> None:
        """Columns of mixed kinds or other lengths are refused before anything is sent."""
        table: Table = {"argument": [1, "two"], "function": ["a"], "flag": [True, 1]}
        with pytest.raises(InvalidInput) as caught:
            client.predict_many("rules", table)
        fields = [violation.field for violation in caught.value.violations]
        assert fields == ["columns[function]", "columns[argument]", "columns[flag]"]

    def test_flat_columns_and_print(self, client: Client) -> None:
        """The answer is a flat table for data frames, and prints its first rows."""
        predictions = client.predict_many("rules", {"argument": [1] * 12}, quantiles=[0.995])
        assert list(predictions.columns()) == [
            "duration_s",
            "duration_s_lower",
            "duration_s_upper",
            "duration_s_confidence",
            "duration_s_p99.5",
            "support",
            "tier",
        ]
        text = str(predictions).splitlines()
        assert text[0] == "rules, 12 rows, bundle v1"
        assert text[1].split("  ")[0] == "row"
        assert text[-1] == "... 4 more rows"
        assert len(list(predictions)) == 12
