"""Sealed records: aliases and audit that only somebody with a trusted key can have written.

A record is a JSON object. Sealed, it has the member `signed`, with its number among the records of
its workload and a signature of number and content: none can be made up, changed, moved to another
workload or put in another's place. An older one that is put back whole is found by whoever has
read a newer one.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from foretell.errors import InvalidInput, Unavailable, Violation
from foretell.seal import Seal

SIGNED = "signed"


class Records:
    """Seals the records of one kind and opens them again; knows the newest of each workload."""

    def __init__(self, seal: Seal, kind: str) -> None:
        self._seal = seal
        self._kind = kind
        self._newest: dict[str, int] = {}

    def sealed(self, workload: str, number: int, content: Mapping[str, Any]) -> dict[str, Any]:
        """Return a record as it is written; without a key as it is.

        Raises InvalidInput where only sealed records are taken and there is no key: this process
        itself would not believe what it wrote.
        """
        signature = self._seal.signature(self._text(workload, number, content))
        if signature:
            return {**content, SIGNED: {"number": number, "signature": signature}}
        if self._seal.trusted:
            why = (
                "changes of aliases are signed where trusted keys are set; this process has no key"
            )
            raise InvalidInput([Violation("signing_key_file", "", why)])
        return dict(content)

    def opened(self, workload: str, record: Mapping[str, Any]) -> dict[str, Any]:
        """Return the content of a record.

        Raises Unavailable for one that nobody who is trusted has sealed, if keys are trusted.
        """
        content = {name: value for name, value in record.items() if name != SIGNED}
        if not self.is_trusted(workload, record):
            raise self._refused(workload, "nobody who is trusted signed it")
        return content

    def is_trusted(
        self, workload: str, record: Mapping[str, Any], number: int | None = None
    ) -> bool:
        """Return whether somebody who is trusted has sealed a record, as the one of a number."""
        if self._seal.trusted and number not in (None, number_of(record)):
            return False
        content = {name: value for name, value in record.items() if name != SIGNED}
        seal = record.get(SIGNED)
        found = seal if isinstance(seal, dict) else {}
        text = self._text(workload, number_of(record), content)
        return self._seal.is_trusted(text, str(found.get("signature", "")))

    def newest(self, workload: str, number: int) -> None:
        """Say the number of the record that holds.

        Raises Unavailable when a later one was read before: somebody has put an older one back.
        """
        known = self._newest.get(workload, 0)
        if self._seal.trusted and number < known:
            raise self._refused(
                workload, f"it is number {number}, and number {known} was read before"
            )
        self._newest[workload] = max(known, number)

    def _text(self, workload: str, number: int, content: Mapping[str, Any]) -> bytes:
        told = [self._kind, workload, number, content]
        return json.dumps(told, sort_keys=True, separators=(",", ":")).encode()

    def _refused(self, workload: str, why: str) -> Unavailable:
        return Unavailable(f"the {self._kind} of workload {workload!r}", why)


def number_of(record: Mapping[str, Any]) -> int:
    """Return the number of a sealed record; 0 for one that is not sealed."""
    seal = record.get(SIGNED)
    number = seal.get("number") if isinstance(seal, dict) else None
    return number if isinstance(number, int) else 0
