"""The Azure Instance Metadata Service: its answers, its refusals, its limits, and azure-identity with it."""

from __future__ import annotations

import asyncio
import time
import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from urllib.parse import urlencode

import httpx
import jwt
import pytest
from azure.core.exceptions import ClientAuthenticationError
from azure.identity import CredentialUnavailableError, ManagedIdentityCredential
from azure.identity.aio import ManagedIdentityCredential as AsyncManagedIdentityCredential

from emulator.identity_support import is_good_for_a_key, object_id_of, token_of, token_of_async
from emulator.support import ABSENT, SCOPE, Azure, poll
from hubpass.emulator import ControlError
from hubpass.emulator.changes import Changes
from hubpass.emulator.clock import Clock
from hubpass.emulator.imds_limits import ImdsLimits

RESOURCE = "https://signalr.azure.com"
VARIABLES = ("IDENTITY_ENDPOINT", "IDENTITY_HEADER", "IMDS_ENDPOINT", "MSI_ENDPOINT", "MSI_SECRET")


@pytest.fixture
def machine(azure: Azure, monkeypatch: pytest.MonkeyPatch) -> Iterator[Azure]:
    """The environment of a virtual machine, whose limits are out of the way unless a test sets them."""
    for name in VARIABLES:
        monkeypatch.delenv(name, raising=False)
    for name, value in azure.emulator.identity.imds_environment.items():
        monkeypatch.setenv(name, value)
    azure.control.identity.set_imds_limits(requests_per_second=10_000, concurrent_requests=100)
    yield azure
    azure.control.identity.set_imds_limits()


def asked(azure: Azure, *, headers: dict[str, str] | None = None, **query: Any) -> httpx.Response:
    """A request that is right unless something else is given."""
    right = {"api-version": "2018-02-01", "resource": RESOURCE}
    named = {name.replace("api_version", "api-version"): value for name, value in query.items()}
    present = {name: value for name, value in {**right, **named}.items() if value is not ABSENT}
    url = f"{azure.emulator.identity.imds_endpoint}/metadata/identity/oauth2/token?{urlencode(present, doseq=True)}"
    return azure.http.get(url, headers={"Metadata": "true"} if headers is None else headers)


def test_the_answer(machine: Azure) -> None:
    content = asked(machine).raise_for_status().json()
    claims = jwt.decode(content["access_token"], options={"verify_signature": False})
    assert all(isinstance(value, str) for value in content.values())
    assert set(content) == {
        "access_token",
        "client_id",
        "expires_in",
        "expires_on",
        "ext_expires_in",
        "not_before",
        "resource",
        "token_type",
    }
    assert (content["resource"], content["token_type"], content["expires_in"]) == (RESOURCE, "Bearer", "86400")
    assert claims["oid"] == machine.emulator.managed_identity_object_id
    assert claims["appid"] == content["client_id"]
    assert (int(content["expires_on"]), int(content["not_before"])) == (claims["exp"], claims["nbf"])
    assert abs(claims["exp"] - 86_400 - time.time()) < 60
    entry = machine.control.journal("imds_token")[-1]
    assert (entry.status, entry.object_id) == (200, machine.emulator.managed_identity_object_id)
    assert is_good_for_a_key(machine, content["access_token"])


@pytest.mark.parametrize("selector", ["client_id", "object_id", "msi_res_id", "mi_res_id"])
def test_a_user_assigned_identity_is_named(machine: Azure, selector: str) -> None:
    emulator = machine.emulator
    other = machine.control.identity.add_user_assigned_identity(f"other-{uuid.uuid4()}")
    first: Any = {
        "client_id": emulator.user_assigned_client_id,
        "object_id": emulator.user_assigned_object_id,
    }.get(selector, emulator.user_assigned_resource_id)
    second: Any = {"client_id": other.client_id, "object_id": other.object_id}.get(selector, other.resource_id)
    for value, object_id in ((first, emulator.user_assigned_object_id), (second.upper(), other.object_id)):
        named: dict[str, Any] = {selector: value}
        assert object_id_of(asked(machine, **named).json()["access_token"]) == object_id
    named = {selector: f"{first}x"}
    answer = asked(machine, **named)
    assert answer.status_code == 400
    assert answer.json() == {"error": "invalid_request", "error_description": "Identity not found"}


def test_what_a_tricked_server_would_send_is_refused(machine: Azure) -> None:
    without: list[dict[str, str]] = [{}, {"Metadata": "false"}, {"Metadata": "True"}]
    for headers in without:
        answer = asked(machine, headers=headers, client_id="nobody")
        assert answer.status_code == 400
        assert answer.json()["error_description"] == "Required metadata header not specified"
    forwarded = asked(machine, headers={"Metadata": "true", "X-Forwarded-For": "10.0.0.1"})
    assert (forwarded.status_code, forwarded.json()["error"]) == (400, "invalid_request")
    assert asked(machine).status_code == 200


@pytest.mark.parametrize(
    ("query", "error"),
    [
        ({"api_version": ABSENT}, "invalid_request"),
        ({"api_version": "2017-12-01"}, "invalid_request"),
        ({"api_version": ["2018-02-01", "2018-02-01"]}, "invalid_request"),
        ({"resource": ABSENT}, "invalid_request"),
        ({"resource": [RESOURCE, RESOURCE]}, "invalid_request"),
        ({"resource": "https://unknown.example"}, "invalid_resource"),
        ({"resource": SCOPE}, "invalid_resource"),
        ({"client_id": ["a", "b"]}, "invalid_request"),
        ({"client_id": "a", "object_id": "b"}, "invalid_request"),
    ],
)
def test_a_bad_query_is_refused(machine: Azure, query: dict[str, Any], error: str) -> None:
    answer = asked(machine, **query)
    assert (answer.status_code, answer.json()["error"]) == (400, error)
    assert machine.control.journal("imds_token")[-1].action == "refused"
    assert asked(machine, api_version="2021-02-01").status_code == 200


def test_other_paths_and_methods(machine: Azure) -> None:
    base = machine.emulator.identity.imds_endpoint
    assert machine.http.post(f"{base}/metadata/identity/oauth2/token").status_code == 405
    assert machine.http.get(f"{base}/metadata/instance?api-version=2021-02-01").status_code == 404


class StandingClock(Clock):
    """A clock that only a test moves."""

    def __init__(self) -> None:
        super().__init__(Changes())
        self.moment = 1_000.0

    def now(self) -> float:
        return self.moment


def test_twenty_requests_a_second_and_five_at_a_time() -> None:
    clock = StandingClock()
    limits = ImdsLimits(clock)
    for _ in range(20):
        assert limits.enter() is None
        limits.leave()
    assert limits.enter() == "IMDS serves 20 requests for tokens per second"
    clock.moment += 0.999
    assert limits.enter() is not None
    clock.moment += 0.001
    assert [limits.enter() for _ in range(5)] == [None] * 5
    assert limits.enter() == "IMDS serves 5 requests for tokens at the same time"
    limits.leave()
    assert limits.enter() is None
    # What was asked later than now, by a clock that was moved back, does not count for ever.
    for _ in range(5):
        limits.leave()
    clock.moment -= 100
    assert limits.enter() is None


def test_too_many_requests_a_second(machine: Azure) -> None:
    identity, control = machine.control.identity, machine.control
    # What earlier tests have asked is of another second.
    control.advance_clock(10)
    identity.set_imds_limits(requests_per_second=2)
    answers: list[httpx.Response] = []

    def refused() -> bool:
        answers.append(asked(machine))
        return answers[-1].status_code == 429

    # Three requests within a second are a matter of chance on a loaded machine, so they are tried again.
    poll(refused, "a request is refused")
    assert [answer.status_code for answer in answers[:2]] == [200, 200]
    assert answers[-1].json()["error"] == "too_many_requests"
    assert "2 requests for tokens per second" in answers[-1].json()["error_description"]
    assert "retry-after" not in answers[-1].headers
    assert control.journal("imds_token")[-1].status == 429
    control.advance_clock(1)
    assert asked(machine).status_code == 200


def test_five_requests_at_the_same_time(machine: Azure) -> None:
    identity, control = machine.control.identity, machine.control
    identity.set_imds_limits(requests_per_second=10_000)
    control.fail_next("imds_token", 5, hold=True)
    with ThreadPoolExecutor(5) as pool:
        try:
            running = [pool.submit(asked, machine) for _ in range(5)]
            poll(lambda: len(control.held()) == 5, "five requests are held")
            refused = asked(machine)
        finally:
            control.release()
        assert [answer.result().status_code for answer in running] == [200] * 5
    assert refused.status_code == 429
    assert "5 requests for tokens at the same time" in refused.json()["error_description"]
    assert asked(machine).status_code == 200


@pytest.mark.parametrize(("requests", "concurrent"), [(0, 5), (20, 0)])
def test_limits_are_counts(machine: Azure, requests: int, concurrent: int) -> None:
    with pytest.raises(ControlError, match="must be a whole number of at least 1"):
        machine.control.identity.set_imds_limits(requests_per_second=requests, concurrent_requests=concurrent)


def test_azure_identity_gets_tokens(machine: Azure) -> None:
    emulator = machine.emulator
    token = token_of(ManagedIdentityCredential(retry_total=0))
    assert object_id_of(token) == emulator.managed_identity_object_id
    assert is_good_for_a_key(machine, token)
    assert is_good_for_a_key(machine, asyncio.run(token_of_async(AsyncManagedIdentityCredential(retry_total=0))))
    selectors: list[dict[str, Any]] = [
        {"client_id": emulator.user_assigned_client_id},
        {"identity_config": {"object_id": emulator.user_assigned_object_id}},
        {"identity_config": {"resource_id": emulator.user_assigned_resource_id}},
    ]
    for selector in selectors:
        token = token_of(ManagedIdentityCredential(retry_total=0, **selector))
        assert object_id_of(token) == emulator.user_assigned_object_id
        assert is_good_for_a_key(machine, token)
    with pytest.raises(CredentialUnavailableError, match="Identity not found"):
        token_of(ManagedIdentityCredential(retry_total=0, client_id=str(uuid.uuid4())))


@pytest.mark.parametrize("status", [404, 410, 429, 500])
def test_azure_identity_asks_again(machine: Azure, status: int) -> None:
    machine.control.fail_next("imds_token", status=status, body="{}")
    assert is_good_for_a_key(machine, token_of(ManagedIdentityCredential(retry_total=1, retry_backoff_factor=0)))
    statuses = [entry.status for entry in machine.control.journal("imds_token")]
    assert statuses == [status, 200]


def test_azure_identity_gives_up(machine: Azure) -> None:
    machine.control.fail_next("imds_token", status=500, body='{"error": "unknown", "error_description": "trouble"}')
    with pytest.raises((ClientAuthenticationError, CredentialUnavailableError), match="trouble"):
        token_of(ManagedIdentityCredential(retry_total=0))
