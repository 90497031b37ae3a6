"""What a bundle's catalogs know about the values of a configuration."""

from __future__ import annotations

from collections.abc import Mapping

from foretell.decide.questions import PRICE, Features
from foretell.parsing import Value
from foretell.predictor import Predictor


class FactBook:
    """The catalogs of one bundle, looked up by the features of a configuration."""

    def __init__(self, predictor: Predictor) -> None:
        schema = predictor.schema
        tables = {table.name: table for table in predictor.manifest.catalogs}
        self._names = {fact.name for fact in schema.facts}
        self._of = {
            feature: tuple(f.name for c in schema.catalogs if c.key == feature for f in c.facts)
            for feature in schema.category_names
        }
        vocabulary = predictor.encoder.vocabulary
        self._known = {name: frozenset(values) for name, values in vocabulary.items()}
        self.has_prices = PRICE in self._names
        """Whether prices can stand in a catalog."""
        self._by_key: list[tuple[str, Mapping[str, Mapping[str, Value]]]] = [
            (
                catalog.key,
                {key: tables[catalog.name].describe(key) for key in tables[catalog.name].keys},
            )
            for catalog in schema.catalogs
            if catalog.name in tables
        ]

    def known(self, feature: str) -> frozenset[str]:
        """Return the values of a category that the bundle knows, from data or a catalog."""
        return self._known.get(feature, frozenset())

    def facts_of(self, feature: str) -> tuple[str, ...]:
        """Return the names of the facts that there are about the values of a category."""
        return self._of.get(feature, ())

    def facts(self, features: Features) -> dict[str, Value]:
        """Return the facts about a configuration; those that it carries itself come first."""
        found: dict[str, Value] = {}
        for feature, known in self._by_key:
            key = features.get(feature)
            if isinstance(key, str) and key in known:
                found.update(known[key])
        found.update({n: v for n, v in features.items() if n in self._names and v is not None})
        return found
