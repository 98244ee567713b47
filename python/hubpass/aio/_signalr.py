"""The async client of Azure SignalR Service."""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from functools import partial
from typing import TYPE_CHECKING, Literal, overload

from hubpass._annotations import ClaimValue, NegotiateOptions, Transport
from hubpass._native import PendingAnswer
from hubpass._signalr_base import SignalRServiceClientBase
from hubpass.aio._bridge import flight
from hubpass.aio._lifetime import AsyncLifetime
from hubpass.exceptions import HubpassWarning
from hubpass.models import DEFAULT_LIFETIME, NegotiationResponse

if TYPE_CHECKING:
    from typing_extensions import Unpack


class SignalRServiceClient(SignalRServiceClientBase, AsyncLifetime):
    """As :class:`hubpass.SignalRServiceClient`, with coroutines.

    One client serves any number of event loops and threads at once.
    """

    __slots__ = ()

    _is_async = True

    @overload
    async def negotiate(self, user_id: str, **options: Unpack[NegotiateOptions]) -> NegotiationResponse: ...

    @overload
    async def negotiate(
        self, *, anonymous: Literal[True], **options: Unpack[NegotiateOptions]
    ) -> NegotiationResponse: ...

    async def negotiate(
        self,
        user_id: str | None = None,
        *,
        anonymous: bool = False,
        claims: Mapping[str, ClaimValue] | Iterable[tuple[str, ClaimValue]] | None = None,
        lifetime: timedelta = DEFAULT_LIFETIME,
        allow_long_lifetime: bool = False,
        close_on_authentication_expiration: bool = False,
        authentication_expires_on: datetime | None = None,
        transports: Iterable[Transport] | None = None,
        enable_detailed_errors: bool = False,
        timeout: float | None = None,
    ) -> NegotiationResponse:
        """As :meth:`hubpass.SignalRServiceClient.negotiate`. With a valid key in hand it does not yield to the loop."""
        answer = self._native.negotiate(
            user_id,
            anonymous,
            claims,
            lifetime,
            allow_long_lifetime,
            close_on_authentication_expiration,
            authentication_expires_on,
            transports,
            enable_detailed_errors,
            timeout,
        )
        if isinstance(answer, PendingAnswer):
            answer, warning = await flight(answer.start)
            if warning is not None:
                warnings.warn(warning, HubpassWarning, stacklevel=2)
        return answer

    async def send_to_all(
        self,
        target: str,
        *arguments: object,
        excluded: Iterable[str] = (),
        timeout: float | None = None,
    ) -> None:
        """As :meth:`hubpass.SignalRServiceClient.send_to_all`. A cancelled call may have been delivered."""
        await flight(partial(self._native.start_send_to_all, target, arguments, excluded, timeout))

    async def add_user_to_group(
        self, user_id: str, group: str, *, ttl: timedelta | None = None, timeout: float | None = None
    ) -> None:
        """As :meth:`hubpass.SignalRServiceClient.add_user_to_group`."""
        await flight(partial(self._native.start_add_user_to_group, user_id, group, ttl, timeout))

    async def warm_up(self, timeout: float | None = None) -> None:
        """As :meth:`hubpass.SignalRServiceClient.warm_up`."""
        await flight(partial(self._native.start_warm_up, timeout))

    async def invalidate_key(self, kid: str) -> bool:
        """As :meth:`hubpass.SignalRServiceClient.invalidate_key`."""
        return self._native.invalidate_key(kid)
