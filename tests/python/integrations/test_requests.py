"""Requests as they come from the internet: paths, methods, hosts, sizes, and what none of them may change."""

from typing import Any

import pytest

from hubpass import InvalidArgumentError
from integrations.mounts import Framework

URL = "https://demo.service.signalr.net/client/?hub=chat"


@pytest.mark.parametrize("method", ["GET", "HEAD", "PUT", "PATCH", "DELETE"])
def test_a_negotiation_is_a_post(framework: Framework, method: str) -> None:
    mounted = framework.mount(authorize=lambda _: pytest.fail("authorize was asked"))
    answered = mounted.request(method, "/chat/negotiate", {})
    assert answered.status == 405
    assert answered.headers["cache-control"] == "no-store"
    if framework.has_cors:
        assert answered.headers["allow"] == "POST"


def test_nothing_that_a_client_writes_changes_the_url(framework: Framework) -> None:
    hostile = {
        "host": "evil.example",
        "x-forwarded-host": "evil.example",
        "x-forwarded-proto": "http",
        "x-forwarded-prefix": "/evil",
        "forwarded": "host=evil.example;proto=http",
        "x-original-url": "/evil",
        "content-type": "application/x-www-form-urlencoded",
    }
    mounted = framework.mount(authorize=lambda _: "ada")
    query = "?negotiateVersion=1&negotiateVersion=1&hub=news&user_id=eve&asrs.s.uid=eve&url=https%3A%2F%2Fevil.example"
    answered = mounted.post(f"/chat/negotiate{query}", hostile)
    assert (answered.status, answered.json["url"]) == (200, URL)
    assert b"evil" not in answered.body


def test_a_body_is_not_read_and_a_large_one_refused(framework: Framework) -> None:
    if not framework.has_cors:
        # The host reads bodies, and bounds them, before a function is called.
        return
    mounted = framework.mount(authorize=lambda _: "ada")
    assert mounted.post(headers={"content-length": "17"}).status == 200
    for length in ("65537", "99999999999999999999"):
        answered = mounted.post(headers={"content-length": length})
        assert (answered.status, answered.code) == (413, "request_too_large")


@pytest.mark.parametrize("path", ["/chat/negotiate/negotiate"])
def test_negotiate_twice_is_told(framework: Framework, path: str, caplog: pytest.LogCaptureFixture) -> None:
    if not framework.has_cors:
        # A function has one route; the host answers 404 by itself.
        return
    answered = framework.mount(authorize=lambda _: "ada").post(path)
    assert (answered.status, answered.code) == (404, "negotiate_twice")
    assert "Give it the URL /chat" in caplog.text


@pytest.mark.parametrize(
    "path",
    ["/", "/negotiate", "/chat", "/chat/negotiate/", "/chat//negotiate", "/chat/../chat/negotiate", "/CHAT/negotiate"],
)
def test_other_paths_are_not_there(framework: Framework, path: str) -> None:
    answered = framework.mount(authorize=lambda _: "ada").post(path)
    assert answered.status in {404, 308, 307, 301}
    assert b"accessToken" not in answered.body


def test_the_hub_in_the_path_is_one_of_those_named(framework: Framework) -> None:
    mounted = framework.mount("/{hub}", hubs={"chat", "news"}, authorize=lambda _: "ada")
    for hub in ("chat", "news", "News"):
        answered = mounted.post(f"/{hub}/negotiate")
        assert answered.json["url"] == f"https://demo.service.signalr.net/client/?hub={hub.lower()}"
    for hub in ("admin", "chat%20", "chat_", "{hub}"):
        answered = mounted.post(f"/{hub}/negotiate")
        assert (answered.status, answered.code) == (404, "hub_not_found")


def test_a_hub_that_is_not_there_is_no_oracle_for_who_is_signed_in(framework: Framework) -> None:
    """Whoever is nobody is told so first."""
    mounted = framework.mount("/{hub}", hubs={"chat"}, authorize=lambda _: None)
    assert mounted.post("/chat/negotiate").status == 401


@pytest.mark.parametrize(
    ("path", "hubs", "hint"),
    [
        ("chat", None, 'path="/chat"'),
        ("/chat/negotiate", None, 'path="/chat"'),
        ("/chat/negotiate/", None, 'path="/chat"'),
        ("/chat?x=1", None, 'path="/chat"'),
        (7, None, 'path="/chat"'),
        ("/{hub}", None, 'hubs={"chat", "news"}'),
        ("/chat", {"chat"}, 'path="/{hub}"'),
        ("/{hub}", "chat", "hubs={"),
        ("/{hub}", [], "hubs={"),
        ("/{hub}", [7], "hubs={"),
        ("/{hub}", ["no hub"], "hub="),
    ],
)
def test_a_mount_that_cannot_work(framework: Framework, path: Any, hubs: Any, hint: str) -> None:
    with pytest.raises(InvalidArgumentError) as caught:
        framework.mount(path, hubs=hubs, authorize=lambda _: "ada")
    assert caught.value.code in {"invalid_argument", "invalid_hub"}
    assert hint in caught.value.hint


def test_a_client_of_the_other_kind(framework: Framework) -> None:
    if framework.name.startswith("functions"):
        return
    other = next(kind for kind in (True, False) if kind is not framework.asynchronous)
    client = Framework("other", other, framework.make, framework.header).client()
    with pytest.raises(InvalidArgumentError) as caught:
        framework.mount(client=client, authorize=lambda _: "ada")
    module = "hubpass.aio" if framework.asynchronous else "hubpass"
    assert caught.value.hint == f"Use the class of the same name: from {module} import SignalRServiceClient."


@pytest.mark.parametrize("client", [None, "Endpoint=...", 7], ids=repr)
def test_what_is_no_client(framework: Framework, client: Any) -> None:
    with pytest.raises(InvalidArgumentError) as caught:
        framework.make(client, "/chat", authorize=lambda _: "ada")
    assert caught.value.code == "invalid_argument"
    assert "SignalRServiceClient.from_env" in caught.value.hint
