"""Records: the result of one split as a line of JSON, so that a long run can go on later."""

from __future__ import annotations

import hashlib
import json
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import benchmarks.accuracy
import foretell.forecast
import foretell_trainer.engine
from benchmarks.datasets import DataSet

DEFAULT_FILE = Path(".foretell/benchmarks/accuracy.jsonl")


@dataclass(frozen=True)
class Key:
    """What a result depends on; another one of any of these is another result."""

    data: str
    split: str
    folds: int
    quick: bool
    baselines: bool
    sources: str
    """Of the engine, of this benchmark, of the schema and of the data."""


@dataclass(frozen=True)
class Record:
    """One split of one data set."""

    key: Key
    date: str
    folds: int
    """How many were run; a split may have fewer than asked for."""
    left_out: tuple[str, ...]
    """Of each fold that has one, the name of what it leaves out."""
    rejected: tuple[str, ...]
    """The rows of the data set that cannot be used, and why."""
    train_rows: int
    """Per fold."""
    fit_seconds: float
    """Per fold, the mean; with calibration, export and proof."""
    bundle_bytes: int
    row_us: float
    """Microseconds of one row through the graph of all metrics."""
    metrics: dict[str, dict[str, Any]]
    """Per metric, what `our_scores` returns, and under `baselines` each one's scores."""


class Records:
    """The results so far, in a file that is only appended to."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._known: dict[Key, Record] = {}
        if path.exists():
            for line in path.read_text().splitlines():
                with suppress(ValueError, TypeError, KeyError):  # half a line, or an older form
                    record = _parsed(line)
                    self._known[record.key] = record

    def find(self, key: Key) -> Record | None:
        """Return the result for a key, None when it is not known yet."""
        return self._known.get(key)

    def add(self, record: Record) -> None:
        """Keep a result."""
        self._path.parent.mkdir(parents=True, exist_ok=True)
        with self._path.open("a") as file:
            # The line before may be half a line, of a run that was killed.
            file.write("\n" + json.dumps(asdict(record)) + "\n")
        self._known[record.key] = record


def sources_digest(about: DataSet, data: Path) -> str:
    """Return a digest of everything that a data set's results follow from."""
    engine, own = (Path(p.__path__[0]) for p in (foretell_trainer.engine, benchmarks.accuracy))
    code = [*engine.glob("*.py"), engine.parent / "training.py", Path(foretell.forecast.__file__)]
    code += [own / f"{name}.py" for name in ("baselines", "runs", "scores", "splits")]
    code += [own.parent / f"{name}.py" for name in ("bundles", "datasets", "sgd")]
    digest = hashlib.sha256()
    for path in [*sorted(code), about.schema_path, *about.files(data)]:
        digest.update(path.read_bytes())
    return digest.hexdigest()[:16]


def _parsed(line: str) -> Record:
    fields = json.loads(line)
    lists = {name: tuple(fields[name]) for name in ("left_out", "rejected")}
    fields |= {"key": Key(**fields["key"]), **lists}
    return Record(**fields)
