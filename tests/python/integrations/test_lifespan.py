"""Clients warm with the application; what the mount made, it closes."""

from collections.abc import Callable
from typing import Any

import fastapi
import pytest
import starlette.requests
from starlette.applications import Starlette
from starlette.middleware.cors import CORSMiddleware

from hubpass import aio
from hubpass.integrations.asgi import negotiate_asgi
from hubpass.integrations.fastapi import negotiate_router
from hubpass.integrations.flask import negotiate_blueprint
from hubpass.integrations.starlette import negotiate_routes
from integrations.mounts import FRAMEWORKS, make_flask, make_wsgi, running
from integrations.test_trouble import AsyncCredential
from signalr.service_double import Answer, ServiceDouble

KEY = b'{"KeyId":"first","AccessKey":"a-made-up-key"}'
PAGE = "https://app.example.com"


def user(request: starlette.requests.Request) -> str:  # noqa: ARG001 - a dependency to FastAPI, a function to others
    return "ada"


def asgi_app(client: Any, **options: Any) -> Any:
    return negotiate_asgi(client, "/chat", **options)


def starlette_app(client: Any, **options: Any) -> Any:
    routes = negotiate_routes(client, "/chat", **options)
    return Starlette(routes=routes, lifespan=routes.lifespan)


def fastapi_app(client: Any, **options: Any) -> Any:
    app = fastapi.FastAPI()
    app.include_router(negotiate_router(client, "/chat", **options))
    return app


@pytest.fixture(params=[asgi_app, starlette_app, fastapi_app], ids=["asgi", "starlette", "fastapi"])
def app_of(request: pytest.FixtureRequest) -> Callable[..., Any]:
    found: Callable[..., Any] = request.param
    return found


def entra_client(service: ServiceDouble) -> aio.SignalRServiceClient:
    return aio.SignalRServiceClient(service.endpoint, "chat", AsyncCredential())


def test_the_client_is_warm_before_the_first_user_comes(app_of: Callable[..., Any], service: ServiceDouble) -> None:
    service.answer(Answer(200, body=KEY))
    client = entra_client(service)
    with running(app_of(client, authorize=user)) as browser:
        assert client.status()["ready"]
        assert service.take().path == "/api/v1/auth/accessKey"
        assert browser("POST", "/chat/negotiate", {}).status == 200
    assert service.is_idle
    # It belongs to whoever made it, and an application is started more than once in tests.
    assert client.status()["ready"]


def test_an_application_starts_without_a_key(
    app_of: Callable[..., Any], service: ServiceDouble, caplog: pytest.LogCaptureFixture
) -> None:
    service.answer(Answer(403))
    with running(app_of(entra_client(service), authorize=user)):
        pass
    assert "The client of /chat is not warm" in caplog.text
    assert "az role assignment create" in caplog.text


def test_a_client_that_the_mount_makes_lives_as_long_as_the_application(
    app_of: Callable[..., Any], service: ServiceDouble
) -> None:
    made: list[aio.SignalRServiceClient] = []

    def make() -> aio.SignalRServiceClient:
        made.append(entra_client(service))
        return made[-1]

    app = app_of(make, authorize=user)
    assert made == []
    for number in (1, 2):
        service.answer(Answer(200, body=KEY))
        with running(app):
            assert len(made) == number
            assert made[-1].status()["ready"]
        assert not made[-1].status()["ready"]


@pytest.mark.parametrize("make", [make_wsgi, make_flask])
def test_wsgi_makes_it_at_the_first_request(make: Callable[..., Any]) -> None:
    made: list[Any] = []

    def factory() -> Any:
        made.append(FRAMEWORKS[1].client())
        return made[-1]

    request = make(factory, "/chat", authorize=lambda _: "ada")
    assert made == []
    for _ in range(2):
        assert request("POST", "/chat/negotiate", {}).status == 200
    assert len(made) == 1


@pytest.mark.parametrize("app_of", [starlette_app, fastapi_app], ids=["starlette", "fastapi"])
@pytest.mark.parametrize(
    ("options", "missing"),
    [
        ({}, ["allow_origins=['https://app.example.com']", "allow_credentials=True", 'allow_methods=["POST"]']),
        (
            {"allow_origins": ["https://other.example"], "allow_credentials": True, "allow_methods": ["*"]},
            ["allow_origins=['https://other.example', 'https://app.example.com']", "x-signalr-user-agent"],
        ),
        ({"allow_origins": [PAGE], "allow_methods": ["*"], "allow_headers": ["*"]}, ["allow_credentials=True"]),
    ],
    ids=["bare", "other", "credentials"],
)
def test_a_middleware_that_would_refuse_the_preflight_is_told_of(
    app_of: Callable[..., Any], options: dict[str, Any], missing: list[str], caplog: pytest.LogCaptureFixture
) -> None:
    client = FRAMEWORKS[0].client()
    app = app_of(client, authorize=user, allow_origins=[PAGE])
    app.add_middleware(CORSMiddleware, **options)
    with running(app) as browser:
        preflight = {"origin": PAGE, "access-control-request-method": "POST"}
        refused = browser("OPTIONS", "/chat/negotiate", preflight)
        # What is told is true: the middleware refuses, or forgets credentials.
        assert refused.status == 400 or "access-control-allow-credentials" not in refused.headers
    (record,) = [record for record in caplog.records if "CORSMiddleware" in record.getMessage()]
    for setting in missing:
        assert setting in record.getMessage()


@pytest.mark.parametrize("app_of", [starlette_app, fastapi_app], ids=["starlette", "fastapi"])
def test_a_middleware_that_allows_what_the_mount_allows_is_no_trouble(
    app_of: Callable[..., Any], caplog: pytest.LogCaptureFixture
) -> None:
    app = app_of(FRAMEWORKS[0].client(), authorize=user, allow_origins=[PAGE])
    app.add_middleware(
        CORSMiddleware, allow_origins=[PAGE], allow_credentials=True, allow_methods=["POST"], allow_headers=["*"]
    )
    with running(app) as browser:
        preflight = {"origin": PAGE, "access-control-request-method": "POST"}
        assert browser("OPTIONS", "/chat/negotiate", preflight).status == 200
    assert "CORSMiddleware" not in caplog.text


def test_two_blueprints_have_two_names() -> None:
    import flask

    app = flask.Flask("test")
    for name, path in (("chat", "/chat"), ("news", "/news")):
        client = FRAMEWORKS[1].client()
        app.register_blueprint(negotiate_blueprint(client, path, authorize=lambda _: "ada", name=name))
    browser = app.test_client()
    assert [browser.post(f"{path}/negotiate").status_code for path in ("/chat", "/news")] == [200, 200]
