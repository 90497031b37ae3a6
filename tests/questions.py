"""What callers may ask of toys, as Hypothesis draws it."""

from __future__ import annotations

from hypothesis import strategies as st

from foretell_server.options import CostQuestion, DeadlineQuestion, Options

_shares = st.floats(0.001, 0.999)

asked_options = st.builds(
    Options,
    metrics=st.sampled_from([(), ("kb",), ("kb", "seconds")]),
    quantiles=st.lists(_shares, max_size=3).map(tuple),
    interval_level=_shares,
    confidence_tolerance=st.floats(0.01, 2),
    deadlines=st.lists(
        st.builds(DeadlineQuestion, st.just("kb"), st.floats(-1, 1e6)), max_size=2
    ).map(tuple),
    costs=st.lists(
        st.builds(CostQuestion, st.just("kb"), st.floats(0.1, 9), st.floats(0.1, 9)), max_size=2
    ).map(tuple),
)
"""Options that can be met."""
