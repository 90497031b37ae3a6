"""Seals: signatures on bundles and on what aliases stand for, so that what is foreign is refused.

Whoever publishes signs the manifest, which names the sha256 of every file, with an Ed25519 key (RFC
8032). Whoever reads knows the public halves of the keys that it trusts, and no secret.
"""

from __future__ import annotations

import base64
import binascii
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from foretell.bundle import MANIFEST_FILE
from foretell.errors import BundleRejected, InvalidInput, Violation

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import (
        Ed25519PrivateKey,
        Ed25519PublicKey,
    )

SIGNATURE_FILE = "manifest.sig"

_END = "-----END PUBLIC KEY-----"


@dataclass(frozen=True)
class Seal:
    """Signs bundles, checks signatures, or both; neither without keys."""

    key: Ed25519PrivateKey | None = None
    """What bundles are signed with; None publishes them unsigned."""
    trusted: tuple[Ed25519PublicKey, ...] = ()
    """Bundles that none of these signed are refused; empty takes all."""

    @classmethod
    def from_files(cls, key_file: Path | None, trusted_file: Path | None) -> Seal:
        """Return a seal with the keys of PEM files; `trusted_file` may hold several.

        Raises InvalidInput for a file that cannot be read or holds no Ed25519 keys.
        """
        if key_file is None and trusted_file is None:
            return cls()
        key = None if key_file is None else _private_key(key_file)
        trusted = () if trusted_file is None else _public_keys(trusted_file)
        return cls(key, trusted)

    def sign(self, folder: Path) -> None:
        """Sign a bundle in its folder; does nothing without a key."""
        if self.key is not None:
            signature = self.signature((folder / MANIFEST_FILE).read_bytes())
            (folder / SIGNATURE_FILE).write_text(signature, encoding="ascii")

    def check(self, folder: Path) -> None:
        """Raise BundleRejected unless somebody who is trusted signed a bundle."""
        if not self.trusted:
            return
        try:
            signature = (folder / SIGNATURE_FILE).read_text(encoding="ascii")
            content = (folder / MANIFEST_FILE).read_bytes()
        except (OSError, ValueError) as error:
            why = f"it is not signed, and only signed bundles are taken: {error}"
            raise BundleRejected(folder.name, why) from error
        if not self.is_trusted(content, signature):
            raise BundleRejected(folder.name, "nobody who is trusted signed its manifest")

    def signature(self, content: bytes) -> str:
        """Return a signature of a content, in base64; empty without a key."""
        return "" if self.key is None else base64.b64encode(self.key.sign(content)).decode()

    def is_trusted(self, content: bytes, signature: str) -> bool:
        """Return whether somebody who is trusted signed a content; always without trusted keys."""
        if not self.trusted:
            return True
        from cryptography.exceptions import InvalidSignature  # noqa: PLC0415 -- of an extra

        try:
            given = base64.b64decode(signature, validate=True)
        except binascii.Error:
            return False
        for key in self.trusted:
            with suppress(InvalidSignature):
                key.verify(given, content)
                return True
        return False


def _private_key(path: Path) -> Ed25519PrivateKey:
    from cryptography.hazmat.primitives.asymmetric import ed25519  # noqa: PLC0415
    from cryptography.hazmat.primitives.serialization import load_pem_private_key  # noqa: PLC0415

    try:
        key = load_pem_private_key(path.read_bytes(), password=None)
    except (OSError, ValueError, TypeError) as error:
        raise _refused("signing_key_file", path, str(error)) from error
    if not isinstance(key, ed25519.Ed25519PrivateKey):
        raise _refused("signing_key_file", path, "it is not an Ed25519 key")
    return key


def _public_keys(path: Path) -> tuple[Ed25519PublicKey, ...]:
    from cryptography.hazmat.primitives.asymmetric import ed25519  # noqa: PLC0415
    from cryptography.hazmat.primitives.serialization import load_pem_public_key  # noqa: PLC0415

    try:
        text = path.read_text(encoding="ascii")
        blocks = [block + _END for block in text.split(_END)[:-1]]
        keys = tuple(load_pem_public_key(block.strip().encode()) for block in blocks)
    except (OSError, ValueError) as error:
        raise _refused("trusted_keys_file", path, str(error)) from error
    found = tuple(key for key in keys if isinstance(key, ed25519.Ed25519PublicKey))
    if not keys or len(found) != len(keys):
        raise _refused("trusted_keys_file", path, "it must hold Ed25519 public keys, in PEM")
    return found


def _refused(setting: str, path: Path, why: str) -> InvalidInput:
    return InvalidInput([Violation(setting, str(path), why)])
