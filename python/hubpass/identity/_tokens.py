"""Tokens as azure-core's clients expect them: its own classes where it is loaded, and their like where it is not."""

from __future__ import annotations

import sys
from collections import namedtuple

# Type checkers know the names; the module is loaded by whoever needs its classes.
TYPE_CHECKING = False
if TYPE_CHECKING:
    from azure.core.credentials import AccessToken, AccessTokenInfo


# `typing.NamedTuple` would need `typing`, whose import takes longer than all the rest of the package.
class PlainAccessToken(namedtuple("AccessToken", ("token", "expires_on"))):  # noqa: PYI024
    """A token and when it expires, in seconds since 1970: azure-core's ``AccessToken`` without azure-core."""

    __slots__ = ()

    def __repr__(self) -> str:
        """Show when it expires, and not the token."""
        return f"AccessToken(token=[redacted], expires_on={self.expires_on})"


class PlainAccessTokenInfo:
    """The same with its type, and when to renew it: azure-core's ``AccessTokenInfo`` without azure-core."""

    __slots__ = ("expires_on", "refresh_on", "token", "token_type")

    def __init__(self, token: str, expires_on: int, *, refresh_on: int | None = None) -> None:
        self.token = token
        self.expires_on = expires_on
        self.token_type = "Bearer"  # noqa: S105 - the name of a scheme
        self.refresh_on = refresh_on

    def __repr__(self) -> str:
        """Show the times, and not the token."""
        return (
            f"AccessTokenInfo(token=[redacted], token_type={self.token_type!r}, "
            f"expires_on={self.expires_on}, refresh_on={self.refresh_on})"
        )


def access_token(token: str, expires_on: int) -> AccessToken | PlainAccessToken:
    """Make an ``AccessToken``."""
    azure = sys.modules.get("azure.core.credentials")
    made: AccessToken | PlainAccessToken = getattr(azure, "AccessToken", PlainAccessToken)(token, expires_on)
    return made


def access_token_info(token: str, expires_on: int, refresh_on: int | None) -> AccessTokenInfo | PlainAccessTokenInfo:
    """Make an ``AccessTokenInfo``, which azure-core has since 1.31."""
    azure = sys.modules.get("azure.core.credentials")
    make = getattr(azure, "AccessTokenInfo", PlainAccessTokenInfo)
    made: AccessTokenInfo | PlainAccessTokenInfo = make(token, expires_on, refresh_on=refresh_on)
    return made
