"""Splits that users ask for: which rows are left out, and so which question is answered.

| split | a forecast for |
|---|---|
| `kfold` | more of the same: rows at random |
| `stratified:hardware,architecture` | the same, with every stratum in each fold in its proportion |
| `grouped:model` | a model that was never seen |
| `time` | what comes after all that was learnt from |
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal, get_args

from foretell.errors import InvalidInput, Violation
from foretell.schema import Schema

Kind = Literal["kfold", "grouped", "stratified", "time"]
KINDS: tuple[Kind, ...] = get_args(Kind)

FOLDS = 5


@dataclass(frozen=True)
class Split:
    """One way of leaving rows out, `folds` times."""

    kind: Kind
    columns: tuple[str, ...] = ()
    """The categories, features or facts, that rows are grouped or stratified by."""
    folds: int = FOLDS
    seed: int = 0

    def __str__(self) -> str:
        return f"{self.kind}:{','.join(self.columns)}" if self.columns else self.kind

    def describe(self) -> dict[str, Any]:
        """Return what a report card says of it."""
        said = {
            "kfold": "rows at random",
            "grouped": f"all rows of one {' and '.join(self.columns)} together",
            "stratified": f"rows at random, each {' and '.join(self.columns)} in its proportion",
            "time": "each part of the time is predicted from all before it",
        }
        return {"split": str(self), "left out": said[self.kind], "folds": self.folds}


def parse_split(text: str, schema: Schema, folds: int = FOLDS, seed: int = 0) -> Split:
    """Return the split that KIND or KIND:CATEGORY,… says.

    Without categories, rows are grouped by the schema's first id and stratified by all of them.
    Raises InvalidInput for another kind, categories that are none, or fewer than 2 folds.
    """
    kind, colon, listed = text.partition(":")
    known = list(schema.category_names)
    columns = tuple(name.strip() for name in listed.split(",")) if colon else ()
    found = next((known_kind for known_kind in KINDS if known_kind == kind), None)
    if found is None:
        raise _refused(text, f"{kind!r} is no split; one of {', '.join(KINDS)}")
    if columns and found in ("kfold", "time"):
        raise _refused(text, f"{found} takes no categories")
    if folds < 2:
        raise InvalidInput([Violation("folds", str(folds), f"{folds} folds; at least 2 are")])
    for name in columns:
        if name not in known:
            raise _refused(text, f"{name!r} is no category; one of {', '.join(known)}")
    if not columns and found in ("grouped", "stratified"):
        ids = tuple(group[0] for group in schema.groups if len(group) == 1)
        if not ids:
            raise _refused(text, f"name a category: {found}:CATEGORY; one of {', '.join(known)}")
        columns = ids[:1] if found == "grouped" else ids
    return Split(found, columns, folds, seed)


def _refused(value: str, why: str) -> InvalidInput:
    return InvalidInput([Violation("split", value, why)])
