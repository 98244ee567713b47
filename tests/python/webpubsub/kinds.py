"""Our clients and Microsoft's of Azure Web PubSub, sync and async, behind one face each."""

import json
import time
from typing import Any

import jwt
from azure.core.credentials import AccessToken, AzureKeyCredential
from azure.messaging.webpubsubservice import WebPubSubServiceClient as OfficialClient
from azure.messaging.webpubsubservice.aio import WebPubSubServiceClient as OfficialAsyncClient
from typing_extensions import Self

import hubpass
import hubpass.aio
from hubpass import ClientAccessToken, WebPubSubNegotiationResponse
from signalr.client_kind import settle
from signalr.service_double import Answer

KEY = "a-made-up-access-key-of-44-characters-000000="
ENDPOINT = "https://demo.webpubsub.azure.com"
SCOPE = "https://webpubsub.azure.com/.default"
AUDIENCE = f"{ENDPOINT}/client/hubs/Chat"
SIGNED_BY_THE_SERVICE = jwt.encode({"aud": "x", "exp": 4102444800}, "a key of the service's own, 32 bytes")
"""A token as the service would sign it; it expires in the year 2100."""


class AnyClient:
    """A client of either kind, ours or Microsoft's, whose methods wait for their result."""

    def __init__(self, raw: Any) -> None:
        self.raw = raw

    def token(self, **options: Any) -> Any:
        """What ``get_client_access_token`` gives."""
        return settle(self.raw.get_client_access_token(**options))

    def negotiate(self, *args: Any, **options: Any) -> WebPubSubNegotiationResponse:
        answer = settle(self.raw.negotiate(*args, **options))
        assert isinstance(answer, WebPubSubNegotiationResponse)
        return answer

    def access(self, **options: Any) -> ClientAccessToken:
        """The same as ``token``, of our own client."""
        answer = self.token(**options)
        assert isinstance(answer, ClientAccessToken)
        return answer

    def warm_up(self, **options: Any) -> None:
        settle(self.raw.warm_up(**options))

    def close(self) -> None:
        settle(self.raw.close())

    def for_hub(self, hub: Any) -> "AnyClient":
        return AnyClient(self.raw.for_hub(hub))

    @property
    def status(self) -> dict[str, Any]:
        found: dict[str, Any] = self.raw.status()
        return found


class OfficialAnyClient(AnyClient):
    """Microsoft's client."""

    def last_token(self, **options: Any) -> Any:
        """What the method gives; the client is closed on the loop that it has sent its request on."""
        if hasattr(self.raw, "__enter__"):
            with self.raw:
                return self.raw.get_client_access_token(**options)

        async def inside() -> Any:
            async with self.raw:
                return await self.raw.get_client_access_token(**options)

        return settle(inside())


class WebPubSubKind:
    """Sync or async."""

    service = "web-pubsub"

    def __init__(self, name: str, client_class: Any, official_class: Any) -> None:
        self.name = name
        self.client_class = client_class
        self.official_class = official_class

    def __str__(self) -> str:
        return self.name

    @property
    def module(self) -> str:
        """The module that applications import our client from."""
        return "hubpass.aio" if self.name == "async" else "hubpass"

    def make(self, endpoint: Any = ENDPOINT, hub: Any = "Chat", credential: Any = ..., **options: Any) -> AnyClient:
        """Our client, with a key if nothing else is said."""
        chosen = AzureKeyCredential(KEY) if credential is ... else credential
        return AnyClient(self.client_class(endpoint, hub, chosen, **options))

    def official(
        self, endpoint: Any = ENDPOINT, hub: Any = "Chat", credential: Any = ..., **options: Any
    ) -> OfficialAnyClient:
        """Microsoft's client."""
        chosen = AzureKeyCredential(KEY) if credential is ... else credential
        return OfficialAnyClient(self.official_class(endpoint, hub, chosen, **options))

    def from_connection_string(self, text: Any, hub: Any = "Chat", **options: Any) -> AnyClient:
        return AnyClient(self.client_class.from_connection_string(text, hub, **options))

    def from_env(self, hub: Any = "Chat", **options: Any) -> AnyClient:
        return AnyClient(self.client_class.from_env(hub, **options))

    def official_from_connection_string(self, text: Any, hub: Any = "Chat", **options: Any) -> OfficialAnyClient:
        return OfficialAnyClient(self.official_class.from_connection_string(text, hub, **options))

    def credential(self, token: str = "an-entra-token") -> Any:
        """A credential of this kind that gives out one token, and counts."""
        return (AsyncCredential if self.name == "async" else Credential)(token)


class Credential:
    """The least that azure-core calls a sync credential."""

    def __init__(self, token: str) -> None:
        self.calls: list[str] = []
        self._token = token

    def get_token(self, *scopes: str, **_: Any) -> AccessToken:
        self.calls.extend(scopes)
        return AccessToken(self._token, int(time.time()) + 86400)


class AsyncCredential:
    """The same for an async client."""

    def __init__(self, token: str) -> None:
        self._sync = Credential(token)

    @property
    def calls(self) -> list[str]:
        return self._sync.calls

    async def get_token(self, *scopes: str, **options: Any) -> AccessToken:
        return self._sync.get_token(*scopes, **options)

    async def close(self) -> None:
        """Microsoft's client closes what it is given."""

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()


SYNC = WebPubSubKind("sync", hubpass.WebPubSubServiceClient, OfficialClient)
ASYNC = WebPubSubKind("async", hubpass.aio.WebPubSubServiceClient, OfficialAsyncClient)


def token_answer(token: str = SIGNED_BY_THE_SERVICE, **others: Any) -> Answer:
    """How the service answers a request for a token."""
    body = json.dumps({"token": token, **others}).encode()
    return Answer(200, {"Content-Type": "application/json"}, body)


def verified(token: str, audience: str = AUDIENCE, key: str = KEY) -> dict[str, Any]:
    """All claims of a token whose signature, audience and times are right, as PyJWT finds them."""
    claims: dict[str, Any] = jwt.decode(
        token, key, algorithms=["HS256"], audience=audience, options={"require": ["aud", "exp", "iat"]}
    )
    return claims
