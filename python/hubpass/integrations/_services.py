"""What a grant means to each of the two services."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime, timedelta, timezone
from functools import partial
from typing import Any, TypeAlias

from hubpass._client_base import ServiceClientBase
from hubpass._signalr_base import SignalRServiceClientBase
from hubpass._webpubsub_base import WebPubSubServiceClientBase
from hubpass.exceptions import InvalidArgumentError
from hubpass.grants import Grant
from hubpass.models import DEFAULT_LIFETIME

AnyClient: TypeAlias = ServiceClientBase

# What the service makes at the least (`minutesToExpire` of `:generateToken`).
_SHORTEST_OF_WEB_PUBSUB = timedelta(minutes=1)

_END_HINT = "Pass Grant(expires_on=datetime.now(timezone.utc) + timedelta(...))."


def checked_client(client: object, asynchronous: bool | None) -> AnyClient:
    """The client; what is none, or is not of the kind that the framework can use, is refused."""
    if not isinstance(client, AnyClient):
        raise InvalidArgumentError(
            f"The client is {type(client).__name__} and not one of hubpass.",
            code="invalid_argument",
            hint='Pass SignalRServiceClient.from_env("chat") or another client, or a function that makes it.',
        )
    if asynchronous is not None and client._is_async is not asynchronous:  # noqa: SLF001 - a class of this package
        kind, module = ("an async", "hubpass.aio") if asynchronous else ("a sync", "hubpass")
        raise InvalidArgumentError(
            f"The client is of the other kind: this framework needs {kind} one.",
            code="invalid_argument",
            hint=f"Use the class of the same name: from {module} import {type(client).__name__}.",
        )
    return client


def negotiation(client: AnyClient, grant: object) -> Callable[[], Any]:
    """The call that answers a grant, or anybody if it is ANONYMOUS."""
    negotiate: Any = client.negotiate  # type: ignore[attr-defined] # all of its classes have it
    if not isinstance(grant, Grant):
        return partial(negotiate, anonymous=True)
    if isinstance(client, WebPubSubServiceClientBase):
        return _negotiation_of_web_pubsub(negotiate, grant)
    if grant.roles:
        raise _impossible("Azure SignalR Service", "roles", "Put what a client may do into Grant(claims=...).")
    options = {} if grant.lifetime is None else {"lifetime": grant.lifetime}
    return partial(
        negotiate,
        grant.user_id,
        claims=grant.claims,
        authentication_expires_on=grant.expires_on,
        close_on_authentication_expiration=grant.close_on_expiration,
        **options,
    )


def _negotiation_of_web_pubsub(negotiate: Callable[..., Any], grant: Grant) -> Callable[[], Any]:
    service = "Azure Web PubSub"
    if grant.claims:
        raise _impossible(service, "claims", "Leave out Grant(claims=...): the handler of connect knows the user.")
    if grant.close_on_expiration:
        raise _impossible(service, "an end of the connection", "Leave out Grant(close_on_expiration=True).")
    lifetime = DEFAULT_LIFETIME if grant.lifetime is None else grant.lifetime
    if grant.expires_on is not None:
        lifetime = min(lifetime, _time_until(grant.expires_on))
    return partial(negotiate, grant.user_id, roles=grant.roles, groups=grant.groups, lifetime=lifetime)


def _time_until(expires_on: object) -> timedelta:
    """What is left of the user's session; the service makes no token for less than a minute."""
    if not isinstance(expires_on, datetime):
        raise _bad_end(f"ends at {type(expires_on).__name__} and not at a datetime", _END_HINT)
    if expires_on.utcoffset() is None:
        raise _bad_end("has no time zone", "Add one: expires_on.replace(tzinfo=timezone.utc), if it is in UTC.")
    left = expires_on - datetime.now(timezone.utc)
    if left < _SHORTEST_OF_WEB_PUBSUB:
        raise _bad_end("ends within a minute", _END_HINT)
    return left


def _bad_end(what: str, hint: str) -> InvalidArgumentError:
    return InvalidArgumentError(f"The user's session {what}.", code="invalid_authentication_expires_on", hint=hint)


def group_calls(client: AnyClient, grant: Grant, ttl: timedelta | None) -> Sequence[Callable[[], Any]]:
    """The calls that put a user of SignalR into groups, which its tokens cannot say."""
    # Groups may be a generator, which is for Web PubSub's own token to use up.
    if not isinstance(client, SignalRServiceClientBase):
        return ()
    groups = (grant.groups,) if isinstance(grant.groups, str) else tuple(grant.groups)
    if not groups:
        return ()
    if ttl is None:
        hint = "Pass groups_ttl=timedelta(hours=1) where the route is mounted."
        raise _impossible("Azure SignalR Service", "groups", hint)
    add: Any = client.add_user_to_group  # type: ignore[attr-defined] # both of its classes have it
    return [partial(add, grant.user_id, group, ttl=ttl) for group in groups]


def _impossible(service: str, what: str, hint: str) -> InvalidArgumentError:
    return InvalidArgumentError(f"A token of {service} cannot carry {what}.", code="invalid_argument", hint=hint)
