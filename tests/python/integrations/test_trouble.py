"""When Entra, the service or the network fails: 503, never 401 or 403, and a cause that only the log tells."""

from datetime import timedelta
from typing import Any

import pytest
from azure.core.credentials import AccessToken

from hubpass import Grant
from integrations.mounts import Answered, Framework
from signalr.service_double import Answer, ServiceDouble


class Credential:
    """Gives a token, or raises."""

    def __init__(self, error: Exception | None = None) -> None:
        self.error = error

    def get_token(self, *_: str, **__: Any) -> AccessToken:
        if self.error:
            raise self.error
        return AccessToken("canary-token", 4102444800)


class AsyncCredential(Credential):
    async def get_token(self, *scopes: str, **options: Any) -> AccessToken:  # type: ignore[override]
        return super().get_token(*scopes, **options)


CLASSES = ["SignalRServiceClient", "WebPubSubServiceClient"]


def client(framework: Framework, service: ServiceDouble, class_name: str, error: Exception | None = None) -> Any:
    make = AsyncCredential if framework.asynchronous else Credential
    return framework.client(service.endpoint, make(error), class_name=class_name)


def assert_told_in_the_log_alone(answered: Answered, code: str, caplog: pytest.LogCaptureFixture) -> None:
    """The answer says by which id the cause is found, and the log has both."""
    assert (answered.status, answered.code) == (503, "unavailable")
    (record,) = [record for record in caplog.records if record.name == "hubpass.integrations"]
    assert answered.json["error"]["id"] in record.getMessage()
    assert code in record.getMessage()
    assert code.encode() not in answered.body
    assert "canary" not in caplog.text
    assert b"canary" not in answered.body


@pytest.mark.parametrize("class_name", CLASSES)
@pytest.mark.parametrize(
    ("answer", "code", "from_", "to"),
    [
        (Answer(401), "unauthorized", 1, 5),
        (Answer(403), "permission_missing", 1, 5),
        (Answer(403, body=b"<center>nginx</center>"), "network_blocked", 1, 5),
        (Answer(404), "not_found", 1, 5),
        (Answer(429, {"Retry-After": "20"}), "throttled", 19, 25),
        (Answer(429, {"Retry-After": "99999"}), "throttled", 290, 300),
        (Answer(503, {"Retry-After": "0"}), "service_unavailable", 1, 7),
        (Answer(200, body=b"canary-key"), "unexpected_response", 1, 5),
    ],
    ids=["token", "role", "network", "resource", "throttled", "for-long", "down", "garbage"],
)
def test_the_service_fails(
    framework: Framework,
    service: ServiceDouble,
    caplog: pytest.LogCaptureFixture,
    class_name: str,
    answer: Answer,
    code: str,
    from_: int,
    to: int,
) -> None:
    """The wait that is asked for is what is left of the pause, which each process spreads a little."""
    for _ in range(2):
        service.answer(answer)
    mounted = framework.mount(client=client(framework, service, class_name), authorize=lambda _: "ada")
    answered = mounted.post()
    assert from_ <= int(answered.headers["retry-after"]) <= to
    assert answered.headers["cache-control"] == "no-store"
    assert_told_in_the_log_alone(answered, code, caplog)


@pytest.mark.parametrize("class_name", CLASSES)
def test_the_credential_fails(
    framework: Framework, service: ServiceDouble, caplog: pytest.LogCaptureFixture, class_name: str
) -> None:
    failing = client(framework, service, class_name, RuntimeError("canary"))
    answered = framework.mount(client=failing, authorize=lambda _: "ada").post()
    assert_told_in_the_log_alone(answered, "identity_unavailable", caplog)


def test_a_group_cannot_be_joined(
    framework: Framework, service: ServiceDouble, caplog: pytest.LogCaptureFixture
) -> None:
    """Whoever connected without it would be less than the application has granted."""
    service.answer(Answer(500, body=b"canary"))
    mounted = framework.mount(
        client=framework.client(service.endpoint),
        authorize=lambda _: Grant("ada", groups=["canary-group"]),
        groups_ttl=timedelta(hours=1),
    )
    assert_told_in_the_log_alone(mounted.post(), "service_unavailable", caplog)


@pytest.mark.parametrize("class_name", CLASSES)
def test_no_refusal_repeats_what_was_granted(
    framework: Framework, caplog: pytest.LogCaptureFixture, class_name: str
) -> None:
    """A grant that cannot be used, and a token that would be too long."""
    grants = [Grant("canary \ud800"), Grant("ada", lifetime=timedelta(days=-1)), Grant("canary" * 2000)]
    wrong = [Grant("ada", claims={"asrs.s.uid": "canary"}), Grant("ada", groups=["canary" * 2000]), "canary" * 2000]
    for granted in (*grants, *wrong):
        mounted = framework.mount(client=framework.client(class_name=class_name), authorize=lambda _, g=granted: g)
        answered = mounted.post()
        assert answered.status in {413, 500}
        assert answered.headers["cache-control"] == "no-store"
        assert b"canary" not in answered.body
    assert "canary" not in caplog.text


@pytest.mark.parametrize("class_name", CLASSES)
def test_a_closed_client(framework: Framework, class_name: str) -> None:
    closed = framework.client(class_name=class_name)
    mounted = framework.mount(client=closed, authorize=lambda _: "ada")
    closed._native.close()
    answered = mounted.post()
    assert (answered.status, answered.code) == (503, "unavailable")


def test_what_the_application_raises_passes_through(framework: Framework) -> None:
    class OwnError(Exception):
        pass

    def authorize(_: Any) -> str:
        raise OwnError

    mounted = framework.mount(authorize=authorize)
    if framework.name == "flask":
        # Flask turns what nobody catches into a 500 of its own.
        assert mounted.post().status == 500
        return
    with pytest.raises(OwnError):
        mounted.post()
