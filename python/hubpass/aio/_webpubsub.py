"""The async client of Azure Web PubSub."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import timedelta
from functools import partial
from typing import TYPE_CHECKING, Literal, overload

from hubpass._annotations import ClientProtocol, WebPubSubNegotiateOptions
from hubpass._native import PendingAnswer
from hubpass._webpubsub_base import WebPubSubServiceClientBase
from hubpass.aio._bridge import flight
from hubpass.aio._lifetime import AsyncLifetime
from hubpass.models import DEFAULT_LIFETIME, ClientAccessToken, WebPubSubNegotiationResponse

if TYPE_CHECKING:
    from typing_extensions import Unpack


class WebPubSubServiceClient(WebPubSubServiceClientBase, AsyncLifetime):
    """As :class:`hubpass.WebPubSubServiceClient`, with coroutines.

    One client serves any number of event loops and threads at once.
    """

    __slots__ = ()

    _is_async = True

    @overload
    async def negotiate(
        self, user_id: str, **options: Unpack[WebPubSubNegotiateOptions]
    ) -> WebPubSubNegotiationResponse: ...

    @overload
    async def negotiate(
        self, *, anonymous: Literal[True], **options: Unpack[WebPubSubNegotiateOptions]
    ) -> WebPubSubNegotiationResponse: ...

    async def negotiate(
        self,
        user_id: str | None = None,
        *,
        anonymous: bool = False,
        roles: Iterable[str] | None = (),
        groups: Iterable[str] | None = (),
        lifetime: timedelta = DEFAULT_LIFETIME,
        client_protocol: ClientProtocol = "Default",
        timeout: float | None = None,
    ) -> WebPubSubNegotiationResponse:
        """As :meth:`hubpass.WebPubSubServiceClient.negotiate`. With an access key it does not yield to the loop."""
        answer = self._native.negotiate(user_id, anonymous, roles, groups, lifetime, client_protocol, timeout)
        if isinstance(answer, PendingAnswer):
            return await flight(answer.start)
        return answer

    async def get_client_access_token(
        self,
        *,
        client_protocol: ClientProtocol = "Default",
        user_id: str | None = None,
        roles: Iterable[str] | None = None,
        minutes_to_expire: int = 60,
        groups: Iterable[str] | None = None,
        jwt_headers: Mapping[str, object] | None = None,
        timeout: float | None = None,
    ) -> ClientAccessToken:
        """As :meth:`hubpass.WebPubSubServiceClient.get_client_access_token`."""
        answer = self._native.get_client_access_token(
            client_protocol, user_id, roles, minutes_to_expire, groups, jwt_headers, timeout
        )
        if isinstance(answer, PendingAnswer):
            return await flight(answer.start)
        return answer

    async def warm_up(self, timeout: float | None = None) -> None:
        """As :meth:`hubpass.WebPubSubServiceClient.warm_up`."""
        await flight(partial(self._native.start_warm_up, timeout))
