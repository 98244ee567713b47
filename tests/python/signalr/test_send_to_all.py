"""What ``send_to_all`` sends, and what it refuses to send."""

from collections import UserDict
from typing import Any

import pytest

from hubpass import InvalidArgumentError
from signalr.client_kind import AnyClient, ClientKind
from signalr.service_double import ServiceDouble
from signalr.tokens import REGISTERED, unverified, verified


@pytest.fixture
def sender(client_kind: ClientKind, service: ServiceDouble) -> AnyClient:
    return client_kind.make(service.endpoint, "Chat")


def test_the_request_is_the_documented_one(sender: AnyClient, service: ServiceDouble) -> None:
    arguments = ["hé\U0001f600", 1, 2.5, True, None, ["a", {"b": []}], {"c": {"d": "\u2028"}}]
    sender.send_to_all("newMessage", *arguments)
    request = service.take()
    assert (request.method, request.path) == ("POST", "/api/hubs/chat/:send")
    assert request.query == [("api-version", "2024-12-01")]
    assert request.json == {"Target": "newMessage", "Arguments": arguments}
    assert request.headers["content-type"].startswith("application/json")
    assert request.headers["host"] == service.endpoint.removeprefix("http://")
    assert request.headers["user-agent"].startswith("hubpass/")
    claims = verified(request.bearer, f"{service.endpoint}/api/hubs/chat/:send")
    assert set(claims) == {"nameid", *REGISTERED}
    assert claims["exp"] - claims["iat"] == 3600
    assert service.is_idle


def test_no_arguments_are_an_empty_list(sender: AnyClient, service: ServiceDouble) -> None:
    sender.send_to_all("ping")
    assert service.take().json == {"Target": "ping", "Arguments": []}


def test_application_and_excluded_are_in_the_query_and_not_in_the_audience(
    client_kind: ClientKind, service: ServiceDouble
) -> None:
    sender = client_kind.make(service.endpoint + "/base", "chat", application_name="Shop")
    sender.send_to_all("say", "hi", excluded=(connection for connection in ["a/b c", "é&=", "d"]))
    request = service.take()
    assert request.query == [
        ("application", "shop"),
        ("api-version", "2024-12-01"),
        ("excluded", "a/b c"),
        ("excluded", "é&="),
        ("excluded", "d"),
    ]
    verified(request.bearer, f"{service.endpoint}/base/api/hubs/chat/:send")


def test_it_goes_to_the_server_endpoint(client_kind: ClientKind, service: ServiceDouble) -> None:
    sender = client_kind.make("https://demo.service.signalr.net", server_endpoint=service.endpoint)
    sender.send_to_all("say")
    request = service.take()
    verified(request.bearer, f"{service.endpoint}/api/hubs/chat/:send")
    assert sender.negotiate("u").url.startswith("https://demo.service.signalr.net/")


def test_every_request_has_a_token_of_its_own_and_one_sender(sender: AnyClient, service: ServiceDouble) -> None:
    tokens = []
    for _ in range(2):
        sender.send_to_all("say")
        tokens.append(unverified(service.take().bearer))
    assert tokens[0]["nameid"] == tokens[1]["nameid"]
    assert tokens[0]["nameid"]
    assert tokens[0]["aud"].endswith("/:send")


def test_a_hub_with_unusual_characters(client_kind: ClientKind, service: ServiceDouble) -> None:
    client_kind.make(service.endpoint, "A[b]`c,d.e_9").send_to_all("say")
    request = service.take()
    assert request.path == "/api/hubs/a%5Bb%5D%60c%2Cd.e_9/:send"
    verified(request.bearer, f"{service.endpoint}{request.path}")


@pytest.mark.parametrize(
    ("arguments", "hint"),
    [
        ((float("nan"),), "JSON has no NaN"),
        ((object(),), "str(value)"),
        (("ok", b"bytes"), "str(value)"),
        (({1: 2},), "{str(key): value}"),
        ((2**64,), "str(number)"),
        (("\ud800",), "encode"),
        (("x" * 1024 * 1024,), "smaller arguments"),
    ],
    ids=["nan", "object", "bytes", "key", "int", "surrogate", "megabyte"],
)
def test_messages_that_cannot_be_sent(
    sender: AnyClient, service: ServiceDouble, arguments: tuple[Any, ...], hint: str
) -> None:
    with pytest.raises(InvalidArgumentError) as caught:
        sender.send_to_all("say", *arguments)
    assert caught.value.code == "invalid_message"
    assert hint in caught.value.hint
    assert service.is_idle


@pytest.mark.parametrize(
    ("target", "code"),
    [
        ("", "invalid_message"),
        (" ", "invalid_message"),
        (None, "invalid_argument"),
        (b"say", "invalid_argument"),
    ],
)
def test_targets_that_are_none(sender: AnyClient, service: ServiceDouble, target: Any, code: str) -> None:
    with pytest.raises(InvalidArgumentError) as caught:
        sender.send_to_all(target)
    assert (caught.value.code, "target=" in caught.value.hint) == (code, True)
    assert service.is_idle


@pytest.mark.parametrize("excluded", ["connection-id", [1], [""], 5, None, b"id", [None]], ids=repr)
def test_what_is_no_sequence_of_connections(sender: AnyClient, service: ServiceDouble, excluded: Any) -> None:
    with pytest.raises(InvalidArgumentError) as caught:
        sender.send_to_all("say", excluded=excluded)
    assert caught.value.code == "invalid_argument"
    assert "excluded=[connection_id, ...]" in caught.value.hint
    assert service.is_idle


def test_an_error_of_the_callers_iterable_is_the_callers(sender: AnyClient, service: ServiceDouble) -> None:
    class DatabaseError(Exception):
        pass

    class Lazy(UserDict[str, int]):
        def items(self) -> Any:
            raise DatabaseError

    def rows() -> Any:
        yield "connection"
        raise DatabaseError

    with pytest.raises(DatabaseError):
        sender.send_to_all("say", excluded=rows())
    with pytest.raises(DatabaseError):
        sender.negotiate("u", transports=rows())
    with pytest.raises(DatabaseError):
        sender.send_to_all("say", {"nested": Lazy()})
    assert service.is_idle
