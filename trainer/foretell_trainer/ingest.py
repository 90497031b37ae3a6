"""Ingest: observations from files and messages, checked, into the store."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from foretell.schema import Schema
from foretell_trainer.batches import RejectedRow
from foretell_trainer.messages import check_messages
from foretell_trainer.readers import read_table
from foretell_trainer.store import Store
from foretell_trainer.tables import CheckedTable, check_table


@dataclass(frozen=True)
class IngestReport:
    """What became of the observations of one file or message.

    ``rows`` were read: ``stored`` are new, ``duplicates`` were known already, and each of
    ``rejected`` says why it is not used. ``left_out`` are single measurements that are not used,
    of rows that are. ``flagged`` of the stored ones cannot be, and are not trained on.
    """

    rows: int
    stored: int
    duplicates: int
    rejected: tuple[RejectedRow, ...]
    unused_columns: tuple[str, ...] = ()
    absent_columns: tuple[str, ...] = ()
    left_out: tuple[RejectedRow, ...] = ()
    flagged: int = 0


def ingest_file(store: Store, schema: Schema, path: Path) -> IngestReport:
    """Read a file of measurements into the store, in one transaction.

    Rows without a time column get the time at which the file was last changed.

    Raises:
        InvalidInput: the file as a whole cannot be used.
        Unavailable: the store is held by somebody else.
    """
    checked = check_file(schema, path)
    appended = store.append(checked.batch)
    return IngestReport(
        rows=checked.rows,
        stored=appended.stored,
        duplicates=appended.duplicates,
        rejected=checked.batch.rejected,
        unused_columns=checked.unused_columns,
        absent_columns=checked.absent_columns,
        left_out=checked.batch.left_out,
        flagged=appended.flagged,
    )


def check_file(schema: Schema, path: Path) -> CheckedTable:
    """Read and check a file without storing anything."""
    table = read_table(path)
    file = Path(str(path).partition("#")[0])
    return check_table(schema, table, datetime.fromtimestamp(file.stat().st_mtime, UTC))


def ingest_messages(store: Store, schema: Schema, observations: Sequence[object]) -> IngestReport:
    """Store the observations of one message, in their JSON form, in one transaction.

    Raises:
        Unavailable: the store is held by somebody else.
    """
    batch = check_messages(schema, observations)
    appended = store.append(batch)
    return IngestReport(
        rows=len(observations),
        stored=appended.stored,
        duplicates=appended.duplicates,
        rejected=batch.rejected,
        flagged=appended.flagged,
    )


def merge_reports(reports: Sequence[IngestReport]) -> IngestReport:
    """Return the sum of several files' reports."""
    return IngestReport(
        rows=sum(report.rows for report in reports),
        stored=sum(report.stored for report in reports),
        duplicates=sum(report.duplicates for report in reports),
        rejected=tuple(row for report in reports for row in report.rejected),
        unused_columns=tuple(
            dict.fromkeys(name for report in reports for name in report.unused_columns)
        ),
        absent_columns=tuple(
            dict.fromkeys(name for report in reports for name in report.absent_columns)
        ),
        left_out=tuple(row for report in reports for row in report.left_out),
        flagged=sum(report.flagged for report in reports),
    )
