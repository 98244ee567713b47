"""Microsoft's own packages against the local Web PubSub: the server SDK, and the Python client in both kinds."""

from __future__ import annotations

import asyncio
import queue
from collections.abc import Callable, Mapping
from typing import Any

import pytest
from azure.core.credentials import AzureKeyCredential
from azure.core.exceptions import ClientAuthenticationError, HttpResponseError, ResourceNotFoundError
from azure.identity import ClientSecretCredential
from azure.messaging.webpubsubclient import WebPubSubClient
from azure.messaging.webpubsubclient.aio import WebPubSubClient as AsyncWebPubSubClient
from azure.messaging.webpubsubclient.models import (
    CallbackType,
    OpenClientError,
    SendMessageError,
    WebPubSubDataType,
    WebPubSubProtocolType,
)
from azure.messaging.webpubsubservice import WebPubSubServiceClient
from azure.messaging.webpubsubservice.aio import WebPubSubServiceClient as AsyncWebPubSubServiceClient

from emulator.support import WATCHDOG_SECONDS, Azure
from emulator.web_pubsub_support import BOTH_ROLES, PubSub

# The sync client waits this long for news that has overtaken it, and then finds that all is well: it looks for the news
# of a connection or an acknowledgement only after it has begun to wait. Its own default is 30 seconds.
PATIENCE: Mapping[str, Any] = {"start_timeout": 4.0, "ack_timeout": 4.0}
PROTOCOLS = [WebPubSubProtocolType.JSON, WebPubSubProtocolType.JSON_RELIABLE]


@pytest.fixture
def server(pubsub: PubSub) -> Any:
    """The server SDK with the connection string of the primary key."""
    return WebPubSubServiceClient.from_connection_string(pubsub.azure.emulator.web_pubsub_connection_string, "Chat")


class Heard:
    """What a client of either kind was told, in order."""

    def __init__(self) -> None:
        self._heard: queue.Queue[Any] = queue.Queue()

    def next(self) -> Any:
        return self._heard.get(timeout=WATCHDOG_SECONDS)

    def subscribe(self, client: Any) -> None:
        for kind in (CallbackType.GROUP_MESSAGE, CallbackType.SERVER_MESSAGE):
            client.subscribe(kind, self._heard.put)

    async def subscribe_async(self, client: Any) -> None:
        async def put(message: Any) -> None:
            self._heard.put(message)

        for kind in (CallbackType.GROUP_MESSAGE, CallbackType.SERVER_MESSAGE):
            await client.subscribe(kind, put)

    async def next_async(self) -> Any:
        return await asyncio.to_thread(self.next)


def client_url(server: Any, **options: Any) -> str:
    url: str = server.get_client_access_token(user_id="ann", **options)["url"]
    return url


@pytest.mark.parametrize("protocol", PROTOCOLS, ids=lambda protocol: str(protocol.value))
def test_the_sync_client_joins_sends_and_hears(pubsub: PubSub, server: Any, protocol: Any) -> None:
    client, heard = (
        WebPubSubClient(
            client_url(server, roles=list(BOTH_ROLES)),
            protocol_type=protocol,
            **PATIENCE,
        ),
        Heard(),
    )
    heard.subscribe(client)
    with client:
        client.join_group("g")
        assert pubsub.control.connections("chat")[0].groups == ("g",)
        client.send_to_group("g", {"a": 1}, WebPubSubDataType.JSON)
        message = heard.next()
        assert (message.group, message.data, message.from_user_id) == ("g", {"a": 1}, "ann")
        client.send_to_group("g", memoryview(b"\x00\xff"), WebPubSubDataType.BINARY)
        assert bytes(heard.next().data) == b"\x00\xff"
        server.send_to_user("ann", "from the server", content_type="text/plain")
        assert heard.next().data == "from the server"
        client.leave_group("g")
        assert pubsub.control.connections("chat")[0].groups == ()


def test_the_sync_client_is_told_what_is_refused(server: Any) -> None:
    client = WebPubSubClient(
        client_url(server),
        protocol_type=WebPubSubProtocolType.JSON,
        reconnect_retry_total=0,
        message_retry_total=0,
        **PATIENCE,
    )
    requests: list[tuple[str, Callable[[], None]]] = [
        ("Forbidden", lambda: client.join_group("g")),
        ("Forbidden", lambda: client.send_to_group("g", "x", WebPubSubDataType.TEXT)),
        ("InternalServerError", lambda: client.send_event("news", "x", WebPubSubDataType.TEXT)),
    ]
    with client:
        for name, request in requests:
            with pytest.raises(SendMessageError) as refused:
                request()
            assert refused.value.error_detail is not None
            assert refused.value.error_detail.name == name


@pytest.mark.parametrize("protocol", PROTOCOLS, ids=lambda protocol: str(protocol.value))
def test_the_async_client_joins_sends_and_hears(pubsub: PubSub, server: Any, protocol: Any) -> None:
    async def talk() -> None:
        heard = Heard()
        client = AsyncWebPubSubClient(
            client_url(server, roles=list(BOTH_ROLES)), protocol_type=protocol, message_retry_total=0
        )
        await heard.subscribe_async(client)
        async with client:
            await client.join_group("g")
            await client.send_to_group("g", "text", WebPubSubDataType.TEXT)
            message = await heard.next_async()
            assert (message.group, message.data, message.from_user_id) == ("g", "text", "ann")
            await asyncio.to_thread(server.send_to_all, {"b": 2})
            assert (await heard.next_async()).data == {"b": 2}
            with pytest.raises(SendMessageError) as refused:
                await client.send_event("news", "x", WebPubSubDataType.TEXT)
            assert refused.value.error_detail is not None
            assert refused.value.error_detail.name == "InternalServerError"

    asyncio.run(talk())
    assert pubsub.control.journal("web_pubsub_connect")[0].user_id == "ann"


def test_a_reliable_client_survives_a_broken_network(pubsub: PubSub, server: Any) -> None:
    async def talk() -> None:
        heard = Heard()
        client = AsyncWebPubSubClient(client_url(server, groups=["g"]))
        await heard.subscribe_async(client)
        async with client:
            await asyncio.to_thread(server.send_to_group, "g", "before")
            assert (await heard.next_async()).data == "before"
            (connection,) = await asyncio.to_thread(pubsub.control.connections, "chat")
            # The client cannot be back before the next message is under way, since its first attempt is held.
            await asyncio.to_thread(lambda: pubsub.control.fail_next("web_pubsub_connect", hold=True))
            await asyncio.to_thread(pubsub.control.drop_web_pubsub_connection, connection.connection_id)
            await asyncio.to_thread(lambda: pubsub.control.wait_until(lambda state: bool(state.held)))
            await asyncio.to_thread(server.send_to_group, "g", "meanwhile")
            assert await asyncio.to_thread(pubsub.control.release) == 1
            assert (await heard.next_async()).data == "meanwhile"
            (again,) = await asyncio.to_thread(pubsub.control.connections, "chat")
            assert again.connection_id == connection.connection_id

    asyncio.run(talk())
    assert [entry.action for entry in pubsub.control.journal("web_pubsub_connect")] == ["served", "recovered"]


@pytest.mark.parametrize("reason", ["key", "hub"])
def test_the_async_client_is_not_let_in_with_a_bad_token(pubsub: PubSub, reason: str) -> None:
    key = "another-key-another-key-another-key!" if reason == "key" else pubsub.key
    server = WebPubSubServiceClient(pubsub.endpoint, "chat", AzureKeyCredential(key))
    url = client_url(server)
    if reason == "hub":
        url = url.replace("/chat?", "/other?")
    with pytest.raises(OpenClientError, match="401"):
        asyncio.run(AsyncWebPubSubClient(url, reconnect_retry_total=0).open())


def test_the_server_sdk_does_what_is_supported(pubsub: PubSub, server: Any) -> None:
    with pubsub.client(sub="ann a/b", groups=["g"]) as client, pubsub.client() as other:
        one, two = client.connection_id, other.connection_id
        server.send_to_all("all", excluded=[two])
        server.send_to_group("g", {"to": "group"}, excluded=[two])
        server.send_to_connection(one, b"\x00\xff", content_type="application/octet-stream")
        heard = [client.hear() for _ in range(3)]
        assert [message["data"] for message in heard] == ["all", {"to": "group"}, "AP8="]
        assert other.is_silent()
        server.add_connection_to_group("h h", two)
        assert server.group_exists("h h")
        server.send_to_group("h h", "text", content_type="text/plain")
        assert other.hear()["group"] == "h h"
        server.remove_connection_from_group("h h", two)
        assert not server.group_exists("h h")
        assert server.connection_exists(one)
        server.close_connection(one, reason="enough")
        assert client.hear()["message"] == "enough"
        assert not server.connection_exists(one)
        with pytest.raises(ResourceNotFoundError):
            server.add_connection_to_group("g", one)


def test_the_server_sdk_finds_users(pubsub: PubSub, server: Any) -> None:
    with pubsub.client(sub="ann@example.com") as client:
        assert server.user_exists("ann@example.com")
        assert not server.user_exists("bob")
        server.send_to_user("ann@example.com", [1, 2])
        assert client.hear()["data"] == [1, 2]


def test_the_server_sdk_is_told_what_is_missing(server: Any) -> None:
    # A 404 would mean that the client lacks the permission.
    with pytest.raises(HttpResponseError) as refused:
        server.has_permission("sendToGroup", "c")
    assert refused.value.status_code == 501
    with pytest.raises(HttpResponseError) as refused:
        server.send_to_all("x", filter="userId eq 'ann'")
    assert refused.value.status_code == 501


def test_the_server_sdk_is_refused_with_a_wrong_key(pubsub: PubSub) -> None:
    stranger = WebPubSubServiceClient(pubsub.endpoint, "chat", AzureKeyCredential("k" * 44))
    with pytest.raises(ClientAuthenticationError):
        stranger.send_to_all("x")


def entra_credential(azure: Azure) -> ClientSecretCredential:
    emulator = azure.emulator
    return ClientSecretCredential(
        emulator.tenant_id,
        emulator.client_id,
        emulator.client_secret,
        authority=emulator.authority,
        disable_instance_discovery=True,
        connection_verify=emulator.ca_file,
    )


def test_the_server_sdk_with_entra(entra: Azure) -> None:
    pubsub = PubSub(entra)
    server = WebPubSubServiceClient(pubsub.endpoint, "chat", entra_credential(entra))
    # The SDK sends no Entra token over http unless it is told to with each call.
    url = client_url(server, roles=["webpubsub.sendToGroup.g"], groups=["g"], enforce_https=False)
    client, heard = WebPubSubClient(url, protocol_type=WebPubSubProtocolType.JSON, **PATIENCE), Heard()
    heard.subscribe(client)
    with client:
        client.send_to_group("g", "hi", WebPubSubDataType.TEXT)
        assert (heard.next().data, pubsub.control.connections()[0].user_id) == ("hi", "ann")
        server.send_to_all("from the server", enforce_https=False)
        assert heard.next().data == "from the server"
    entra.control.remove_role(entra.emulator.object_id)
    with pytest.raises(HttpResponseError) as refused:
        client_url(server, enforce_https=False)
    assert refused.value.status_code == 403


def test_the_async_server_sdk(pubsub: PubSub) -> None:
    async def talk() -> None:
        string = pubsub.azure.emulator.web_pubsub_secondary_connection_string
        async with AsyncWebPubSubServiceClient.from_connection_string(string, "chat") as server:
            url = (await server.get_client_access_token(user_id="bob", groups=["g"]))["url"]
            heard = Heard()
            client = AsyncWebPubSubClient(url, protocol_type=WebPubSubProtocolType.JSON)
            await heard.subscribe_async(client)
            async with client:
                await server.send_to_group("g", "hi", content_type="text/plain")
                assert (await heard.next_async()).data == "hi"
                assert await server.user_exists("bob")

    asyncio.run(talk())
