"""What goes into a client's methods and what comes out of them."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone

# Type checkers know the name; to import it from `typing` would double the time that the package takes to import.
TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any, NoReturn

__all__ = [
    "DEFAULT_LIFETIME",
    "ClientAccessToken",
    "Event",
    "KeyPolicy",
    "NegotiationResponse",
    "WebPubSubNegotiationResponse",
]

DEFAULT_LIFETIME = timedelta(hours=1)
"""How long a client token may be used to connect if nothing else is said, as in Microsoft's SDK."""


class _SecretAnswer(dict[str, str]):
    """A ``dict`` with a token in it, which is to leave the process as an answer and in no other way."""

    __slots__ = ("_expires_on",)

    _expires_on: int

    @property
    def expires_on(self) -> datetime:
        """When the token expires (UTC). A client that is connected by then stays connected."""
        return datetime.fromtimestamp(self._expires_on, timezone.utc)

    def __reduce_ex__(self, protocol: object) -> NoReturn:
        """Refuse to be pickled or copied: the token would end up in files and queues."""
        name = type(self).__name__
        raise TypeError(
            f"a {name} is not pickled, because its token is a secret; pass dict(answer) on if that is meant"
        )

    @classmethod
    def __get_pydantic_core_schema__(cls, source: object, handler: Any) -> Any:
        """Let FastAPI and pydantic treat the class as the ``dict[str, str]`` that it is on the wire, and keep it."""

        def keep(value: object, validate: Any) -> object:
            return value if isinstance(value, cls) else validate(value)

        return {
            "type": "function-wrap",
            "function": {"type": "no-info", "function": keep},
            "schema": handler(dict[str, str]),
        }


class NegotiationResponse(_SecretAnswer):
    """The answer to ``POST /negotiate``: a ``dict`` with exactly the keys that SignalR clients read.

    Return it as it is from FastAPI and Flask, or give it to ``json.dumps``. Its text forms (``repr``, ``str``,
    f-strings, ``pprint``) hide the token, and it cannot be pickled; ``answer["accessToken"]``, :attr:`access_token` and
    iteration are the ways to the token itself.
    """

    __slots__ = ("_kid",)

    _kid: str | None

    @property
    def url(self) -> str:
        """The URL that the client connects to (``url`` on the wire)."""
        return self["url"]

    @property
    def access_token(self) -> str:
        """The signed client token, a JWT (``accessToken`` on the wire). It is a secret until it expires."""
        return self["accessToken"]

    @property
    def kid(self) -> str | None:
        """The name of the key that signed the token, or ``None`` for an access key, which has no name."""
        return self._kid

    def __repr__(self) -> str:
        """Show all but the token. A copy made by hand shows its URL alone."""
        if not hasattr(self, "_expires_on"):
            return f"<NegotiationResponse url={self.get('url')!r} accessToken=[redacted]>"
        return (
            f"<NegotiationResponse url={self.get('url')!r} accessToken=[redacted] "
            f"kid={self._kid!r} expires_on={self.expires_on.isoformat()}>"
        )


class ClientAccessToken(_SecretAnswer):
    """What lets a client into Azure Web PubSub: a ``dict`` with the keys ``baseUrl``, ``token`` and ``url``.

    Its text forms (``repr``, ``str``, f-strings, ``pprint``) hide the token, which ``url`` holds too, and it cannot be
    pickled; ``answer["token"]``, ``answer["url"]`` and iteration are the ways to the token itself.
    """

    __slots__ = ()

    def __repr__(self) -> str:
        """Show all but the token."""
        return f"<ClientAccessToken baseUrl={self.get('baseUrl')!r} token=[redacted] url=[redacted]{_expiry(self)}>"


class WebPubSubNegotiationResponse(_SecretAnswer):
    """The answer to a negotiate request of a Web PubSub client: a ``dict`` with the key ``url``.

    The URL holds the token of the client, so that it is a secret as a whole. Return it as it is from FastAPI and Flask,
    or give it to ``json.dumps``. Its text forms hide it, and it cannot be pickled.
    """

    __slots__ = ()

    @property
    def url(self) -> str:
        """The URL that the client connects to, with its token. It is a secret until it expires."""
        return self["url"]

    def __repr__(self) -> str:
        """Show where the client connects, without the token."""
        url = self.get("url", "").partition("?")[0] + "?access_token=[redacted]"
        return f"<WebPubSubNegotiationResponse url={url!r}{_expiry(self)}>"


def _expiry(answer: _SecretAnswer) -> str:
    """When the token expires, for a ``repr``; nothing for a copy made by hand."""
    return f" expires_on={answer.expires_on.isoformat()}" if hasattr(answer, "_expires_on") else ""


class KeyPolicy:
    """How long a temporary key is trusted, and when it is renewed. The defaults suit Azure SignalR Service.

    The service lets a temporary key expire after 90 minutes and asks for a renewal about every hour ("Authorize access
    with Microsoft Entra ID for Azure SignalR Service" of Microsoft's documentation).

    Args:
        lifetime: How long the service knows a key, from the moment it was asked for.
        renew_after: The ages between which each process draws the one at which it renews, so that many processes do not
            renew together.
        margin: How long before its end a key signs no more: a client needs time to connect.
        retry_after: The first and the longest pause after renewals that failed; it doubles in between.

    Raises:
        InvalidArgumentError: When the policy is given to a client, if it leaves a key no time to be used and renewed.
    """

    __slots__ = ("lifetime", "margin", "renew_after", "retry_after")

    def __init__(
        self,
        *,
        lifetime: timedelta = timedelta(minutes=90),
        renew_after: tuple[timedelta, timedelta] = (timedelta(minutes=45), timedelta(minutes=55)),
        margin: timedelta = timedelta(minutes=5),
        retry_after: tuple[timedelta, timedelta] = (timedelta(seconds=5), timedelta(seconds=30)),
    ) -> None:
        self.lifetime = lifetime
        self.renew_after = renew_after
        self.margin = margin
        self.retry_after = retry_after

    def __repr__(self) -> str:
        """Show the policy as a call that would make it."""
        return (
            f"KeyPolicy(lifetime={self.lifetime!r}, renew_after={self.renew_after!r}, "
            f"margin={self.margin!r}, retry_after={self.retry_after!r})"
        )


class Event:
    """Something that a client tells its application, through ``on_event``.

    Attributes:
        name: What happened: ``key_renewed``, ``key_unchanged`` (a renewal brought the key in hand), ``key_failed``,
            ``key_refused`` and ``key_unproven`` (with ``verify_keys=True``), ``key_invalidated``, ``token_renewed``,
            ``token_failed``, ``request_failed`` or ``large_token``.
        attributes: The particulars, such as ``kid``, or ``code``, ``status``, ``message`` and ``hint`` of an error.
            They never hold a secret.
    """

    __slots__ = ("attributes", "name")

    name: str
    attributes: Mapping[str, object]

    def __init__(self, name: str, attributes: Mapping[str, object]) -> None:
        self.name = name
        self.attributes = attributes

    def __repr__(self) -> str:
        """Show the event as a call that would make it."""
        return f"Event({self.name!r}, {dict(self.attributes)!r})"
