"""Estimator families: which base carries the trend, and who learns what the base leaves.

| family | base | residual | for |
|---|---|---|---|
| `lightgbm` | ridge | LightGBM | the default |
| `ridge` | ridge | nothing | few rows, laws that are nearly straight in logs, small graphs |
| `sgd` | stochastic gradient descent | nothing | the reference: what is learnt row by row |
| `xgboost` | ridge | XGBoost | who knows XGBoost's ways; needs its extra |
| `catboost` | ridge | CatBoost | few and noisy rows; needs its extra |
| `ensemble` | ridge | the mean of several of them | accuracy at twice the cost or more |

`ensemble` averages two of LightGBM's with different seeds: members that are worse alone (randomised
trees, CatBoost's) made the mean worse on the data it was tried on. `ensemble:lightgbm+xgboost`
names the members. All families share encoding, calibration, export and proof.
"""

from __future__ import annotations

import importlib.util
from dataclasses import dataclass
from typing import Literal

from foretell.errors import InvalidInput, Violation

MEMBERS = ("lightgbm", "randomised", "xgboost", "catboost")
"""Who may be a member of an ensemble."""

_EXTRAS = ("xgboost", "catboost")
_ENSEMBLE = "ensemble"


@dataclass(frozen=True)
class Family:
    """One way of fitting a location."""

    name: str
    base: Literal["ridge", "sgd"] = "ridge"
    learner: str | None = None
    """Who grows trees on what the base leaves, as `learner_of` names it; nobody if None."""


FAMILIES = {
    family.name: family
    for family in (
        Family("lightgbm", learner="lightgbm"),
        Family("ridge"),
        Family("sgd", base="sgd"),
        Family("xgboost", learner="xgboost"),
        Family("catboost", learner="catboost"),
        Family(_ENSEMBLE, learner="lightgbm+lightgbm"),
    )
}


def family_of(name: str) -> Family:
    """Return a family by name.

    Raises InvalidInput for a name that is none, and for one whose library is not installed.
    """
    stem, colon, listed = name.partition(":")
    if stem not in FAMILIES or (colon and stem != _ENSEMBLE):
        raise _refused(name, f"{name!r} is no family; one of {', '.join(FAMILIES)}")
    family = FAMILIES[stem]
    if colon:
        members = listed.split("+")
        wrong = [member for member in members if member not in MEMBERS]
        if wrong or len(members) < 2:
            allowed = f"two or more of {', '.join(MEMBERS)}, joined by +"
            raise _refused(name, f"an ensemble's members are {allowed}")
        family = Family(name, learner=listed)
    for extra in _EXTRAS:
        if extra in (family.learner or "") and importlib.util.find_spec(extra) is None:
            why = f"needs the extra {extra!r}: pip install 'foretell[{extra}]'"
            raise _refused(name, why)
    return family


def _refused(name: str, why: str) -> InvalidInput:
    return InvalidInput([Violation("family", name, why)])
