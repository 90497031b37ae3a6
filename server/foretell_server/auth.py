"""Who may do what: calls that change things want the token."""

from __future__ import annotations

import hmac
from collections.abc import Iterable

from foretell.errors import InvalidInput, PermissionDenied, Unauthenticated, Violation
from foretell.settings import Settings

ADMIN_METHODS = frozenset(
    {
        "foretell.v1.ModelService/Retrain",
        "foretell.v1.ModelService/CancelJob",
        "foretell.v1.ModelService/PromoteBundle",
        "foretell.v1.ModelService/RollbackBundle",
        "foretell.v1.MonitoringService/ResolveAnomalies",
        "inference.GRPCInferenceService/RepositoryModelLoad",
        "inference.GRPCInferenceService/RepositoryModelUnload",
    }
)
"""The calls that want a token; forecasts, reports and reading do not."""

_SCHEME = "bearer "


class Gate:
    """Lets a call through, or raises.

    With a token, admin calls must show it. Without one, they are open to this machine alone:
    on any other address nobody may make them.
    """

    def __init__(self, token: str | None, *, loopback: bool) -> None:
        self._token = token.encode() if token else None
        self._open = self._token is None and loopback

    def guards(self, method: str) -> bool:
        """Return whether calls of this method have to be checked."""
        return method in ADMIN_METHODS and not self._open

    def check(self, metadata: Iterable[tuple[str, str | bytes]] | None) -> None:
        """Raise Unauthenticated without the right token, PermissionDenied if there is none."""
        if self._token is None:
            raise PermissionDenied(
                "this server has no token, so it takes admin calls on a loopback address only; "
                "set FORETELL_TOKEN or token_file"
            )
        shown = dict(metadata or ()).get("authorization", "")
        text = shown.decode("latin-1") if isinstance(shown, bytes) else shown
        if not text.lower().startswith(_SCHEME):
            raise Unauthenticated
        # Compared in constant time, so that the token cannot be guessed byte by byte.
        if not hmac.compare_digest(text[len(_SCHEME) :].strip().encode(), self._token):
            raise Unauthenticated("the token is wrong")


def check_exposure(settings: Settings) -> None:
    """Raise InvalidInput for an address that would serve others in plain text by accident."""
    in_clear = settings.tls_cert_file is None and settings.tls_key_file is None
    if in_clear and not settings.is_loopback and not settings.insecure:
        message = (
            f"{settings.host} is not a loopback address: give tls_cert_file and tls_key_file, "
            "or --insecure if plain text is meant"
        )
        raise InvalidInput([Violation("host", settings.host, message)])
