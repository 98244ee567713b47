"""The answer to ``POST /negotiate``: a dict on the wire, a secret everywhere else."""

import asyncio
import copy
import json
import logging
import pickle
import pprint
import traceback
from collections.abc import Callable
from datetime import timedelta
from functools import partial
from typing import Any

import fastapi
import flask
import httpx
import pytest
from pydantic import BaseModel

import hubpass
from hubpass import NegotiationResponse
from signalr.client_kind import AnyClient, ClientKind
from signalr.tokens import verified

URL = "https://demo.service.signalr.net/client/?hub=chat"


@pytest.fixture
def answer(client: AnyClient) -> NegotiationResponse:
    return client.negotiate("user-1")


def test_it_is_a_dict_with_exactly_the_wire_keys(answer: NegotiationResponse) -> None:
    assert isinstance(answer, dict)
    assert list(answer) == ["url", "accessToken"]
    assert answer["url"] == URL
    assert {type(value) for value in answer.values()} == {str}
    assert json.loads(json.dumps(answer)) == dict(answer)
    assert {**answer} == dict(answer) == answer


def test_its_attributes_say_the_same(answer: NegotiationResponse) -> None:
    assert answer.url == answer["url"]
    assert answer.access_token == answer["accessToken"]
    assert answer.kid is None
    assert answer.expires_on.utcoffset() == timedelta(0)
    assert verified(answer.access_token, URL)["exp"] == answer.expires_on.timestamp()


@pytest.mark.parametrize("name", ["accessToken", "url", "kid", "expires_on", "token", "availableTransports"])
def test_it_takes_no_other_attributes(answer: NegotiationResponse, name: str) -> None:
    with pytest.raises(AttributeError):
        setattr(answer, name, "x")


def show_by_logging(answer: NegotiationResponse) -> str:
    lines: list[str] = []

    class Lines(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            lines.append(self.format(record))

    logger = logging.Logger("of-a-test")  # noqa: LOG001 - a logger that nobody else shares
    logger.addHandler(Lines())
    logger.warning("answer: %s", answer)
    logger.warning("answer: %r", answer)
    logger.warning(answer)
    return "\n".join(lines)


def show_by_locals_of_a_traceback(answer: NegotiationResponse) -> str:
    def fail(negotiated: NegotiationResponse) -> None:
        raise KeyError(negotiated)

    with pytest.raises(KeyError) as caught:
        fail(answer)
    return "".join(traceback.TracebackException.from_exception(caught.value, capture_locals=True).format())


TEXT_FORMS: dict[str, Callable[[NegotiationResponse], str]] = {
    "repr": repr,
    "str": str,
    "format": lambda answer: format(answer, ""),
    "f-string": lambda answer: f"{answer} {answer!r} {answer!s} {answer!a} {answer=}",
    "percent": lambda answer: "%s %r %a" % (answer, answer, answer),  # noqa: UP031 - the old way too
    "pprint": lambda answer: pprint.pformat(answer, width=20),
    "pprint within": lambda answer: pprint.pformat({"deep": [answer]}, width=20),
    "in a container": lambda answer: str([answer, {"a": answer}, (answer,)]),
    "ascii": ascii,
    "logging": show_by_logging,
    "traceback": show_by_locals_of_a_traceback,
    "exception": lambda answer: str(KeyError(answer)),
}


@pytest.mark.parametrize("form", TEXT_FORMS.values(), ids=TEXT_FORMS)
def test_no_text_form_shows_the_token(answer: NegotiationResponse, form: Callable[[NegotiationResponse], str]) -> None:
    text = form(answer)
    assert "[redacted]" in text
    assert URL in text.replace("\n", "")
    for part in answer.access_token.split("."):
        assert part[:12] not in text


def test_notebooks_and_rich_find_no_other_form(answer: NegotiationResponse) -> None:
    """They prefer these methods, or forms registered for ``dict`` itself, which only an exact type gets."""
    for name in (
        "_repr_html_",
        "_repr_json_",
        "_repr_mimebundle_",
        "_repr_pretty_",
        "__rich__",
        "__rich_repr__",
    ):
        assert not hasattr(answer, name)
    assert "__repr__" in vars(NegotiationResponse)


def test_it_has_a_text_form_however_it_was_made(answer: NegotiationResponse) -> None:
    made = NegotiationResponse(answer)
    assert "[redacted]" in repr(made)
    assert answer.access_token not in repr(made)
    assert "[redacted]" in repr(NegotiationResponse())


COPIERS: dict[str, Callable[[NegotiationResponse], object]] = {
    **{f"pickle {protocol}": partial(pickle.dumps, protocol=protocol) for protocol in range(6)},
    "pickle within": lambda answer: pickle.dumps([answer]),
    "copy": copy.copy,
    "deepcopy": copy.deepcopy,
    "deepcopy within": lambda answer: copy.deepcopy({"a": answer}),
}


@pytest.mark.parametrize("copier", COPIERS.values(), ids=COPIERS)
def test_it_is_neither_pickled_nor_copied(
    answer: NegotiationResponse, copier: Callable[[NegotiationResponse], object]
) -> None:
    with pytest.raises(TypeError, match=r"dict\(answer\)") as caught:
        copier(answer)
    assert answer.access_token not in str(caught.value)


def test_fastapi_returns_it(client_kind: ClientKind) -> None:
    app = fastapi.FastAPI()
    client = client_kind.client_class.from_connection_string(
        "Endpoint=https://demo.service.signalr.net;AccessKey=a-made-up-access-key-of-44-characters-000000=;",
        "chat",
    )

    if client_kind.name == "async":

        @app.post("/plain/negotiate")
        async def plain() -> Any:
            return await client.negotiate("user-1")

        @app.post("/annotated/negotiate")
        async def annotated() -> NegotiationResponse:
            answer: NegotiationResponse = await client.negotiate("user-1")
            return answer

    else:

        @app.post("/plain/negotiate")
        def plain_sync() -> Any:
            return client.negotiate("user-1")

        @app.post("/annotated/negotiate")
        def annotated_sync() -> NegotiationResponse:
            answer: NegotiationResponse = client.negotiate("user-1")
            return answer

    async def visit() -> None:
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://app") as http:
            for path in ("/plain/negotiate", "/annotated/negotiate"):
                response = await http.post(path, params={"negotiateVersion": 1})
                assert response.status_code == 200
                assert response.headers["content-type"] == "application/json"
                assert list(response.json()) == ["url", "accessToken"]
                assert verified(response.json()["accessToken"], URL)["asrs.s.uid"] == "user-1"

    asyncio.run(visit())
    success = app.openapi()["paths"]["/annotated/negotiate"]["post"]["responses"]["200"]
    described = success["content"]["application/json"]["schema"]
    assert (described["type"], described["additionalProperties"]) == ("object", {"type": "string"})


def test_flask_returns_it(client_kind: ClientKind) -> None:
    app = flask.Flask("of_a_test")
    client = client_kind.make()

    @app.post("/negotiate")
    def negotiate() -> NegotiationResponse:
        return client.negotiate("user-1")

    response = app.test_client().post("/negotiate?negotiateVersion=1")
    assert response.status_code == 200
    assert response.mimetype == "application/json"
    body = response.get_json()
    assert set(body) == {"url", "accessToken"}
    assert verified(body["accessToken"], URL)["asrs.s.uid"] == "user-1"


class Session(BaseModel):
    """A model as applications make them."""

    name: str
    negotiation: NegotiationResponse


def test_a_pydantic_field_says_the_same_on_the_wire(answer: NegotiationResponse) -> None:
    session = Session(name="a", negotiation=answer)
    assert session.model_dump() == {"name": "a", "negotiation": dict(answer)}
    assert json.loads(session.model_dump_json()) == {"name": "a", "negotiation": dict(answer)}


def test_a_pydantic_field_keeps_the_token_out_of_the_models_text(answer: NegotiationResponse) -> None:
    session = Session(name="a", negotiation=answer)
    assert answer.access_token not in repr(session)
    assert answer.access_token not in str(session)


def test_the_class_is_public_and_says_what_it_is() -> None:
    assert hubpass.NegotiationResponse is NegotiationResponse
    assert issubclass(NegotiationResponse, dict)
