"""Rows that wait at the same time are run together; each gets its own answer or error."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from foretell.encoding import EncodedRow
from foretell.predictor import Predictor, RowOutputs
from foretell_server.batching import MOST_ROWS, RowBatcher
from tests.bundles import tiny_bundle


class Counted:
    """A predictor that notes how many rows each run has, and fails on some."""

    def __init__(self, predictor: Predictor) -> None:
        self._predictor = predictor
        self.runs: list[int] = []

    def run_rows(self, rows: Sequence[EncodedRow]) -> list[RowOutputs]:
        """Run rows; a row whose first number is negative fails them all."""
        self.runs.append(len(rows))
        if any(row.numbers[0] < 0 for row in rows):
            raise RuntimeError("the graph fails")
        return self._predictor.run_rows(rows)


@pytest.fixture
def predictor(tmp_path: Path) -> Any:  # noqa: ANN401 -- stands for a Predictor
    """A tiny bundle, loaded, whose runs are counted."""
    tiny_bundle(tmp_path / "bundle")
    return Counted(Predictor.load(tmp_path / "bundle"))


def row(size: float) -> EncodedRow:
    """Return an encoded toy."""
    return EncodedRow([size, 0.0], [0, -1], ())


def itself(outputs: RowOutputs) -> RowOutputs:
    """Answer with what the graph said."""
    return outputs


def test_rows_that_come_together_are_run_together(predictor: Any) -> None:  # noqa: ANN401
    """Rows of one pass of the loop share a run, in their order, up to a most."""

    async def ask() -> list[RowOutputs]:
        batcher = RowBatcher()
        sizes = range(1, MOST_ROWS + 4)
        asked = [batcher.ask(predictor, row(float(s)), itself) for s in sizes]
        batcher.need()
        return await asyncio.gather(*asked)

    answers = asyncio.run(ask())
    assert predictor.runs == [MOST_ROWS, 3]
    locations = [answer.location[0] for answer in answers]
    assert locations == sorted(locations)
    assert len(set(locations)) == len(locations)


def test_a_row_that_fails_fails_alone(predictor: Any) -> None:  # noqa: ANN401
    """When a run fails, each of its rows is run by itself, and only the bad one hears of it."""

    async def ask() -> list[Any]:
        batcher = RowBatcher()
        asked = [batcher.ask(predictor, row(size), itself) for size in (1.0, -1.0, 2.0)]
        batcher.need()
        return await asyncio.gather(*asked, return_exceptions=True)

    good, bad, also_good = asyncio.run(ask())
    assert isinstance(bad, RuntimeError)
    assert isinstance(good, RowOutputs)
    assert isinstance(also_good, RowOutputs)
    assert predictor.runs == [3, 1, 1, 1]


def test_rows_of_callers_that_have_gone_are_not_run(predictor: Any) -> None:  # noqa: ANN401
    """A row whose caller cancelled while it waited costs nothing."""

    async def ask() -> RowOutputs:
        batcher = RowBatcher()
        gone = batcher.ask(predictor, row(1.0), itself)
        stays = batcher.ask(predictor, row(2.0), itself)
        gone.cancel()
        batcher.need()
        return await stays

    assert asyncio.run(ask()).location
    assert predictor.runs == [1]


def test_each_bundle_runs_its_own_rows(predictor: Any) -> None:  # noqa: ANN401
    """During a swap rows of two bundles may wait together; none is run by the other."""

    async def ask(other: Any) -> None:  # noqa: ANN401
        batcher = RowBatcher()
        whose = (predictor, other, predictor)
        asked = [batcher.ask(mine, row(float(size)), itself) for size, mine in enumerate(whose, 1)]
        batcher.need()
        await asyncio.gather(*asked)

    other = Counted(predictor._predictor)
    asyncio.run(ask(other))
    assert predictor.runs == [2]
    assert other.runs == [1]


def test_a_row_that_comes_alone_is_run_at_once(predictor: Any) -> None:  # noqa: ANN401
    """Where nobody shared a run before, a row does not wait for the loop, unless it fails."""

    async def ask() -> tuple[RowOutputs | None, RowOutputs | None, Any]:
        batcher = RowBatcher()
        good, bad = batcher.alone(predictor, row(1.0)), batcher.alone(predictor, row(-1.0))
        asked = batcher.ask(predictor, row(-1.0), itself)
        batcher.need()
        (told,) = await asyncio.gather(asked, return_exceptions=True)
        return good, bad, told

    good, bad, told = asyncio.run(ask())
    assert good is not None
    assert good.location
    assert bad is None
    assert isinstance(told, RuntimeError)


def test_rows_wait_for_each_other_once_that_has_paid(predictor: Any) -> None:  # noqa: ANN401
    """After rows have shared a run, and while some wait, none is run alone."""

    async def ask() -> tuple[RowOutputs | None, RowOutputs | None]:
        batcher = RowBatcher()
        asked = [batcher.ask(predictor, row(size), itself) for size in (1.0, 2.0)]
        meanwhile = batcher.alone(predictor, row(3.0))
        batcher.need()
        await asyncio.gather(*asked)
        return meanwhile, batcher.alone(predictor, row(4.0))

    assert asyncio.run(ask()) == (None, None)
    assert predictor.runs == [2]


def test_rows_that_nobody_needs_yet_wait_for_a_whole_batch(predictor: Any) -> None:  # noqa: ANN401
    """Without anybody who needs them, rows are run when there are as many as a run may have."""

    async def ask() -> None:
        batcher = RowBatcher()
        asked = [batcher.ask(predictor, row(1.0 + i), itself) for i in range(MOST_ROWS - 1)]
        for _ in range(100):
            await asyncio.sleep(0)
        assert not any(outputs.done() for outputs in asked)
        batcher.ask(predictor, row(0.5), itself)
        assert all(outputs.done() for outputs in asked)

    asyncio.run(ask())
    assert predictor.runs == [MOST_ROWS]


def test_a_row_that_was_there_when_another_ran_alone_waits(predictor: Any) -> None:  # noqa: ANN401
    """Of several rows in one pass of the loop the first is run alone; the others share a run."""

    async def ask() -> list[bool]:
        batcher = RowBatcher()
        first = batcher.alone(predictor, row(1.0))
        await asyncio.sleep(0)
        second, third = (batcher.alone(predictor, row(size)) for size in (2.0, 3.0))
        asked = [batcher.ask(predictor, row(size), itself) for size in (3.0, 4.0)]
        batcher.need()
        await asyncio.gather(*asked)
        return [outputs is not None for outputs in (first, second, third)]

    assert asyncio.run(ask()) == [True, True, False]
    assert predictor.runs == [1, 1, 2]


def test_a_batch_is_run_though_it_is_not_as_large_as_the_one_before(predictor: Any) -> None:  # noqa: ANN401
    """Rows are waited for while the loop has something to do, and not until they have come."""

    async def ask() -> None:
        batcher = RowBatcher()
        for rows in (3, 2, 4, 4):
            asked = [batcher.ask(predictor, row(1.0 + size), itself) for size in range(rows)]
            batcher.need()
            await asyncio.gather(*asked)

    asyncio.run(ask())
    assert predictor.runs == [3, 2, 4, 4]


@pytest.mark.parametrize("rows", [3, MOST_ROWS])
def test_rows_that_are_read_later_share_a_run(predictor: Any, rows: int) -> None:  # noqa: ANN401
    """What is to be read right before a run is, and then goes through the graph in one run."""

    async def ask() -> list[RowOutputs]:
        batcher = RowBatcher()
        asked: list[asyncio.Future[RowOutputs]] = []

        def read(size: float) -> None:
            asked.append(batcher.ask(predictor, row(size), itself))

        for number in range(rows):
            batcher.later(partial(read, 1.0 + number))
        while not asked:
            await asyncio.sleep(0)
        return await asyncio.gather(*asked)

    assert len(asyncio.run(ask())) == rows
    assert predictor.runs == [rows]
