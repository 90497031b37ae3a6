"""Prepared rows: a snapshot as the engine sees it, with eyes of its own or of an earlier fit."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from foretell.catalog import CatalogTable
from foretell.encoding import Encoded, Encoder, Vocabulary
from foretell.schema import Schema
from foretell.table_columns import build_vocabulary
from foretell_trainer.engine.censored import with_censored
from foretell_trainer.engine.inputs import InputMap, fit_inputs
from foretell_trainer.engine.linear import fit_layout
from foretell_trainer.engine.training_set import TrainingSet
from foretell_trainer.snapshot import Columns, Snapshot, read_snapshot


@dataclass(frozen=True)
class Eyes:
    """How an earlier fit saw its rows; what it knew keeps its place."""

    vocabulary: Vocabulary
    input_map: InputMap


@dataclass(frozen=True)
class Prepared:
    """The rows of a snapshot, on their way into a bundle."""

    schema: Schema
    snapshot: Snapshot
    catalogs: Sequence[CatalogTable]
    columns: Columns
    encoder: Encoder
    encoded: Encoded
    training: TrainingSet

    @classmethod
    def of(
        cls,
        schema: Schema,
        snapshot: Snapshot,
        catalogs: Sequence[CatalogTable],
        eyes: Eyes | None = None,
    ) -> Prepared:
        """Read a snapshot and prepare its rows."""
        columns = read_snapshot(snapshot, schema)
        return cls(schema, snapshot, catalogs, columns, *prepare(schema, columns, catalogs, eyes))


def prepare(
    schema: Schema,
    columns: Columns,
    catalogs: Sequence[CatalogTable],
    eyes: Eyes | None = None,
) -> tuple[Encoder, Encoded, TrainingSet]:
    """Return the encoder that the rows of a snapshot make, and the rows as the engine sees them."""
    vocabulary = build_vocabulary(schema, columns.features, catalogs, named="name")
    if eyes is not None:
        vocabulary = _grown(eyes.vocabulary, vocabulary)
    encoder = Encoder(schema, vocabulary, catalogs)
    encoded, _ = encoder.encode_table(columns.features, named="name")
    input_map = fit_inputs(schema, vocabulary, catalogs, encoded.numbers, encoded.categories)
    if eyes is not None:
        input_map = replace(
            eyes.input_map,
            number_facts=input_map.number_facts,
            learnt_facts=input_map.learnt_facts,
            category_facts=input_map.category_facts,
        )
    training = TrainingSet(
        schema=schema,
        input_map=input_map,
        inputs=input_map(encoded.numbers, encoded.categories),
        sizes=tuple(len(vocabulary[name]) for name in schema.category_names),
        metrics=columns.metrics,
    )
    if np.isfinite(columns.lower_bounds).any():
        sizes, inputs = training.sizes, training.inputs
        layout = fit_layout(sizes, inputs, training.ids, training.extrapolated)
        log = [metric.scale == "log" for metric in schema.metrics]
        bounds = columns.lower_bounds
        training = replace(
            training, metrics=with_censored(inputs, columns.metrics, bounds, log, layout)
        )
    return encoder, encoded, training


def _grown(before: Vocabulary, now: Vocabulary) -> dict[str, tuple[str, ...]]:
    """Return what was known before, each value in its place, and after it what is new."""
    grown = {}
    for name, values in now.items():
        first = tuple(before.get(name, ()))
        grown[name] = (*first, *(value for value in values if value not in set(first)))
    return grown
