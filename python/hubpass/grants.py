"""What an ``authorize`` callback says of a request: who connects, with what, or that nobody does."""

from __future__ import annotations

# Type checkers know the name; to import it from `typing` would double the time that the package takes to import.
TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from datetime import datetime, timedelta
    from typing import Final

    from hubpass._annotations import ClaimValue


class Grant:
    """Lets a user connect: what an ``authorize`` callback returns for a request that it accepts.

    A bare ``str`` is short for ``Grant(user_id)``. Values are checked when they are used, by ``negotiate``.

    Args:
        user_id: Who connects, as text: ``str(user.id)``.
        claims: The application's own claims. Azure SignalR Service only: Web PubSub's tokens have none.
        lifetime: How long the token may be used to connect. Default: 1 hour.
        expires_on: When the user's own session ends, with a time zone. The token never outlives it; one in the past is
            answered with 401.
        close_on_expiration: Whether the service ends the connection at ``expires_on``. Azure SignalR Service only.
        roles: What the client may do, such as ``webpubsub.sendToGroup.<group>``. Azure Web PubSub only.
        groups: Groups that the client is in from the beginning. On Azure SignalR Service the mount needs
            ``groups_ttl=``.
    """

    __slots__ = ("claims", "close_on_expiration", "expires_on", "groups", "lifetime", "roles", "user_id")

    def __init__(
        self,
        user_id: str,
        *,
        claims: Mapping[str, ClaimValue] | Iterable[tuple[str, ClaimValue]] | None = None,
        lifetime: timedelta | None = None,
        expires_on: datetime | None = None,
        close_on_expiration: bool = False,
        roles: Iterable[str] = (),
        groups: Iterable[str] = (),
    ) -> None:
        self.user_id = user_id
        self.claims = claims
        self.lifetime = lifetime
        self.expires_on = expires_on
        self.close_on_expiration = close_on_expiration
        self.roles = roles
        self.groups = groups

    def __repr__(self) -> str:
        """Name the user and nothing else: claims may be private."""
        return f"<Grant user_id={self.user_id!r}>"


class Forbidden(Exception):  # noqa: N818 - it is an answer and not an error, as in web frameworks
    """Raised by an ``authorize`` callback for a user who is known and may not connect: the answer is 403.

    Its text goes to the log and not to the client.
    """


class _Anonymous:
    """The type of :data:`ANONYMOUS`."""

    __slots__ = ()

    def __repr__(self) -> str:
        """Show the name under which it is public."""
        return "hubpass.ANONYMOUS"


ANONYMOUS: Final = _Anonymous()
"""``authorize=hubpass.ANONYMOUS`` lets everybody connect, without a user id. Nothing else does."""
