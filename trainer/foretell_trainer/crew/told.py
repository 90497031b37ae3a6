"""What is told of shared work once, and where in the broker everything about it is."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal

from pydantic import TypeAdapter

from foretell.catalog import CatalogTable
from foretell.schema import Schema
from foretell_trainer.engine.training_set import FitSettings
from foretell_trainer.readers import file_sha256
from foretell_trainer.snapshot import Snapshot

Kind = Literal["folds", "trials"]
Part = Mapping[str, Any]
"""One part as JSON can hold it: what is to be done, or what came of it."""


@dataclass(frozen=True)
class Told:
    """Work as its workers are told of it; each part names only what differs."""

    kind: Kind
    schema: Schema
    snapshot: Snapshot
    """Its sha256 is that of the file: rows that are held out are not in it."""
    catalogs: tuple[CatalogTable, ...]
    settings: FitSettings
    fingerprint: str
    """Of what every worker must find in the same rows; one that finds another does no part."""
    details: Mapping[str, Any]

    def to_json(self) -> str:
        """Return the text that `from_json` reads."""
        file = replace(self.snapshot, sha256=file_sha256(self.snapshot.path))
        return json.dumps(_TOLD.dump_python(replace(self, snapshot=file), mode="json"))

    @classmethod
    def from_json(cls, text: bytes) -> Told:
        """Return the work that `to_json` wrote down."""
        return _TOLD.validate_python(json.loads(text))


_TOLD: TypeAdapter[Told] = TypeAdapter(Told)


@dataclass(frozen=True)
class Answer:
    """What came of one part: its result, or why there is none."""

    number: int
    worker: str
    result: Part | None = None
    failure: str = ""
    is_given_up: bool = False
    """Whether it takes its workers with it: nobody is to begin it again."""

    def to_json(self) -> str:
        """Return the text that `from_json` reads."""
        return json.dumps(self.__dict__)

    @classmethod
    def from_json(cls, text: bytes) -> Answer:
        """Return the answer that `to_json` wrote down."""
        return cls(**json.loads(text))


@dataclass(frozen=True)
class Keys:
    """The keys of one shared work in the broker."""

    work: str

    @property
    def told(self) -> str:
        """What is told; there as long as somebody waits for the parts."""
        return f"foretell:shared:{self.work}"

    @property
    def snapshot(self) -> str:
        """The snapshot's file, for who does not see it."""
        return f"{self.told}:snapshot"

    @property
    def answers(self) -> str:
        """The list of answers, oldest first."""
        return f"{self.told}:answers"

    @property
    def begun(self) -> str:
        """How often each part was begun."""
        return f"{self.told}:begun"

    @property
    def all(self) -> tuple[str, ...]:
        """All of them."""
        return self.told, self.snapshot, self.answers, self.begun
