"""The synchronous client against a real server that answers by fixed rules: one prediction, and
reports."""

from __future__ import annotations

import pickle
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import numpy as np
import pytest

import foretell
from foretell.client import Client, Cost
from foretell.errors import (
    InvalidInput,
)
from foretell.observation import Observation

if TYPE_CHECKING:
    from tests.unit.client.conftest import FixedServer

ADMIT = "let-me-in"
ITEM = {"function": "fib", "argument": 3}


def test_package_exports_the_clients_lazily() -> None:
    """`foretell.Client` is the client."""
    assert foretell.Client is Client


class TestPredict:
    def test_answer_is_typed_and_metrics_are_attributes(self, client: Client) -> None:
        """A metric is an attribute and an item, with everything that was asked for."""
        prediction = client.predict(
            "rules",
            ITEM,
            quantiles=[0.99],
            interval_level=0.9,
            deadlines={"duration_s": [5, 7.5]},
            costs={"duration_s": Cost(under=3, over=1)},
        )
        forecast = prediction.duration_s
        assert forecast is prediction["duration_s"]
        assert list(prediction) == ["duration_s"]
        assert (forecast.median, forecast.unit, forecast.confidence) == (6, "s", 0.9)
        assert forecast.interval.level == 0.9
        assert 6 in forecast.interval
        assert 7 not in forecast.interval
        assert forecast.quantiles[0.99] == pytest.approx(6 * 1.49)
        assert forecast.deadlines == {5: 0, 7.5: 1}
        assert forecast.reservations[0].level == 0.75
        assert (prediction.tier, prediction.support) == ("warm", 0.75)
        assert prediction.groups[0].training_rows == 12

    def test_defaults_are_left_to_the_server(self, client: Client, server: FixedServer) -> None:
        """What is not asked is not sent, so the server's documented defaults hold."""
        client.predict("rules", ITEM)
        assert server.seen[0].options.ListFields() == []

    def test_values_travel_as_their_kind(self, client: Client, server: FixedServer) -> None:
        """Numbers, texts and flags, numpy's too, keep their kind; None is left out."""
        features = {
            "argument": np.float32(2),
            "count": np.int64(7),
            "flag": np.bool_(True),
            "plain": False,
            "function": "fib",
            "absent": None,
        }
        client.predict("rules", features)
        kinds = {name: v.WhichOneof("kind") for name, v in server.seen[0].features.items()}
        assert kinds == {
            "argument": "number",
            "count": "number",
            "flag": "flag",
            "plain": "flag",
            "function": "text",
        }

    def test_value_that_cannot_travel_is_named(self, client: Client) -> None:
        """Every feature of a wrong type is named before anything is sent."""
        with pytest.raises(InvalidInput) as caught:
            client.predict("rules", {"argument": [1], "size": 10**400, "function": "\ud800"})
        fields = [violation.field for violation in caught.value.violations]
        assert fields == ["features[argument]", "features[size]", "features[function]"]

    def test_unknown_keyword_is_a_type_error(self, client: Client) -> None:
        """A mistyped option is refused, not ignored."""
        with pytest.raises(TypeError, match="'quantile'; one of metrics, quantiles"):
            client.predict("rules", ITEM, quantile=[0.9])  # type: ignore[call-arg]  # the mistake that is tested

    def test_printed_answer_is_a_short_table(self, client: Client) -> None:
        """An answer prints the numbers, what they rest on, and whether to trust them."""
        answer = client.predict(
            "rules", {"argument": 3, "function": "new"}, quantiles=[0.99], support_floor=0.9
        )
        assert str(answer).splitlines() == [
            "rules, bundle 20250131T120000Z-0a1b2c3d, warm, support 0.75, never seen: function, "
            "insufficient evidence: support 0.75 is below 0.9",
            "metric      median  80 % interval  99 %  confidence",
            "duration_s  6 s     [5.4, 6.6]     8.94  0.90",
        ]
        assert "<td>[5.4, 6.6]</td>" in answer._repr_html_()

    def test_answer_can_be_pickled(self, client: Client) -> None:
        """Answers are plain values: they go to other processes and stay equal."""
        answer = client.predict("rules", ITEM, quantiles=[0.5])
        assert pickle.loads(pickle.dumps(answer)) == answer  # noqa: S301
        with pytest.raises(AttributeError, match="no metric or attribute 'memory_kb'"):
            answer.memory_kb  # noqa: B018


class TestReport:
    def test_each_observation_is_acknowledged_or_rejected(
        self, client: Client, server: FixedServer
    ) -> None:
        """Acknowledgements come in order and rejections carry their reason."""
        noon = datetime(2025, 1, 31, 12, tzinfo=UTC)
        observation = Observation(
            id="a",
            workload="rules",
            time=noon,
            outcome="timeout",
            features={"argument": 1.5, "fuel": True},
            lower_bounds={"duration_s": 10},
        )
        acks = client.report(
            [
                observation,
                {"workload": "rules", "id": "b", "metrics": {"duration_s": np.float64(-1)}},
            ]
        )
        assert [ack.observation_id for ack in acks] == ["a", "b"]
        assert (acks.accepted, len(acks)) == (1, 2)
        assert acks.rejected[0].violations[0].field == "metrics[duration_s]"
        assert str(acks) == "1 accepted, 1 rejected\n  b: metrics[duration_s]: -1 is not above 0"
        sent = server.seen[0].observations[0]
        assert sent.observe_time.ToDatetime(tzinfo=UTC) == noon
        assert (sent.outcome, sent.lower_bounds["duration_s"]) == (2, 10)
        assert sent.features["fuel"].WhichOneof("kind") == "flag"

    def test_long_reports_are_cut_into_calls(self, client: Client, server: FixedServer) -> None:
        """Observations without ids get one each; long reports are cut into calls."""
        acks = client.report(
            {"workload": "rules", "metrics": {"duration_s": i}} for i in range(2500)
        )
        assert len({ack.observation_id for ack in acks}) == 2500
        assert [len(request.observations) for request in server.seen] == [1000, 1000, 500]

    def test_what_is_no_observation_is_named(self, client: Client) -> None:
        """A wrong outcome, an unknown field and a time without a zone are named with the place."""
        bad = {
            "workload": "rules",
            "outcome": "exploded",
            "time": "2025-01-31T12:00:00",
            "colour": 1,
        }
        with pytest.raises(InvalidInput) as caught:
            client.report([{"workload": "rules"}, bad])
        fields = {violation.field for violation in caught.value.violations}
        assert fields == {
            "observations[1].outcome",
            "observations[1].time",
            "observations[1].colour",
        }
