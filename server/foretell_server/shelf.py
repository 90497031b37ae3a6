"""The shelf: the bundles that this process answers with, and those that it refused.

A workload's live bundle is one reference, replaced as a whole. A request takes the reference
once and keeps it, so it finishes on the bundle that it began with.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Generic, TypeVar

from foretell.bundle import Manifest
from foretell.corrections import Corrections
from foretell.errors import BundleRejected, NoBundle, NotFound, Unavailable
from foretell.predictor import Predictor
from foretell_server.cache import Life
from foretell_server.options import DEFAULT_OPTIONS, Options, Plan, compile_plan

FileStamp = tuple[tuple[str, int, int], ...]
"""Name, size and time of change of a bundle's files: whether they are still the same."""

_REMEMBERED_PLANS = 256

_T = TypeVar("_T")


class Remembered(Generic[_T]):
    """What was compiled for options, the usual ones.

    Options come from callers, who may send any number: all is forgotten when there are too many,
    and what is usual is soon back.
    """

    __slots__ = ("_by_options",)

    def __init__(self) -> None:
        self._by_options: dict[Options, _T] = {}

    def __len__(self) -> int:
        return len(self._by_options)

    def get(self, options: Options) -> _T | None:
        """Return what is remembered, if anything is."""
        return self._by_options.get(options)

    def put(self, options: Options, compiled: _T) -> None:
        """Remember something."""
        if len(self._by_options) >= _REMEMBERED_PLANS:
            self._by_options = {}
        self._by_options[options] = compiled


class LiveBundle:
    """A loaded bundle, with the plans that were compiled against its schema."""

    __slots__ = (
        "_correction",
        "_default_plan",
        "_plans",
        "few_rows",
        "groups",
        "life",
        "loaded_at",
        "predictor",
        "row_answers",
        "stamp",
        "version",
        "workload",
    )

    def __init__(self, predictor: Predictor, stamp: FileStamp = ()) -> None:
        self.predictor = predictor
        self.workload = predictor.manifest.workload
        self.version = predictor.version
        self.groups = predictor.manifest.groups
        self.loaded_at = datetime.now(UTC)
        self.stamp = stamp
        """Its files as they were when it was loaded."""
        self.life = Life()
        """Whether answers that were kept still hold."""
        self.row_answers: Remembered[Any] = Remembered()
        """What writes answers about rows, kept here for whoever does that."""
        self.few_rows: Remembered[Any] = Remembered()
        """What reads answers about few rows, likewise."""
        self._plans: Remembered[Plan] = Remembered()
        self._correction = 0
        self._default_plan = compile_plan(DEFAULT_OPTIONS, predictor.schema)

    @property
    def manifest(self) -> Manifest:
        """What the bundle says of itself."""
        return self.predictor.manifest

    @property
    def plans_kept(self) -> int:
        """How many plans are remembered."""
        return len(self._plans)

    def plan(self, options: Options) -> Plan:
        """Return the plan of these options; InvalidInput when this schema cannot meet them."""
        if options is DEFAULT_OPTIONS:
            return self._default_plan
        plan = self._plans.get(options)
        if plan is None:
            plan = compile_plan(options, self.predictor.schema)
            self._plans.put(options, plan)
        return plan

    @property
    def corrected(self) -> int:
        """For how many combinations of categories answers are corrected."""
        return len(self.predictor.corrections or ())

    def correct(self, corrections: Corrections) -> None:
        """Correct answers from now on; does nothing when these were for another bundle."""
        if corrections.bundle_version != self.version or corrections.number == self._correction:
            return
        self.predictor.corrections = self.predictor.compile(corrections)
        self._correction = corrections.number
        self.renew()

    def renew(self) -> None:
        """Let no answer hold that was given before: its corrections changed, or it was away."""
        self.life.over = True
        self.life = Life()


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why a bundle is not served."""

    workload: str
    version: str
    why: str

    def error(self) -> BundleRejected:
        """Return the refusal as what a caller is told who asked for this bundle."""
        return BundleRejected(self.version, self.why)


@dataclass
class Shelf:
    """Live and pinned bundles by name; the one place where what is served changes.

    `live` and `pinned` are replaced, never mutated: readers need no lock.
    """

    known: frozenset[str] = frozenset()
    """Workloads that have a schema, with or without a bundle."""
    live: Mapping[str, LiveBundle] = field(default_factory=dict)
    before: Mapping[str, LiveBundle] = field(default_factory=dict)
    """Who answered before, and answers again when the live bundle's graph fails."""
    pinned: Mapping[tuple[str, str], LiveBundle] = field(default_factory=dict)
    """Bundles that callers asked for by version, by workload and version; the oldest goes."""
    refusals: Mapping[tuple[str, str], Refusal] = field(default_factory=dict)
    unloaded: frozenset[str] = frozenset()
    """Workloads that somebody asked not to answer; they are not in `live`."""
    swaps: int = 0
    refused: int = 0
    """How often a bundle was refused since the process began."""

    most_pinned: int = 4

    def find(self, workload: str, version: str = "") -> LiveBundle | None:
        """Return the bundle that has to answer, None if that version is not loaded.

        Raises NotFound for an unknown workload, NoBundle if nothing answers for it yet, and
        Unavailable for one that was unloaded.
        """
        live = self.live.get(workload)
        if live is not None and (not version or version == live.version):
            return live
        if live is None and workload not in self.known:
            raise NotFound("workload", workload, sorted({*self.known, *self.live}))
        if workload in self.unloaded:
            raise Unavailable(f"workload {workload!r}", "it was unloaded; load it again to use it")
        if not version:
            raise NoBundle(workload)
        return self.pinned.get((workload, version))

    def state(self) -> dict[str, bool]:
        """Return, for every workload, whether a bundle answers for it."""
        return {name: name in self.live for name in (*self.known, *self.live)}

    def put(self, bundle: LiveBundle) -> LiveBundle | None:
        """Let a bundle answer for its workload from now on; return the one before it."""
        name, before = bundle.workload, self.live.get(bundle.workload)
        self.live = {**self.live, name: bundle}
        if before is not None:
            before.life.over = True
            self.before = {**self.before, name: before}
        self.swaps += 1
        self.forgive(name, bundle.version)
        return before

    def take_back(self, refusal: Refusal) -> LiveBundle | None:
        """Let the bundle before the live one answer again; None when there is none."""
        name = refusal.workload
        again = self.before.get(name)
        if again is None:
            return None
        self.before = {other: b for other, b in self.before.items() if other != name}
        self.live[name].life.over = True
        again.renew()
        self.live = {**self.live, name: again}
        self.swaps += 1
        self.refuse(refusal)
        return again

    def take_off(self, workload: str) -> LiveBundle | None:
        """Let a workload answer no more; return the bundle that did. What is in flight ends."""
        before = self.live.get(workload)
        self.unloaded |= {workload}
        for bundle in (*self.live.values(), *self.pinned.values()):
            if bundle.workload == workload:
                bundle.renew()
        self.before = {name: bundle for name, bundle in self.before.items() if name != workload}
        self.live = {name: bundle for name, bundle in self.live.items() if name != workload}
        self.pinned = {key: bundle for key, bundle in self.pinned.items() if key[0] != workload}
        return before

    def pin(self, bundle: LiveBundle) -> None:
        """Keep a bundle that was asked for by its version."""
        kept = list(self.pinned.items())[-(self.most_pinned - 1) :]
        self.pinned = {**dict(kept), (bundle.workload, bundle.version): bundle}

    def refuse(self, refusal: Refusal) -> bool:
        """Remember why a bundle is not served; return whether that is news."""
        key = (refusal.workload, refusal.version)
        news = self.refusals.get(key) != refusal
        self.refusals = {**self.refusals, key: refusal}
        self.refused += 1
        return news

    def forgive(self, workload: str, version: str) -> None:
        """Forget a refusal: the bundle passed after all."""
        if (workload, version) in self.refusals:
            key = (workload, version)
            self.refusals = {k: v for k, v in self.refusals.items() if k != key}
