"""Blame: a slowdown is reported of the one whose it is."""

from __future__ import annotations

from collections import defaultdict
from datetime import datetime, timedelta
from itertools import product

import numpy as np
import pytest

from foretell_trainer.watch.blame import Blame, Key
from foretell_trainer.watch.regressions import Run

NOON = datetime(2031, 1, 31, 12)  # noqa: DTZ001 -- the store's times are UTC, unmarked
FUNCTIONS, NODES = ("f", "g", "h"), ("a", "b", "c")
EACH = 60
"""Runs of each function on each node, half of them before the change."""

Where = set[tuple[str, str]]
EVERYWHERE = set(product(FUNCTIONS, NODES))


def blamed(slow: Where, ran: Where = EVERYWHERE, *, pairs: bool = True) -> set[str]:
    """Return whom a slowdown of these (function, node) by a half is blamed on."""
    noise = np.random.default_rng(3)
    runs: dict[Key, list[Run]] = defaultdict(list)
    for i in range(EACH):
        for function, node in sorted(ran):
            worse = 0.1 * noise.standard_normal()
            worse += np.log(1.5) * (i >= EACH // 2 and (function, node) in slow)
            at = NOON + timedelta(minutes=i)
            run = Run(at, "", worse, (("function", function), ("node", node)))
            runs["s", ("function",), (function,)].append(run)
            runs["s", ("node",), (node,)].append(run)
            if pairs:
                runs["s", ("function", "node"), (function, node)].append(run)
    blame = Blame(runs, 20.0)
    return {"".join(key[2]) for key in runs if blame.change(key) is not None}


@pytest.mark.parametrize("pairs", [True, False])
def test_a_function_that_is_slower_everywhere_is_blamed_and_no_node(pairs: bool) -> None:
    """Nodes are blamed only when several functions are slower there."""
    found = blamed({("f", node) for node in NODES}, pairs=pairs)
    assert found == ({"f", "fa", "fb", "fc"} if pairs else {"f"})


def test_nodes_that_ran_hardly_anything_else_are_not_blamed() -> None:
    """Where one function has most of the runs of each node, it is still the function."""
    ran = {("f", node) for node in NODES} | {("g", "a"), ("g", "b")}
    found = blamed({("f", node) for node in NODES}, ran, pairs=False)
    assert found == {"f"}


@pytest.mark.parametrize("pairs", [True, False])
def test_a_node_that_is_slower_for_all_is_blamed_and_no_function(pairs: bool) -> None:
    """Functions are blamed only when they are slower on several nodes."""
    found = blamed({(function, "a") for function in FUNCTIONS}, pairs=pairs)
    assert found == ({"a", "fa", "ga", "ha"} if pairs else {"a"})


def test_a_function_that_is_slower_on_one_node_alone_is_the_pair() -> None:
    """Where both are as before without each other, only what they are together is blamed."""
    ran = {("f", "a"), ("f", "b"), ("g", "a")}
    assert blamed({("f", "a")}, ran) == {"fa"}


def test_one_is_blamed_where_there_is_no_group_of_both() -> None:
    """Of a function and a node that are as before without each other, one is blamed, not both."""
    ran = {("f", "a"), ("f", "b"), ("g", "a")}
    assert len(blamed({("f", "a")}, ran, pairs=False)) == 1
