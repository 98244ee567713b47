"""The frameworks of ``docs/routes.md`` that `make test` does not have: Django and Quart."""

import asyncio
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from docs.blocks import Document
from emulator.support import Azure
from hubpass.emulator.environment import with_settings
from integrations.mounts import wsgi_request

DOCUMENT = Document("docs/routes.md")


@pytest.fixture
def environment(azure: Azure, monkeypatch: pytest.MonkeyPatch) -> Azure:
    for name, value in with_settings({}, azure.emulator).items():
        monkeypatch.setenv(name, value)
    return azure


def assert_lets_in(azure: Azure, answered: Any, user: str) -> None:
    assert answered.status == 200, answered.body
    with azure.client(answered.json["accessToken"]):
        (connection,) = azure.control.connections()
        assert connection.user_id == user


def test_django(environment: Azure, tmp_path: Path) -> None:
    import django  # type: ignore[import-not-found]
    from django.conf import settings  # type: ignore[import-not-found]
    from django.core.management import call_command  # type: ignore[import-not-found]

    settings.configure(
        ALLOWED_HOSTS=["*"],
        DATABASES={"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": tmp_path / "db"}},
        INSTALLED_APPS=["django.contrib.auth", "django.contrib.contenttypes", "django.contrib.sessions"],
        MIDDLEWARE=["django.contrib.sessions.middleware.SessionMiddleware"],
        ROOT_URLCONF=__name__,
        SECRET_KEY="made up",
        USE_TZ=True,
    )
    django.setup()
    call_command("migrate", verbosity=0)
    from django.contrib.auth.models import User  # type: ignore[import-not-found]
    from django.test import Client  # type: ignore[import-not-found]

    user = User.objects.create(username="ada")
    browser = Client()
    browser.force_login(user)
    cookie = browser.cookies["sessionid"].value

    request = wsgi_request(DOCUMENT.run("Django")["application"])
    assert request("POST", "/chat/negotiate", {}).status == 401
    assert request("GET", "/elsewhere", {}).body.startswith(b"\n<!doctype html>")
    from werkzeug.test import Client as WsgiClient

    client = WsgiClient(DOCUMENT.run("Django")["application"])
    client.set_cookie("sessionid", cookie)
    found = client.post("/chat/negotiate")
    assert_lets_in(environment, Found(found), str(user.pk))


urlpatterns: list[object] = []


class Found:
    """An answer in the shape of the others."""

    def __init__(self, response: Any) -> None:
        self.status, self.json, self.body = response.status_code, response.get_json(), response.get_data()


def test_quart(environment: Azure) -> None:
    names = DOCUMENT.run("Quart")

    async def ask() -> list[Any]:
        async with names["app"].test_app() as app:
            # Warmed at the start.
            assert names["chat"].status()["ready"] is True
            browser = app.test_client()
            asked = [
                await browser.post("/chat/negotiate"),
                await browser.get("/elsewhere"),
                await browser.post("/chat/negotiate", headers={"cookie": "session=a-session-id"}),
            ]
            return [SimpleNamespace(status=one.status_code, json=await one.get_json(), body=b"") for one in asked]

    nobody, elsewhere, ada = asyncio.run(ask())
    assert (nobody.status, elsewhere.status) == (401, 404)
    assert_lets_in(environment, ada, "ada")
