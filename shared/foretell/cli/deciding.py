"""What the commands that decide share: who answers, and how questions are written on a line."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

import click

from foretell.cli.options import registry_option, server_options
from foretell.errors import InvalidInput, Violation, listing

if TYPE_CHECKING:
    from foretell.client import Client
    from foretell.decide import (
        Comparison,
        Curve,
        CurveAnswer,
        Decider,
        Limit,
        Matrix,
        MatrixTable,
        Objective,
        Place,
        Placement,
        Recommend,
        Recommendation,
        Share,
        Sharing,
        WhatIf,
    )

F = TypeVar("F", bound=Callable[..., Any])

_LIMIT = re.compile(
    r"(?P<name>[^<>=\s]+)\s*(?P<sign><=|>=)\s*(?:(?P<share>[\d.]+)\s*\*\s*)?"
    r"(?P<bound>[^@\s]+?)(?:\s+(?P<unit>[^@\s]+))?\s*(?:@\s*(?P<probability>[\d.]+)\s*)?"
)
_NUMBER_AND_UNIT = re.compile(r"([-+]?[\d.]+(?:e[-+]?\d+)?)((?!e[-+]?\d)[^\d.]\S*)")


class Asker(Protocol):
    """Who answers: a bundle in this process, or a server."""

    @property
    def kinds(self) -> Mapping[str, str]:
        """By feature and fact, its kind."""

    def known(self, feature: str) -> tuple[str, ...]:
        """Return the values of a category that the bundle knows."""

    def recommend(self, question: Recommend) -> Recommendation:
        """Rank candidates."""

    def matrix(self, question: Matrix, metrics: Sequence[str], level: float) -> MatrixTable:
        """Forecast combinations."""

    def curve(self, question: Curve) -> CurveAnswer:
        """Sweep a feature."""

    def what_if(self, question: WhatIf) -> Comparison:
        """Compare configurations."""

    def place(self, question: Place) -> Placement:
        """Place a batch."""

    def share(self, question: Share) -> Sharing:
        """Share a device."""


class LocalAsker:
    """A bundle of a registry, in this process."""

    def __init__(self, decider: Decider) -> None:
        self._decider = decider
        schema = decider.predictor.schema
        self.kinds: dict[str, str] = {feature.name: feature.kind for feature in schema.inputs}
        self.recommend = decider.recommend
        self.curve = decider.curve
        self.what_if = decider.what_if
        self.place = decider.place
        self.share = decider.share

    def known(self, feature: str) -> tuple[str, ...]:
        """Return the values of a category that the bundle knows."""
        return self._decider.predictor.encoder.vocabulary.get(feature, ())

    def matrix(self, question: Matrix, metrics: Sequence[str], level: float) -> MatrixTable:
        """Forecast combinations."""
        return self._decider.matrix(question).table(metrics, level)


class RemoteAsker:
    """A server."""

    def __init__(self, client: Client, workload: str, bundle: str) -> None:
        schema = client.schema(workload)
        facts = [fact for catalog in schema.catalogs for fact in catalog.facts]
        self.kinds = {feature.name: feature.kind for feature in (*schema.features, *facts)}
        self._known = {feature.name: feature.known_values for feature in schema.features}
        self._client, self._workload = client, workload
        self._pinned: dict[str, Any] = {"bundle_version": bundle}

    def known(self, feature: str) -> tuple[str, ...]:
        """Return the values of a category that the bundle knows."""
        return self._known.get(feature, ())

    def recommend(self, question: Recommend) -> Recommendation:
        """Rank candidates."""
        asked = _rest(question, "features", "objective")
        return self._client.recommend(
            self._workload, question.features, question.objective, **asked, **self._pinned
        )

    def matrix(self, question: Matrix, metrics: Sequence[str], level: float) -> MatrixTable:
        """Forecast combinations."""
        axes = {axis.feature: axis.values for axis in question.axes}
        return self._client.matrix(
            self._workload,
            axes,
            question.features,
            metrics=metrics,
            interval_level=level,
            **self._pinned,
        ).table()

    def curve(self, question: Curve) -> CurveAnswer:
        """Sweep a feature."""
        asked = _rest(question, "features", "feature")
        return self._client.curve(
            self._workload, question.features, question.feature, **asked, **self._pinned
        )

    def what_if(self, question: WhatIf) -> Comparison:
        """Compare configurations."""
        asked = _rest(question, "configurations", "objective")
        return self._client.what_if(
            self._workload, question.configurations, question.objective, **asked, **self._pinned
        )

    def place(self, question: Place) -> Placement:
        """Place a batch."""
        asked = _rest(question, "items", "nodes")
        return self._client.place(
            self._workload, question.items, question.nodes, **asked, **self._pinned
        )

    def share(self, question: Share) -> Sharing:
        """Share a device."""
        asked = _rest(question, "items")
        return self._client.share(self._workload, question.items, **asked, **self._pinned)


def _rest(question: Any, *taken: str) -> dict[str, Any]:  # noqa: ANN401 -- any question
    """Return the fields of a question by their names, which the client's keywords share."""
    fields = question.__dataclass_fields__
    return {name: getattr(question, name) for name in fields if name not in taken}


def answering_options(command: F) -> F:
    """Add what says who answers: a registry's bundle in this process, else a server."""
    bundle = click.option(
        "--bundle", metavar="VERSION", help="A version or an alias.  [default: current]"
    )
    return server_options(bundle(registry_option(command)))


@contextmanager
def answering(
    workload: str, registry: Path | None, bundle: str | None, server: dict[str, Any]
) -> Iterator[Asker]:
    """Yield who answers while the block runs; UsageError when both ways are asked for."""
    if registry is not None:
        if server["address"] is not None:
            raise click.UsageError("give either --registry, to decide here, or --address")
        from foretell.cli.bundles import load_predictor
        from foretell.cli.sources import open_registry
        from foretell.decide import Decider

        yield LocalAsker(Decider(load_predictor(open_registry(registry), workload, bundle)))
        return
    from foretell.cli.connection import connect

    with connect(server.pop("address"), **server) as client:
        yield RemoteAsker(client, workload, bundle or "")


def limiting_options(command: F) -> F:
    """Add what is weighed, and the limits that it is weighed within."""
    option = click.option(
        "--limit",
        "limits",
        multiple=True,
        metavar="LIMIT",
        help='Such as "latency_ms<=50", "latency_ms<=50 ms@0.99" (with probability 0.99), '
        '"memory_mb<=0.9*memory_gb"; may be given many times.',
    )
    return weighing_options(option(command))


def weighing_options(command: F) -> F:
    """Add what is weighed: objective, risk, and what cost and energy are counted with."""
    for option in (
        click.option("--power", metavar="NAME", help="Metric or fact of the power that is drawn."),
        click.option("--work-metric", metavar="NAME", help="Metric of the time of a unit of work."),
        click.option("--quantile", type=float, help="Weigh this quantile instead of a mean."),
        click.option("--risk", type=float, default=0.0, help="Weigh the worst 1 - risk only."),
        click.option(
            "--objective",
            "objectives",
            multiple=True,
            metavar="NAME[=WEIGHT[/REFERENCE]]",
            help="A metric, a fact, cost, energy or price_per_hour; several make a mix.",
        ),
    ):
        command = option(command)
    return command


def objective_of(given: Sequence[str], risk: float, quantile: float | None) -> Objective:
    """Return the objective of --objective, --risk and --quantile."""
    from foretell.decide import Objective

    return Objective(tuple(map(_term, given)), risk, quantile)


def _term(text: str) -> Any:  # noqa: ANN401 -- a Term
    from foretell.decide import Term

    name, equals, rest = text.partition("=")
    weight, slash, reference = rest.partition("/")
    form = "NAME[=WEIGHT[/REFERENCE]]"
    try:
        return Term(name, float(weight) if equals else 1.0, float(reference) if slash else 1.0)
    except ValueError:
        raise _wrong("--objective", text, f"of the form {form}") from None


def limit_of(text: str) -> Limit:
    """Return a limit that is written as `latency_ms<=50 ms@0.95`."""
    from foretell.decide import Limit

    found = _LIMIT.fullmatch(text.strip())
    if found is None:
        raise _wrong("--limit", text, 'of the form "NAME<=VALUE [UNIT][@PROBABILITY]"')
    name, sign, bound, unit = found["name"], found["sign"], found["bound"], found["unit"]
    joined = None if unit else _NUMBER_AND_UNIT.fullmatch(bound)
    if joined:
        bound, unit = joined.groups()
    shared: dict[str, Any] = {"unit": unit or ""}
    if found["probability"]:
        shared["probability"] = float(found["probability"])
    try:
        value = float(bound)
    except ValueError:
        if sign == ">=":
            raise _wrong("--limit", text, "a limit: a fact can only be an upper one") from None
        return Limit(name, at_most_fact=bound, share=float(found["share"] or 1), **shared)
    if found["share"]:
        raise _wrong("--limit", text, "a limit: a share is one of a fact")
    if sign == "<=":
        return Limit(name, at_most=value, **shared)
    return Limit(name, at_least=value, **shared)


def features_of(option: str, given: Sequence[str], kinds: Mapping[str, str]) -> dict[str, Any]:
    """Return NAME=VALUE texts as features, each read as its kind."""
    found = {}
    for text in given:
        name, equals, value = text.partition("=")
        if not (name and equals):
            raise _wrong(option, text, "of the form NAME=VALUE")
        found[name] = feature_value(option, name, value, kinds)
    return found


def feature_value(
    option: str, name: str, text: str, kinds: Mapping[str, str]
) -> float | bool | str:
    """Return a text as the value of a feature."""
    if name not in kinds:
        known = listing(list(kinds))
        message = f"there is no feature {name!r}; known: {known}"
        raise InvalidInput([Violation(option, text, message)])
    if kinds[name] == "flag":
        words = {"true": True, "yes": True, "1": True, "false": False, "no": False, "0": False}
        if text.lower() not in words:
            raise _wrong(f"{option} {name}", text, "true or false")
        return words[text.lower()]
    if kinds[name] == "number":
        try:
            return float(text)
        except ValueError:
            return text  # a format such as "43.9 MB" is the schema's to read, or to refuse
    return text


def named_features(
    option: str, text: str, kinds: Mapping[str, str], special: Sequence[str] = ()
) -> tuple[str, dict[str, Any], dict[str, float]]:
    """Return what NAME[,FEATURE=VALUE...] says: the name, features, and special numbers."""
    name, *rest = _split(text)
    numbers = {}
    features = []
    for part in rest:
        key, _, value = part.partition("=")
        if key in special and key not in kinds:
            try:
                numbers[key] = float(value)
            except ValueError:
                raise _wrong(f"{option} {key}", value, "a number") from None
        else:
            features.append(part)
    return name, features_of(option, features, kinds), numbers


@contextmanager
def asked_by(option: str, fields: Mapping[str, str], text: str = "") -> Iterator[None]:
    """Name an option, and what was written there, where a refusal names what became of it.

    `fields` are those that the option fills, each with what it shall be called.
    """
    try:
        yield
    except InvalidInput as error:
        found: dict[Violation, None] = {}
        for v in error.violations:
            called = _called(v.field, fields)
            name = f"{option} {called}".strip()
            found.setdefault(v if called is None else Violation(name, text or v.value, v.message))
        raise InvalidInput(list(found)) from None


def _called(field: str, fields: Mapping[str, str]) -> str | None:
    """Return what a field shall be called, None where its own name is good."""
    return next(
        (c for f, c in fields.items() if field == f or field.startswith((f + "[", f + "."))), None
    )


def axis_values(option: str, name: str, text: str, asker: Asker) -> tuple[Any, ...]:
    """Return the values that an axis takes: `*` for all known, else a list with commas."""
    if text == "*":
        known = asker.known(name)
        if not known:
            raise _wrong(option, text, f"possible: the bundle knows no values of {name!r}")
        return known
    parts = _split(text)
    if "" in parts:
        what = "has an empty value" if any(parts) else f"has no values; {name}=* is all known"
        written = f"{name}={text}"
        raise InvalidInput([Violation(option, written, f"{written!r} {what}")])
    return tuple(feature_value(option, name, part, asker.kinds) for part in parts)


def _split(text: str) -> list[str]:
    r"""Return a list that is written with commas; `\,` is a comma of a value."""
    return [part.replace("\\,", ",").strip() for part in re.split(r"(?<!\\),", text)]


def _wrong(option: str, text: str, wanted: str) -> InvalidInput:
    return InvalidInput([Violation(option, text, f"{text!r} is not {wanted}")])
