"""Decisions: which hardware, which batch size, what fits beside what, and how sure that is.

    decider = Decider(Predictor.load(folder))
    decider.recommend(Recommend(features, Objective((Term("latency_ms"),)), all_known=True))

Questions and answers are plain values. Nothing here knows a transport.
"""

from foretell.decide.curve import BestPoint, CurveAnswer, CurveMetric
from foretell.decide.decider import Bounds, Decider
from foretell.decide.matrix import MatrixMetric, MatrixPlan, MatrixSlice, MatrixTable
from foretell.decide.placing.results import Assigned, NodeLoad, Placement, Unplaced
from foretell.decide.questions import (
    Accounting,
    Axis,
    Candidate,
    CandidateSet,
    Configuration,
    Curve,
    Item,
    Limit,
    Matrix,
    Node,
    Objective,
    Place,
    Recommend,
    Share,
    Term,
    WhatIf,
)
from foretell.decide.results import (
    Estimate,
    Excluded,
    Infeasible,
    LimitCheck,
    Ranked,
    Recommendation,
    Regret,
)
from foretell.decide.sharing.results import Segment, Sharing, Strategy
from foretell.decide.what_if import Comparison, Difference, Side

__all__ = [
    "Accounting",
    "Assigned",
    "Axis",
    "BestPoint",
    "Bounds",
    "Candidate",
    "CandidateSet",
    "Comparison",
    "Configuration",
    "Curve",
    "CurveAnswer",
    "CurveMetric",
    "Decider",
    "Difference",
    "Estimate",
    "Excluded",
    "Infeasible",
    "Item",
    "Limit",
    "LimitCheck",
    "Matrix",
    "MatrixMetric",
    "MatrixPlan",
    "MatrixSlice",
    "MatrixTable",
    "Node",
    "NodeLoad",
    "Objective",
    "Place",
    "Placement",
    "Ranked",
    "Recommend",
    "Recommendation",
    "Regret",
    "Segment",
    "Share",
    "Sharing",
    "Side",
    "Strategy",
    "Term",
    "Unplaced",
    "WhatIf",
]
