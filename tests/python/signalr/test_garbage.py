"""An application and its client may refer to each other; once nobody else does, the collector takes both."""

import asyncio
import gc
import weakref
from contextvars import ContextVar, copy_context
from threading import Semaphore
from typing import Any, TypeAlias

import pytest
from azure.core.credentials import AccessToken, AzureKeyCredential

from hubpass import Event, ServiceError
from signalr.client_kind import ASYNC, ENDPOINT, KEY, ClientKind
from signalr.service_double import WATCHDOG, Answer, ServiceDouble
from webpubsub import kinds

AnyKind: TypeAlias = ClientKind | kinds.WebPubSubKind

VARIABLE: ContextVar[Any] = ContextVar("variable")


class Watching:
    """Its client tells it of events."""

    def __init__(self, kind: AnyKind) -> None:
        self.client = kind.make(on_event=self.take)

    def take(self, event: Event) -> None: ...


class Composed:
    """The same with a connection string, whose client has no credential of the application's."""

    def __init__(self, kind: AnyKind) -> None:
        text = f"Endpoint=https://demo.service.signalr.net;AccessKey={KEY}"
        self.client = kind.from_connection_string(text, on_event=self.take)

    def take(self, event: Event) -> None: ...


class Key(AzureKeyCredential):
    """A credential with a key that knows its client."""

    def __init__(self, kind: AnyKind) -> None:
        super().__init__(KEY)
        self.client = kind.make(credential=self)


class Identity:
    """A credential with tokens that knows its client."""

    def __init__(self, kind: AnyKind) -> None:
        self.client = kind.make(credential=self.for_async() if kind.name == "async" else self)

    def get_token(self, *_: str) -> AccessToken:
        raise NotImplementedError

    def for_async(self) -> Any:
        owner = self

        class Async:
            async def get_token(self, *_: str) -> AccessToken:
                return owner.get_token()

        return Async()


class InContext:
    """The client is made where a context variable refers to whoever has the client."""

    def __init__(self, kind: AnyKind) -> None:
        def make() -> Any:
            VARIABLE.set(self)
            credential = Identity.__new__(Identity)
            return kind.make(credential=credential.for_async() if kind.name == "async" else credential)

        self.client = copy_context().run(make)


class Configured:
    """Its client is made as the environment says, and tells it of events."""

    def __init__(self, kind: AnyKind) -> None:
        self.client = kind.from_env(on_event=self.take)

    def take(self, event: Event) -> None: ...


OWNERS = [Watching, Composed, Key, Identity, InContext, Configured]


@pytest.fixture(autouse=True)
def _environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, endpoint in (("SIGNALR", ENDPOINT), ("WEBPUBSUB", kinds.ENDPOINT)):
        monkeypatch.setenv(f"AZURE_{name}_CONNECTIONSTRING", f"Endpoint={endpoint};AccessKey={KEY}")


@pytest.mark.parametrize("owner_class", OWNERS, ids=lambda owner: owner.__name__)
def test_a_cycle_is_collected(any_kind: AnyKind, owner_class: type[Any]) -> None:
    owner = owner_class(any_kind)
    native = weakref.ref(owner.client.raw)
    gone = weakref.ref(owner)
    del owner
    gc.collect()
    assert gone() is None
    assert native() is None


@pytest.mark.parametrize("owner_class", OWNERS, ids=lambda owner: owner.__name__)
def test_what_is_in_use_is_not_collected(any_kind: AnyKind, owner_class: type[Any]) -> None:
    """Whichever of the clients that share a credential is left: it keeps all that it needs."""
    owner = owner_class(any_kind)
    gone = weakref.ref(owner)
    hubs = [owner.client.for_hub(f"hub{number}") for number in range(3)]
    del owner
    while hubs:
        # A reference that was counted twice would be freed here, while it is in use.
        gc.collect()
        assert gone() is not None
        assert hubs.pop().raw.hub.startswith("hub")
    gc.collect()
    assert gone() is None


def test_an_owner_in_a_cycle_still_hears(client_kind: ClientKind, service: ServiceDouble) -> None:
    class Owner:
        def __init__(self) -> None:
            self.client = client_kind.make(service.endpoint, on_event=self.take)

        def take(self, event: Event) -> None:
            seen.append(event.name)
            heard.release()

    seen: list[str] = []
    heard = Semaphore(0)
    only_client = Owner().client
    gc.collect()
    service.answer(Answer(503))
    with pytest.raises(ServiceError):
        only_client.send_to_all("say")
    assert heard.acquire(timeout=WATCHDOG)
    assert seen == ["request_failed"]


def test_a_finalizer_may_use_the_client(client_kind: ClientKind, service: ServiceDouble) -> None:
    """The collector runs finalizers before it clears anything."""

    class Owner:
        def __init__(self) -> None:
            self.client = client_kind.make(service.endpoint, on_event=self.take)

        def take(self, event: Event) -> None: ...

        def __del__(self) -> None:
            seen.append(self.client.negotiate("ada")["url"])
            self.client.send_to_all("goodbye")
            self.client.close()

    seen: list[str] = []
    owner = Owner()
    del owner
    gc.collect()
    assert len(seen) == 1
    assert service.take().json["Target"] == "goodbye"


def test_a_dropped_client_leaves_its_call_alone(service: ServiceDouble) -> None:
    """A coroutine keeps the client that it belongs to."""
    held = service.hold()

    async def main() -> None:
        task = asyncio.create_task(ASYNC.make(service.endpoint).raw.send_to_all("say", timeout=WATCHDOG))
        await asyncio.to_thread(held.wait_until_arrived)
        gc.collect()
        held.release()
        await task

    asyncio.run(main())
