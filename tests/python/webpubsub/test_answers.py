"""What the client gives: a dict on the wire, a secret everywhere else."""

import copy
import json
import pickle
import pprint
from typing import Any

import fastapi
import flask
import httpx
import pytest

from hubpass import ClientAccessToken, WebPubSubNegotiationResponse
from webpubsub.kinds import AnyClient, WebPubSubKind, verified

BASE = "wss://demo.webpubsub.azure.com/client/hubs/Chat"


@pytest.fixture(params=["get_client_access_token", "negotiate"])
def answer(request: pytest.FixtureRequest, kind: WebPubSubKind) -> dict[str, str]:
    client = kind.make()
    return client.access(user_id="ada") if request.param == "get_client_access_token" else client.negotiate("ada")


def token_of(answer: dict[str, str]) -> str:
    return answer["url"].partition("?access_token=")[2]


def test_the_keys_are_those_of_the_wire(answer: dict[str, str]) -> None:
    keys = ["baseUrl", "token", "url"] if isinstance(answer, ClientAccessToken) else ["url"]
    assert list(answer) == keys
    assert json.loads(json.dumps(answer)) == dict(answer) == answer
    assert answer["url"].startswith(f"{BASE}?access_token=ey")


def test_its_attributes_say_the_same(kind: WebPubSubKind) -> None:
    negotiation = kind.make().negotiate("ada")
    assert negotiation.url == negotiation["url"]
    for answer in (negotiation, kind.make().access()):
        assert answer.expires_on.timestamp() == verified(token_of(answer))["exp"]
        with pytest.raises(AttributeError):
            answer.token = "x"  # type: ignore[union-attr]


def test_no_text_form_shows_the_token(answer: dict[str, str]) -> None:
    forms = [
        repr(answer),
        str(answer),
        f"{answer} {answer!r} {answer!s} {answer!a} {answer=}",
        "%s %r" % (answer, answer),  # noqa: UP031 - the old way too
        pprint.pformat({"deep": [answer]}, width=20),
        str([answer, {"a": answer}]),
        str(KeyError(answer)),
    ]
    for text in forms:
        assert "[redacted]" in text
        assert BASE in text.replace("\n", "")
        for part in token_of(answer).split("."):
            assert part[:12] not in text


def test_it_has_a_text_form_however_it_was_made(answer: dict[str, str]) -> None:
    for made in (type(answer)(), type(answer)(answer)):
        assert "[redacted]" in repr(made)
        assert "eyJ" not in repr(made)


def test_it_is_neither_pickled_nor_copied(answer: dict[str, str]) -> None:
    ways: list[Any] = [pickle.dumps, copy.copy, copy.deepcopy]
    for way in ways:
        with pytest.raises(TypeError, match=f"a {type(answer).__name__} is not pickled"):
            way(answer)
    assert type(dict(answer)) is dict


def test_a_client_is_neither_pickled_nor_copied(kind: WebPubSubKind) -> None:
    raw = kind.make().raw
    ways: list[Any] = [pickle.dumps, copy.copy, copy.deepcopy]
    for way in ways:
        with pytest.raises(TypeError, match="a WebPubSubServiceClient is not pickled"):
            way(raw)


def test_fastapi_returns_it_as_it_is(kind: WebPubSubKind) -> None:
    client = kind.make()
    app = fastapi.FastAPI()

    @app.get("/plain")
    def plain() -> dict[str, str]:
        return client.negotiate("ada")

    @app.get("/typed")
    def typed() -> WebPubSubNegotiationResponse:
        return client.negotiate("ada")

    @app.get("/access")
    def access() -> ClientAccessToken:
        return client.access(user_id="ada")

    assert set(get(app, "/plain")) == set(get(app, "/typed")) == {"url"}
    assert set(get(app, "/access")) == {"baseUrl", "token", "url"}


def get(app: fastapi.FastAPI, path: str) -> dict[str, str]:
    import asyncio

    async def ask() -> dict[str, str]:
        transport = httpx.ASGITransport(app=app)
        async with httpx.AsyncClient(transport=transport, base_url="http://app") as browser:
            found: dict[str, str] = (await browser.get(path)).json()
            return found

    return asyncio.run(ask())


def test_flask_returns_it_as_it_is(kind: WebPubSubKind) -> None:
    client: AnyClient = kind.make()
    app = flask.Flask("app")
    app.add_url_rule("/negotiate", view_func=lambda: client.negotiate("ada"))
    found = app.test_client().get("/negotiate").get_json()
    assert set(found) == {"url"}
    assert verified(token_of(found))["sub"] == "ada"
