"""The methods of the async credentials."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from hubpass._native import PendingAnswer
from hubpass.aio._bridge import flight
from hubpass.identity._base import read_options

if TYPE_CHECKING:
    from azure.core.credentials import AccessToken, AccessTokenInfo, TokenRequestOptions
    from typing_extensions import Self

    from hubpass import _native


class AsyncCredential:
    """The methods of azure-core's ``AsyncTokenCredential`` and ``AsyncSupportsTokenInfo``."""

    __slots__ = ()

    _native: _native.Credential
    _is_async = True

    async def get_token(
        self,
        *scopes: str,
        claims: str | None = None,
        tenant_id: str | None = None,
        enable_cae: bool = False,
        **_kwargs: Any,
    ) -> AccessToken:
        """As ``get_token`` of the sync credentials. With a token in hand it does not yield to the loop."""
        if claims is None and tenant_id is None and enable_cae is False:
            kept: AccessToken | None = self._native.again(scopes)
            if kept is not None:
                return kept
        answer = self._native.get_token(scopes, claims, tenant_id, enable_cae, False)
        token: AccessToken = await flight(answer.start) if isinstance(answer, PendingAnswer) else answer
        return token

    async def get_token_info(self, *scopes: str, options: TokenRequestOptions | None = None) -> AccessTokenInfo:
        """As ``get_token_info`` of the sync credentials. With a token in hand it does not yield to the loop."""
        claims, tenant_id, enable_cae = read_options(options)
        answer = self._native.get_token(scopes, claims, tenant_id, enable_cae, True)
        info: AccessTokenInfo = await flight(answer.start) if isinstance(answer, PendingAnswer) else answer
        return info

    async def close(self) -> None:
        """Let go of connections. Clients that share the credential go on, and so does the credential itself."""
        self._native.close()

    async def __aenter__(self) -> Self:
        """Give the credential itself."""
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        """Close the credential."""
        await self.close()
