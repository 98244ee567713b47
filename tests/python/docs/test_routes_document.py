"""What the document of routes shows is run, and what it lists is compared with the code."""

import re
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest

import hubpass
from docs.blocks import Document
from emulator.support import Azure
from hubpass.emulator import Emulator
from hubpass.emulator.environment import with_settings
from hubpass.integrations import _mount
from integrations.mounts import Answered, make_functions, running

DOCUMENT = Document("docs/routes.md")
SESSION = {"cookie": "session=a-session-id"}


@pytest.fixture(scope="module")
def shared_azure() -> Iterator[Azure]:
    with Emulator() as emulator:
        azure = Azure(emulator)
        yield azure
        azure.close()


@pytest.fixture
def azure(shared_azure: Azure, monkeypatch: pytest.MonkeyPatch) -> Azure:
    shared_azure.control.reset()
    for name, value in with_settings({}, shared_azure.emulator).items():
        monkeypatch.setenv(name, value)
    return shared_azure


def assert_lets_in(azure: Azure, answered: Any) -> None:
    assert answered.status == 200, answered.body
    assert answered.headers["cache-control"] == "no-store"
    with azure.client(answered.json["accessToken"]):
        (connection,) = azure.control.connections()
        assert connection.user_id in {"ada", "1"}


@pytest.mark.parametrize("heading", ["FastAPI", "Starlette"])
def test_asgi_frameworks(azure: Azure, heading: str) -> None:
    with running(DOCUMENT.run(heading)["app"]) as request:
        # Warmed at the start.
        assert [entry.route for entry in azure.control.journal()][-1] == "access_key"
        assert request("POST", "/chat/negotiate", {}).status == 401
        assert_lets_in(azure, request("POST", "/chat/negotiate", SESSION))


def test_flask(azure: Azure) -> None:
    app = DOCUMENT.run("Flask")["app"]

    @app.post("/login")  # type: ignore[untyped-decorator]
    def login() -> str:
        from flask import session

        session["user"] = "ada"
        return ""

    browser = app.test_client()
    assert browser.post("/chat/negotiate").status_code == 401
    browser.post("/login")
    found = browser.post("/chat/negotiate")
    assert_lets_in(azure, Answered(found.status_code, {k.lower(): v for k, v in found.headers.items()}, found.data))


def test_hooks_of_gunicorn(azure: Azure, monkeypatch: pytest.MonkeyPatch) -> None:
    """They are called as gunicorn does, with an application of the name that they import."""
    application = ModuleType("app")
    application.__dict__.update(DOCUMENT.run("Flask"))
    monkeypatch.setitem(sys.modules, "app", application)
    hooks = DOCUMENT.run("Flask", 1)
    from gunicorn.config import KNOWN_SETTINGS  # type: ignore[import-untyped]

    arguments = {
        setting.name: setting.default.__code__.co_argcount for setting in KNOWN_SETTINGS if setting.name in hooks
    }
    assert arguments == {"post_worker_init": 1, "worker_exit": 2}
    hooks["post_worker_init"](SimpleNamespace())
    assert application.chat.status()["ready"] is True
    hooks["worker_exit"](SimpleNamespace(), SimpleNamespace())
    with pytest.raises(hubpass.ClientClosedError):
        application.chat.negotiate("ada")
    assert azure.control.journal("access_key")


def test_functions(azure: Azure, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WEBSITE_AUTH_ENABLED", "True")
    names = DOCUMENT.run("Azure Functions")
    (function,) = names["app"].get_functions()
    assert function.get_trigger().route == "chat/negotiate"
    request = make_functions(names["chat"], "/chat", authorize=names["easy_auth"])
    assert request("POST", "/chat/negotiate", {}).status == 401
    assert_lets_in(azure, request("POST", "/chat/negotiate", {"X-MS-CLIENT-PRINCIPAL-ID": "ada"}))


def test_aiohttp(azure: Azure) -> None:
    import asyncio

    from aiohttp.test_utils import TestClient, TestServer

    app = DOCUMENT.run("aiohttp")["app"]

    async def ask() -> Any:
        async with TestClient(TestServer(app)) as client:
            assert (await client.post("/chat/negotiate")).status == 401
            answer = await client.post("/chat/negotiate", headers=SESSION)
            headers = {name.lower(): value for name, value in answer.headers.items()}
            return Answered(answer.status, headers, await answer.read())

    assert_lets_in(azure, asyncio.run(ask()))


def test_the_grant() -> None:
    authorize: Callable[[object], hubpass.Grant] = DOCUMENT.run("Who connects")["authorize"]
    assert repr(authorize(None)) == "<Grant user_id='7'>"


def test_the_codes_are_those_of_the_code() -> None:
    source = Path(_mount.__file__).read_text(encoding="utf-8")
    in_code = set(re.findall(r'problem\(\s*(\d+),\s*"(\w+)"', source)) | {("413", "token_too_long")}
    listed = {(row[0], row[1].strip("`")) for row in DOCUMENT.rows("What comes back") if row[1]}
    assert listed == in_code


def test_every_function_of_the_table_exists() -> None:
    import importlib
    import inspect

    for _, function, *_ in DOCUMENT.rows("Routes, ready to mount"):
        module, _, name = function.strip("`").rpartition(".")
        given = inspect.signature(getattr(importlib.import_module(module), name)).parameters
        assert {"authorize", "hubs", "allow_origins", "groups_ttl"} <= set(given)
