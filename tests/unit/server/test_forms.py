"""A request of a known form is read as if it had been parsed."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from foretell.predictor import Predictor
from foretell.v1 import prediction_pb2
from foretell_server.converters import prediction
from foretell_server.converters.row import RowAnswer
from foretell_server.forms import MOST_FORMS, KnownForms, number_places
from foretell_server.options import DEFAULT_OPTIONS
from foretell_server.shelf import LiveBundle
from tests.bundles import tiny_bundle

Sent = Mapping[str, float | str | bool]

sizes = st.floats(0.001, 1e6)
others = st.fixed_dictionaries(
    {"kind": st.sampled_from(["big", "small", "new", "ä", 3.0])},
    optional={"color": st.sampled_from(["red", "pink"]), "hot": st.sampled_from([True, 0.0, 1.0])},
)


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> LiveBundle:
    """A tiny bundle, loaded."""
    folder: Path = tmp_path_factory.mktemp("bundle")
    tiny_bundle(folder)
    return LiveBundle(Predictor.load(folder))


def request(sent: Sent, bundle_version: str = "") -> bytes:
    """Return a request in bytes; features in their order."""
    message = prediction_pb2.PredictRequest(
        workload="toy", bundle_version=bundle_version
    ).SerializeToString()
    for name, value in sent.items():
        features = {name: prediction.value_message(value)}
        message += prediction_pb2.PredictRequest(features=features).SerializeToString()
    return message


def learn(forms: KnownForms, bundle: LiveBundle, raw: bytes) -> None:
    """Read a request in the usual way and learn its form."""
    question = prediction.question(prediction_pb2.PredictRequest.FromString(raw))
    row = bundle.predictor.encoder.encode_row(question.features)
    answer = RowAnswer(bundle.plan(DEFAULT_OPTIONS), bundle.predictor)
    forms.learn(raw, bundle, answer, row)


@settings(max_examples=100)
@given(first=sizes, second=sizes, sent=others, last=st.booleans())
def test_other_numbers_in_a_known_form(
    bundle: LiveBundle, first: float, second: float, sent: Sent, last: bool
) -> None:
    """What is read from a known form is what the encoder makes of the parsed request."""
    forms = KnownForms()
    one, other = (
        request({**sent, "size": n} if last else {"size": n, **sent}) for n in (first, second)
    )
    learn(forms, bundle, one)
    found = forms.read(other)
    assert found is not None
    parsed = prediction.question(prediction_pb2.PredictRequest.FromString(other))
    expected = bundle.predictor.encoder.encode_row(parsed.features)
    assert repr(found[1]) == repr(expected)  # NaN is missing, and differs from itself
    assert found[0].bundle is bundle


def test_what_differs_in_more_than_numbers_is_not_known(bundle: LiveBundle) -> None:
    """Another text, name, workload or option is another form, of whatever length."""
    forms = KnownForms()
    learn(forms, bundle, request({"kind": "big", "size": 1.0}))
    for strange in (
        request({"kind": "bag", "size": 1.0}),
        request({"kind": "big", "sise": 1.0}),
        request({"size": 1.0, "kind": "big"}),
        request({"kind": "big", "size": 1.0}, bundle_version="x"),
        request({"kind": "big"}),
        b"",
    ):
        assert forms.read(strange) is None
    assert forms.read(request({"kind": "big", "size": 2.0})) is not None


@pytest.mark.parametrize("size", [math.nan, math.inf, -1.0, 1e10])
def test_a_number_that_may_not_be_is_left_to_the_parser(bundle: LiveBundle, size: float) -> None:
    """A number that the encoder refuses is not read, so that its error is the usual one."""
    forms = KnownForms()
    learn(forms, bundle, request({"kind": "big", "size": 1.0}))
    assert forms.read(request({"kind": "big", "size": size})) is None


def test_a_number_that_names_a_category_is_part_of_the_form(bundle: LiveBundle) -> None:
    """3 for a category is the text "3", and 4 is another."""
    forms = KnownForms()
    learn(forms, bundle, request({"kind": 3.0, "size": 1.0}))
    assert forms.read(request({"kind": 4.0, "size": 1.0})) is None
    assert forms.read(request({"kind": 3.0, "size": 4.0})) is not None


@pytest.mark.parametrize(
    "strange",
    [
        request({"size": 1.0}) + request({"size": 2.0}),  # the last one counts
        b"\x1a\x03\x0a\x01x",  # a feature without a value
        b"\x1a\x0e\x12\x09\x09" + bytes(8) + b"\x0a\x01x",  # its value before its name
        b"\x1a\x7f",  # shorter than it says
        b"\x09" + bytes(8),  # a number that is no feature
    ],
)
def test_what_is_written_in_an_unusual_way_has_no_form(strange: bytes) -> None:
    """Requests that only a parser understands are left to it."""
    assert number_places(strange) is None


@given(raw=st.binary(max_size=60))
def test_any_bytes_can_be_looked_at(raw: bytes) -> None:
    """Whatever the bytes are, nothing is raised, and numbers lie within them."""
    assert all(0 < place <= len(raw) - 8 for _, place in number_places(raw) or ())


def test_so_many_forms_are_remembered_at_most(bundle: LiveBundle) -> None:
    """New forms are learnt while they recur, now and then otherwise, and never without end."""
    forms = KnownForms()
    answer = RowAnswer(bundle.plan(DEFAULT_OPTIONS), bundle.predictor)
    row = bundle.predictor.encoder.encode_row({"kind": "big", "size": 1.0})
    known = request({"kind": "kind 000000", "size": 1.0})
    for i in range(2000):
        forms.learn(known.replace(b"000000", b"%06d" % i), bundle, answer, row)
    assert 1024 < len(forms) < 1100
    for i in range(MOST_FORMS):
        assert forms.read(known) is not None or len(forms) < 1100
        forms.learn(known.replace(b"000000", b"x%05d" % i), bundle, answer, row)
        assert len(forms) <= MOST_FORMS
