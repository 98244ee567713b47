"""App Service Authentication counts only where the platform says that it is on."""

from typing import Any

import pytest

from hubpass.integrations import easy_auth as module
from hubpass.integrations import fastapi as for_fastapi
from integrations.mounts import Answered, Framework
from signalr.tokens import unverified

PRINCIPAL = {"x-ms-client-principal-id": "ada-of-entra"}


def post(framework: Framework, headers: dict[str, str]) -> Answered:
    authorize: Any = for_fastapi.easy_auth if framework.name == "fastapi" else module.easy_auth
    return framework.make(framework.client(), "/chat", authorize=authorize)("POST", "/chat/negotiate", headers)


@pytest.mark.parametrize("setting", ["True", "true"])
def test_where_it_is_on(framework: Framework, monkeypatch: pytest.MonkeyPatch, setting: str) -> None:
    monkeypatch.setenv("WEBSITE_AUTH_ENABLED", setting)
    answered = post(framework, PRINCIPAL)
    assert unverified(answered.json["accessToken"])["asrs.s.uid"] == "ada-of-entra"
    assert post(framework, {}).code == "not_signed_in"


@pytest.mark.parametrize("setting", [None, "", "False", "1"])
def test_where_it_is_not_the_header_is_anybodys(
    framework: Framework, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, setting: str | None
) -> None:
    if setting is None:
        monkeypatch.delenv("WEBSITE_AUTH_ENABLED", raising=False)
    else:
        monkeypatch.setenv("WEBSITE_AUTH_ENABLED", setting)
    assert post(framework, PRINCIPAL).code == "not_signed_in"
    assert "az webapp auth update" in caplog.text


def test_a_header_that_comes_twice_is_not_the_platforms(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WEBSITE_AUTH_ENABLED", "True")
    name = b"x-ms-client-principal-id"
    assert module.easy_auth({"headers": [(name, b"ada"), (name, b"eve")]}) is None
    assert module.easy_auth({"headers": [(name, b"ada")]}) is not None
