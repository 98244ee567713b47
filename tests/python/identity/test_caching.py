"""Which token is kept for what, for how long, and who waits for it."""

import json
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from azure.core.credentials import AccessToken

from emulator.support import poll
from hubpass import ServiceError, _native
from identity.doubles import CLIENT, SCOPE, TENANT, Entra, Kind, get, token
from signalr.client_kind import settle
from signalr.service_double import Answer


class Moved:
    """A credential on a clock that the test moves; only builds for tests have it."""

    def __init__(self, kind: Kind, entra: Entra) -> None:
        native: Any = _native
        self.clock = native.ManualClock(int(time.time()))
        self.credential = kind.with_secret(entra)
        keywords = {**entra.options, "clock": self.clock}
        self.credential._native = _native.Credential.client_secret(
            TENANT, CLIENT, "secret", keywords, kind.name == "async"
        )


def test_one_request_for_many_callers(kind: Kind, entra: Entra) -> None:
    credential = kind.with_secret(entra)
    held = entra.hold()
    with ThreadPoolExecutor(20) as pool:
        waiting = [pool.submit(get, credential) for _ in range(20)]
        held.wait_until_arrived()
        held.release()
        assert {one.result() for one in waiting} == {"token"}
    entra.take()
    assert entra.is_idle


def test_what_tokens_are_kept_under(kind: Kind, entra: Entra) -> None:
    credential = kind.with_secret(entra, additionally_allowed_tenants=["*"])
    requests: list[tuple[tuple[str, ...], dict[str, Any]]] = [
        (("https://a/.default",), {}),
        (("https://b/.default",), {}),
        (("https://a/.default",), {"tenant_id": "other"}),
        (("https://a/.default",), {"enable_cae": True}),
    ]
    for number, (scopes, options) in enumerate(requests):
        entra.answer(token(f"token {number}"))
        assert get(credential, *scopes, **options) == f"token {number}"
        entra.take()
    for number, (scopes, options) in enumerate(requests):
        assert get(credential, *scopes, **options) == f"token {number}"
    assert get(credential, "https://a/.default", tenant_id=TENANT) == "token 0"
    assert entra.is_idle


def test_revocable_tokens_are_asked_for_as_such(kind: Kind, entra: Entra) -> None:
    credential = kind.with_secret(entra)
    challenge = '{"access_token":{"nbf":{"essential":true,"value":"1"}}}'
    get(credential)
    get(credential, enable_cae=True)
    get(credential, enable_cae=True, claims=challenge)
    get(credential, "https://b/.default", claims=challenge)
    forms = [entra.take()[1] for _ in range(4)]
    capability = {"xms_cc": {"values": ["CP1"]}}
    assert "claims" not in forms[0]
    assert json.loads(forms[1]["claims"]) == {"access_token": capability}
    assert json.loads(forms[2]["claims"]) == {"access_token": {**json.loads(challenge)["access_token"], **capability}}
    assert forms[3]["claims"] == challenge


def test_a_token_with_claims_replaces_the_one_without(kind: Kind, entra: Entra) -> None:
    credential = kind.with_secret(entra)
    entra.answer(token("revoked"))
    entra.answer(token("new"))
    assert get(credential) == "revoked"
    assert get(credential, claims='{"access_token":{}}') == "new"
    assert get(credential) == "new"


@pytest.mark.parametrize(
    ("answer", "fresh", "due"),
    [
        # Nine tenths of the time are certain; within the last each process draws its own moment.
        (token(expires_in=3600), 0.9 * 3300 - 5, 3300 + 5),
        (token(expires_in=7200), 0.9 * 3600 - 5, 3600 + 5),
        (token(expires_in=86400, refresh_in=600), 0.9 * 600 - 5, 600 + 5),
    ],
    ids=["five minutes before its end", "half of a long life", "when the source says"],
)
def test_a_token_is_renewed_ahead(kind: Kind, entra: Entra, answer: Answer, fresh: float, due: float) -> None:
    moved = Moved(kind, entra)
    entra.answer(answer)
    get(moved.credential)
    entra.take()
    moved.clock.advance(fresh)
    get(moved.credential)
    assert entra.is_idle
    moved.clock.advance(due - fresh)
    held = entra.hold()
    entra.answer(token("renewed"))
    # Nobody waits for the renewal.
    assert get(moved.credential) == "token"
    held.wait_until_arrived()
    assert get(moved.credential) == "token"
    held.release()
    poll(lambda: get(moved.credential) == "renewed", "the token was not renewed")


def test_a_renewal_that_fails_takes_nothing_away(kind: Kind, entra: Entra) -> None:
    moved = Moved(kind, entra)
    get(moved.credential)
    entra.take()
    moved.clock.advance(3400)
    entra.answer(Answer(503))
    assert get(moved.credential) == "token"
    entra.take()
    assert get(moved.credential) == "token"
    moved.clock.advance(200)
    entra.answer(token("next"))

    def has_come() -> bool:
        # The pause begins when the failure is known here, which may be later than its answer was sent.
        moved.clock.advance(1)
        return get_or_none(moved.credential) == "next"

    poll(has_come, "no token came")


def get_or_none(credential: Any) -> str | None:
    try:
        return get(credential)
    except ServiceError:
        return None


def test_after_a_failure_calls_fail_at_once_for_a_while(kind: Kind, entra: Entra) -> None:
    moved = Moved(kind, entra)
    entra.answer(Answer(503))
    for _ in range(3):
        with pytest.raises(ServiceError) as caught:
            get(moved.credential)
        assert caught.value.status == 503
        assert caught.value.retry_after is not None
    entra.take()
    assert entra.is_idle
    moved.clock.advance(31)
    assert get(moved.credential) == "token"


def test_what_a_token_says_of_its_times(kind: Kind, entra: Entra) -> None:
    moved = Moved(kind, entra)
    now = int(time.time())
    entra.answer(token(expires_in=3600, refresh_in=1800))
    info = settle(moved.credential.get_token_info("https://a/.default"))
    assert abs(info.expires_on - now - 3600) < 60
    assert info.refresh_on == info.expires_on - 1800
    assert info.token_type == "Bearer"
    assert settle(moved.credential.get_token("https://a/.default")).expires_on == info.expires_on


def test_the_same_token_is_given_as_the_same_object(kind: Kind, entra: Entra) -> None:
    """Nothing is made for a call that is answered as the one before was; azure-core's tokens cannot be changed."""
    moved = Moved(kind, entra)
    entra.answer(token("one"))
    entra.answer(token("of another scope"))
    get(moved.credential)
    first, again = (settle(moved.credential.get_token(SCOPE)) for _ in range(2))
    assert isinstance(first, AccessToken)
    assert first is again
    assert get(moved.credential, "https://b/.default") == "of another scope"
    assert get(moved.credential) == "one"
    assert settle(moved.credential.get_token_info(SCOPE)) is not settle(moved.credential.get_token_info(SCOPE))
    # An equal text is as good, wherever it comes from.
    assert get(moved.credential, SCOPE.encode().decode()) == "one"
    settle(moved.credential.close())
    assert get(moved.credential) == "one"
    moved.clock.advance(3600)
    entra.answer(Answer(503))
    entra.answer(token("two"))
    with pytest.raises(ServiceError):
        get(moved.credential)
    moved.clock.advance(60)
    assert get(moved.credential) == "two"


def test_a_closed_credential_still_gives_tokens(kind: Kind, entra: Entra) -> None:
    credential = kind.with_secret(entra)
    settle(credential.close())
    settle(credential.close())
    assert get(credential) == "token"
