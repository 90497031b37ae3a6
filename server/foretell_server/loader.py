"""The loader: from a version in the registry to a bundle that may go live."""

from __future__ import annotations

from foretell.errors import BundleRejected, ForetellError, NotFound
from foretell.predictor import Predictor
from foretell.registry import Registry
from foretell_server.shelf import FileStamp, LiveBundle, Refusal


class RegistryUnreachable(Exception):  # noqa: N818 -- a condition, not a fault of the caller's
    """The registry could not be read; trying again may help."""


class Loader:
    """Loads bundles and proves them. Blocking: runs in a thread, never on the event loop."""

    def __init__(self, registry: Registry) -> None:
        self.registry = registry

    def load(self, workload: str, version: str, stamp: FileStamp = ()) -> LiveBundle | Refusal:
        """Return a bundle that passed all its checks, or why it is refused.

        Checked, in this order: the manifest and its digest, size and sha256 of each file, the
        graph's inputs and outputs against the schema, the golden rows (which warms it up), and
        that it is for this workload. Raises RegistryUnreachable when it cannot even be read.
        """
        try:
            folder = self.registry.path(workload, version)
            predictor = Predictor.load(folder)
        except NotFound as error:
            return Refusal(workload, version, error.message)
        except BundleRejected as error:
            cause = error.__cause__
            # A file that is missing is the bundle's fault; one that cannot be read may be back.
            if isinstance(cause, OSError) and not isinstance(cause, FileNotFoundError):
                raise RegistryUnreachable(error.message) from error
            return Refusal(workload, version, error.why)
        if predictor.manifest.workload != workload:
            return Refusal(workload, version, f"it is for {predictor.manifest.workload!r}")
        if predictor.version != version:
            return Refusal(workload, version, f"its manifest says {predictor.version!r}")
        return LiveBundle(predictor, stamp)

    def stamp(self, workload: str, version: str) -> FileStamp:
        """Return what changes when somebody repairs a bundle; empty when it is not there."""
        try:
            folder = self.registry.path(workload, version)
            found = [(path.name, path.stat()) for path in sorted(folder.iterdir())]
        except (ForetellError, OSError):
            return ()
        return tuple((name, stat.st_size, stat.st_mtime_ns) for name, stat in found)
