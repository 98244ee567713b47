"""What a grant means to each of the two services."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import timedelta
from functools import partial
from typing import Any, TypeAlias

from hubpass._base import SignalRServiceClientBase
from hubpass.exceptions import InvalidArgumentError
from hubpass.grants import Grant

AnyClient: TypeAlias = SignalRServiceClientBase


def checked_client(client: object, asynchronous: bool | None) -> AnyClient:
    """The client; what is none, or is not of the kind that the framework can use, is refused."""
    if not isinstance(client, AnyClient):
        raise InvalidArgumentError(
            f"The client is {type(client).__name__} and not one of hubpass.",
            code="invalid_argument",
            hint='Pass SignalRServiceClient.from_connection_string(text, "chat"), or a function that makes it.',
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
    negotiate: Any = client.negotiate  # type: ignore[attr-defined] # both of its classes have it
    if not isinstance(grant, Grant):
        return partial(negotiate, anonymous=True)
    if grant.roles:
        raise _not_for_signalr("roles", "Put what a client may do into Grant(claims=...): SignalR has no roles.")
    options = {} if grant.lifetime is None else {"lifetime": grant.lifetime}
    return partial(
        negotiate,
        grant.user_id,
        claims=grant.claims,
        authentication_expires_on=grant.expires_on,
        close_on_authentication_expiration=grant.close_on_expiration,
        **options,
    )


def group_calls(client: AnyClient, grant: Grant, ttl: timedelta | None) -> Sequence[Callable[[], Any]]:
    """The calls that put a user of SignalR into groups, which its tokens cannot say."""
    groups = (grant.groups,) if isinstance(grant.groups, str) else tuple(grant.groups)
    if groups and ttl is None:
        raise _not_for_signalr("groups", "Pass groups_ttl=timedelta(hours=1) where the route is mounted.")
    if not groups:
        return ()
    add: Any = client.add_user_to_group  # type: ignore[attr-defined] # both of its classes have it
    return [partial(add, grant.user_id, group, ttl=ttl) for group in groups]


def _not_for_signalr(what: str, hint: str) -> InvalidArgumentError:
    return InvalidArgumentError(
        f"A token of Azure SignalR Service cannot carry {what}.", code="invalid_argument", hint=hint
    )
