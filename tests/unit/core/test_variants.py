"""Variants: rows with something of their own are encoded as any row is, however often."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from foretell.encoding import Encoder
from foretell.errors import InvalidInput
from foretell.parsing import Value
from foretell.schema import Schema
from foretell.variants import Variants

TEXTS = st.sampled_from(["forest", "kitchen", "small-2", "big-1", "new-7", "acme", "nobody", ""])
NUMBERS = st.one_of(st.none(), st.floats(allow_nan=False), st.integers(-2, 300))
ROWS = st.fixed_dictionaries(
    {},
    optional={
        "scene": TEXTS,
        "machine": st.one_of(st.none(), TEXTS),
        "vendor": TEXTS,
        "samples": NUMBERS,
        "cores": NUMBERS,
        "denoise": st.booleans(),
    },
)


def outcome(encode: Any) -> object:  # noqa: ANN401 -- any way to encode
    """Return what an encoder makes of rows, or what it says is wrong."""
    try:
        found = encode()
    except InvalidInput as error:
        return error.violations
    # NaN differs from itself, its bytes do not.
    return found.numbers.tobytes(), found.categories.tobytes(), found.unknown


@given(own=st.lists(ROWS, min_size=1, max_size=4), asked=st.lists(ROWS, min_size=1, max_size=4))
def test_what_is_remembered_is_what_would_be_encoded_anew(
    encoder: Encoder, own: list[dict[str, Value]], asked: list[dict[str, Value]]
) -> None:
    """Whatever was asked before with the same variants, the rows and the refusals are the same."""
    remembering = Variants(encoder, own)
    for common in asked:
        fresh = outcome(lambda common=common: encoder.encode_variants(common, own))
        assert outcome(lambda common=common: remembering.encode(common)) == fresh


@pytest.mark.parametrize("variant", [{"machine": "cellar"}, {"scene": "attic", "machine": None}])
def test_a_value_that_is_met_later_has_its_code_then(
    schema: Schema, encoder: Encoder, variant: dict[str, Value]
) -> None:
    """An unknown value among the variants is not remembered as one without a code."""
    mine = Encoder(schema, encoder.vocabulary)
    variants, common = Variants(mine, [variant]), {"scene": "forest", "machine": "cellar"}
    variants.encode(common)
    mine.meet("machine", "cellar")
    mine.meet("scene", "attic")
    again, fresh = variants.encode(common), mine.encode({**common, **variant})
    np.testing.assert_array_equal(again.categories, fresh.categories)
    assert again.unknown == fresh.unknown
