"""`POST /api/hubs/{hub}/:send`: token, query, body, and who receives the message."""

from __future__ import annotations

import json
from typing import Any

import pytest

from emulator.support import ABSENT, API_VERSION, Azure


def described(text: str) -> str:
    return f'Bearer error="invalid_token", error_description="{text}"'


def test_a_message_reaches_every_client_of_the_hub_and_no_other(azure: Azure) -> None:
    with (
        azure.client() as one,
        azure.client() as two,
        azure.client(azure.token("other"), query="hub=other") as other,
    ):
        answer = azure.send()
        assert (answer.status_code, answer.content) == (202, b"")
        expected = {"type": 1, "target": "hello", "arguments": ["world"]}
        assert one.hear() == expected
        assert two.hear() == expected
        assert azure.send("other", {"target": "bye"}).status_code == 202
        # The first message that the client of the other hub hears is its own.
        assert other.hear()["target"] == "bye"
    assert [entry.action for entry in azure.control.journal("send")] == ["sent to 2", "sent to 1"]


def test_excluded_connections_are_left_out(azure: Azure) -> None:
    with azure.client() as one, azure.client() as two, azure.client() as three:
        ids = [connection.connection_id for connection in azure.control.connections()]
        query: dict[str, str | list[str]] = {"api-version": API_VERSION, "excluded": ids[:2]}
        assert azure.send(body={"target": "first"}, query=query).status_code == 202
        assert azure.send(body={"target": "second"}).status_code == 202
        assert one.hear()["target"] == "second"
        assert two.hear()["target"] == "second"
        assert three.hear()["target"] == "first"


def test_an_application_has_hubs_of_its_own(azure: Azure) -> None:
    with azure.client() as plain, azure.client(azure.token("shop_chat"), query="hub=shop_chat") as shop:
        query: dict[str, str | list[str]] = {"application": "Shop", "api-version": API_VERSION}
        assert azure.send(body={"target": "to shop"}, query=query).status_code == 202
        assert azure.send(body={"target": "to plain"}).status_code == 202
        assert shop.hear()["target"] == "to shop"
        assert plain.hear()["target"] == "to plain"
    assert [entry.hub for entry in azure.control.journal("send")] == ["shop_chat", "chat"]


def test_the_hub_of_a_path_ignores_case(azure: Azure) -> None:
    with azure.client() as client:
        assert azure.send("Chat").status_code == 202
        assert client.hear()["target"] == "hello"


@pytest.mark.parametrize(
    "arguments",
    [[], [None, True, 1.5, "ä\u2028\U0001f600", {"a": [1, {"b": 2}]}], [2**63, -(2**63)], ["\ud800"]],
    ids=["none", "every type", "large integers", "half a surrogate pair"],
)
def test_arguments_arrive_as_they_were_sent(azure: Azure, arguments: list[Any]) -> None:
    with azure.client() as client:
        assert azure.send(body={"target": "t", "arguments": arguments}).status_code == 202
        assert client.hear()["arguments"] == arguments


@pytest.mark.parametrize(
    "body",
    [
        {"Target": "t", "Arguments": None},
        {"target": "t"},
        {"TARGET": "t", "ARGUMENTS": []},
        {"target": "t", "arguments": [], "more": 1},
    ],
)
def test_forms_of_a_message_without_arguments(azure: Azure, body: dict[str, Any]) -> None:
    with azure.client() as client:
        assert azure.send(body=body).status_code == 202
        assert client.hear() == {"type": 1, "target": "t", "arguments": []}


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"no JSON",
        b"[]",
        b"{}",
        b'{"target":""}',
        b'{"target":7}',
        b'{"target":"t","arguments":{}}',
        b'{"target":"t","arguments":[NaN]}',
        b'{"target":"t","arguments":[1e999]}',
        b'{"target":"\xff"}',
        b"[" * 100_000,
    ],
    ids=lambda content: content[:32].decode("latin-1"),
)
def test_a_bad_body_is_refused_in_the_services_form(azure: Azure, content: bytes) -> None:
    answer = azure.send(content=content)
    assert answer.status_code == 400
    error = answer.json()
    assert set(error) == {"code", "message", "target", "details", "inner"}
    assert answer.headers["x-ms-error-code"] == error["code"] == "Error.BadRequest"
    assert azure.send(content=b'{"target":"t","arguments":[]}').status_code == 202


def test_the_limit_of_a_body(azure: Azure) -> None:
    frame = json.dumps({"target": "t", "arguments": [""]}).encode()
    largest = frame.replace(b'""', b'"' + b"x" * (1024 * 1024 - len(frame)) + b'"')
    assert len(largest) == 1024 * 1024
    assert azure.send(content=largest).status_code == 202
    assert azure.send(content=largest + b" ").status_code == 413
    assert azure.send(content=largest * 8).status_code == 413


@pytest.mark.parametrize(
    "content_type", ["", "text/plain", "application/octet-stream", "application/json; charset=utf-16"]
)
def test_another_content_type_is_refused(azure: Azure, content_type: str) -> None:
    assert azure.send(headers={"Content-Type": content_type}).status_code == 415
    for accepted in ("application/json", 'Application/JSON; charset="UTF-8"'):
        assert azure.send(headers={"Content-Type": accepted}).status_code == 202


@pytest.mark.parametrize(
    "query",
    [
        {},
        {"api-version": "2021-01-01"},
        {"api-version": ""},
        {"api-version": [API_VERSION, API_VERSION]},
        {"api-version": API_VERSION, "application": ["a", "b"]},
        {"api-version": API_VERSION, "application": "not-a-name"},
    ],
    ids=str,
)
def test_a_bad_query_is_refused(azure: Azure, query: dict[str, str | list[str]]) -> None:
    assert azure.send(query=query).status_code == 400
    assert azure.send().status_code == 202


@pytest.mark.parametrize("version", ["2022-06-01", "2022-11-01", "2023-07-01", "2024-12-01"])
def test_every_stable_version_is_served(azure: Azure, version: str) -> None:
    assert azure.send(query={"api-version": version}).status_code == 202


def test_a_hub_that_cannot_exist_is_refused(azure: Azure) -> None:
    assert azure.send("1chat").status_code == 400
    assert azure.send("a" * 129).status_code == 400
    assert azure.send("a" * 128).status_code == 202


def own_url(azure: Azure) -> str:
    return f"{azure.endpoint}/api/hubs/chat/:send"


GOOD_AUDIENCES = {
    "the URL without its query": "{origin}:{port}/api/hubs/chat/:send",
    "without the port": "{origin}/api/hubs/chat/:send",
    "with the query": "{origin}:{port}/api/hubs/chat/:send?api-version=2024-12-01&excluded=a&excluded=b",
    "with the query but for excluded": "{origin}/api/hubs/chat/:send?api-version=2024-12-01",
    "with the scheme in capitals": "HTTP://127.0.0.1/api/hubs/chat/:send",
}
BAD_AUDIENCES = {
    "another hub": "{origin}:{port}/api/hubs/other/:send",
    "another host": "http://example.com/api/hubs/chat/:send",
    "another port": "{origin}:1/api/hubs/chat/:send",
    "another scheme": "https://127.0.0.1/api/hubs/chat/:send",
    "a slash at the end": "{origin}/api/hubs/chat/:send/",
    "only the host": "{origin}",
    "another query": "{origin}/api/hubs/chat/:send?api-version=2022-06-01",
    "the route of version 1": "{origin}/api/v1/hubs/chat",
    "the audience of a client": "{origin}/client/?hub=chat",
    "a fragment": "{origin}/api/hubs/chat/:send#x",
    "no URL": "chat",
}
EXCLUDING: dict[str, str | list[str]] = {"api-version": API_VERSION, "excluded": ["a", "b"]}


def audience(azure: Azure, template: str) -> str:
    origin, _, port = azure.endpoint.rpartition(":")
    return template.format(origin=origin, port=port)


@pytest.mark.parametrize("form", GOOD_AUDIENCES)
def test_audiences_that_are_the_url_of_the_request(azure: Azure, form: str) -> None:
    token = azure.rest_token(audience(azure, GOOD_AUDIENCES[form]))
    assert azure.send(token=token, query=EXCLUDING).status_code == 202


@pytest.mark.parametrize("form", BAD_AUDIENCES)
def test_audiences_that_are_not(azure: Azure, form: str) -> None:
    answer = azure.send(token=azure.rest_token(audience(azure, BAD_AUDIENCES[form])), query=EXCLUDING)
    assert (answer.status_code, answer.content) == (401, b"")
    assert answer.headers["www-authenticate"] == described("The audience is invalid")
    assert azure.send(token=azure.rest_token(own_url(azure)), query=EXCLUDING).status_code == 202


def test_the_path_of_an_audience_may_be_raw_or_decoded(azure: Azure) -> None:
    for path in ("/api/hubs/a%60b/:send", "/api/hubs/a`b/:send"):
        token = azure.rest_token(azure.endpoint + path)
        assert azure.send("a%60b", token=token).status_code == 202
    assert azure.send("a%60b", token=azure.rest_token(f"{azure.endpoint}/api/hubs/a%2560b/:send")).status_code == 401


def test_a_client_token_is_no_rest_token(azure: Azure) -> None:
    answer = azure.send(token=azure.token())
    assert (answer.status_code, answer.headers["www-authenticate"]) == (
        401,
        described("The audience is invalid"),
    )
    assert azure.negotiate(azure.token()).status_code == 200


@pytest.mark.parametrize(
    ("changes", "description"),
    [
        ({"key": "another-key-another-key-another-key"}, "The signature key was not found"),
        ({"exp": ABSENT}, "The token has no expiration"),
        ({"exp": 1}, "The token is expired"),
        ({"nbf": 9_999_999_998, "exp": 9_999_999_999}, "The token is not valid yet"),
    ],
)
def test_a_defective_token_is_refused(azure: Azure, changes: dict[str, Any], description: str) -> None:
    answer = azure.send(token=azure.rest_token(own_url(azure), **changes))
    assert (answer.status_code, answer.headers["www-authenticate"]) == (401, described(description))
    assert azure.send(token=azure.rest_token(own_url(azure))).status_code == 202


def test_no_token_and_a_token_in_the_query_are_refused(azure: Azure) -> None:
    token = azure.rest_token(own_url(azure))
    url = f"{own_url(azure)}?api-version={API_VERSION}"
    for address in (url, f"{url}&access_token={token}"):
        answer = azure.http.post(address, json={"target": "t"})
        assert (answer.status_code, answer.headers["www-authenticate"]) == (401, "Bearer")
    answer = azure.http.post(url, json={"target": "t"}, headers={"Authorization": f"Bearer {token}"})
    assert answer.status_code == 202


def test_both_keys_are_good_for_rest(azure: Azure) -> None:
    for key in (azure.key, azure.secondary_key):
        assert azure.send(token=azure.rest_token(own_url(azure), key=key)).status_code == 202
