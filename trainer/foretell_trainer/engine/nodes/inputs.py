"""Inputs as nodes: facts joined, logs taken, scales made equal, as `InputMap` does."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from foretell_trainer.engine.graph import GraphBuilder
from foretell_trainer.engine.inputs import MISSING_MARK, Fact, Floats, InputMap
from foretell_trainer.engine.nodes.look_ups import LookUps, Places


@dataclass(frozen=True)
class NumberNodes:
    """The names, in a graph, of what `Inputs` holds of numbers as arrays; double [n, F] each."""

    standard: str
    inside: str
    """Standardised, within the range of the training."""
    raw: str
    """Of log-scaled numbers: not in logs, within the range of the training. Else 0."""
    out: str
    """How far `standard` would be out of the range, below it less than 0."""
    missing: str | None
    """bool [n, F]; None where nothing goes by what is missing."""
    left_out: str
    """bool [n, F]: what is missing, whatever is known of facts."""
    trees: str
    logs: str
    """Of all numbers, with what is missing taken for the typical one."""
    beyond: str


def codes_to_onnx(graph: GraphBuilder, mapping: InputMap, categories: str) -> str:
    """Add the codes of all categories with facts filled in; int64 [n, C]."""
    codes = categories
    for facts in _rounds(mapping.category_facts):
        unknown = graph.add("Less", codes, graph.constant(np.zeros(1, np.int64)))
        codes = graph.add("Where", unknown, _filled_in(graph, mapping, facts, codes), codes)
    return codes


def _rounds(facts: Sequence[Fact]) -> list[list[Fact]]:
    """Return facts such that those whose key is a fact itself come in a later round."""
    rounds: list[list[Fact]] = []
    depths: dict[int, int] = {}
    for fact in facts:
        depth = depths.get(fact.key, -1) + 1
        depths[fact.column] = depth
        rounds += [[]] if depth == len(rounds) else []
        rounds[depth].append(fact)
    return rounds


def _filled_in(graph: GraphBuilder, mapping: InputMap, facts: Sequence[Fact], codes: str) -> str:
    """Add the codes that facts say, -1 where they say nothing; int64 [n, C]."""
    sizes = {fact.key: len(fact.table) - 1 for fact in facts}
    tables = {
        k: np.zeros((size + 1, mapping.category_count), np.int64) for k, size in sizes.items()
    }
    for fact in facts:
        tables[fact.key][:, fact.column] = fact.table
    silent = np.setdiff1d(np.arange(mapping.category_count), [fact.column for fact in facts])
    next(iter(tables.values()))[:, silent] = -1
    if len(sizes) == 1:
        # With the row of the unknown at the end, its code is its place as it is.
        ((key, table),) = tables.items()
        return graph.rows_of(np.roll(table, -1, axis=0), graph.column(codes, key))
    places = Places(mapping.category_count)
    places.add_rows(tuple(sizes), tuple(sizes.values()))
    (place,) = places.to_onnx(graph, codes)
    return graph.sum_over(graph.rows_of(np.concatenate([*tables.values()]), place), 1)


def facts_of_numbers(mapping: InputMap, look_ups: LookUps, otherwise: Floats) -> int | None:
    """Add the numbers that are facts to what is looked up, or what stands for an unknown one, [F].

    None without any facts.
    """
    facts = mapping.all_number_facts
    if not facts:
        return None
    width = len(mapping.mean)
    known = [fact.column for fact in facts]
    tables: dict[int, Floats] = {}
    for fact in facts:
        table = tables.setdefault(fact.key, np.zeros((len(fact.table), width)))
        table[:, fact.column] = np.where(np.isnan(fact.table), otherwise[fact.column], fact.table)
    others = np.setdiff1d(np.arange(width), known)
    tables[facts[0].key][:, others] = otherwise[others]
    return look_ups.add(width, tables)


def numbers_to_onnx(
    graph: GraphBuilder, mapping: InputMap, numbers: str, facts: str | None, *, marks: bool
) -> NumberNodes:
    """Add all numbers, from those of a request and the facts of its categories; [n, F] each.

    Without `marks` nothing goes by what is missing, and facts that are unknown are typical.
    """
    # Comparisons and logs of NaN differ between implementations, so none reach them.
    missing, left_out = None, graph.add("IsNaN", numbers)
    if marks:
        typical = graph.constant(mapping.typical)
        values = numbers
        if facts is not None:
            values = graph.add("Where", left_out, facts, numbers)
        missing = left_out if facts is None else graph.add("IsNaN", values)
        present = graph.add("Where", missing, typical, values)
    else:
        otherwise = facts or graph.constant(mapping.typical)
        present = graph.add("Where", left_out, otherwise, numbers)
    logs = graph.add("Log", graph.add("Max", present, graph.constant(mapping.floor)))
    scaled = logs
    if not mapping.is_log.all():
        scaled = graph.add("Where", graph.constant(mapping.is_log), logs, present)
    centred = graph.add("Sub", scaled, graph.constant(mapping.mean))
    free = graph.add("Div", centred, graph.constant(mapping.deviation))
    inside = graph.add("Max", free, graph.constant(mapping.seen_lowest))
    inside = graph.add("Min", inside, graph.constant(mapping.seen_highest))
    out = graph.add("Sub", free, inside)
    beyond = graph.add("Min", graph.add("Abs", out), graph.constant(mapping.most_beyond))
    standard = _standard(graph, mapping, free, inside)
    trees = standard
    if missing is not None and mapping.had_missing.any():
        marked = graph.constant(np.where(mapping.had_missing, MISSING_MARK, 0.0))
        trees = graph.add("Where", missing, marked, standard)
    raw = _raw_to_onnx(graph, mapping, present)
    return NumberNodes(standard, inside, raw, out, missing, left_out, trees, logs, beyond)


def _standard(graph: GraphBuilder, mapping: InputMap, free: str, inside: str) -> str:
    """Add the standardised numbers, those that extrapolate free of the range of the training."""
    open_ended = mapping.highest > mapping.seen_highest
    if not open_ended.any():
        return inside
    if np.isinf(mapping.highest[open_ended]).all():
        return graph.add("Where", graph.constant(open_ended), free, inside)
    found = graph.add("Max", free, graph.constant(mapping.lowest))
    return graph.add("Min", found, graph.constant(mapping.highest))


def _raw_to_onnx(graph: GraphBuilder, mapping: InputMap, present: str) -> str:
    lowest, highest = np.zeros((2, len(mapping.mean)))
    lowest[mapping.log_columns] = mapping.raw_lowest
    highest[mapping.log_columns] = mapping.raw_highest
    raw = graph.add("Max", present, graph.constant(lowest))
    return graph.add("Min", raw, graph.constant(highest))
