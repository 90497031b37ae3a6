"""Limits as they are written on a command line."""

from __future__ import annotations

import pytest

from foretell.cli.deciding import limit_of
from foretell.decide import Limit
from foretell.errors import InvalidInput

WRITTEN = {
    "latency_ms<=50": Limit("latency_ms", at_most=50.0),
    "latency_ms <= 50 ms @ 0.99": Limit("latency_ms", at_most=50.0, unit="ms", probability=0.99),
    "latency_ms<=50ms@0.9": Limit("latency_ms", at_most=50.0, unit="ms", probability=0.9),
    "bytes<=1e9": Limit("bytes", at_most=1e9),
    "bytes<=1e+9B": Limit("bytes", at_most=1e9, unit="B"),
    "power_w>=0.5kW": Limit("power_w", at_least=0.5, unit="kW"),
    "memory_mb<=0.9*memory_gb": Limit("memory_mb", at_most_fact="memory_gb", share=0.9),
}


@pytest.mark.parametrize("text", WRITTEN)
def test_a_limit_is_read_as_it_is_written(text: str) -> None:
    """Bound, unit (joined to its number or not), fact, share and probability are told apart."""
    assert limit_of(text) == WRITTEN[text]


@pytest.mark.parametrize("text", ["latency_ms", "latency_ms=50", "a<=0.5*50", "a>=memory_gb"])
def test_what_is_no_limit_is_refused(text: str) -> None:
    """The option is named, and nothing is guessed."""
    with pytest.raises(InvalidInput) as refused:
        limit_of(text)
    assert refused.value.violations[0].field == "--limit"
