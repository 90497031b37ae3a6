"""Correctors: one bundle, the outcomes since, and what its answers are to be corrected by."""

from __future__ import annotations

from foretell.corrections import Correction
from foretell.predictor import Predictor
from foretell_trainer.corrections.estimate import estimate
from foretell_trainer.corrections.newcomers import usual_noise
from foretell_trainer.corrections.outcomes import Outcomes
from foretell_trainer.corrections.residuals import Residuals, residuals_of

MOST_OUTCOMES = 5000
"""So many of the newest outcomes are looked at."""


class Corrector:
    """Learns from outcomes, in the order in which they came. One thread uses it."""

    def __init__(self, predictor: Predictor) -> None:
        self.predictor = predictor
        self._usual = usual_noise(predictor)
        self._residuals: Residuals | None = None

    def learn(self, outcomes: Outcomes) -> None:
        """Take further outcomes into account."""
        if len(outcomes):
            new = residuals_of(self.predictor, outcomes)
            before = self._residuals
            self._residuals = new if before is None else before.then(new, MOST_OUTCOMES)

    def entries(self) -> tuple[Correction, ...]:
        """Return what is to be corrected now."""
        if self._residuals is None:
            return ()
        return estimate(self.predictor, self._residuals, self._usual)
