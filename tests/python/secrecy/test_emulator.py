"""The local Azure, which has secrets of its own: neither its process, nor its records, nor its log show them."""

import os
from pathlib import Path

import pytest

from emulator.support import Azure
from entra.clients import connected
from hubpass import HubpassError
from hubpass.emulator import Emulator, EmulatorError
from hubpass.emulator.control_client import ControlClient
from hubpass.emulator.control_records import ControlError, WaitTimeoutError
from secrecy.search import Canaries, texts_of_exception, texts_of_value
from signalr.client_kind import SYNC, ClientKind

KEY = "emulator+canary/of/the+key+0123456789abcdef="


def canaries_of(azure: Azure) -> Canaries:
    emulator = azure.emulator
    return Canaries(
        key=azure.key,
        secondary_key=azure.secondary_key,
        client_secret=emulator.client_secret,
        identity_header=emulator.identity_header,
        temporary_key=azure.temporary_key()[1],
        control_token=emulator._ready["control_token"],
        entra_token=azure.entra_token().split(".")[2],
    )


def process_texts(pid: int) -> list[str]:
    """What the system tells of a process: its arguments, and to its owner its environment."""
    folder = Path(f"/proc/{pid}")
    names = ["cmdline", "environ", "comm", "status"]
    return [(folder / name).read_bytes().decode("utf-8", "replace") for name in names]


@pytest.mark.skipif(not Path("/proc/self/cmdline").exists(), reason="this system has no /proc")
def test_no_secret_is_in_its_arguments_or_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    # The measurement of coverage hands its settings over in base64, which looks like the beginning of a token.
    for name in [name for name in os.environ if name.startswith("COVERAGE_")]:
        monkeypatch.delenv(name)
    with Emulator(access_key=KEY) as emulator:
        azure = Azure(emulator)
        texts = process_texts(emulator.pid)
        assert azure.key == KEY
        assert "hubpass.emulator" in texts[0]
        assert canaries_of(azure).find(texts) == []
        azure.close()


def test_a_key_is_searched_for_in_arguments() -> None:
    """The option for those who start it by hand is where the search must find something."""
    with Emulator() as emulator:
        emulator._arguments.append(f"--access-key={KEY}")
        other = Emulator()
        other._arguments = emulator._arguments
        with other:
            assert Canaries(key=KEY).find(process_texts(other.pid))


@pytest.mark.parametrize("key", [f"{KEY};", f"{KEY}\n", f" {KEY}", f"{KEY}\x00", f"{KEY}\ud800"])
def test_a_key_that_is_refused_is_not_repeated(key: str) -> None:
    with pytest.raises(EmulatorError) as caught, Emulator(access_key=key):
        pass
    assert "an access key is printable text" in str(caught.value)
    assert Canaries(key=KEY).find(texts_of_exception(caught.value)) == []


def test_what_it_writes_down_after_failures_of_all_kinds(client_kind: ClientKind) -> None:
    with Emulator() as emulator:
        azure, control = Azure(emulator), emulator.control
        secrets = canaries_of(azure)
        for route in ("token", "access_key", "send"):
            for fault in ({"status": 400, "body": "echo"}, {"drop": True}, {"garbage": True}, {"status": 503}):
                client = connected(client_kind, azure, emulator.entra_connection_string)
                control.fail_next(route, times=2, **fault)
                with pytest.raises(HubpassError):
                    client.send_to_all("say") if route == "send" else client.warm_up()
                control.clear_faults()
        wrong = emulator.entra_connection_string.replace("ClientSecret=", "ClientSecret=wrong")
        with pytest.raises(HubpassError):
            connected(client_kind, azure, wrong).warm_up()
        azure.ask_identity(header=emulator.identity_header + "x")
        azure.ask_key(emulator.client_secret)
        azure.http.get(f"{azure.endpoint}/{emulator.client_secret}?access_token={azure.token()}&x={azure.key}")
        azure.negotiate(azure.key)
        azure.tls.post(
            f"{emulator.authority}/{emulator.client_secret}/oauth2/v2.0/token?a={azure.key}", data={"a": "b"}
        )
        texts = [*map(repr, control.journal()), repr(control.state()), *emulator.log_lines]
        texts += [repr(control.temporary_keys()), repr(control.rotate_keys()), repr(control.add_application())]
        assert secrets.find(texts) == []
        azure.close()


def test_its_objects_and_errors_show_nothing() -> None:
    with Emulator() as emulator:
        azure = Azure(emulator)
        secrets = canaries_of(azure)
        errors: list[BaseException] = []
        with pytest.raises(WaitTimeoutError) as late:
            emulator.control.wait_until(lambda _: False, timeout=0)
        errors.append(late.value)
        with pytest.raises(ControlError) as refused:
            emulator.control.rotate_keys(azure.key)  # type: ignore[arg-type]  # wrong on purpose
        errors.append(refused.value)
        with pytest.raises(ControlError) as intruder:
            ControlClient(emulator._ready["control_url"], azure.key).state()
        errors.append(intruder.value)
        with pytest.raises(EmulatorError) as twice:
            emulator.start()
        errors.append(twice.value)
        assert secrets.find(text for error in errors for text in texts_of_exception(error)) == []
        # The properties that are there to give secrets are named for them; everything else is silent.
        for thing in (emulator, emulator.control, emulator.control.rotate_keys(), emulator.control.add_application()):
            assert secrets.find([repr(thing), str(thing), f"{thing}", f"{[thing]}"]) == []
        azure.close()


def test_the_search_looks_into_objects() -> None:
    """A connection string is among those that ``texts_of_value`` reads from its properties."""
    with Emulator(access_key=KEY) as emulator:
        assert Canaries(key=KEY).find(texts_of_value(emulator))
        client = SYNC.from_connection_string(emulator.connection_string).raw
        assert Canaries(key=KEY).find(texts_of_value(client)) == []
