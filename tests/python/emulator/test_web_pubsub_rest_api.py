"""The REST API of Web PubSub for servers: token, query, body, and who receives the message."""

from __future__ import annotations

from typing import Any

import pytest

from emulator.support import ABSENT, Azure
from emulator.web_pubsub_support import API_VERSION, SCOPE, PubSub


def described(text: str) -> str:
    return f'Bearer error="invalid_token", error_description="{text}"'


def from_server(data: object, kind: str = "json") -> dict[str, Any]:
    return {"type": "message", "from": "server", "dataType": kind, "data": data}


def test_a_message_reaches_whom_it_is_for(pubsub: PubSub) -> None:
    with (
        pubsub.client(sub="ann") as ann,
        pubsub.client(sub="ann", groups=["g"]) as ann_too,
        pubsub.client(sub="bob", groups=["g"]) as bob,
    ):
        for path, data, group, receivers in (
            ("/:send", "all", None, [ann, ann_too, bob]),
            ("/groups/g/:send", "group", "g", [ann_too, bob]),
            ("/users/ann/:send", "user", None, [ann, ann_too]),
            (f"/connections/{bob.connection_id}/:send", "connection", None, [bob]),
        ):
            answer = pubsub.send(path, data)
            assert (answer.status_code, answer.content) == (202, b"")
            expected = from_server(data) if group is None else {**from_server(data), "from": "group", "group": group}
            for receiver in receivers:
                assert receiver.hear() == expected
        assert all(client.is_silent() for client in (ann, ann_too, bob))
    sent = [entry.action for entry in pubsub.control.journal() if entry.route.startswith("web_pubsub_send")]
    assert sent == ["sent to 3", "sent to 2", "sent to 2", "sent to 1"]


def test_excluded_connections_are_left_out(pubsub: PubSub) -> None:
    with pubsub.client(groups=["g"]) as one, pubsub.client(groups=["g"]) as two, pubsub.client(groups=["g"]) as three:
        query: dict[str, Any] = {"api-version": API_VERSION, "excluded": [one.connection_id, two.connection_id]}
        for path in ("/:send", "/groups/g/:send"):
            assert pubsub.send(path, query=query).status_code == 202
            assert three.hear()["data"] == "hello"
            assert one.is_silent()
            assert two.is_silent()


@pytest.mark.parametrize("path", ["/groups/none/:send", "/users/none/:send", "/connections/none/:send"])
def test_a_message_to_nobody_is_accepted(pubsub: PubSub, path: str) -> None:
    with pubsub.client() as client:
        assert pubsub.send(path).status_code == 202
        assert client.is_silent()


def test_hubs_are_apart_and_ignore_case(pubsub: PubSub) -> None:
    with pubsub.client() as client:
        assert pubsub.send(hub="other").status_code == 202
        assert pubsub.send(message="mine", hub="CHAT").status_code == 202
        assert client.hear()["data"] == "mine"


@pytest.mark.parametrize(
    ("content_type", "content", "enveloped", "bare"),
    [
        ("application/json", b'{ "a": "\xc3\xa4" }', from_server({"a": "ä"}), '{ "a": "ä" }'),
        ("application/json; charset=utf-8", b'"text"', from_server("text"), '"text"'),
        ("Text/Plain;charset=UTF-8", b"\xc3\xa4", from_server("ä", "text"), "ä"),
        ("application/octet-stream", b"\x00\xff", from_server("AP8=", "binary"), b"\x00\xff"),
        (None, b"abc", from_server("YWJj", "binary"), b"abc"),
    ],
    ids=["json", "json text", "text", "binary", "no content type"],
)
def test_how_a_body_reaches_clients(
    pubsub: PubSub, content_type: str | None, content: bytes, enveloped: dict[str, Any], bare: str | bytes
) -> None:
    with pubsub.client() as client, pubsub.socket(pubsub.token()) as plain:
        answer = pubsub.call("POST", "/:send", content=content, content_type=content_type)
        assert answer.status_code == 202
        assert client.hear() == enveloped
        assert plain.hear_frame() == bare


@pytest.mark.parametrize(
    ("content_type", "content", "status"),
    [
        ("application/json", b"no JSON", 400),
        ("application/json", b"", 400),
        ("application/json", b"NaN", 400),
        ("application/json", b"[" * 100_000, 400),
        ("text/plain", b"\xff", 400),
        ("application/xml", b"<a/>", 415),
        ("text/plain; charset=utf-16", b"", 415),
        ("text/plain", b"x" * (1024 * 1024 + 1), 413),
    ],
    ids=["no JSON", "empty JSON", "NaN", "nested", "no UTF-8", "XML", "UTF-16", "too large"],
)
def test_a_bad_body_is_refused_in_the_services_form(
    pubsub: PubSub, content_type: str, content: bytes, status: int
) -> None:
    answer = pubsub.call("POST", "/:send", content=content, content_type=content_type)
    assert answer.status_code == status
    error = answer.json()
    assert set(error) == {"code", "message", "target", "details", "inner"}
    assert answer.headers["x-ms-error-code"] == error["code"]


def test_groups_of_a_connection(pubsub: PubSub) -> None:
    with pubsub.client() as client:
        path = f"/groups/g/connections/{client.connection_id}"
        assert pubsub.call("HEAD", "/groups/g").status_code == 404
        assert pubsub.call("PUT", path).status_code == 200
        assert pubsub.call("PUT", path).status_code == 200
        assert pubsub.call("HEAD", "/groups/g").status_code == 200
        assert pubsub.send("/groups/g/:send").status_code == 202
        assert client.hear()["group"] == "g"
        assert pubsub.call("DELETE", path).status_code == 204
        assert pubsub.call("DELETE", path).status_code == 204
        assert pubsub.call("HEAD", "/groups/g").status_code == 404


def test_a_connection_that_is_not_there_joins_nothing(pubsub: PubSub) -> None:
    answer = pubsub.call("PUT", "/groups/g/connections/none")
    assert (answer.status_code, answer.headers["x-ms-error-code"]) == (404, "Error.Connection.NotExisted")
    assert pubsub.call("DELETE", "/groups/g/connections/none").status_code == 204


def test_who_exists(pubsub: PubSub) -> None:
    with pubsub.client(sub="ann", groups=["g"]) as client:
        paths = [("/users/ann", "User"), ("/groups/g", "Group"), (f"/connections/{client.connection_id}", "Connection")]
        for path, _ in paths:
            assert pubsub.call("HEAD", path).status_code == 200
            assert pubsub.call("HEAD", path, hub="other").status_code == 404
    pubsub.control.wait_for_connections(0)
    for path, kind in paths:
        answer = pubsub.call("HEAD", path)
        assert (answer.status_code, answer.headers["x-ms-error-code"]) == (404, f"Warning.{kind}.NotExisted")


def test_a_server_ends_a_connection(pubsub: PubSub) -> None:
    with pubsub.client() as client, pubsub.client() as other, pubsub.socket(pubsub.token()) as plain:
        query = {"api-version": API_VERSION, "reason": "ä" * 100}
        path = f"/connections/{client.connection_id}"
        assert pubsub.call("DELETE", path, query=query).status_code == 204
        assert pubsub.call("HEAD", path).status_code == 404
        assert client.hear() == {"type": "system", "event": "disconnected", "message": "ä" * 100}
        # A close frame has room for 123 bytes.
        assert client.closed() == (1000, "ä" * 61)
        assert pubsub.call("DELETE", path).status_code == 204
        assert other.is_silent()
        ids = {found.connection_id for found in pubsub.control.connections()} - {other.connection_id}
        assert pubsub.call("DELETE", f"/connections/{ids.pop()}").status_code == 204
        assert plain.closed() == (1000, "Closed by a server.")


@pytest.mark.parametrize(
    ("segment", "group"),
    [("a%20b", "a b"), ("a+b", "a+b"), ("a%2Fb", "a%2Fb"), ("a%252Fb", "a%2Fb"), ("%C3%A9", "é"), ("A", "A")],
)
def test_names_in_a_path(pubsub: PubSub, segment: str, group: str) -> None:
    with pubsub.client(groups=[group]) as client:
        assert pubsub.send(f"/groups/{segment}/:send").status_code == 202
        assert client.hear()["group"] == group


def test_a_group_name_that_cannot_be_is_refused(pubsub: PubSub) -> None:
    for name in ("%20", "x" * 1025):
        assert pubsub.send(f"/groups/{name}/:send").status_code == 400
        assert pubsub.call("HEAD", f"/groups/{name}").status_code == 400
        assert pubsub.call("PUT", f"/groups/{name}/connections/c").status_code == 400
    assert pubsub.send(hub="1chat").status_code == 400


@pytest.mark.parametrize(
    ("query", "status"),
    [
        ({}, 400),
        ({"api-version": "2020-10-01"}, 400),
        ({"api-version": [API_VERSION, API_VERSION]}, 400),
        ({"api-version": API_VERSION, "messageTtlSeconds": "301"}, 400),
        ({"api-version": API_VERSION, "messageTtlSeconds": "-1"}, 400),
        ({"api-version": API_VERSION, "filter": "userId eq 'ann'"}, 501),
    ],
    ids=str,
)
def test_a_bad_query_is_refused(pubsub: PubSub, query: dict[str, Any], status: int) -> None:
    with pubsub.client() as client:
        assert pubsub.send(query=query).status_code == status
        assert client.is_silent()


@pytest.mark.parametrize("version", ["2021-10-01", "2022-11-01", "2023-07-01", "2024-01-01", "2024-12-01"])
def test_every_stable_version_is_served(pubsub: PubSub, version: str) -> None:
    assert pubsub.send(query={"api-version": version, "messageTtlSeconds": "300"}).status_code == 202


GOOD_AUDIENCES = {
    "the whole URL": "{origin}/api/hubs/chat/groups/a%20b/:send?api-version=2024-12-01&excluded=x&excluded=y",
    "without the query": "{origin}/api/hubs/chat/groups/a%20b/:send",
    "with a part of the query": "{origin}/api/hubs/chat/groups/a%20b/:send?api-version=2024-12-01",
    "with the path decoded": "{origin}/api/hubs/chat/groups/a b/:send",
    "in capitals": "HTTP://127.0.0.1:{port}/API/hubs/Chat/groups/a%20b/:send",
}
BAD_AUDIENCES = {
    "another hub": "{origin}/api/hubs/other/groups/a%20b/:send",
    "another group": "{origin}/api/hubs/chat/groups/a/:send",
    "another operation": "{origin}/api/hubs/chat/:send",
    "another query": "{origin}/api/hubs/chat/groups/a%20b/:send?api-version=2022-11-01",
    "a parameter too many": "{origin}/api/hubs/chat/groups/a%20b/:send?api-version=2024-12-01&excluded=z",
    "without the port": "http://127.0.0.1/api/hubs/chat/groups/a%20b/:send",
    "another port": "http://127.0.0.1:1/api/hubs/chat/groups/a%20b/:send",
    "another scheme": "https://127.0.0.1:{port}/api/hubs/chat/groups/a%20b/:send",
    "another host": "http://example.com:{port}/api/hubs/chat/groups/a%20b/:send",
    "that of a client": "{origin}/client/hubs/chat",
    "only the host": "{origin}",
}


def send_for(pubsub: PubSub, template: str) -> Any:
    _, _, port = pubsub.endpoint.rpartition(":")
    token = pubsub.rest_token(template.format(origin=pubsub.endpoint, port=port))
    query = {"api-version": API_VERSION, "excluded": ["x", "y"]}
    return pubsub.send("/groups/a%20b/:send", query=query, token=token)


@pytest.mark.parametrize("form", GOOD_AUDIENCES)
def test_audiences_that_are_the_url_of_the_request(pubsub: PubSub, form: str) -> None:
    assert send_for(pubsub, GOOD_AUDIENCES[form]).status_code == 202


@pytest.mark.parametrize("form", BAD_AUDIENCES)
def test_audiences_that_are_not(pubsub: PubSub, form: str) -> None:
    answer = send_for(pubsub, BAD_AUDIENCES[form])
    assert (answer.status_code, answer.headers["www-authenticate"]) == (401, described("The audience is invalid"))


@pytest.mark.parametrize(
    ("changes", "description"),
    [
        ({"key": "another-key-another-key-another-key"}, "The signature key was not found"),
        ({"algorithm": "HS512"}, "The signature is invalid"),
        ({"exp": ABSENT}, "The token has no expiration"),
        ({"exp": 1}, "The token is expired"),
        ({"nbf": 9_999_999_998, "exp": 9_999_999_999}, "The token is not valid yet"),
    ],
    ids=["key", "HS512", "no exp", "exp", "nbf"],
)
def test_a_defective_token_is_refused(pubsub: PubSub, changes: dict[str, Any], description: str) -> None:
    url = pubsub.url("/:send")
    answer = pubsub.send(token=pubsub.rest_token(url, **changes))
    assert (answer.status_code, answer.headers["www-authenticate"]) == (401, described(description))
    assert pubsub.send(token=pubsub.rest_token(url)).status_code == 202


def test_the_keys_of_signalr_and_no_token_at_all_are_refused(pubsub: PubSub, azure: Azure) -> None:
    url = pubsub.url("/:send")
    assert pubsub.send(token=pubsub.rest_token(url, key=azure.key)).status_code == 401
    assert pubsub.send(token=pubsub.rest_token(url, key=pubsub.secondary_key)).status_code == 202
    answer = azure.http.post(url, json=1)
    assert (answer.status_code, answer.headers["www-authenticate"]) == (401, "Bearer")


def test_health_needs_no_token(pubsub: PubSub) -> None:
    assert pubsub.azure.http.head(f"{pubsub.endpoint}/api/health").status_code == 200


# Each row: an operation and the one data action that it needs.
ACTIONS = [
    ("POST", "/:generateToken", "clientConnection/generateToken/action", 200),
    ("POST", "/:send", "hub/send/action", 202),
    ("POST", "/groups/g/:send", "group/send/action", 202),
    ("POST", "/users/u/:send", "user/send/action", 202),
    ("POST", "/connections/c/:send", "clientConnection/send/action", 202),
    ("PUT", "/groups/g/connections/c", "group/write", 404),
    ("DELETE", "/groups/g/connections/c", "group/write", 204),
    ("HEAD", "/groups/g", "group/read", 404),
    ("HEAD", "/users/u", "user/read", 404),
    ("HEAD", "/connections/c", "clientConnection/read", 404),
    ("DELETE", "/connections/c", "clientConnection/write", 204),
]


@pytest.mark.parametrize(("method", "path", "action", "status"), ACTIONS, ids=str)
def test_an_identity_needs_the_data_action(entra: Azure, method: str, path: str, action: str, status: int) -> None:
    pubsub, control = PubSub(entra), entra.control
    token = entra.entra_token(scope=SCOPE)
    assert pubsub.call(method, path, token=token).status_code == status
    control.remove_role(entra.emulator.object_id)
    control.assign_role(entra.emulator.object_id, "SignalR Service Owner")
    answer = pubsub.call(method, path, token=token)
    assert (answer.status_code, answer.headers["x-ms-error-code"]) == (403, "Error.Forbidden")
    full = f"Microsoft.SignalRService/WebPubSub/{action}"
    assert control.journal()[-1].permission == full
    role = f"Only {action}"
    control.define_role(role, [full])
    control.assign_role(entra.emulator.object_id, role)
    assert pubsub.call(method, path, token=token).status_code == status
    control.define_role(role, ["Microsoft.SignalRService/SignalR/*"])
    assert pubsub.call(method, path, token=token).status_code == 403


def test_a_reader_may_look_and_nothing_else(entra: Azure) -> None:
    pubsub = PubSub(entra)
    token = entra.entra_token(scope=SCOPE)
    entra.control.remove_role(entra.emulator.object_id)
    entra.control.assign_role(entra.emulator.object_id, "Web PubSub Service Reader")
    for method, path, action, status in ACTIONS:
        expected = status if action.endswith("/read") else 403
        assert pubsub.call(method, path, token=token).status_code == expected


@pytest.mark.parametrize(
    ("scope", "status"),
    [(SCOPE, 202), ("https://webpubsub.azure.com//.default", 202), ("https://signalr.azure.com/.default", 401)],
)
def test_an_entra_token_is_for_the_resource(pubsub: PubSub, scope: str, status: int) -> None:
    assert pubsub.send(token=pubsub.azure.entra_token(scope=scope)).status_code == status


def test_an_access_control_list_denies_servers_and_not_clients(entra: Azure) -> None:
    pubsub = PubSub(entra)
    entra.control.set_network_denied(True)
    answer = pubsub.send()
    assert (answer.status_code, answer.headers["content-type"]) == (403, "text/html; charset=utf-8")
    with pubsub.client() as client:
        assert client.is_silent()


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("POST", "/:closeConnections", 501),
        ("POST", "/:addToGroups", 501),
        ("HEAD", "/permissions/sendToGroup/connections/c", 501),
        ("GET", "/groups/g/connections", 501),
        ("PUT", "/users/u/groups/g", 501),
        ("GET", "/:send", 405),
        ("POST", "/connections/c", 405),
    ],
)
def test_what_is_not_there_says_so_and_not_that_a_thing_does_not_exist(
    pubsub: PubSub, method: str, path: str, status: int
) -> None:
    answer = pubsub.call(method, path)
    assert answer.status_code == status
    if method != "HEAD":
        message = answer.json()["message"]
        assert "POST /api/hubs/{hub}/users/{user}/:send" in message
        assert "; ;" not in message
    (entry,) = pubsub.control.journal("unsupported")
    assert entry.action == "refused"
