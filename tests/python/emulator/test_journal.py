"""The journal: what it says, and what neither it nor the log ever says."""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import quote, quote_plus

import pytest

from emulator.support import Azure, key_of, poll
from hubpass.emulator import Emulator


def test_it_tells_what_happened(azure: Azure) -> None:
    start = azure.control.state().now
    token = azure.user_token({"asrs.s.uid": "ann"})
    promised = azure.negotiate(token).json()
    with azure.client(token, query=f"hub=chat&id={promised['connectionToken']}") as client:
        azure.send()
        client.hear()
        azure.negotiate(azure.token("other"))
    azure.control.wait_for_journal(lambda entry: entry.route == "disconnect")
    negotiated, connected, sent, refused, gone = azure.control.journal()
    assert (negotiated.method, negotiated.path) == ("POST", "/client/negotiate?hub=chat&negotiateVersion=1")
    assert (negotiated.status, negotiated.hub, negotiated.user_id) == (200, "chat", "ann")
    assert negotiated.connection_id == connected.connection_id == promised["connectionId"]
    assert (connected.route, connected.status, connected.path) == ("connect", 101, "/client/?hub=chat")
    assert (sent.route, sent.target, sent.action, sent.status) == ("send", "hello", "sent to 1", 202)
    assert (refused.status, refused.action) == (401, "refused")
    assert refused.reason == "the audience does not match"
    assert (gone.route, gone.action, gone.connection_id) == (
        "disconnect",
        "client left",
        promised["connectionId"],
    )
    assert all(start <= entry.time <= start + 60 for entry in azure.control.journal())
    numbers = [entry.number for entry in azure.control.journal()]
    assert numbers == sorted(numbers)
    azure.control.clear_journal()
    assert azure.control.journal() == ()


def test_its_time_is_that_of_the_emulators_clock(azure: Azure) -> None:
    azure.control.set_clock(4_000_000_000)
    azure.http.head(f"{azure.endpoint}/api/health")
    assert 4_000_000_000 <= azure.control.journal()[0].time < 4_000_000_060


def test_half_a_surrogate_pair_is_shown_as_it_came(azure: Azure) -> None:
    """JSON can say it and UTF-8 cannot, and whoever connects can send it."""
    with azure.client(azure.user_token({"asrs.s.uid": "user \ud800"})) as client:
        client.say({"type": 1, "target": "half \ud83d", "arguments": []})
        azure.control.wait_for_journal(lambda entry: entry.target == "half \ud83d")
        assert [connection.user_id for connection in azure.control.state().connections] == ["user \ud800"]
    azure.send(body={"Target": "other half \udca9", "Arguments": []})
    assert azure.control.journal("send")[0].target == "other half \udca9"


@pytest.mark.parametrize(
    "route", ["query", "header", "path", "target", "fragment of a header", "Entra", "managed identity"]
)
def test_no_credential_is_written_anywhere(route: str) -> None:
    # The key has every character that URLs treat in a special way.
    with Emulator(access_key="a+b/c+d/" + "e" * 35 + "=") as emulator:
        azure = Azure(emulator)
        assert_no_trace(azure, route)
        azure.close()


def assert_no_trace(azure: Azure, route: str) -> None:
    old_key, control_token = azure.key, azure.emulator._ready["control_token"]
    tokens = [azure.token(), azure.rest_token(f"{azure.endpoint}/api/hubs/chat/:send"), azure.token("other")]
    promised = azure.negotiate(tokens[0]).json()["connectionToken"]
    emulator, temporary = azure.emulator, azure.temporary_key()
    other = azure.control.add_application()
    entra_tokens = [azure.entra_token(), azure.ask_identity().json()["access_token"]]
    entra_secrets = [temporary[1], emulator.client_secret, other.client_secret, emulator.identity_header]
    tokens += [*entra_tokens, azure.signed_by(temporary)]
    lasting = [azure.key, azure.secondary_key, control_token, *tokens, *entra_secrets]
    secrets = [promised, *lasting]
    if route == "query":
        with azure.client(tokens[0], query=f"hub=chat&id={promised}"):
            azure.refused_socket(tokens[2])
    elif route == "header":
        azure.negotiate(azure.key)
        azure.send(token=tokens[0])
    elif route == "path":
        for secret in (azure.key, control_token, *tokens, *entra_secrets):
            azure.tls.post(f"{emulator.authority}/{quote(secret, safe='')}/oauth2/v2.0/token")
            azure.http.get(f"{azure.endpoint}/{secret}?a={secret}")
    elif route == "target":
        azure.send(token=tokens[1], body={"target": f"say {azure.key} and {tokens[0]}"})
        with azure.client(tokens[0]) as client:
            client.say({"type": 1, "target": tokens[0]}, {"type": 1, "target": azure.secondary_key})
            client.say({"type": 7})
            client.hear()
    elif route == "Entra":
        for secret in lasting:
            azure.ask_entra(client_id=secret)
            azure.ask_entra(client_secret=f"{secret} ")
            azure.ask_entra(scope=f"https://{secret}/.default")
            azure.ask_entra(scope=secret, grant_type="client_credentials")
            azure.ask_key(secret)
            azure.ask_key(entra_tokens[0], f"/api/v1/auth/accessKey?x={secret}")
            azure.negotiate(azure.token(headers={"kid": secret}, key="x" * 40))
    elif route == "managed identity":
        for secret in lasting:
            azure.ask_identity(resource=secret)
            azure.ask_identity(client_id=secret)
            azure.ask_identity(header=secret)
    else:
        azure.http.post(f"{azure.endpoint}/client/negotiate?hub={azure.key}", headers={"Authorization": tokens[0]})
    new = azure.control.rotate_keys()
    secrets.append(key_of(new.primary))
    # A dead key is still a secret.
    azure.control.revoke_temporary_keys()
    azure.http.get(f"{azure.endpoint}/{old_key}?x={quote(temporary[1])}")
    azure.http.get(f"{azure.endpoint}/last")
    poll(lambda: any("/last" in line for line in azure.emulator.log_lines), "the log lags behind")
    written = {
        "journal": json.dumps([vars(entry) for entry in azure.control.journal()]),
        "state": repr(azure.control.state()) + json.dumps(azure.control._request("GET", "/state")),
        "log": "\n".join(azure.emulator.log_lines),
    }
    for place, text in written.items():
        for secret in secrets:
            # A key may stand in a URL as it is, percent-encoded, or with a space for each plus.
            for form in (secret, quote(secret, safe=""), quote_plus(secret), secret.replace("+", " ")):
                assert form not in text, place
    assert len(azure.control.journal()) > 2


def test_the_answer_to_a_refused_request_has_no_credential_in_it(azure: Azure) -> None:
    answers: list[Any] = [
        azure.http.get(f"{azure.endpoint}/{azure.key}"),
        azure.negotiate(azure.key),
        azure.send(token=azure.token()),
    ]
    for answer in answers:
        assert azure.key not in answer.text + str(answer.headers)
