"""A registry on object storage, such as S3, through fsspec; bundles are used from a local copy.

    <url>/<workload>/schema.yaml | schema.toml      the workload's own schema, if it has one
    <url>/<workload>/bundles/<version>/             model.onnx, then manifest.json, which is last
    <url>/<workload>/states/<number>.json           aliases, and what was done to make them so

A store of objects has no locks and no renames. So each change is a new state, with the next
number, that is written only if nobody else has written that number: of two publishers at once the
second reads again and tries the next. The state with the largest number holds; all of them
together are the history. A reader never sees half of anything: a state names bundles that are
complete.
"""

from __future__ import annotations

import errno
import json
import re
import shutil
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from foretell.bundle import MANIFEST_FILE, VERSION_PATTERN, Manifest, read_bundle, read_manifest
from foretell.errors import BundleRejected, Conflict, ForetellError, NoBundle, NotFound, Unavailable
from foretell.registry import SCHEMA_NAMES, WORKLOAD, Action, AuditEntry, audit_line, refuse_alias
from foretell.schema import Schema
from foretell.schema_file import builtin_schemas, parse_schema
from foretell.seal import SIGNATURE_FILE, Seal
from foretell.sealed import Records

_UNSIGNED = "nobody who is trusted signed them"

TRIES = 20
"""So often a change is tried whose number somebody else took."""


@dataclass(frozen=True)
class _State:
    """What holds for a workload, and what was done to bring it about."""

    number: int = 0
    aliases: Mapping[str, str] = field(default_factory=dict)
    unloaded: bool = False
    entries: tuple[Mapping[str, Any], ...] = ()


class ObjectRegistry:
    """A registry below a URL that fsspec understands. `cache` is a folder for copies of bundles."""

    def __init__(self, url: str, cache: Path, seal: Seal | None = None) -> None:
        import fsspec  # noqa: PLC0415 -- of an extra

        self.root = cache
        self._seal = seal or Seal()
        self._records = Records(self._seal, "aliases")
        # Any: the package has no types. Listings that are remembered would hide what is new.
        with _reaching(url):
            found: Any = fsspec.core.url_to_fs(url, use_listings_cache=False)
        self._fs, self._prefix = found
        self.url = url

    def workloads(self) -> list[str]:
        """Return the workloads that have a schema or a bundle here, sorted."""
        names = (name for name in self._names("") if WORKLOAD.match(name))
        return sorted(n for n in names if self._schema_name(n) or self._versions(n))

    def schema(self, workload: str) -> Schema:
        """Return the workload's schema: its own file, else its current bundle's, else built in."""
        if WORKLOAD.match(workload):
            own = self._schema_name(workload)
            if own is not None:
                return parse_schema(self._read(f"{workload}/{own}").decode(), own)
            version = self.aliases(workload).get("current")
            if version is not None:
                return self.manifest(workload, version).schema_
            if workload in builtin_schemas():
                return builtin_schemas()[workload]
        raise NotFound("workload", workload, sorted({*self.workloads(), *builtin_schemas()}))

    def register(self, content: str, *, suffix: str = ".yaml") -> Schema:
        """Keep a schema file's text as the schema of the workload that it names."""
        schema = parse_schema(content, f"schema{suffix}")
        name = f"schema{'.toml' if suffix == '.toml' else '.yaml'}"
        self._write(f"{schema.workload}/{name}", content.encode())
        with _reaching(self.url):
            for other in SCHEMA_NAMES:
                path = f"{self._prefix}/{schema.workload}/{other}"
                if other != name and self._fs.exists(path):
                    self._fs.rm(path)
        return schema

    def versions(self, workload: str) -> list[str]:
        """Return the versions of a workload's bundles, newest first."""
        self._require(workload)
        return self._versions(workload)

    def manifest(self, workload: str, version: str) -> Manifest:
        """Return a bundle's manifest; NotFound or BundleRejected."""
        return read_manifest(self.path(workload, version))

    def path(self, workload: str, version: str) -> Path:
        """Return a local folder with a bundle, copying it there the first time."""
        folder = self.root / workload / "bundles" / version
        is_name = WORKLOAD.match(workload) and re.match(VERSION_PATTERN, version)
        if not is_name or not folder.is_dir():
            self._require(workload)
            known = self._versions(workload)
            if version not in known:
                raise NotFound("bundle", version, known)
            self._fetch(workload, version, folder)
        self._seal.check(folder)
        return folder

    def aliases(self, workload: str) -> Mapping[str, str]:
        """Return which version each alias stands for; an alias that is not set is absent."""
        return self._state(workload).aliases if WORKLOAD.match(workload) else {}

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
        found = []
        for number in self._numbers(workload):
            data = self._read_record(workload, number)
            is_signed = self._records.is_trusted(workload, data, number)
            found += [AuditEntry.of(entry, is_signed=is_signed) for entry in data["entries"]]
        return found

    def publish(self, workload: str, folder: Path, *, promote: bool, who: str, why: str) -> str:
        """Copy a bundle in, as `current` or else as `candidate`, and return its version."""
        manifest = read_bundle(folder)
        version = manifest.version
        if manifest.workload != workload:
            raise BundleRejected(version, f"it is for {manifest.workload!r}, not {workload!r}")
        self._copy_in(workload, folder, manifest)

        def change(state: _State) -> _State:
            entry = audit_line("publish", who, why, to=version)
            if promote:
                return _current(replace(state, entries=(entry,)), version, "promote", who, why)
            return replace(state, entries=(entry,), aliases={**state.aliases, "candidate": version})

        self._change(workload, change)
        return version

    def promote(self, workload: str, version: str, who: str, why: str) -> None:
        """Make a version `current`; what was current becomes `previous`."""
        self.path(workload, version)
        self._change(workload, lambda state: _current(state, version, "promote", who, why))

    def rollback(self, workload: str, who: str, why: str, *, only_from: str | None = None) -> str:
        """Make `previous` current again, and return it; the two change places."""
        self._require(workload)

        def change(state: _State) -> _State:
            current, previous = state.aliases.get("current"), state.aliases.get("previous")
            if only_from is not None and current != only_from:
                raise Conflict(f"{current} is current, not {only_from}")
            if previous is None:
                raise NotFound("alias", "previous", list(state.aliases))
            return _current(state, previous, "rollback", who, why)

        return self._change(workload, change).aliases["current"]

    def remove(self, workload: str, version: str, who: str, why: str) -> None:
        """Remove a bundle; Conflict for one that an alias stands for."""
        self._require(workload)

        def change(state: _State) -> _State:
            refuse_alias(state.aliases, version)
            return replace(state, entries=(audit_line("prune", who, why, to=version),))

        self._change(workload, change)
        with _reaching(self.url):
            folder = f"{self._prefix}/{workload}/bundles/{version}"
            # Without its manifest it is no bundle any more, whatever happens next.
            self._fs.rm(f"{folder}/{MANIFEST_FILE}")
            self._fs.rm(folder, recursive=True)
        shutil.rmtree(self.root / workload / "bundles" / version, ignore_errors=True)

    def unload(self, workload: str, who: str, why: str) -> None:
        """Have no server answer for a workload until it is loaded again."""
        self._require(workload)
        self._set_unloaded(workload, who, why, unloaded=True)

    def load(self, workload: str, who: str, why: str) -> None:
        """Take an `unload` back; does nothing without one."""
        self._set_unloaded(workload, who, why, unloaded=False)

    def is_unloaded(self, workload: str) -> bool:
        """Return whether no server is to answer for a workload."""
        return bool(WORKLOAD.match(workload)) and self._state(workload).unloaded

    def _set_unloaded(self, workload: str, who: str, why: str, *, unloaded: bool) -> None:
        if self.is_unloaded(workload) != unloaded:
            entry = audit_line("unload" if unloaded else "load", who, why)
            self._change(workload, lambda s: replace(s, unloaded=unloaded, entries=(entry,)))

    def _require(self, workload: str) -> None:
        if not WORKLOAD.match(workload) or workload not in self._names(""):
            raise NotFound("workload", workload, self.workloads())

    def _versions(self, workload: str) -> list[str]:
        """Return the versions whose manifest is there: it comes last, and goes first."""
        with _reaching(self.url):
            found = self._fs.find(f"{self._prefix}/{workload}/bundles")
        ends = (str(path).split("/")[-2:] for path in found)
        versions = {end[0] for end in ends if end[-1] == MANIFEST_FILE}
        return sorted((v for v in versions if re.match(VERSION_PATTERN, v)), reverse=True)

    def _schema_name(self, workload: str) -> str | None:
        names = self._names(workload)
        return next((name for name in SCHEMA_NAMES if name in names), None)

    def _state(self, workload: str) -> _State:
        numbers = self._numbers(workload)
        self._records.newest(workload, numbers[-1] if numbers else 0)
        return self._read_state(workload, numbers[-1]) if numbers else _State()

    def _numbers(self, workload: str) -> list[int]:
        names = self._names(f"{workload}/states")
        return sorted(int(name[:-5]) for name in names if name[:-5].isdigit())

    def _read_state(self, workload: str, number: int) -> _State:
        data = self._read_record(workload, number)
        if not self._records.is_trusted(workload, data, number):
            raise Unavailable(f"the aliases of workload {workload!r}", _UNSIGNED)
        return _State(number, data["aliases"], data["unloaded"], tuple(data["entries"]))

    def _read_record(self, workload: str, number: int) -> dict[str, Any]:
        data: dict[str, Any] = json.loads(self._read(_state_path(workload, number)))
        return data

    def _change(self, workload: str, change: Callable[[_State], _State]) -> _State:
        """Write the state that follows from the one that holds; of two at once, one tries again."""
        for _ in range(TRIES):
            before = self._state(workload)
            after = replace(change(replace(before, entries=())), number=before.number + 1)
            told = {
                "aliases": dict(after.aliases),
                "unloaded": after.unloaded,
                "entries": [dict(entry) for entry in after.entries],
            }
            content = json.dumps(self._records.sealed(workload, after.number, told))
            path = _state_path(workload, after.number)
            try:
                self._write(path, content.encode(), mode="create")
            except FileExistsError:
                continue
            return after
        raise Conflict(f"the registry of {workload!r} changed {TRIES} times meanwhile; try again")

    def _copy_in(self, workload: str, folder: Path, manifest: Manifest) -> None:
        if manifest.version in self._versions(workload):
            if self.manifest(workload, manifest.version).files != manifest.files:
                raise Conflict(f"another bundle is already published as {manifest.version}")
            return
        target = f"{workload}/bundles/{manifest.version}"
        if self._seal.key is not None:
            self._seal.sign(folder)
        for name in (*manifest.files, SIGNATURE_FILE, MANIFEST_FILE):
            if (folder / name).exists():
                self._write(f"{target}/{name}", (folder / name).read_bytes())

    def _fetch(self, workload: str, version: str, folder: Path) -> None:
        incoming = folder.with_name(f".incoming-{uuid.uuid4().hex}")
        incoming.mkdir(parents=True)
        try:
            for name in self._names(f"{workload}/bundles/{version}"):
                content = self._read(f"{workload}/bundles/{version}/{name}")
                (incoming / name).write_bytes(content)
            if not folder.is_dir():
                incoming.rename(folder)
        except OSError:
            if not folder.is_dir():  # else another process was faster
                raise
        finally:
            shutil.rmtree(incoming, ignore_errors=True)

    def _names(self, path: str) -> list[str]:
        place = f"{self._prefix}/{path}".rstrip("/")
        with _reaching(self.url):
            try:
                found: Sequence[str] = self._fs.ls(place, detail=False)
            except FileNotFoundError:
                return []
        return [name.rstrip("/").rpartition("/")[2] for name in found]

    def _read(self, path: str) -> bytes:
        with _reaching(self.url):
            content: bytes = self._fs.cat_file(f"{self._prefix}/{path}")
        return content

    def _write(self, path: str, content: bytes, mode: str = "overwrite") -> None:
        with _reaching(self.url):
            try:
                self._fs.pipe_file(f"{self._prefix}/{path}", content, mode=mode)
            except FileNotFoundError as error:
                raise Unavailable(f"the registry {self.url}", str(error)) from error
            except OSError as error:
                # Not every store names the condition that failed, as s3fs expects.
                if mode == "create" and error.errno == errno.EINVAL:
                    raise FileExistsError(path) from error
                raise


@contextmanager
def _reaching(url: str) -> Iterator[None]:
    """Raise Unavailable for whatever says that the storage cannot be used now."""
    try:
        yield
    except (FileExistsError, FileNotFoundError, ForetellError):
        raise
    except Exception as error:  # each kind of storage has errors of its own
        raise Unavailable(f"the registry {url}", str(error) or type(error).__name__) from error


def _current(state: _State, version: str, action: Action, who: str, why: str) -> _State:
    aliases = dict(state.aliases)
    replaced = aliases.get("current")
    if replaced != version:
        aliases["current"] = version
        if replaced is not None:
            aliases["previous"] = replaced
    if aliases.get("candidate") == version:
        del aliases["candidate"]
    # What is current already is not promoted again.
    more = (audit_line(action, who, why, to=version, old=replaced),) if replaced != version else ()
    return replace(state, aliases=aliases, entries=(*state.entries, *more))


def _state_path(workload: str, number: int) -> str:
    return f"{workload}/states/{number:010d}.json"
