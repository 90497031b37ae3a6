"""From the names of quantities to what they are in one schema: unit, direction, what they need."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Literal

from foretell.decide.questions import COST, ENERGY, PRICE, Accounting
from foretell.decide.units import dimension, factor, rate_of, seconds_of, watts_of
from foretell.errors import Violation, listing
from foretell.schema import Feature, Metric, Schema

QuantityKind = Literal["metric", "fact", "cost", "energy", "price"]


@dataclass(frozen=True, slots=True)
class Quantity:
    """A quantity of one schema."""

    name: str
    kind: QuantityKind
    unit: str
    higher_is_better: bool = False
    log: bool = False
    """Whether ratios of it matter, and not differences; it is then above 0."""

    @property
    def is_certain(self) -> bool:
        """Whether it is a fact, and nothing that has to be forecast."""
        return self.kind in ("fact", "price")


@dataclass(frozen=True, slots=True)
class WorkTime:
    """How long one unit of work takes: seconds = value · seconds, or seconds / value of a rate."""

    metric: str
    is_rate: bool
    seconds: float
    unit_of_work: str
    """What is counted: "images", "tokens"; "run" where the metric is the time of one run."""


@dataclass(frozen=True, slots=True)
class Power:
    """What power is drawn: a metric or a fact, and how many watts its unit is."""

    name: str
    is_metric: bool
    watts: float


class Refused(Exception):  # noqa: N818 -- it carries a violation to where they are collected
    """A name that stands for nothing here."""

    def __init__(self, violation: Violation) -> None:
        self.violation = violation
        super().__init__(violation.message)


class Quantities:
    """Resolves the names of quantities for one schema."""

    def __init__(self, schema: Schema, accounting: Accounting) -> None:
        self.schema = schema
        self._accounting = accounting
        self.facts = {fact.name: fact for fact in schema.facts if fact.kind == "number"}
        self._found: dict[str, Quantity | None] = {}
        """What was looked up before; None for what stands for nothing, where that was asked."""

    def known(self) -> list[str]:
        """Return the names that can be asked for."""
        own = [*self.schema.metric_names, *self.facts]
        return [*own, *(name for name in (COST, ENERGY, PRICE) if name not in own)]

    def resolve(self, name: str, field: str) -> Quantity:
        """Return what a name stands for; Refused, naming `field`, when that is nothing."""
        found = self._found.get(name)
        if found is None:
            found = self._found[name] = self._resolve(name, field)
        return found

    def _resolve(self, name: str, field: str) -> Quantity:
        if name in self.schema.metric_names:
            metric = self.schema.metric(name)
            higher = metric.direction == "higher"
            return Quantity(name, "metric", metric.unit, higher, metric.scale == "log")
        if name in self.facts:
            return Quantity(name, "fact", self.facts[name].unit)
        if name == COST:
            return Quantity(name, "cost", f"price/{self.work(field).unit_of_work}", log=True)
        if name == ENERGY:
            self.power(field)
            return Quantity(name, "energy", f"J/{self.work(field).unit_of_work}", log=True)
        if name == PRICE:
            return Quantity(name, "price", "price/h")
        what = f"{name!r} is no quantity" if name else "a quantity is needed"
        message = f"{what} of {self.schema.workload!r}; one of {listing(self.known())}"
        raise Refused(Violation(field, name, message))

    def find(self, name: str) -> Quantity | None:
        """Return what one of the names that every schema may have stands for, None for nothing."""
        if name not in self._found:
            try:
                return self.resolve(name, name)
            except Refused:
                self._found[name] = None
        return self._found[name]

    def work(self, field: str) -> WorkTime:
        """Return how long a unit of work takes; Refused when the schema does not make it clear."""
        metrics = self.schema.metrics
        named = self._accounting.work_metric
        if named:
            return _work_time(self._named_metric(named))
        rates = [m for m in metrics if m.direction == "higher" and dimension(m.unit) == "rate"]
        times = [m for m in metrics if dimension(m.unit) == "time"]
        return _work_time(self._only(rates or times, field, "work_metric", "a time or a rate"))

    def power(self, field: str) -> Power:
        """Return what power is drawn; Refused when the schema does not make it clear."""
        named = self._accounting.power
        found: Metric | Feature
        if named and named in self.facts:
            found = self.facts[named]
        elif named:
            found = self._named_metric(named, "accounting.power", self.facts)
        else:
            watts = [m for m in self.schema.metrics if dimension(m.unit) == "power"]
            facts = [name for name, fact in self.facts.items() if dimension(fact.unit) == "power"]
            found = self._only(watts, field, "power", "a power", also=facts)
        if dimension(found.unit) != "power":
            message = f"{found.name!r} is in {found.unit!r}, which is no power"
            raise Refused(Violation("accounting.power", found.name, message))
        return Power(found.name, isinstance(found, Metric), watts_of(found.unit))

    def _named_metric(
        self, name: str, field: str = "accounting.work_metric", also: Iterable[str] = ()
    ) -> Metric:
        if name not in self.schema.metric_names:
            known = listing([*self.schema.metric_names, *also])
            raise Refused(Violation(field, name, f"{name!r} is not one of {known}"))
        return self.schema.metric(name)

    def _only(
        self, found: list[Metric], field: str, setting: str, what: str, also: Iterable[str] = ()
    ) -> Metric:
        if len(found) == 1:
            return found[0]
        known = listing([m.name for m in found] or [*also] or self.schema.metric_names)
        why = f"{len(found)} metrics of {self.schema.workload!r} are {what}"
        message = f"{why}; name one in accounting.{setting}: {known}"
        raise Refused(Violation(field, "", message))


def _work_time(metric: Metric) -> WorkTime:
    kind = dimension(metric.unit)
    if kind == "rate":
        noun, seconds = rate_of(metric.unit)
        return WorkTime(metric.name, True, seconds, noun)
    if kind == "time":
        return WorkTime(metric.name, False, seconds_of(metric.unit), "run")
    message = f"{metric.name!r} is in {metric.unit!r}, which is neither a time nor a rate"
    raise Refused(Violation("accounting.work_metric", metric.name, message))


class Violations:
    """Collects everything that is wrong with a question, so that the caller hears it at once."""

    def __init__(self) -> None:
        self.found: list[Violation] = []

    def add(self, field: str, value: object, message: str) -> None:
        """Note one thing that is wrong."""
        self.found.append(Violation(field, str(value), message))

    def unless(self, good: bool, field: str, value: float, wanted: str) -> None:
        """Note a number that is not what is wanted."""
        if not good:
            self.add(field, f"{value:g}", f"{value:g} is not {wanted}")

    def trying(self, resolve: Callable[[], Quantity]) -> Quantity | None:
        """Return what `resolve` does, None once its refusal is noted."""
        try:
            return resolve()
        except Refused as refused:
            self.found.append(refused.violation)
            return None


def check_unit(quantity: Quantity, unit: str, field: str, value: float, note: Violations) -> None:
    """Note a unit that is not the quantity's own; a number is never taken for another one."""
    if not unit or unit == quantity.unit:
        return
    rate = factor(unit, quantity.unit)
    message = f"{quantity.name!r} is in {quantity.unit!r}, not {unit!r}"
    if rate is not None:
        message += f"; {value:g} {unit} are {value * rate:g} {quantity.unit}"
    note.add(field, unit, message)
