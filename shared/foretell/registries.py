"""Which registry the settings mean: a folder, or a URL with the folder as its local copy."""

from __future__ import annotations

from foretell.registry import FolderRegistry, Registry
from foretell.seal import Seal
from foretell.settings import Settings


def registry_of(settings: Settings) -> Registry:
    """Return the registry of these settings.

    Raises InvalidInput for keys that cannot be read, and Unavailable for a URL that cannot be used.
    """
    seal = Seal.from_files(settings.signing_key_file, settings.trusted_keys_file)
    if settings.registry_url is None:
        return FolderRegistry(settings.registry, seal)
    # Its packages are of an extra.
    from foretell.object_registry import ObjectRegistry  # noqa: PLC0415

    return ObjectRegistry(settings.registry_url, settings.registry, seal)
