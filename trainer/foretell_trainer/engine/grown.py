"""Models that have room for more: the same answers, and places for values that are new."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from foretell_trainer.engine.costs import Costs
from foretell_trainer.engine.inputs import Floats
from foretell_trainer.engine.interaction import Interaction
from foretell_trainer.engine.linear import Layout, LinearModel
from foretell_trainer.engine.location import Location
from foretell_trainer.engine.training_set import TrainingSet


def widened(location: Location, training: TrainingSet) -> Location:
    """Return a location that takes the codes and the map of the inputs of a training set.

    Values that it does not know, all after those that it does, have no effect: base and
    interaction answer for them as for unknown ones. Its gates are left as they are.
    """
    sizes = training.sizes
    parts, floor = location.parts, location.floor
    if parts is not None:
        parts = replace(
            parts,
            work=_layout(parts.work, sizes),
            floor=_layout(parts.floor, sizes),
        )
    own = location.interaction
    return replace(
        location,
        inputs=training.input_map,
        base=_base(location.base, sizes),
        interaction=None if own is None else _interaction(own, sizes),
        parts=parts,
        floor=None if floor is None else _base(floor, sizes),
        costs=None if location.costs is None else _costs(location.costs, sizes),
    )


def packed(base: LinearModel) -> Floats:
    """Return the weights [K] for `columns_of_base`, around a centre of 0."""
    tables = [table[1:] for table in (*base.effects, *base.slopes)]
    return np.concatenate([[base.intercept], base.weights, *tables])


def _layout(layout: Layout, sizes: tuple[int, ...]) -> Layout:
    # What has no rows yet has nothing to grow along.
    growths = tuple(
        replace(
            growth,
            centre=_longer(growth.centre, sizes[growth.category]),
            spread=_longer(growth.spread, sizes[growth.category], np.inf),
        )
        for growth in layout.growths
    )
    return replace(layout, sizes=sizes, growths=growths)


def _base(base: LinearModel, sizes: tuple[int, ...]) -> LinearModel:
    slopes = zip(base.slopes, base.layout.slopes, strict=True)
    return replace(
        base,
        layout=_layout(base.layout, sizes),
        effects=tuple(_longer(t, size) for t, size in zip(base.effects, sizes, strict=True)),
        slopes=tuple(_longer(table, sizes[category]) for table, (category, _, _) in slopes),
    )


def _interaction(own: Interaction, sizes: tuple[int, ...]) -> Interaction:
    members = (own.plan.subject, *own.plan.shared)
    wider = tuple(sizes[member] for member in members)
    return replace(
        own,
        plan=replace(
            own.plan,
            sizes=wider,
            setting_sizes=tuple(sizes[member] for member in own.plan.setting_categories),
        ),
        tables=tuple(_longer(t, size) for t, size in zip(own.tables, wider, strict=True)),
    )


def _costs(costs: Costs, sizes: tuple[int, ...]) -> Costs:
    kind = costs.kind
    if kind is not None and costs.amounts.kind is not None:
        kind = _longer(kind, sizes[costs.amounts.kind], kind[0])
    where = _longer(costs.where, sizes[costs.amounts.where], costs.where[0])
    return replace(costs, amounts=replace(costs.amounts, sizes=sizes), where=where, kind=kind)


def _longer(table: Floats, size: int, other: float | Floats = 0.0) -> Floats:
    """Return a table of [size + 1] values, or rows, that begins with another's."""
    more = np.zeros((size + 1 - len(table), *table.shape[1:])) + other
    return np.concatenate([table, more])
