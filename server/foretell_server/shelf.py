"""The shelf: the bundles that this process answers with, and those that it refused.

A workload's live bundle is one reference, replaced as a whole. A request takes the reference
once and keeps it, so it finishes on the bundle that it began with.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime

from foretell.bundle import Manifest
from foretell.errors import BundleRejected, NoBundle, NotFound, Unavailable
from foretell.predictor import Predictor

from foretell_server.options import DEFAULT_OPTIONS, Options, Plan, compile_plan

_REMEMBERED_PLANS = 256


class LiveBundle:
    """A loaded bundle, with the plans that were compiled against its schema."""

    __slots__ = (
        "_default_plan",
        "_plans",
        "groups",
        "loaded_at",
        "predictor",
        "version",
        "workload",
    )

    def __init__(self, predictor: Predictor) -> None:
        self.predictor = predictor
        self.workload = predictor.manifest.workload
        self.version = predictor.version
        self.groups = predictor.manifest.groups
        self.loaded_at = datetime.now(UTC)
        self._plans: dict[Options, Plan] = {}
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
            # Options come from callers, who may send any number. The usual ones are soon back.
            if len(self._plans) >= _REMEMBERED_PLANS:
                self._plans = {}
            self._plans[options] = plan
        return plan


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
        before = self.live.get(bundle.workload)
        self.live = {**self.live, bundle.workload: bundle}
        self.swaps += 1
        self.forgive(bundle.workload, bundle.version)
        return before

    def take_off(self, workload: str) -> LiveBundle | None:
        """Let a workload answer no more; return the bundle that did. What is in flight ends."""
        before = self.live.get(workload)
        self.unloaded |= {workload}
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
