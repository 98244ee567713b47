"""Temporary access keys: how long they live, what they sign, and what the control API does to them."""

from __future__ import annotations

import pytest

from emulator.support import Azure
from hubpass.emulator import ControlError, Emulator

NOT_FOUND = 'Bearer error="invalid_token", error_description="The signature key was not found"'
INVALID = 'Bearer error="invalid_token", error_description="The signature is invalid"'


def refusal(azure: Azure, token: str) -> str:
    """The challenge with which negotiate and the WebSocket refuse the token."""
    answer = azure.negotiate(token)
    assert (answer.status_code, answer.content) == (401, b"")
    assert azure.refused_socket(token).headers["www-authenticate"] == answer.headers["www-authenticate"]
    return answer.headers["www-authenticate"]


def test_it_signs_for_clients(entra: Azure) -> None:
    key = entra.temporary_key()
    token = entra.signed_by(key)
    assert entra.negotiate(token).status_code == 200
    with entra.client(token) as client:
        assert entra.send().status_code == 202
        assert client.hear()["target"] == "hello"
    assert {entry.kid for entry in entra.control.journal() if entry.route in {"negotiate", "connect"}} == {key[0]}
    sha512 = entra.token(key=key[1], algorithm="HS512", headers={"kid": key[0]})
    assert entra.negotiate(sha512).status_code == 200


def test_the_kid_finds_the_key(entra: Azure) -> None:
    kid, secret = entra.temporary_key()
    other_kid = entra.control.rotate_temporary_key()
    assert refusal(entra, entra.token(key=secret)) == NOT_FOUND
    assert refusal(entra, entra.token(key=secret, headers={"kid": "unknown"})) == NOT_FOUND
    assert refusal(entra, entra.token(key=secret, headers={"kid": other_kid})) == INVALID
    assert refusal(entra, entra.token(key="x" * 44, headers={"kid": kid})) == INVALID
    assert entra.negotiate(entra.signed_by((kid, secret))).status_code == 200


def test_a_static_key_counts_whatever_the_kid_says(entra: Azure) -> None:
    kid, _ = entra.temporary_key()
    for headers in ({"kid": "1234567"}, {"kid": kid}, {"kid": ""}):
        assert entra.negotiate(entra.token(headers=headers)).status_code == 200
    entra.control.revoke_temporary_keys()
    assert entra.negotiate(entra.token(headers={"kid": kid})).status_code == 200
    assert {entry.kid for entry in entra.control.journal("negotiate")} == {None}


def test_no_other_check_is_left_out(entra: Azure) -> None:
    key = entra.temporary_key()
    assert "audience" in refusal(entra, entra.signed_by(key, aud="http://127.0.0.1/client/?hub=other"))
    assert "expired" in refusal(entra, entra.signed_by(key, exp=1))
    assert entra.negotiate(entra.signed_by(key)).status_code == 200


def test_one_key_is_given_out_for_an_hour_and_lives_for_ninety_minutes(entra: Azure) -> None:
    entra.control.rotate_temporary_key()
    first = entra.temporary_key()
    entra.control.advance_clock(3590)
    assert entra.temporary_key() == first
    entra.control.advance_clock(20)
    second = entra.temporary_key()
    assert second[0] != first[0]
    assert second[1] != first[1]
    entra.control.advance_clock(1770)
    for key in (first, second):
        assert entra.negotiate(entra.signed_by(key)).status_code == 200
    entra.control.advance_clock(30)
    assert refusal(entra, entra.signed_by(first)) == NOT_FOUND
    assert entra.negotiate(entra.signed_by(second)).status_code == 200
    assert "expired" in (entra.control.journal("connect")[-1].reason or "")


def test_a_connection_outlives_the_key_that_let_it_in(entra: Azure) -> None:
    key = entra.temporary_key()
    with entra.client(entra.signed_by(key)) as client:
        assert entra.control.revoke_temporary_keys(key[0]) == 1
        assert entra.send().status_code == 202
        assert client.hear()["target"] == "hello"
        assert refusal(entra, entra.signed_by(key)) == NOT_FOUND


def test_rotating_gives_out_a_new_key_and_lets_the_old_one_live(entra: Azure) -> None:
    old = entra.temporary_key()
    kid = entra.control.rotate_temporary_key()
    new = entra.temporary_key()
    assert new[0] == kid != old[0]
    for key in (old, new):
        assert entra.negotiate(entra.signed_by(key)).status_code == 200
    current = [key.kid for key in entra.control.temporary_keys() if key.current]
    assert current == [kid]


def test_revoked_keys_die_at_once(entra: Azure) -> None:
    first = entra.temporary_key()
    entra.control.rotate_temporary_key()
    second = entra.temporary_key()
    assert entra.control.revoke_temporary_keys(second[0]) == 1
    assert refusal(entra, entra.signed_by(second)) == NOT_FOUND
    assert entra.negotiate(entra.signed_by(first)).status_code == 200
    # A revoked key is not given out any more, nor is an older one.
    third = entra.temporary_key()
    assert third[0] not in {first[0], second[0]}
    assert entra.control.revoke_temporary_keys() == 2
    for key in (first, third):
        assert refusal(entra, entra.signed_by(key)) == NOT_FOUND
    assert "revoked" in (entra.control.journal("connect")[-1].reason or "")
    with pytest.raises(ControlError, match="no key of that kid"):
        entra.control.revoke_temporary_keys(third[0])
    assert entra.negotiate(entra.signed_by(entra.temporary_key())).status_code == 200


def test_the_policy_can_be_changed(entra: Azure) -> None:
    entra.control.set_temporary_key_policy(life=20, issue_for=10)
    entra.control.rotate_temporary_key()
    first = entra.temporary_key()
    entra.control.advance_clock(11)
    second = entra.temporary_key()
    assert second[0] != first[0]
    entra.control.advance_clock(10)
    assert refusal(entra, entra.signed_by(first)) == NOT_FOUND
    assert entra.negotiate(entra.signed_by(second)).status_code == 200
    # It counts for keys that exist: a longer life brings the first one back.
    entra.control.set_temporary_key_policy(life=60)
    assert entra.negotiate(entra.signed_by(first)).status_code == 200
    state = entra.control.state()
    assert (state.key_life, state.key_issue_for) == (60, 10)
    # A dead key is never given out, even if it were its turn.
    entra.control.set_temporary_key_policy(life=5, issue_for=3600)
    third = entra.temporary_key()
    entra.control.advance_clock(6)
    assert entra.temporary_key()[0] != third[0]


def test_the_list_has_no_key_in_it(entra: Azure) -> None:
    kid, secret = entra.temporary_key()
    entra.control.advance_clock(100)
    found = {key.kid: key for key in entra.control.temporary_keys()}[kid]
    assert 100 <= found.age < 160
    assert found.expires_at - found.issued_at == 5400
    assert (found.alive, found.current, found.revoked) == (True, True, False)
    assert secret not in repr(entra.control.state())
    assert secret not in str(entra.control._request("GET", "/state"))
    entra.control.revoke_temporary_keys(kid)
    found = {key.kid: key for key in entra.control.temporary_keys()}[kid]
    assert (found.alive, found.current, found.revoked) == (False, False, True)


def test_two_emulators_can_have_different_keys_of_one_id(entra: Azure) -> None:
    with Emulator() as emulator:
        other = Azure(emulator)
        for azure in (entra, other):
            assert azure.control.rotate_temporary_key("shared-kid") == "shared-kid"
            with pytest.raises(ControlError, match="already"):
                azure.control.rotate_temporary_key("shared-kid")
        one, two = entra.temporary_key(), other.temporary_key()
        assert one[0] == two[0] == "shared-kid"
        assert one[1] != two[1]
        assert refusal(entra, entra.signed_by(two)) == INVALID
        assert entra.negotiate(entra.signed_by(one)).status_code == 200
        other.close()


def test_it_signs_nothing_for_rest(entra: Azure) -> None:
    kid, secret = entra.temporary_key()
    url = f"{entra.endpoint}/api/hubs/chat/:send"
    now = int(entra.control.state().now)
    token = entra._sign({"aud": url, "exp": now + 300}, secret, "HS256", {"kid": kid})
    answer = entra.send(token=token)
    assert (answer.status_code, answer.headers["www-authenticate"]) == (401, NOT_FOUND)
    assert "temporary key" in (entra.control.journal("send")[-1].reason or "")
    assert entra.send(token=entra.rest_token(url)).status_code == 202
    assert entra.send(token=entra.entra_token()).status_code == 202


def test_without_local_authentication_only_entra_counts(entra: Azure) -> None:
    key = entra.temporary_key()
    rest = entra.rest_token(f"{entra.endpoint}/api/hubs/chat/:send")
    entra.control.set_local_auth_disabled(True)
    for static in (entra.key, entra.secondary_key):
        assert refusal(entra, entra.token(key=static)) == NOT_FOUND
        assert refusal(entra, entra.token(key=static, headers={"kid": key[0]})) == NOT_FOUND
    assert entra.send(token=rest).headers["www-authenticate"] == NOT_FOUND
    assert "local authentication" in (entra.control.journal("send")[-1].reason or "")
    assert entra.negotiate(entra.signed_by(key)).status_code == 200
    assert entra.ask_key().status_code == 200
    assert entra.send(token=entra.entra_token()).status_code == 202
    entra.control.set_local_auth_disabled(False)
    assert entra.negotiate(entra.token()).status_code == 200
    assert entra.send(token=rest).status_code == 202


def test_the_options_of_the_start() -> None:
    with Emulator(key_life=20, key_issue_for=10, roles=["SignalR App Server"], local_auth_disabled=True) as emulator:
        azure = Azure(emulator)
        state = azure.control.state()
        assert (state.key_life, state.key_issue_for, state.local_auth_disabled) == (20, 10, True)
        assert set(state.roles.values()) == {("SignalR App Server",)}
        assert set(state.roles) == {
            emulator.object_id,
            emulator.managed_identity_object_id,
            emulator.user_assigned_object_id,
            emulator.identity.developer_object_id,
        }
        key = azure.temporary_key()
        assert azure.negotiate(azure.signed_by(key)).status_code == 200
        azure.control.advance_clock(21)
        assert refusal(azure, azure.signed_by(key)) == NOT_FOUND
        assert azure.negotiate(azure.token()).status_code == 401
        azure.close()
    with Emulator(roles=[]) as emulator:
        azure = Azure(emulator)
        assert azure.control.state().roles == {}
        assert azure.ask_key().status_code == 403
        azure.close()
