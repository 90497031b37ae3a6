"""Schemas: what a workload's features, catalogs, metrics and groups are.

A schema is a value. Reading one from a file, with errors that name the line, is in
`foretell.schema_file`; what follows from a schema for the numbers is in `foretell.encoding`.
"""

from __future__ import annotations

import hashlib
import json
import math
import re
from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator
from pydantic_core import InitErrorDetails, PydanticCustomError

from foretell.errors import NotFound

Name = Annotated[str, Field(pattern=r"^[A-Za-z_][A-Za-z0-9_.:=-]{0,126}$")]
Kind = Literal["number", "category", "flag"]
Scale = Literal["linear", "log"]
Format = Literal["plain", "quantity", "dimensions"]
Direction = Literal["lower", "higher"]
Trend = Literal["increasing", "decreasing"]
Amount = Literal["plain", "log1p"]

QUANTITY_UNITS = ("B", "KB", "MB", "GB", "TB")

_ONLY_NUMBERS: dict[str, object] = {
    "scale": "linear",
    "minimum": None,
    "maximum": None,
    "format": "plain",
    "extrapolate": False,
    "monotone": {},
    "amount": None,
}

_Problem = tuple[tuple[str | int, ...], str]


class _Value(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    @model_validator(mode="after")
    def _check(self) -> Self:
        problems = self._problems()
        if problems:
            raise ValidationError.from_exception_data(
                type(self).__name__, [_detail(loc, message) for loc, message in problems]
            )
        return self

    def _problems(self) -> list[_Problem]:
        """Return what the types alone cannot say: where (relative to this value) and why."""
        return []


class Derive(_Value):
    """A category that is read out of another category's text, such as the device in a platform.

    `pattern` is a regular expression with one group; the group's text is the derived value.
    A text that does not match has no derived value (it is missing).
    """

    source: Name
    pattern: str

    def _problems(self) -> list[_Problem]:
        try:
            groups = re.compile(self.pattern).groups
        except re.error as error:
            return [(("pattern",), f"{self.pattern!r} is not a regular expression: {error}")]
        if groups != 1:
            return [(("pattern",), f"{self.pattern!r} has {groups} groups; exactly 1 is needed")]
        return []


class Feature(_Value):
    """One named input of a workload, or one named fact of a catalog."""

    name: Name
    kind: Kind
    description: str = ""
    unit: str = "1"
    """The unit of a number ("1": none). For `quantity`, one of B, KB, MB, GB, TB; MB if unset."""
    scale: Scale = "linear"
    """`log` where ratios matter more than differences; the values are then never negative."""
    required: bool = False
    minimum: float | None = None
    maximum: float | None = None
    column: str | None = None
    """The column in data files; the feature's own name if unset."""
    format: Format = "plain"
    """How text stands for a number: plain, "43.9 MB" (quantity), or "1x3x512x512" (dimensions)."""
    derive: Derive | None = None
    """Set for a category that is computed from another one and never sent."""
    extrapolate: bool = False
    """Whether it may be asked beyond the data; the trend then carries on."""
    monotone: dict[str, Trend] = Field(default_factory=dict)
    """By metric: whether the metric can only rise, or only fall, as this number rises."""
    amount: Amount | None = None
    """Set for an amount of work, such as operations of one kind, if what amounts cost adds up;
    `log1p` where the data holds log(1 + amount)."""

    @property
    def source_column(self) -> str:
        """The column of data files that holds this feature."""
        return self.column or self.name

    @property
    def is_numeric(self) -> bool:
        """Whether the encoded value is a number (numbers and flags) and not a category's index."""
        return self.kind != "category"

    @property
    def target_unit(self) -> str:
        """The unit that a `quantity` is converted to."""
        return "MB" if self.unit == "1" else self.unit

    @property
    def lower_limit(self) -> float:
        """The smallest value that is allowed; 0 on a log scale unless the schema says otherwise."""
        if self.minimum is not None:
            return self.minimum
        return 0.0 if self.scale == "log" else -math.inf

    @property
    def upper_limit(self) -> float:
        """The largest value that is allowed."""
        return math.inf if self.maximum is None else self.maximum

    def _problems(self) -> list[_Problem]:
        problems = _range_problems(self.minimum, self.maximum, self.scale)
        if self.kind != "number":
            problems += [
                ((field,), f"is for numbers, and {self.name!r} is a {self.kind}")
                for field, neutral in _ONLY_NUMBERS.items()
                if getattr(self, field) != neutral
            ]
        if self.derive is not None and self.kind != "category":
            problems.append((("derive",), f"is for categories, and {self.name!r} is a {self.kind}"))
        if self.derive is not None and self.required:
            problems.append((("required",), f"{self.name!r} is derived, so nobody can send it"))
        if self.amount == "plain" and self.scale != "log":
            problems.append((("amount",), f"'plain' needs scale: log, and {self.name!r} has none"))
        if self.amount == "log1p" and self.scale == "log":
            problems.append((("amount",), f"'log1p' is in logs; {self.name!r} needs scale: linear"))
        if self.format == "quantity" and self.target_unit not in QUANTITY_UNITS:
            allowed = ", ".join(QUANTITY_UNITS)
            problems.append(
                (("unit",), f"{self.unit!r} is not a unit of quantity; one of {allowed}")
            )
        return problems


class Catalog(_Value):
    """A table of facts about the values of one category feature."""

    name: Name
    key: Name
    """The category feature whose values the catalog describes."""
    key_column: str | None = None
    """The column of the catalog's file that holds the key; `key` if unset."""
    facts: tuple[Feature, ...]
    description: str = ""

    @property
    def source_column(self) -> str:
        """The column of the catalog's file that holds the key."""
        return self.key_column or self.key

    def _problems(self) -> list[_Problem]:
        return [
            (("facts", i, field), "is for features; a catalog's fact cannot have it")
            for i, fact in enumerate(self.facts)
            for field in ("derive", "required")
            if getattr(fact, field)
        ]


class Metric(_Value):
    """One named output of a workload."""

    name: Name
    description: str = ""
    unit: str = "1"
    direction: Direction = "lower"
    """Which way is better."""
    scale: Scale = "log"
    column: str | None = None
    """The column in data files; the metric's own name if unset."""
    minimum: float | None = None
    maximum: float | None = None

    @property
    def source_column(self) -> str:
        """The column of data files that holds this metric."""
        return self.column or self.name

    def _problems(self) -> list[_Problem]:
        return _range_problems(self.minimum, self.maximum, self.scale)


class Link(_Value):
    """An identity that physics imposes: metric = constant · Π name ** power.

    The names are metrics and number features.
    """

    metric: Name
    factors: dict[str, float] = Field(min_length=1)
    constant: float = Field(default=1.0, gt=0, allow_inf_nan=False)


class Schema(_Value):
    """What one workload's features, catalogs, metrics, groups and links are."""

    workload: str = Field(pattern=r"^[a-z][a-z0-9_-]{0,62}$")
    title: str = ""
    description: str = ""
    features: tuple[Feature, ...] = Field(min_length=1)
    metrics: tuple[Metric, ...] = Field(min_length=1)
    catalogs: tuple[Catalog, ...] = ()
    groups: tuple[tuple[str, ...], ...] = ()
    """Tuples of category features: ids ([model]) and pairs ([model, hardware])."""
    links: tuple[Link, ...] = ()
    id_column: str | None = None
    time_column: str | None = None
    family: str = "lightgbm"
    """The estimator family that learns this workload."""

    @cached_property
    def facts(self) -> tuple[Feature, ...]:
        """The facts of all catalogs, in the order of the schema."""
        return tuple(fact for catalog in self.catalogs for fact in catalog.facts)

    @cached_property
    def inputs(self) -> tuple[Feature, ...]:
        """Features and then facts: all that can influence a forecast."""
        return self.features + self.facts

    # MUST match the order in which foretell.encoding fills its arrays: bundles depend on it.
    @cached_property
    def number_names(self) -> tuple[str, ...]:
        """The names of the columns of `numbers`: number and flag features, then such facts."""
        return tuple(f.name for f in self.inputs if f.is_numeric)

    @cached_property
    def category_names(self) -> tuple[str, ...]:
        """The names of the columns of `categories`: category features, then such facts."""
        return tuple(f.name for f in self.inputs if not f.is_numeric)

    @cached_property
    def metric_names(self) -> tuple[str, ...]:
        """The names of the metrics, in order."""
        return tuple(m.name for m in self.metrics)

    @cached_property
    def fingerprint(self) -> str:
        """The sha256 of the schema's canonical JSON, in hexadecimal."""
        canonical = json.dumps(self.model_dump(mode="json"), sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(canonical.encode()).hexdigest()

    def model_copy(self, *, update: Mapping[str, Any] | None = None, deep: bool = False) -> Self:
        """Return a copy with some fields changed; what follows from fields is derived anew."""
        copied = super().model_copy(update=update, deep=deep)
        for name in set(copied.__dict__) - set(type(self).model_fields):
            del copied.__dict__[name]
        return copied

    def feature(self, name: str) -> Feature:
        """Return the feature or fact of this name, or raise NotFound."""
        for candidate in self.inputs:
            if candidate.name == name:
                return candidate
        raise NotFound("feature", name, [f.name for f in self.inputs])

    def metric(self, name: str) -> Metric:
        """Return the metric of this name, or raise NotFound."""
        for candidate in self.metrics:
            if candidate.name == name:
                return candidate
        raise NotFound("metric", name, self.metric_names)

    def catalog(self, name: str) -> Catalog:
        """Return the catalog of this name, or raise NotFound."""
        for candidate in self.catalogs:
            if candidate.name == name:
                return candidate
        raise NotFound("catalog", name, [c.name for c in self.catalogs])

    def _problems(self) -> list[_Problem]:
        return [
            *_duplicates(self),
            *_leaks(self),
            *_dangling_features(self),
            *_dangling_catalogs(self),
            *_dangling_groups(self),
            *_dangling_links(self),
        ]


def _detail(loc: tuple[str | int, ...], message: str) -> InitErrorDetails:
    # The message is passed as context, so that braces in it are not taken for a template.
    error = PydanticCustomError("schema", "{message}", {"message": message})
    return InitErrorDetails(type=error, loc=loc, input=None)


def _range_problems(low: float | None, high: float | None, scale: Scale) -> list[_Problem]:
    problems: list[_Problem] = []
    for field, value in (("minimum", low), ("maximum", high)):
        if value is not None and not math.isfinite(value):
            problems.append(((field,), f"{value} is not a finite number"))
    if low is not None and scale == "log" and low < 0:
        problems.append((("minimum",), f"{low:g} is below 0, which a log scale has no place for"))
    if low is not None and high is not None and low > high:
        problems.append((("maximum",), f"{high:g} is below the minimum, {low:g}"))
    return problems


def _duplicates(schema: Schema) -> list[_Problem]:
    places: list[tuple[tuple[str | int, ...], str]] = [
        *((("features", i, "name"), f.name) for i, f in enumerate(schema.features)),
        *((("metrics", i, "name"), m.name) for i, m in enumerate(schema.metrics)),
        *(
            (("catalogs", c, "facts", i, "name"), fact.name)
            for c, catalog in enumerate(schema.catalogs)
            for i, fact in enumerate(catalog.facts)
        ),
    ]
    problems = _repeated(places)
    problems += _repeated(
        [(("catalogs", i, "name"), c.name) for i, c in enumerate(schema.catalogs)]
    )
    return problems


def _repeated(places: Sequence[tuple[tuple[str | int, ...], str]]) -> list[_Problem]:
    seen: dict[str, str] = {}
    problems: list[_Problem] = []
    for loc, name in places:
        # Names become columns, and SQL takes columns that differ in case alone for one.
        other = seen.get(name.casefold())
        if other == name:
            problems.append((loc, f"{name!r} is used twice; names must be unique"))
        elif other is not None:
            problems.append((loc, f"{name!r} and {other!r} differ in case alone"))
        seen[name.casefold()] = name
    return problems


def _leaks(schema: Schema) -> list[_Problem]:
    measured = {metric.source_column: metric.name for metric in schema.metrics}
    return [
        (
            ("features", i, "column" if feature.column else "name"),
            f"column {feature.source_column!r} is the metric {measured[feature.source_column]!r}; "
            "a feature cannot be what is predicted",
        )
        for i, feature in enumerate(schema.features)
        if feature.source_column in measured and feature.derive is None
    ]


def _dangling_features(schema: Schema) -> list[_Problem]:
    sent = {f.name for f in schema.features if f.kind == "category" and f.derive is None}
    metrics = set(schema.metric_names)
    problems: list[_Problem] = []
    for i, feature in enumerate(schema.features):
        if feature.derive is not None and feature.derive.source not in sent:
            loc = ("features", i, "derive", "source")
            problems.append(
                (loc, _not_one_of(feature.derive.source, "category that is sent", sent))
            )
        problems += [
            (("features", i, "monotone", metric), _not_one_of(metric, "metric", metrics))
            for metric in feature.monotone
            if metric not in metrics
        ]
    return problems


def _dangling_catalogs(schema: Schema) -> list[_Problem]:
    categories = {f.name for f in schema.features if f.kind == "category"}
    return [
        (("catalogs", i, "key"), _not_one_of(catalog.key, "category feature", categories))
        for i, catalog in enumerate(schema.catalogs)
        if catalog.key not in categories
    ]


def _dangling_groups(schema: Schema) -> list[_Problem]:
    categories = {f.name for f in schema.features if f.kind == "category"}
    problems: list[_Problem] = []
    for i, group in enumerate(schema.groups):
        if not group:
            problems.append((("groups", i), "a group names at least one category feature"))
        problems += [
            (("groups", i, j), _not_one_of(name, "category feature", categories))
            for j, name in enumerate(group)
            if name not in categories
        ]
        if group in schema.groups[:i]:
            problems.append((("groups", i), f"[{', '.join(group)}] is listed twice"))
    return problems


def _dangling_links(schema: Schema) -> list[_Problem]:
    metrics = set(schema.metric_names)
    names = metrics | {f.name for f in schema.features if f.kind == "number"}
    problems: list[_Problem] = []
    for i, link in enumerate(schema.links):
        if link.metric not in metrics:
            problems.append((("links", i, "metric"), _not_one_of(link.metric, "metric", metrics)))
        for name, power in link.factors.items():
            loc = ("links", i, "factors", name)
            if name not in names or name == link.metric:
                allowed = names - {link.metric}
                problems.append((loc, _not_one_of(name, "other metric or number feature", allowed)))
            elif not math.isfinite(power) or power == 0:
                problems.append((loc, f"{power} is not a usable power; any number but 0 is"))
    return problems


def _not_one_of(name: str, what: str, known: set[str]) -> str:
    return f"{name!r} names no {what}; one of {', '.join(sorted(known)) or '(none)'}"
