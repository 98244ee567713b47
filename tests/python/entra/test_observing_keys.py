"""What a client tells: events in order for programs, and records of changes for people."""

import logging
import threading

import pytest

from emulator.support import Azure, poll
from entra.clients import PAUSE, Days, Events, client_with, credential_of, entra_client
from hubpass import Event, ServiceError
from signalr.client_kind import ClientKind
from signalr.scripts import run
from signalr.service_double import WATCHDOG


@pytest.fixture(autouse=True)
def every_record(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG, "hubpass")


def told(caplog: pytest.LogCaptureFixture, least: int = logging.INFO) -> list[tuple[str, str]]:
    return [
        (found.name, found.levelname)
        for found in caplog.records
        if found.name.startswith("hubpass") and found.levelno >= least
    ]


def test_events_come_in_the_order_of_what_they_tell(client_kind: ClientKind, azure: Azure) -> None:
    """However long the callback takes over one of them."""
    days = Days(azure)
    seen: list[str] = []
    let_go = threading.Event()

    def dawdle(event: Event) -> None:
        if not seen:
            let_go.wait(WATCHDOG)
        seen.append(event.name)

    client = days.client(client_kind, azure, on_event=dawdle)
    azure.control.fail_next("token", status=500)
    with pytest.raises(ServiceError):
        client.warm_up()
    days.pass_by(PAUSE)
    kid = client.kid()
    client.invalidate_key(kid)
    client.warm_up()
    assert seen == []
    let_go.set()
    expected = ["token_failed", "key_failed", "token_renewed", "key_renewed", "key_invalidated", "key_unchanged"]
    poll(lambda: len(seen) == len(expected), f"only {seen}")
    assert seen == expected


def test_what_events_tell(client_kind: ClientKind, azure: Azure) -> None:
    events = Events()
    days = Days(azure)
    client = days.client(client_kind, azure, on_event=events)
    azure.control.fail_next("token", status=503, retry_after=20)
    with pytest.raises(ServiceError) as caught:
        client.warm_up()
    failed = events.wait_for("token_failed").attributes
    assert failed["credential"] == "ClientSecretCredential"
    assert (failed["code"], failed["status"]) == (caught.value.code, 503)
    assert (failed["message"], failed["hint"]) == (caught.value.message, caught.value.hint)
    assert failed["retry_after"] == 20
    days.pass_by(PAUSE)
    kid = client.kid()
    assert events.wait_for("token_renewed").attributes == {"credential": "ClientSecretCredential"}
    assert events.wait_for("key_renewed").attributes == {"kid": kid}


def test_a_callback_sees_the_state_that_it_is_told_of(client_kind: ClientKind, azure: Azure) -> None:
    seen: list[tuple[str, bool, bool]] = []

    def look(event: Event) -> None:
        status = client.status
        seen.append((event.name, status["ready"], status["last_error"] is None))

    days = Days(azure)
    client = days.client(client_kind, azure, on_event=look)
    for _ in range(20):
        azure.control.fail_next("access_key", status=500)
        with pytest.raises(ServiceError):
            client.warm_up()
        days.pass_by(PAUSE)
    azure.control.clear_faults()
    client.warm_up()
    poll(lambda: any(name == "key_renewed" for name, _, _ in seen), f"only {seen}")
    assert {found for found in seen if found[0] == "key_renewed"} == {("key_renewed", True, True)}
    assert {found[2] for found in seen if found[0] == "key_failed"} == {False}


def test_a_callback_that_fails_fails_nothing(client_kind: ClientKind, azure: Azure) -> None:
    def fail(event: Event) -> None:
        raise RuntimeError(event.name)

    unraisable: list[BaseException | None] = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("sys.unraisablehook", lambda hook: unraisable.append(hook.exc_value))
        client = entra_client(client_kind, azure, on_event=fail)
        assert client.kid()
        poll(lambda: len(unraisable) == 2, "no two failures")
    assert sorted(str(error) for error in unraisable) == ["key_renewed", "token_renewed"]


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.parametrize("breaks", ["callback", "log filter"])
def test_whatever_ends_the_telling_of_one_event_does_not_end_that_of_the_next(
    client_kind: ClientKind, azure: Azure, breaks: str
) -> None:
    seen: list[str] = []

    def end(event: Event) -> None:
        seen.append(event.name)
        raise SystemExit

    def end_too(record: logging.LogRecord) -> bool:
        seen.append(str(record.msg))
        raise RuntimeError

    client = entra_client(client_kind, azure, on_event=end if breaks == "callback" else None)
    if breaks == "log filter":
        for name in ("hubpass.keys", "hubpass.identity"):
            logging.getLogger(name).addFilter(end_too)
    try:
        client.invalidate_key("unknown")
        poll(lambda: len(seen) == 1, "nothing told")
        client.invalidate_key("unknown")
        poll(lambda: len(seen) == 2, "nothing told after that")
    finally:
        for name in ("hubpass.keys", "hubpass.identity"):
            logging.getLogger(name).removeFilter(end_too)


def test_health_is_silent(client_kind: ClientKind, azure: Azure, caplog: pytest.LogCaptureFixture) -> None:
    client = entra_client(client_kind, azure)
    client.send_to_all("hello")
    client.warm_up()
    poll(lambda: len(told(caplog, logging.DEBUG)) == 2, "no two records")
    assert told(caplog, logging.DEBUG) == [("hubpass.identity", "DEBUG"), ("hubpass.keys", "DEBUG")]


def test_each_logger_tells_of_trouble_once_and_of_its_end_once(
    client_kind: ClientKind, azure: Azure, caplog: pytest.LogCaptureFixture
) -> None:
    days = Days(azure)
    events = Events()
    client = days.client(client_kind, azure, on_event=events)
    for outage in (1, 2):
        azure.control.fail_next("token", times=3, status=500)
        for _ in range(3):
            with pytest.raises(ServiceError):
                client.warm_up()
            days.pass_by(PAUSE)
        client.warm_up()
        azure.control.fail_next("send", times=3, status=500)
        for _ in range(3):
            with pytest.raises(ServiceError):
                client.send_to_all("hello")
        client.send_to_all("hello")
        events.wait_for("request_succeeded", outage)
        days.pass_by(7200)
    once = [
        ("hubpass.identity", "WARNING"),
        ("hubpass.keys", "WARNING"),
        ("hubpass.identity", "INFO"),
        ("hubpass.keys", "INFO"),
        ("hubpass.http", "WARNING"),
        ("hubpass.http", "INFO"),
    ]
    assert told(caplog) == once * 2


def test_records_say_what_to_do(client_kind: ClientKind, azure: Azure, caplog: pytest.LogCaptureFixture) -> None:
    azure.control.remove_role(azure.emulator.object_id)
    with pytest.raises(ServiceError):
        entra_client(client_kind, azure).warm_up()
    poll(lambda: told(caplog), "no record")
    message = next(found.getMessage() for found in caplog.records if found.name == "hubpass.keys")
    assert "az role assignment create" in message
    assert azure.emulator.object_id in message


def test_an_invalidated_key_is_always_recorded(
    client_kind: ClientKind, azure: Azure, caplog: pytest.LogCaptureFixture
) -> None:
    client = client_with(client_kind, azure, credential_of(client_kind, azure.entra_token()))
    client.invalidate_key(client.kid())
    poll(lambda: ("hubpass.keys", "INFO") in told(caplog), "no record")


def test_logging_is_not_imported_for_it(client_kind: ClientKind, azure: Azure) -> None:
    """A program without it gets its keys, and its failures, without it. Asyncio imports it itself."""
    emulator = azure.emulator
    call = "client.warm_up()" if client_kind.name == "sync" else "asyncio.run(client.warm_up())"
    script = f"""
import sys
from {client_kind.module} import SignalRServiceClient
before = "logging" in sys.modules
text, authority, ca_file = sys.argv[1:]
if {client_kind.name!r} == "async":
    import asyncio
    before = True
for authority in ("https://127.0.0.1:9", authority):
    client = SignalRServiceClient.from_connection_string(text, "chat", authority=authority, ca_file=ca_file)
    try:
        {call}
    except Exception as error:
        print(error.code)
print(client.status()["ready"], before or "logging" not in sys.modules)
"""
    outcome = run(script, emulator.entra_connection_string, emulator.authority, emulator.ca_file)
    assert (outcome.code, outcome.errors) == (0, "")
    assert outcome.output.split() == ["connection_failed", "True", "True"]
