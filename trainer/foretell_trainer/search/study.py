"""The study: what was tried, kept in a file, and what to try next.

Optuna's tree-structured Parzen estimator (Bergstra et al., NeurIPS 2011) proposes; the file is a
journal of JSON lines, so that a search that was killed goes on where it was. Needs the extra
`search`.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from foretell.errors import InvalidInput, Violation
from foretell_trainer.engine.families import family_of
from foretell_trainer.search.trials import Bar, Ground, Result, Tuned

if TYPE_CHECKING:
    import optuna

_FIRST_AT_RANDOM = 8
_DEFAULT = "default"
_ERRORS = "errors"

Space = Mapping[str, tuple[float, float, bool, bool]]
"""Per name: lowest, highest, whether on a log scale, whether whole."""

_TREES: Space = {
    "learning_rate": (0.01, 0.2, True, False),
    "leaves": (4, 127, True, True),
    "smallest_leaf": (2, 60, True, True),
    "leaf_penalty": (1e-3, 30.0, True, False),
    "column_share": (0.3, 1.0, False, False),
    "row_share": (0.5, 1.0, False, False),
}
_BASE: Space = {"strength": (0.03, 30.0, True, False)}


class Study:
    """Trials of one ground; the only one who writes its file."""

    def __init__(self, ground: Ground, folder: Path) -> None:
        """Open the study of a ground in a folder, or begin it.

        Raises InvalidInput when Optuna is not installed.
        """
        self._space = _space_of(ground)
        self._study = _opened(ground, folder)
        self._asked: dict[int, optuna.Trial] = {}
        for trial in self._study.get_trials(deepcopy=False, states=_states("RUNNING")):
            # Of a search that was killed: nobody will tell how these ended.
            self._study.tell(trial.number, state=_states("FAIL")[0])
        if not self._study.trials:
            self._study.enqueue_trial(_near_default(ground, self._space))

    @property
    def default(self) -> Result | None:
        """What came of the default settings, if that is known."""
        found = self._study.user_attrs.get(_DEFAULT)
        return None if found is None else Result.from_json(found)

    def tell_default(self, result: Result) -> None:
        """Write down what came of the default settings."""
        self._study.set_user_attr(_DEFAULT, result.to_json())

    def at_random(self) -> int:
        """Return how many of the next trials do not depend on what comes of others."""
        return max(_FIRST_AT_RANDOM - len(self._study.trials), 0)

    def ask(self) -> tuple[int, Tuned]:
        """Return the number and the settings of the next trial."""
        trial = self._study.ask()
        self._asked[trial.number] = trial
        return trial.number, {
            name: _suggest(trial, name, self._space[name]) for name in self._space
        }

    def tell(self, number: int, result: Result | None) -> None:
        """Write down what came of a trial; None if nothing did."""
        trial = self._asked.pop(number, None)
        if trial is None:
            # Told twice: a message may be delivered again.
            return
        if result is None or result.failure:
            self._study.tell(trial, state=_states("FAIL")[0])
            return
        trial.set_user_attr(_ERRORS, list(result.errors))
        if not result.stopped:
            self._study.tell(trial, result.mean)
            return
        trial.report(result.mean, len(result.errors))
        self._study.tell(trial, state=_states("PRUNED")[0])

    def bar(self) -> Bar:
        """Return what a trial must be below to go on."""
        known = [trial.user_attrs[_ERRORS] for trial in self._ended("COMPLETE", "PRUNED")]
        return Bar.of(known)

    def best(self) -> tuple[Tuned, float] | None:
        """Return the settings that erred least and their error; None if none came to its end."""
        ended = [trial for trial in self._ended("COMPLETE") if trial.value is not None]
        if not ended:
            return None
        best = min(ended, key=lambda trial: float(trial.value or 0.0))
        return dict(best.params), float(best.value or 0.0)

    def count(self, *states: str) -> int:
        """Return how many trials ended so: COMPLETE, PRUNED, FAIL."""
        return len(self._ended(*states))

    def _ended(self, *states: str) -> Sequence[Any]:
        return self._study.get_trials(deepcopy=False, states=_states(*states))


def _opened(ground: Ground, folder: Path) -> optuna.Study:
    if importlib.util.find_spec("optuna") is None:
        why = "needs the extra 'search': pip install 'foretell[search]'"
        raise InvalidInput([Violation("search", "", why)])
    import optuna  # noqa: PLC0415 -- an extra
    from optuna.storages import JournalStorage  # noqa: PLC0415
    from optuna.storages.journal import JournalFileBackend  # noqa: PLC0415

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / f"{ground.training.schema.workload}-{ground.fingerprint}.jsonl"
    study = optuna.create_study(
        study_name=ground.fingerprint,
        storage=JournalStorage(JournalFileBackend(str(file))),
        load_if_exists=True,
    )
    study.sampler = optuna.samplers.TPESampler(
        # The same search gives the same trials; one that goes on, others than it began with.
        seed=ground.settings.seed + len(study.trials),
        n_startup_trials=_FIRST_AT_RANDOM,
        # Trials run at once: those that run are taken for bad ones, so that they differ.
        constant_liar=True,
    )
    return study


def _states(*names: str) -> tuple[optuna.trial.TrialState, ...]:
    from optuna.trial import TrialState  # noqa: PLC0415

    return tuple(TrialState[name] for name in names)


def _space_of(ground: Ground) -> Space:
    learner = family_of(ground.settings.family).learner
    return _BASE if learner is None else {**_TREES, **_BASE}


def _suggest(trial: optuna.Trial, name: str, bounds: tuple[float, float, bool, bool]) -> float:
    low, high, log, whole = bounds
    if whole:
        return trial.suggest_int(name, int(low), int(high), log=log)
    return trial.suggest_float(name, low, high, log=log)


def _near_default(ground: Ground, space: Space) -> dict[str, float]:
    """Return what the default is about, to begin with; it depends on the rows of each metric."""
    rows = len(ground.training.metrics)
    about = {
        "learning_rate": 0.05,
        "leaves": int(np.clip(rows // 25, 4, 31)),
        "smallest_leaf": 5,
        "leaf_penalty": 1.0,
        "column_share": 0.7,
        "row_share": 0.8,
        "strength": 1.0,
    }
    return {name: about[name] for name in space}
