"""Answers that follow what is reported: from Report over broker, worker and store, and back."""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path

import pytest
from google.protobuf.timestamp_pb2 import Timestamp

from foretell.v1 import common_pb2, observation_pb2, prediction_pb2
from tests.bundles import publish_tiny
from tests.integration.server.conftest import WAIT_S, RunningServer
from tests.integration.trainer.conftest import Place, eventually

UNKNOWN_SCALE = 0.8
"""Of what the bundle says about kinds that it does not know."""


class Served(RunningServer):
    """A server on the registry and broker of a place, and its workload."""

    def __init__(self, folder: Path, place: Place) -> None:
        super().__init__(
            folder,
            registry=place.settings.registry,
            broker_url=place.settings.broker_url,
        )
        self.workload = place.workload

    def ask(self, kind: str = "big") -> prediction_pb2.PredictResponse:
        """Ask for a run of size 10, of which the bundle says 10."""
        features = {
            "size": common_pb2.Value(number=10.0),
            "kind": common_pb2.Value(text=kind),
        }
        return self.predict(workload=self.workload, features=features)

    def report(self, name: str, kind: str = "big", **changes: object) -> None:
        """Report the outcome of such a run."""
        observation = observation_pb2.Observation(
            **{  # type: ignore[arg-type]  # fields of several types
                "id": name,
                "workload": self.workload,
                "observe_time": Timestamp(seconds=1_780_000_000),
                "features": {
                    "size": common_pb2.Value(number=10.0),
                    "kind": common_pb2.Value(text=kind),
                },
                **changes,
            }
        )
        request = observation_pb2.ReportRequest(observations=[observation])
        response = self.stubs.observation.Report(request, timeout=WAIT_S)
        assert not response.acknowledgements[0].HasField("rejection")


@pytest.fixture
def served(standing: Place, tmp_path: Path) -> Iterator[Served]:
    """A server, with a bundle of the place's workload live."""
    schema, registry = standing.schema, standing.settings.registry
    publish_tiny(registry, tmp_path, schema=schema, unknown_scale=UNKNOWN_SCALE)
    with Served(tmp_path, standing) as server:
        yield server


def seconds(answer: prediction_pb2.PredictResponse) -> float:
    return answer.metrics[0].median


def test_answers_follow_outcomes_in_every_server(
    served: Served, standing: Place, tmp_path: Path
) -> None:
    """What became slower is answered for as slower soon after it was reported, a repeated
    request and one in a batch too, and nothing else is; a server that starts later knows it as
    well. Another bundle is corrected by what the outcomes say of it."""
    assert seconds(served.ask()) == pytest.approx(10.0)
    assert served.ask().provenance.correction == 0
    for i in range(25):
        served.report(f"slow {i}", metrics={"seconds": 20.0 + i % 3, "kb": 10.0 + i % 2})
    eventually(lambda: seconds(served.ask()) > 19)
    assert seconds(served.ask("small")) == pytest.approx(10.0)
    assert served.ask().provenance.correction > 0
    batch = prediction_pb2.PredictBatchRequest(workload=served.workload, row_count=1)
    batch.columns.add(name="size").numbers.values.append(10.0)
    texts = batch.columns.add(name="kind").texts
    texts.dictionary.append("big")
    texts.indices.append(0)
    answer = served.stubs.prediction.PredictBatch(batch, timeout=WAIT_S)
    assert answer.metrics[0].median.values[0] == pytest.approx(seconds(served.ask()))
    with Served(tmp_path / "other", standing) as other:
        eventually(lambda: seconds(other.ask()) == seconds(served.ask()))
    # It learned of the change itself: there is nothing left to correct.
    publish_tiny(standing.settings.registry, tmp_path, shift=0.7419, schema=standing.schema)
    served.look()
    assert seconds(served.ask()) == pytest.approx(21.0, rel=0.01)
    eventually(lambda: served.ask().metrics[1].median < 11)
    assert seconds(served.ask()) == pytest.approx(21.0, rel=0.05)


def test_a_name_that_arrives_is_corrected_by_its_own_outcomes(
    served: Served, standing: Place, tmp_path: Path
) -> None:
    """Answers about a kind that the bundle does not know follow its outcomes, and become surer; a
    server that starts later knows them as well, and all still say that the kind is unknown."""
    before = served.ask("new")
    assert seconds(before) == pytest.approx(10.0)
    for i in range(5):
        served.report(f"new {i}", "new", metrics={"seconds": 30.0 + i, "kb": 10.0})
    eventually(lambda: seconds(served.ask("new")) > 25)
    with Served(tmp_path / "other", standing) as other:
        eventually(lambda: seconds(other.ask("new")) == seconds(served.ask("new")))
        after = other.ask("new")
    assert _width(after) < 0.6 * _width(before)
    assert after.provenance.unknown_features == ["kind"]
    assert seconds(served.ask("other")) == pytest.approx(10.0)


def _width(answer: prediction_pb2.PredictResponse) -> float:
    interval = answer.metrics[0].interval
    return math.log(interval.upper / interval.lower)


def test_a_kill_for_memory_raises_the_next_bound(served: Served) -> None:
    """After a run was killed for memory, the bound that the next answer gives is above what the
    killed one had reached."""
    before = served.ask().metrics[1].interval.upper
    served.report(
        "killed",
        outcome=observation_pb2.OUTCOME_OUT_OF_MEMORY,
        lower_bounds={"kb": 2 * before},
    )
    eventually(lambda: served.ask().metrics[1].interval.upper > 2 * before)
