"""The answer about one row is the same bytes on the wire however it is made."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from foretell.predictor import Predictor
from foretell.v1 import prediction_pb2
from foretell_server.converters import prediction
from foretell_server.converters.row import RowAnswer, named
from foretell_server.data_plane import DataPlane, Question
from foretell_server.options import Options
from foretell_server.shelf import LiveBundle
from tests.bundles import tiny_bundle
from tests.questions import asked_options

features = st.fixed_dictionaries(
    {"kind": st.sampled_from(["big", "small", "new"])},
    optional={"size": st.floats(0.001, 1e6), "color": st.sampled_from(["red", "pink"])},
)


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> LiveBundle:
    """A tiny bundle, loaded."""
    folder: Path = tmp_path_factory.mktemp("bundle")
    tiny_bundle(folder)
    return LiveBundle(Predictor.load(folder))


@settings(max_examples=60)
@given(asked=asked_options, sent=features)
def test_a_compiled_answer_says_what_a_built_one_does(
    bundle: LiveBundle, asked: Options, sent: dict[str, float | str]
) -> None:
    """Whatever is asked, the bytes that are filled in parse to the message that is built."""
    expected = prediction.prediction(DataPlane(1).predict(bundle, Question(sent, asked)))
    predictor = bundle.predictor
    answer = RowAnswer(bundle.plan(asked), predictor)
    row = predictor.encoder.encode_row(sent)
    (outputs,) = predictor.run_rows([row])
    body = answer.body(outputs, row.unknown)
    found = prediction_pb2.PredictResponse.FromString(named(body, expected.prediction_id))
    assert found.provenance == expected.provenance
    assert found.prediction_id == expected.prediction_id
    assert [m.metric for m in found.metrics] == [m.metric for m in expected.metrics]
    for mine, theirs in zip(found.metrics, expected.metrics, strict=True):
        assert _numbers(mine) == pytest.approx(_numbers(theirs), rel=1e-9, abs=1e-9)


def _numbers(forecast: prediction_pb2.MetricForecast) -> list[float]:
    return [
        forecast.median,
        forecast.interval.lower,
        forecast.interval.upper,
        forecast.interval.level,
        forecast.confidence,
        forecast.support,
        *(number for q in forecast.quantiles for number in (q.level, q.value)),
        *(number for d in forecast.deadlines for number in (d.value, d.probability)),
        *(number for r in forecast.reservations for number in (r.under_cost, r.level, r.value)),
    ]
