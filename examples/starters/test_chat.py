"""Tests of ``app_fastapi.py`` against the local Azure: pytest -o hubpass_emulator=true test_chat.py."""

from collections.abc import Iterator
from datetime import timedelta

import pytest
from fastapi.testclient import TestClient

from app_fastapi import app
from hubpass.pytest_plugin.signalr import SignalRTester

ADA = {"Authorization": "Bearer the token of Ada"}


@pytest.fixture
def browser(signalr: SignalRTester) -> Iterator[TestClient]:
    """Give the application between its start and its end; `signalr` comes first, so that it starts anew."""
    with TestClient(app) as client:
        yield client


def test_whoever_is_signed_in_chats(browser: TestClient, signalr: SignalRTester) -> None:
    """A real connection, as the page would make it."""
    connection = signalr.connect(browser.post("/chat/negotiate", headers=ADA).json())
    browser.post("/messages", params={"text": "hello"}, headers=ADA).raise_for_status()
    assert connection.receive().arguments == ["ada", "hello"]


def test_nobody_else_gets_a_token(browser: TestClient) -> None:
    """Neither without a token nor with a wrong one."""
    assert browser.post("/chat/negotiate").status_code == 401
    assert browser.post("/chat/negotiate", headers={"Authorization": "Bearer guess"}).status_code == 401


def test_an_outage_of_azure_is_not_noticed(browser: TestClient, signalr: SignalRTester) -> None:
    """A key is good for an hour and a half, and is renewed long before."""
    signalr.fail("access_key", times=1000, status=503)
    signalr.advance(timedelta(minutes=70))
    signalr.connect(browser.post("/chat/negotiate", headers=ADA).json())


def test_a_long_outage_is_answered_with_503(browser: TestClient, signalr: SignalRTester) -> None:
    """Clients come back when they are told to."""
    signalr.fail("access_key", times=1000, status=503)
    signalr.advance(timedelta(hours=3))
    answer = browser.post("/chat/negotiate", headers=ADA)
    assert (answer.status_code, int(answer.headers["Retry-After"]) > 0) == (503, True)
