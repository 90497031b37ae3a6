"""Nodes are the engine's settings, with the facts of the machine they were measured on."""

from __future__ import annotations

import os

import pytest

from foretell.errors import NotFound
from foretell.measure.nodes import DEFAULT_NODES, NODES, node_named


def test_facts_name_the_settings_and_the_machine() -> None:
    """Each row has the same columns; what differs between nodes is in it."""
    rows = [node.facts() for node in NODES.values()]
    assert len({tuple(row) for row in rows}) == 1
    assert len({tuple(row.values()) for row in rows}) == len(rows)
    assert rows[0]["cpu_count"] == len(os.sched_getaffinity(0))
    assert float(rows[0]["memory_gb"]) > 0.1
    assert rows[0]["cpu_model"]


def test_the_default_nodes_exist() -> None:
    """The default choice is a part of what there is."""
    assert set(DEFAULT_NODES) <= set(NODES)
    assert len(DEFAULT_NODES) >= 2


def test_an_unknown_node_is_refused_with_the_known_ones() -> None:
    """A wrong name is answered with the names that exist."""
    with pytest.raises(NotFound, match="cranelift-speed-fuel"):
        node_named("winch")
