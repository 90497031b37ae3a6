"""The data plane: plain values in, answers out. No transport; callable in-process."""

from __future__ import annotations

import itertools
import secrets
from collections.abc import Callable, Mapping
from concurrent.futures import Executor
from dataclasses import dataclass

from foretell.columns import Column
from foretell.encoding import Encoded
from foretell.errors import InvalidInput, TooMuch, Violation
from foretell.few_rows import encode_few
from foretell.parsing import Value
from foretell_server.answers import Answers, join_answers, read_answers
from foretell_server.few import FEW_ROWS, FewRows
from foretell_server.options import DEFAULT_OPTIONS, Options, Plan
from foretell_server.shelf import LiveBundle
from foretell_server.slices import in_slices

_CELL_BYTES = 8


def wanted() -> bool:
    """Say that somebody waits for the answer: the caller that is not `gone`."""
    return False


@dataclass(frozen=True, slots=True)
class Question:
    """One item of work to forecast."""

    features: Mapping[str, Value]
    options: Options = DEFAULT_OPTIONS


@dataclass(frozen=True, slots=True)
class TableQuestion:
    """Many items of one workload to forecast, column by column."""

    columns: Mapping[str, Column]
    rows: int
    options: Options = DEFAULT_OPTIONS


class DataPlane:
    """Answers questions with a bundle. Holds no state but the names of its answers."""

    def __init__(
        self,
        max_rows: int,
        max_answer_bytes: int | None = None,
        helpers: Executor | None = None,
        most_helpers: int = 0,
    ) -> None:
        """`helpers` are threads that may work on large batches too, so many on one at most."""
        self.max_rows = max_rows
        self._helpers = helpers
        self._most_helpers = most_helpers
        self._max_answer_bytes = max_answer_bytes
        # Unique over processes and restarts without asking anybody.
        self.prefix = secrets.token_hex(6)
        """What the names of all its answers begin with."""
        self._numbers = itertools.count(1)

    def predict(self, bundle: LiveBundle, question: Question) -> Answers:
        """Return the forecast of one item; InvalidInput names everything wrong with it."""
        plan = bundle.plan(question.options)
        encoded = bundle.predictor.encoder.encode(question.features)
        return _answer(bundle, plan, encoded, self.new_name())

    def predict_table(
        self, bundle: LiveBundle, question: TableQuestion, gone: Callable[[], bool] = wanted
    ) -> Answers:
        """Return the forecasts of many items; one bad row refuses them all.

        Raises Cancelled between two slices once `gone` says that nobody waits any more.
        """
        self.check_rows(question.rows)
        plan = bundle.plan(question.options)
        self._check_answer(question.rows, plan.cells + 1 + len(bundle.groups))
        name = self.new_name()
        if question.rows <= FEW_ROWS:
            few = encode_few(bundle.predictor.encoder, question.columns, question.rows)
            if few is not None:
                return _few_reader(bundle, plan).answers(few, bundle.predictor.run_rows(few), name)
        encoded = bundle.predictor.encoder.encode_columns(question.columns, question.rows)

        def answer(rows: slice) -> Answers:
            return _answer(bundle, plan, _slice(encoded, rows), name)

        parts = in_slices(len(encoded), answer, gone, self._helpers, self._most_helpers)
        return join_answers(parts)

    def check_rows(self, rows: int) -> None:
        """Raise InvalidInput unless so many rows may be asked for in one call."""
        if rows < 1:
            raise InvalidInput([Violation("row_count", str(rows), "at least 1 row is needed")])
        if rows > self.max_rows:
            message = f"{rows} rows are more than the {self.max_rows} that one call may have"
            raise InvalidInput([Violation("row_count", str(rows), message)])

    def _check_answer(self, rows: int, cells: int) -> None:
        """Raise TooMuch when an answer of so many numbers per row could not be sent."""
        size, most = rows * cells * _CELL_BYTES, self._max_answer_bytes
        if most is not None and size > most:
            raise TooMuch(
                f"{rows} rows of {cells} numbers each make an answer of {size} bytes, more than "
                f"the {most} of max_message_bytes; ask for fewer rows at a time, or for less"
            )

    def new_name(self) -> str:
        """Return a name that no other answer has."""
        return f"{self.prefix}-{next(self._numbers):x}"


def _answer(bundle: LiveBundle, plan: Plan, encoded: Encoded, name: str) -> Answers:
    return read_answers(
        plan,
        bundle.predictor.forecast(encoded),
        workload=bundle.workload,
        bundle_version=bundle.version,
        groups=bundle.groups,
        prediction_id=name,
    )


def _few_reader(bundle: LiveBundle, plan: Plan) -> FewRows:
    """Return what answers few rows by this plan; compiled once."""
    found: FewRows | None = bundle.few_rows.get(plan.options)
    if found is None:
        found = FewRows(plan, bundle.predictor)
        bundle.few_rows.put(plan.options, found)
    return found


def _slice(encoded: Encoded, rows: slice) -> Encoded:
    return Encoded(encoded.numbers[rows], encoded.categories[rows], encoded.unknown[rows])
