"""What all credentials have in common, and the methods of the sync ones."""

from __future__ import annotations

# Type checkers know the names; to import them from `typing` would double the time that the package takes to import.
TYPE_CHECKING = False
if TYPE_CHECKING:
    import os
    from collections.abc import Iterable
    from typing import Any, NoReturn

    from azure.core.credentials import AccessToken, AccessTokenInfo, TokenRequestOptions
    from typing_extensions import Self

    from hubpass import _native


class CredentialBase:
    """A credential over a native one; the public classes document it."""

    __slots__ = ("__weakref__", "_native")

    _native: _native.Credential
    _is_async: bool

    def __repr__(self) -> str:
        """Show the class, and nothing that the credential holds."""
        module = type(self).__module__.partition("._")[0]
        return f"<{module}.{type(self).__qualname__}>"

    def __reduce__(self) -> NoReturn:
        """Refuse to be pickled: a secret or a token would travel with it."""
        raise TypeError(f"a {type(self).__name__} is not pickled, because it holds a secret; make one in each process")


class SyncCredential:
    """The methods of azure-core's ``TokenCredential`` and ``SupportsTokenInfo``."""

    __slots__ = ()

    _native: _native.Credential
    _is_async = False

    def get_token(
        self,
        *scopes: str,
        claims: str | None = None,
        tenant_id: str | None = None,
        enable_cae: bool = False,
        **_kwargs: Any,
    ) -> AccessToken:
        """Give a token for the scopes: the one in hand while it is good, or a new one.

        Args:
            scopes: What the token is for, such as ``https://signalr.azure.com/.default``. Sources that know resources
                only (managed identities, the Azure CLI) take one.
            claims: Further claims that the token has to have, as JSON: what a service sends that has revoked a token.
            tenant_id: Another tenant than the credential's own; see ``additionally_allowed_tenants``. Managed
                identities have one tenant and ignore it.
            enable_cae: Whether the caller can handle a service that revokes tokens (continuous access evaluation).
                Such tokens are kept apart; where a source knows nothing of it, it changes nothing.

        Returns:
            azure-core's ``AccessToken`` if azure-core is loaded, or its like.

        Raises:
            CredentialUnavailableError: There is nothing to try with; the next credential of a chain is tried.
            ClientAuthenticationError: The credential was refused.
            ServiceError: Entra or the platform could not be reached, or asks for fewer requests.
            InvalidArgumentError: The scopes or another argument cannot be used.
        """
        if claims is None and tenant_id is None and enable_cae is False:
            kept: AccessToken | None = self._native.again(scopes)
            if kept is not None:
                return kept
        token: AccessToken = self._native.get_token(scopes, claims, tenant_id, enable_cae, False)
        return token

    def get_token_info(self, *scopes: str, options: TokenRequestOptions | None = None) -> AccessTokenInfo:
        """As :meth:`get_token`, with when the token is best renewed.

        Args:
            scopes: As of :meth:`get_token`.
            options: ``claims``, ``tenant_id`` and ``enable_cae`` as of :meth:`get_token`; others are ignored.

        Returns:
            azure-core's ``AccessTokenInfo`` if azure-core is loaded, or its like.
        """
        claims, tenant_id, enable_cae = read_options(options)
        info: AccessTokenInfo = self._native.get_token(scopes, claims, tenant_id, enable_cae, True)
        return info

    def close(self) -> None:
        """Let go of connections. Clients that share the credential go on, and so does the credential itself."""
        self._native.close()

    def __enter__(self) -> Self:
        """Give the credential itself."""
        return self

    def __exit__(self, *exc_info: object) -> None:
        """Close the credential."""
        self.close()


def read_options(options: TokenRequestOptions | None) -> tuple[str | None, str | None, bool]:
    """Take from azure-core's options what the core knows."""
    found = options or {}
    return found.get("claims"), found.get("tenant_id"), bool(found.get("enable_cae", False))


def keywords(
    authority: str | None = None,
    additionally_allowed_tenants: Iterable[str] | None = None,
    ca_file: str | os.PathLike[str] | None = None,
) -> dict[str, object]:
    """The keywords that all credentials share, for the core."""
    return {
        "authority": authority,
        "additionally_allowed_tenants": additionally_allowed_tenants,
        "ca_file": ca_file,
    }
