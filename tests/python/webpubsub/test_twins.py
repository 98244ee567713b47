"""The sync and the async client of Web PubSub are twins, and brothers of SignalR's."""

import inspect

import pytest

import hubpass
import hubpass.aio
from hubpass import models

Sync = hubpass.WebPubSubServiceClient
Async = hubpass.aio.WebPubSubServiceClient

METHODS = (
    "close",
    "for_hub",
    "from_connection_string",
    "from_env",
    "get_client_access_token",
    "negotiate",
    "status",
    "warm_up",
)
PROPERTIES = ("client_endpoint", "endpoint", "hub", "server_endpoint")
WAITING = ("close", "get_client_access_token", "negotiate", "warm_up")


def public_names(of: object) -> list[str]:
    return [name for name in dir(of) if not name.startswith("_")]


def test_both_clients_have_the_same_public_names() -> None:
    assert public_names(Sync) == public_names(Async) == sorted(METHODS + PROPERTIES)


@pytest.mark.parametrize("name", ["__init__", *METHODS])
def test_both_clients_have_the_same_signatures(name: str) -> None:
    assert inspect.signature(getattr(Sync, name)) == inspect.signature(getattr(Async, name))


@pytest.mark.parametrize("name", METHODS)
def test_what_may_wait_is_a_coroutine_function(name: str) -> None:
    assert inspect.iscoroutinefunction(getattr(Async, name)) is (name in WAITING)
    assert not inspect.iscoroutinefunction(getattr(Sync, name))


def test_every_option_of_negotiate_is_in_its_typed_dict() -> None:
    from hubpass._annotations import WebPubSubNegotiateOptions

    options = set(inspect.signature(Sync.negotiate).parameters) - {"self", "user_id", "anonymous"}
    assert set(WebPubSubNegotiateOptions.__annotations__) == options


def test_keywords_that_both_services_have_are_the_same() -> None:
    for name in ("__init__", "from_connection_string", "negotiate", "warm_up", "close", "for_hub"):
        ours = inspect.signature(getattr(Sync, name)).parameters
        of_signalr = inspect.signature(getattr(hubpass.SignalRServiceClient, name)).parameters
        for keyword in set(ours) & set(of_signalr):
            assert ours[keyword] == of_signalr[keyword], (name, keyword)
    assert set(inspect.signature(Sync).parameters) < set(inspect.signature(hubpass.SignalRServiceClient).parameters)


def test_the_default_lifetime_of_the_signature_is_the_documented_hour() -> None:
    assert inspect.signature(Sync.negotiate).parameters["lifetime"].default is models.DEFAULT_LIFETIME
