"""The state of a fit: what a bundle keeps so that a later run can go on from it.

A zip of numpy arrays and one JSON text that says which array goes where. Only the classes named
here are ever made of it, so that a file from elsewhere can hold wrong numbers, but no code.
"""

from __future__ import annotations

import dataclasses
import io
import json
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from foretell.bundle import STATE_FILE
from foretell.errors import BundleRejected
from foretell_trainer.engine.continued import KeptTrees, kept
from foretell_trainer.engine.costs import Amounts, Costs
from foretell_trainer.engine.floors import Parts
from foretell_trainer.engine.gated import Gate
from foretell_trainer.engine.inputs import Floats, InputMap
from foretell_trainer.engine.interaction import Interaction
from foretell_trainer.engine.likeness import Term
from foretell_trainer.engine.linear import Growth, Layout, LinearModel, Restraint
from foretell_trainer.engine.location import Location
from foretell_trainer.engine.metric import FittedMetric
from foretell_trainer.engine.plan import Plan
from foretell_trainer.engine.scale import Scale
from foretell_trainer.engine.spread import Spread

FORMAT = 1
_TEXT = "state"
_DAMAGED = (
    ValueError,
    KeyError,
    TypeError,
    IndexError,
    OSError,
    EOFError,
    zipfile.BadZipFile,
)


@dataclass(frozen=True)
class MetricState:
    """What was fitted of one metric."""

    metric: int
    unit: float
    location: Location
    scale: Scale
    tables: Floats
    """[T, Q]"""
    rounds: int

    @classmethod
    def of(cls, fitted: FittedMetric, inputs: InputMap) -> MetricState:
        """Return the state of a metric, with its trees as arrays."""
        location, scale = fitted.location, fitted.scale
        # Where the search for two parts begins is of use to folds alone.
        parts = location.parts and replace(location.parts, start=None)
        return cls(
            metric=fitted.metric,
            unit=fitted.unit,
            location=replace(location, inputs=inputs, parts=parts, trees=kept(location.trees)),
            scale=replace(scale, trees=kept(scale.trees)),
            tables=fitted.tables,
            rounds=fitted.rounds,
        )


@dataclass(frozen=True)
class FitState:
    """What was fitted of all metrics that are not derived."""

    input_map: InputMap
    metrics: tuple[MetricState, ...]
    updates: int = 0
    """How many updates it has gone through since it was fitted to all rows."""
    learned_since: int = 0
    """How many rows these updates have learned from."""

    @classmethod
    def of(
        cls,
        input_map: InputMap,
        metrics: Sequence[FittedMetric],
        updates: int = 0,
        learned_since: int = 0,
    ) -> FitState:
        """Return the state of a fit. The catalogs' facts are left out: a catalog may change."""
        bare = replace(input_map, number_facts=(), category_facts=(), learnt_facts=())
        return cls(bare, tuple(MetricState.of(m, bare) for m in metrics), updates, learned_since)


_CLASSES: dict[str, type] = {
    found.__name__: found
    for found in (
        Amounts,
        Costs,
        FitState,
        Gate,
        Growth,
        Interaction,
        InputMap,
        KeptTrees,
        Layout,
        LinearModel,
        Location,
        MetricState,
        Parts,
        Plan,
        Restraint,
        Scale,
        Spread,
        Term,
    )
}


def pack(state: FitState) -> bytes:
    """Return a state as the bytes of a file; equal states give equal bytes."""
    packer = _Packer()
    text = json.dumps({"format": FORMAT, "state": packer.described(state)})
    arrays = {_TEXT: np.array(text), **{f"a{i}": a for i, a in enumerate(packer.arrays)}}
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, array in arrays.items():
            # A fixed time: the content's hash is part of the bundle's version.
            entry = zipfile.ZipInfo(f"{name}.npy", (1980, 1, 1, 0, 0, 0))
            entry.compress_type = zipfile.ZIP_DEFLATED
            with archive.open(entry, "w") as file:
                np.lib.format.write_array(file, np.asanyarray(array), allow_pickle=False)
    return buffer.getvalue()


def unpack(content: bytes, version: str) -> FitState:
    """Return the state that a bundle of a version has kept.

    Raises BundleRejected when it is not one that this trainer reads.
    """
    try:
        with np.load(io.BytesIO(content), allow_pickle=False) as arrays:
            told = json.loads(str(arrays[_TEXT]))
            if told["format"] != FORMAT:
                raise ValueError(f"format {told['format']!r}; known: {FORMAT}")
            state = _Unpacker(arrays).made(told["state"])
    except _DAMAGED as error:
        raise BundleRejected(version, f"{STATE_FILE} cannot be read: {error}") from error
    if not isinstance(state, FitState):
        raise BundleRejected(version, f"{STATE_FILE} holds no state of a fit")
    return state


class _Packer:
    """Describes values in JSON and collects their arrays."""

    def __init__(self) -> None:
        self.arrays: list[np.ndarray[Any, Any]] = []
        self._places: dict[int, int] = {}
        self._met: dict[int, int] = {}

    def described(self, value: object) -> object:
        if isinstance(value, np.generic):
            return value.item()
        if value is None or isinstance(value, bool | int | float | str):
            return value
        if isinstance(value, np.ndarray):
            if id(value) not in self._places:
                self._places[id(value)] = len(self.arrays)
                self.arrays.append(value)
            return {"array": self._places[id(value)]}
        if isinstance(value, tuple):
            return {"tuple": [self.described(item) for item in value]}
        if type(value).__name__ not in _CLASSES or not dataclasses.is_dataclass(value):
            raise TypeError(f"a state cannot hold {type(value).__name__}")
        # What metrics share, such as the map of the inputs, is written once.
        if id(value) in self._met:
            return {"again": self._met[id(value)]}
        self._met[id(value)] = len(self._met)
        fields = {f.name: getattr(value, f.name) for f in dataclasses.fields(value) if f.init}
        of = {name: self.described(item) for name, item in fields.items()}
        return {"made": type(value).__name__, "of": of}


class _Unpacker:
    """Makes values of their descriptions; objects are numbered as `_Packer` has met them."""

    def __init__(self, arrays: Any) -> None:  # noqa: ANN401 -- numpy does not name its type
        self._arrays = arrays
        self._loaded: dict[int, np.ndarray[Any, Any]] = {}
        self._met: list[object] = []

    def made(self, told: Any) -> Any:  # noqa: ANN401 -- whatever was packed
        if not isinstance(told, dict):
            return told
        if "array" in told:
            return self._array(int(told["array"]))
        if "tuple" in told:
            return tuple(self.made(item) for item in told["tuple"])
        if "again" in told:
            return self._met[told["again"]]
        place = len(self._met)
        self._met.append(None)
        fields = {name: self.made(item) for name, item in told["of"].items()}
        self._met[place] = _CLASSES[told["made"]](**fields)
        return self._met[place]

    def _array(self, number: int) -> np.ndarray[Any, Any]:
        if number not in self._loaded:
            self._loaded[number] = self._arrays[f"a{number}"]
        return self._loaded[number]
