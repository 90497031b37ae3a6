"""The registry: where bundles are published, promoted and rolled back.

A folder registry looks like this; readers never see half a file:

    <root>/<workload>/schema.yaml                  the workload's own schema, if it has one
    <root>/<workload>/bundles/<version>/           model.onnx and manifest.json
    <root>/<workload>/aliases.json                 {"current": …, "previous": …, "candidate": …}
    <root>/<workload>/history.jsonl                who did what, when and why
    <root>/<workload>/unloaded                     there while no server is to answer
"""

from __future__ import annotations

import fcntl
import json
import os
import re
import shutil
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal, Protocol

from foretell.bundle import MANIFEST_FILE, VERSION_PATTERN, Manifest, read_bundle, read_manifest
from foretell.disk import naming
from foretell.errors import BundleRejected, Conflict, NoBundle, NotFound, Unavailable
from foretell.schema import Schema
from foretell.schema_file import builtin_schemas, load_schema, parse_schema
from foretell.seal import Seal
from foretell.sealed import Records, number_of

Alias = Literal["current", "candidate", "previous"]
Action = Literal["publish", "promote", "rollback", "unload", "load", "prune"]

SCHEMA_NAMES = ("schema.yaml", "schema.yml", "schema.toml")

WORKLOAD = re.compile(r"^[a-z][a-z0-9_-]{0,62}$")


@dataclass(frozen=True, slots=True)
class AuditEntry:
    """One thing that was done to a workload's bundles."""

    when: datetime
    action: Action
    who: str
    why: str
    old: str
    """Version that was current before; empty if none was, or where that did not change."""
    new: str
    """Version that it is about; empty if it is about none."""

    @classmethod
    def of(cls, line: Mapping[str, Any], *, is_signed: bool = True) -> AuditEntry:
        """Return what a line of the history says; by whom is not sure if it is not signed."""
        old, new = line.get("from") or "", line.get("to") or ""
        when = datetime.fromisoformat(line["when"])
        who = line["who"] if is_signed else f"{line['who']} (not signed)"
        return cls(when, line["action"], who, line["why"], old, new)


class Registry(Protocol):
    """Where bundles live. Every call that changes something says who does it, and why."""

    root: Path
    """The folder on this machine that bundles are in, or copied to."""

    def workloads(self) -> list[str]:
        """Return the workloads that have a schema or a bundle here, sorted."""

    def schema(self, workload: str) -> Schema:
        """Return the workload's schema: its own file, else its current bundle's, else built in.

        Raises NotFound, naming those that are known, when there is none.
        """

    def register(self, content: str, *, suffix: str = ".yaml") -> Schema:
        """Keep a schema file's text as the schema of the workload that it names."""

    def versions(self, workload: str) -> list[str]:
        """Return the versions of a workload's bundles, newest first."""

    def manifest(self, workload: str, version: str) -> Manifest:
        """Return a bundle's manifest; NotFound or BundleRejected."""

    def path(self, workload: str, version: str) -> Path:
        """Return the folder of a bundle; NotFound when there is no such bundle."""

    def aliases(self, workload: str) -> Mapping[str, str]:
        """Return which version each alias stands for; an alias that is not set is absent."""

    def current(self, workload: str) -> str:
        """Return the version that `current` stands for; NotFound, or NoBundle without one."""

    def history(self, workload: str) -> list[AuditEntry]:
        """Return what was published, promoted and rolled back, oldest first."""

    def publish(self, workload: str, folder: Path, *, promote: bool, who: str, why: str) -> str:
        """Copy a bundle in, as `current` or else as `candidate`, and return its version."""

    def promote(self, workload: str, version: str, who: str, why: str) -> None:
        """Make a version `current`; what was current becomes `previous`."""

    def rollback(self, workload: str, who: str, why: str, *, only_from: str | None = None) -> str:
        """Make `previous` current again, and return it; the two change places.

        Raises NotFound without a previous one, and Conflict when `only_from` is given and
        another version is current.
        """

    def remove(self, workload: str, version: str, who: str, why: str) -> None:
        """Remove a bundle; Conflict for one that an alias stands for."""

    def unload(self, workload: str, who: str, why: str) -> None:
        """Have no server answer for a workload until it is loaded again."""

    def load(self, workload: str, who: str, why: str) -> None:
        """Take an `unload` back; does nothing without one."""

    def is_unloaded(self, workload: str) -> bool:
        """Return whether no server is to answer for a workload."""


class FolderRegistry:
    """A registry on a folder that several processes, and machines that share it, may use."""

    def __init__(self, root: Path, seal: Seal | None = None) -> None:
        self.root = Path(root)
        self._seal = seal or Seal()
        self._aliases = Records(self._seal, "aliases")
        self._history = Records(self._seal, "history")

    def workloads(self) -> list[str]:
        """Return the workloads that have a schema or a bundle here, sorted."""
        if not self.root.is_dir():
            return []
        return sorted(
            folder.name
            for folder in self.root.iterdir()
            if WORKLOAD.match(folder.name)
            and (self._schema_file(folder) or any(self._versions(folder.name)))
        )

    def schema(self, workload: str) -> Schema:
        """Return the workload's schema: its own file, else its current bundle's, else built in."""
        if WORKLOAD.match(workload):
            own = self._schema_file(self.root / workload)
            if own is not None:
                return load_schema(own)
            version = self.aliases(workload).get("current")
            if version is not None:
                return self.manifest(workload, version).schema_
            if workload in builtin_schemas():
                return builtin_schemas()[workload]
        raise NotFound("workload", workload, sorted({*self.workloads(), *builtin_schemas()}))

    def register(self, content: str, *, suffix: str = ".yaml") -> Schema:
        """Keep a schema file's text as the schema of the workload that it names."""
        schema = parse_schema(content, f"schema{suffix}")
        folder = self.root / schema.workload
        with self._locked(schema.workload):
            name = f"schema{'.toml' if suffix == '.toml' else '.yaml'}"
            for other in SCHEMA_NAMES:
                if other != name:
                    (folder / other).unlink(missing_ok=True)
            _write_atomically(folder / name, content)
        return schema

    def versions(self, workload: str) -> list[str]:
        """Return the versions of a workload's bundles, newest first."""
        self._require(workload)
        return self._versions(workload)

    def manifest(self, workload: str, version: str) -> Manifest:
        """Return a bundle's manifest; NotFound or BundleRejected."""
        return read_manifest(self.path(workload, version))

    def path(self, workload: str, version: str) -> Path:
        """Return the folder of a bundle; NotFound when there is no such bundle."""
        self._require(workload)
        folder = self._bundles(workload) / version
        if not re.match(VERSION_PATTERN, version) or not folder.is_dir():
            raise NotFound("bundle", version, self._versions(workload))
        self._seal.check(folder)
        return folder

    def aliases(self, workload: str) -> Mapping[str, str]:
        """Return which version each alias stands for; an alias that is not set is absent."""
        if not WORKLOAD.match(workload):
            return {}
        path = self.root / workload / "aliases.json"
        try:
            data = json.loads(path.read_text(encoding="utf-8"))
            aliases = self._aliases.opened(workload, data)
            self._aliases.newest(workload, number_of(data))
            return {str(alias): str(version) for alias, version in aliases.items()}
        except FileNotFoundError:
            self._aliases.newest(workload, 0)
            return {}
        except (ValueError, AttributeError) as error:
            why = f"it is not a JSON object of aliases and versions ({error}); repair or delete it"
            raise Unavailable(f"aliases.json of workload {workload!r}", why) from error

    def current(self, workload: str) -> str:
        """Return the version that `current` stands for; NotFound, or NoBundle without one."""
        version = self.aliases(workload).get("current")
        if version is None:
            self.schema(workload)  # raises NotFound for what is not a workload at all
            raise NoBundle(workload)
        return version

    def history(self, workload: str) -> list[AuditEntry]:
        """Return what was published, promoted and rolled back, oldest first."""
        self._require(workload)
        lines = self._lines(workload)
        self._history.newest(workload, len(lines))
        return [
            AuditEntry.of(line, is_signed=self._history.is_trusted(workload, line, place))
            for place, line in enumerate(lines, start=1)
        ]

    def publish(self, workload: str, folder: Path, *, promote: bool, who: str, why: str) -> str:
        """Copy a bundle in, as `current` or else as `candidate`, and return its version.

        The bundle is verified first (BundleRejected). Publishing the same bundle again changes
        nothing but the aliases.
        """
        manifest = read_bundle(folder)
        version = manifest.version
        if manifest.workload != workload:
            raise BundleRejected(version, f"it is for {manifest.workload!r}, not {workload!r}")
        with self._locked(workload):
            self._copy_in(workload, folder, manifest)
            self._log(workload, audit_line("publish", who, why, to=version))
            if promote:
                self._set_current(workload, version, "promote", who, why)
            else:
                self._write_aliases(workload, {**self.aliases(workload), "candidate": version})
        return version

    def promote(self, workload: str, version: str, who: str, why: str) -> None:
        """Make a version `current`; what was current becomes `previous`."""
        self.path(workload, version)
        with self._locked(workload):
            self._set_current(workload, version, "promote", who, why)

    def rollback(self, workload: str, who: str, why: str, *, only_from: str | None = None) -> str:
        """Make `previous` current again, and return it; the two change places."""
        self._require(workload)
        with self._locked(workload):
            aliases = self.aliases(workload)
            if only_from is not None and aliases.get("current") != only_from:
                raise Conflict(f"{aliases.get('current')} is current, not {only_from}")
            version = aliases.get("previous")
            if version is None:
                raise NotFound("alias", "previous", list(aliases))
            self._set_current(workload, version, "rollback", who, why)
        return version

    def remove(self, workload: str, version: str, who: str, why: str) -> None:
        """Remove a bundle; Conflict for one that an alias stands for."""
        self._require(workload)
        with self._locked(workload):
            refuse_alias(self.aliases(workload), version)
            folder = self._bundles(workload) / version
            # At once, so that nobody finds half of it.
            gone = folder.with_name(f".incoming-{uuid.uuid4().hex}")
            folder.rename(gone)
            shutil.rmtree(gone, ignore_errors=True)
            self._log(workload, audit_line("prune", who, why, to=version))

    def unload(self, workload: str, who: str, why: str) -> None:
        """Have no server answer for a workload until it is loaded again."""
        self._require(workload)
        with self._locked(workload):
            if not self.is_unloaded(workload):
                self._log(workload, audit_line("unload", who, why))
                _write_atomically(self._unloaded(workload), "")

    def load(self, workload: str, who: str, why: str) -> None:
        """Take an `unload` back; does nothing without one."""
        if not self.is_unloaded(workload):
            return
        with self._locked(workload):
            self._log(workload, audit_line("load", who, why))
            self._unloaded(workload).unlink(missing_ok=True)

    def is_unloaded(self, workload: str) -> bool:
        """Return whether no server is to answer for a workload."""
        return bool(WORKLOAD.match(workload)) and self._unloaded(workload).exists()

    def _unloaded(self, workload: str) -> Path:
        return self.root / workload / "unloaded"

    def _require(self, workload: str) -> None:
        if not WORKLOAD.match(workload) or not (self.root / workload).is_dir():
            raise NotFound("workload", workload, self.workloads())

    def _bundles(self, workload: str) -> Path:
        return self.root / workload / "bundles"

    def _versions(self, workload: str) -> list[str]:
        bundles = self._bundles(workload)
        if not bundles.is_dir():
            return []
        found = [
            # Of two made in the same second, the one that arrived last is the newest.
            (folder.name.partition("-")[0], folder.stat().st_mtime_ns, folder.name)
            for folder in bundles.iterdir()
            if re.match(VERSION_PATTERN, folder.name) and (folder / MANIFEST_FILE).is_file()
        ]
        return [name for _, _, name in sorted(found, reverse=True)]

    def _schema_file(self, folder: Path) -> Path | None:
        paths = (folder / name for name in SCHEMA_NAMES)
        return next((path for path in paths if path.is_file()), None)

    def _copy_in(self, workload: str, folder: Path, manifest: Manifest) -> None:
        target = self._bundles(workload) / manifest.version
        if target.exists():
            if read_bundle(target).files != manifest.files:
                raise Conflict(f"another bundle is already published as {manifest.version}")
            return
        incoming = target.with_name(f".incoming-{uuid.uuid4().hex}")
        try:
            incoming.mkdir(parents=True)
            for name in (*manifest.files, MANIFEST_FILE):
                with naming(incoming / name):
                    shutil.copyfile(folder / name, incoming / name)
                    _sync(incoming / name)
            self._seal.sign(incoming)
            _sync(incoming)
            incoming.rename(target)
            _sync(target.parent)
        finally:
            shutil.rmtree(incoming, ignore_errors=True)

    def _set_current(self, workload: str, version: str, action: Action, who: str, why: str) -> None:
        aliases = dict(self.aliases(workload))
        replaced = aliases.get("current")
        if replaced != version:
            aliases["current"] = version
            if replaced is not None:
                aliases["previous"] = replaced
        if aliases.get("candidate") == version:
            del aliases["candidate"]
        # Written down before it is done. What is current already is not promoted again.
        if replaced != version:
            self._log(workload, audit_line(action, who, why, to=version, old=replaced))
        self._write_aliases(workload, aliases)

    def _write_aliases(self, workload: str, aliases: Mapping[str, str]) -> None:
        path = self.root / workload / "aliases.json"
        record = self._aliases.sealed(workload, len(self._lines(workload)), aliases)
        _write_atomically(path, json.dumps(record, indent=1))

    def _lines(self, workload: str) -> list[dict[str, Any]]:
        path = self.root / workload / "history.jsonl"
        if not path.exists():
            return []
        lines = path.read_text(encoding="utf-8").splitlines()
        return [json.loads(line) for line in lines if line]

    def _log(self, workload: str, entry: Mapping[str, str | None]) -> None:
        path = self.root / workload / "history.jsonl"
        record = self._history.sealed(workload, len(self._lines(workload)) + 1, entry)
        with naming(path), path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(record) + "\n")
            file.flush()
            os.fsync(file.fileno())

    @contextmanager
    def _locked(self, workload: str) -> Iterator[None]:
        """Hold the workload's lock; publishers wait for each other, readers wait for nobody."""
        if not WORKLOAD.match(workload):
            raise NotFound("workload", workload, self.workloads())
        folder = self.root / workload
        folder.mkdir(parents=True, exist_ok=True)
        with (folder / ".lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield


def audit_line(
    action: Action, who: str, why: str, *, to: str | None = None, old: str | None = None
) -> dict[str, str | None]:
    """Return a line of the history, of now; `AuditEntry.of` reads it."""
    when = datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    return {"when": when, "action": action, "who": who, "why": why, "from": old, "to": to}


def refuse_alias(aliases: Mapping[str, str], version: str) -> None:
    """Raise Conflict for a version that an alias stands for."""
    named = [alias for alias, target in aliases.items() if target == version]
    if named:
        raise Conflict(f"{version} is {' and '.join(named)}; it is not removed")


def _write_atomically(path: Path, content: str) -> None:
    beside = path.with_name(f".{path.name}-{uuid.uuid4().hex}")
    try:
        with naming(path):
            beside.write_text(content, encoding="utf-8")
            _sync(beside)
            beside.replace(path)
            _sync(path.parent)
    finally:
        beside.unlink(missing_ok=True)


def _sync(path: Path) -> None:
    """Have a file, or the names in a folder, on the disk before going on."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
