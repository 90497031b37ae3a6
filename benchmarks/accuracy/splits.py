"""Splits: which rows are trained on and which are predicted, one way per question asked."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

import numpy as np

from benchmarks.datasets import DataSet, Loaded
from foretell_trainer.engine.folds import grouped_folds, random_folds
from foretell_trainer.engine.inputs import Flags, Integers

SEED = 7
FOLDS = 5
LARGEST_BATCH = 32
FEWEST_ROWS_OF_A_PLACE = 200
_MOST_OBSERVED = 100
_OBSERVED_SHARE = 0.05


@dataclass(frozen=True)
class Fold:
    """One fit: the rows it learns from, and the rows that it has to predict."""

    train: Integers
    test: Integers
    left_out: str = ""
    """Its name, where the fold leaves out one thing."""


@dataclass(frozen=True)
class Split:
    """A way of leaving rows out; `folds` yields the fits it takes, the most telling first."""

    name: str
    question: str
    """What is left out, as a sentence for the report."""
    folds: Callable[[Loaded], Iterator[Fold]]


def splits_of(about: DataSet) -> dict[str, Split]:
    """Return the splits of a data set by name, in the order of the report."""
    splits = [Split("random", "one fifth of the rows, at random", _random)]
    splits += _SPECIAL.get(about.name, [])
    splits.append(
        Split(
            f"unseen-{_word(about.subject)}",
            f"one fifth of the values of `{about.subject}`",
            lambda loaded: _grouped(_keys(loaded, about.subject)),
        )
    )
    if about.place:
        splits += _new_places(about.place)
    return {split.name: split for split in splits}


def _word(subject: str) -> str:
    return "workload" if subject == "binary_name" else subject


def _keys(loaded: Loaded, *names: str) -> Integers:
    """Return one number per distinct combination of categories, [n]."""
    codes = [np.unique(loaded.labels(name), return_inverse=True)[1] for name in names]
    return np.unique(np.column_stack(codes), axis=0, return_inverse=True)[1].reshape(-1)


def _left_out(out: Flags) -> Fold:
    return Fold(np.flatnonzero(~out), np.flatnonzero(out))


def _random(loaded: Loaded) -> Iterator[Fold]:
    fold_of = random_folds(len(loaded), FOLDS, np.random.default_rng(SEED))
    return (_left_out(fold_of == fold) for fold in range(FOLDS))


def _notebook(loaded: Loaded) -> Iterator[Fold]:
    """Yield the folds of the reference notebook: KFold(5, shuffle=True, random_state=42)."""
    rows = np.arange(len(loaded))
    # What scikit-learn does with that number, so that its folds need no scikit-learn.
    np.random.RandomState(42).shuffle(rows)
    for part in np.array_split(rows, FOLDS):
        yield _left_out(np.isin(np.arange(len(loaded)), part))


def _grouped(keys: Integers) -> Iterator[Fold]:
    count = min(FOLDS, len(np.unique(keys)))
    fold_of = grouped_folds(keys, count, np.random.default_rng(SEED))
    return (_left_out(fold_of == fold) for fold in range(count))


def _pairs(loaded: Loaded) -> Iterator[Fold]:
    about = loaded.about
    return _grouped(_keys(loaded, about.subject, about.place or about.subject))


def _observed(share: float) -> Callable[[Loaded], Iterator[Fold]]:
    """Train on a share of the pairs, drawn anew for each fold, and predict all others."""

    def folds(loaded: Loaded) -> Iterator[Fold]:
        keys = _keys(loaded, "workload", "platform")
        pairs = len(np.unique(keys))
        for draw in range(FOLDS):
            rng = np.random.default_rng((SEED, draw))
            seen = np.zeros(pairs, dtype=bool)
            seen[rng.permutation(pairs)[: round(share * pairs)]] = True
            yield _left_out(~seen[keys])

    return folds


def _large_batches(loaded: Loaded) -> Iterator[Fold]:
    batch = loaded.columns.features["batch_size"].astype(np.float64)
    yield Fold(np.flatnonzero(batch <= LARGEST_BATCH), np.flatnonzero(batch > LARGEST_BATCH))


def _new_places(place: str) -> list[Split]:
    """Return the splits that know nothing, or little, of one place; all predict the same rows."""
    few = [
        Split(
            f"new-{place}-{count}",
            f"one `{place}`, but for {count} of its observations" if count else f"one `{place}`",
            _new_place(place, count=count),
        )
        for count in (0, 5, 20, _MOST_OBSERVED)
    ]
    share = Split(
        f"new-{place}-5pct",
        f"one `{place}`, but for 5 % of its observations",
        _new_place(place, share=_OBSERVED_SHARE),
    )
    return [*few, share]


def _new_place(
    place: str, *, count: int = 0, share: float = 0.0
) -> Callable[[Loaded], Iterator[Fold]]:
    def folds(loaded: Loaded) -> Iterator[Fold]:
        labels = loaded.labels(place)
        for name in _places(loaded, labels):
            mine = np.flatnonzero(labels == name)
            mine = np.random.default_rng(SEED).permutation(mine)
            # What any of these splits observes is predicted by none, so that they compare.
            kept = max(_MOST_OBSERVED, round(_OBSERVED_SHARE * len(mine)))
            observed = mine[: count + round(share * len(mine))]
            train = np.concatenate([np.flatnonzero(labels != name), observed])
            yield Fold(np.sort(train), np.sort(mine[kept:]), name)

    return folds


def _places(loaded: Loaded, labels: np.ndarray) -> list[str]:
    names, rows = np.unique(labels.astype(str), return_counts=True)
    first = loaded.about.places_first
    large = [n for n, r in zip(names.tolist(), rows, strict=True) if r >= FEWEST_ROWS_OF_A_PLACE]
    size = dict(zip(names.tolist(), rows.tolist(), strict=True))
    return sorted(large, key=lambda name: (name not in first, -size[name], name))


_UNSEEN_PAIR = Split("unseen-pair", "one fifth of the (subject, place) pairs", _pairs)
_LARGE_BATCH = Split("large-batch", f"batch sizes above {LARGEST_BATCH}", _large_batches)
_NOTEBOOK = Split("notebook", "one fifth of the rows, as the reference notebook does", _notebook)
_SPECIAL: Mapping[str, list[Split]] = {
    "wasm_tasks": [_NOTEBOOK],
    "wasm_platforms": [
        # Each pair was measured once, so unseen pairs are what every random split has.
        *(
            Split(
                f"observed-{p}",
                f"{100 - p} % of the (workload, platform) pairs",
                _observed(p / 100),
            )
            for p in (10, 30, 50, 90)
        ),
        Split(
            "unseen-device",
            "one fifth of the values of `device`",
            lambda loaded: _grouped(_keys(loaded, "device")),
        ),
    ],
    "vision_models": [_UNSEEN_PAIR, _LARGE_BATCH],
    "llm_models": [_UNSEEN_PAIR, _LARGE_BATCH],
    "edge_models": [_UNSEEN_PAIR],
    "genai_power": [_UNSEEN_PAIR, _LARGE_BATCH],
}
