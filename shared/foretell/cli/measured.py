"""Files of measurements, read as a bundle's forecasts can be compared with them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from foretell.cli.tables import absent_columns, read_tables, warn_of_absent
from foretell.errors import InvalidInput, NotFound, Violation

if TYPE_CHECKING:
    from foretell.encoding import Encoded
    from foretell.forecast import Floats
    from foretell.predictor import Predictor
    from foretell_trainer.readers import Table


@dataclass(frozen=True)
class MeasuredRows:
    """The usable rows of some files."""

    table: Table
    kept: list[int]
    """Which of the table's rows they are."""
    encoded: Encoded
    metrics: Floats
    """[n, M], NaN where not measured."""
    rejected: list[str]
    """The other rows, and why they cannot be used."""
    left_out: list[str]
    """Measurements that cannot be, of rows that are used for what else was measured."""

    def labels(self, column: str) -> list[str | None]:
        """Return the texts of a column of the files; NotFound when they have none of the name."""
        if column not in self.table.columns:
            raise NotFound("column", column, list(self.table.columns))
        cells = self.table.columns[column]
        return [_label(cells[i]) for i in self.kept]


def read_measured(predictor: Predictor, files: Sequence[Path]) -> MeasuredRows:
    """Return the rows of files in which some metric was measured.

    Raises InvalidInput, with the first reason, when there are none.
    """
    import numpy as np

    from foretell.encoding import Encoded
    from foretell.table_columns import metric_values

    table = read_tables(files)
    warn_of_absent(absent_columns(predictor.schema, table.columns))
    encoded, wrong = predictor.encoder.encode_table(table.columns)
    metrics, mismeasured = metric_values(predictor.schema, table.columns)
    bad = {rejection.row for rejection in wrong}
    measured = np.flatnonzero(np.isfinite(metrics).any(axis=1)).tolist()
    kept = [i for i in measured if i not in bad]
    used = set(kept)
    rejected = [str(row) for row in table.rejected]
    left_out: list[str] = []
    for rejection in (*wrong, *mismeasured):
        why = "; ".join(map(str, rejection.violations))
        said = left_out if rejection.row in used else rejected
        said.append(f"{table.source}:{table.lines[rejection.row]}: {why}")
    if not kept:
        names = ", ".join(metric.source_column for metric in predictor.schema.metrics)
        first = f"; the first row: {rejected[0]}" if rejected else ""
        why = f"no row can be compared: each needs one of {names}{first}"
        raise InvalidInput([Violation("data", "", why)], why)
    chosen = Encoded(
        encoded.numbers[kept], encoded.categories[kept], tuple(encoded.unknown[i] for i in kept)
    )
    return MeasuredRows(table, kept, chosen, metrics[kept], rejected, left_out)


def _label(value: Any) -> str | None:  # noqa: ANN401 -- whatever a file holds
    return None if value is None else str(value)
