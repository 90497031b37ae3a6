"""Explanations: what each feature adds to a forecast, and what was measured nearby."""

from foretell.explain.explainer import MOST_NEIGHBOURS, Explainer
from foretell.explain.results import Contribution, Explanation, MetricExplanation, Neighbour

__all__ = [
    "MOST_NEIGHBOURS",
    "Contribution",
    "Explainer",
    "Explanation",
    "MetricExplanation",
    "Neighbour",
]
