"""Where our client differs from Microsoft's on purpose: each difference by the name that the document gives it.

Every test shows both sides, so that a difference which Microsoft removes is noticed.
"""

import base64
import inspect
import json
import pickle
from collections.abc import Callable
from functools import partial
from typing import Any, TypeAlias

import jwt
import pytest
from azure.core.credentials import AzureKeyCredential
from azure.core.exceptions import HttpResponseError, ServiceRequestError

from hubpass import ConfigurationError, HubpassError, HubpassWarning, InvalidArgumentError, TokenTooLongError
from signalr.service_double import Answer, ServiceDouble
from webpubsub.kinds import ENDPOINT, KEY, WebPubSubKind, token_answer

Difference: TypeAlias = Callable[[WebPubSubKind, ServiceDouble], None]

DIFFERENCES: dict[str, Difference] = {}
"""Each difference under its name."""


def difference(name: str) -> Callable[[Difference], Difference]:
    def note(show: Difference) -> Difference:
        assert name not in DIFFERENCES
        DIFFERENCES[name] = show
        return show

    return note


def claims(answer: dict[str, str]) -> dict[str, Any]:
    found: dict[str, Any] = jwt.decode(answer["token"], options={"verify_signature": False})
    return found


def header_of(answer: dict[str, str]) -> dict[str, Any]:
    """The header of a token; PyJWT reads none that it would refuse."""
    encoded = answer["token"].partition(".")[0]
    header: dict[str, Any] = json.loads(base64.urlsafe_b64decode(encoded + "=="))
    return header


def refused(code: str, hint: str, call: Callable[[], object], of: type[HubpassError] = InvalidArgumentError) -> None:
    """Our client refuses, with this code and a hint that says what to change."""
    with pytest.raises(of) as caught:
        call()
    assert caught.value.code == code
    assert hint in caught.value.hint


@difference("misspelt keyword")
def _(kind: WebPubSubKind, _service: ServiceDouble) -> None:
    assert "role" not in claims(kind.official().token(role=["webpubsub.sendToGroup"]))
    with pytest.raises(TypeError, match="role"):
        kind.make().token(role=["webpubsub.sendToGroup"])


@difference("empty user id")
def _(kind: WebPubSubKind, _service: ServiceDouble) -> None:
    assert "sub" not in claims(kind.official().token(user_id=""))
    refused("invalid_user_id", "user_id=", lambda: kind.make().token(user_id=""))


@difference("user id that is no text")
def _(kind: WebPubSubKind, _service: ServiceDouble) -> None:
    payload = jwt.api_jws.decode_complete(kind.official().token(user_id=7)["token"], KEY, ["HS256"])["payload"]
    assert b'"sub":7' in payload.replace(b" ", b"")
    refused("invalid_user_id", "str(user.id)", lambda: kind.make().token(user_id=7))


@difference("lifetime below a minute")
def _(kind: WebPubSubKind, _service: ServiceDouble) -> None:
    for minutes in (0, -1, 0.5):
        expired = claims(kind.official().token(minutes_to_expire=minutes))
        assert expired["exp"] - expired["iat"] < 60
        refused("invalid_lifetime", "minutes_to_expire=60", partial(kind.make().token, minutes_to_expire=minutes))


@difference("part of a minute")
def _(kind: WebPubSubKind, _service: ServiceDouble) -> None:
    found = claims(kind.official().token(minutes_to_expire=1.5))
    assert 89 <= found["exp"] - found["iat"] <= 91
    refused("invalid_lifetime", "minutes_to_expire=60", lambda: kind.make().token(minutes_to_expire=1.5))


@difference("token that is too long")
def _(kind: WebPubSubKind, _service: ServiceDouble) -> None:
    groups = ["g" * 50] * 100
    assert len(kind.official().token(groups=groups)["token"]) > 4096
    refused("token_too_long", "groups, 100 of them (", lambda: kind.make().token(groups=groups), TokenTooLongError)


@difference("hub that the service does not accept")
def _(kind: WebPubSubKind, _service: ServiceDouble) -> None:
    assert kind.official(hub="my hub").token()["baseUrl"].endswith("/my hub")
    refused("invalid_hub", 'hub="chat"', lambda: kind.make(hub="my hub"))


@difference("one text for a list")
def _(kind: WebPubSubKind, _service: ServiceDouble) -> None:
    role = "webpubsub.sendToGroup"
    found = claims(kind.official().token(roles=role, groups="g"))
    assert (found["role"], found["webpubsub.group"]) == (role, "g")
    refused("invalid_role", "roles=[", lambda: kind.make().token(roles=role))
    refused("invalid_group", "groups=[", lambda: kind.make().token(groups="g"))


@difference("blank role or group")
def _(kind: WebPubSubKind, _service: ServiceDouble) -> None:
    found = claims(kind.official().token(roles=[""], groups=[" "]))
    assert (found["role"], found["webpubsub.group"]) == ([""], [" "])
    refused("invalid_role", "roles=[", lambda: kind.make().token(roles=[""]))
    refused("invalid_group", "groups=[", lambda: kind.make().token(groups=[" "]))


@difference("unknown client protocol")
def _(kind: WebPubSubKind, _service: ServiceDouble) -> None:
    assert "/client/hubs/" in kind.official().token(client_protocol="websocket")["baseUrl"]
    refused("invalid_client_protocol", '"MQTT"', lambda: kind.make().token(client_protocol="websocket"))


@difference("alg, b64, crit and no typ in jwt_headers")
def _(kind: WebPubSubKind, _service: ServiceDouble) -> None:
    # A key that is long enough for HS512 to be signed without a warning.
    official = kind.official(credential=AzureKeyCredential("k" * 64))
    headers: list[dict[str, Any]] = [{"alg": "HS512"}, {"b64": False}, {"crit": ["x"], "x": 1}, {"typ": None}]
    made = [header_of(official.token(jwt_headers=one)) for one in headers]
    assert [found.get("alg") for found in made] == ["HS512", "HS256", "HS256", "HS256"]
    assert [set(found) - {"alg", "typ", "x"} for found in made] == [set(), {"b64", "crit"}, {"crit"}, set()]
    assert "typ" not in made[3]
    for one in headers:
        refused("invalid_jwt_header", "HS256", partial(kind.make().token, jwt_headers=one))


@difference("jwt_headers with Entra")
def _(kind: WebPubSubKind, service: ServiceDouble) -> None:
    service.answer(token_answer())
    official = kind.official(service.endpoint, credential=kind.credential())
    assert official.last_token(jwt_headers={"kid": "1"}, enforce_https=False)["token"]
    ours = kind.make(service.endpoint, credential=kind.credential())
    refused("invalid_jwt_header", "jwt_headers=", lambda: ours.token(jwt_headers={"kid": "1"}))


@difference("connection string in the error")
def _(kind: WebPubSubKind, _service: ServiceDouble) -> None:
    text = f"Endpoint={ENDPOINT};AccessKey={KEY};{KEY[:-1]}"
    with pytest.raises(ValueError, match="Malformed") as caught:
        kind.official_from_connection_string(text)
    assert KEY in str(caught.value)
    with pytest.raises(ConfigurationError) as ours:
        kind.from_connection_string(text)
    assert ours.value.code == "invalid_connection_string"
    assert KEY[:-1] not in str(ours.value)


@difference("key of a connection string that stands twice")
def _(kind: WebPubSubKind, _service: ServiceDouble) -> None:
    text = f"Endpoint={ENDPOINT};AccessKey={KEY};AccessKey=another"
    jwt.decode(kind.official_from_connection_string(text).token()["token"], KEY, ["HS256"], {"verify_aud": False})
    refused("invalid_connection_string", "AccessKey=", lambda: kind.from_connection_string(text), ConfigurationError)


@difference("key of a connection string that is misspelt")
def _(kind: WebPubSubKind, _service: ServiceDouble) -> None:
    text = f"Endpoint={ENDPOINT};AccessKey={KEY};Prot=8080"
    assert "8080" not in kind.official_from_connection_string(text).token()["baseUrl"]
    code = "connection_string_key_misspelt"
    refused(code, "Write Port=", lambda: kind.from_connection_string(text), ConfigurationError)


@difference("unknown key of a connection string")
def _(kind: WebPubSubKind, _service: ServiceDouble) -> None:
    text = f"Endpoint={ENDPOINT};AccessKey={KEY};Colour=blue"
    kind.official_from_connection_string(text)
    with pytest.warns(HubpassWarning, match="Colour"):
        kind.from_connection_string(text)


@difference("blanks in a connection string")
def _(kind: WebPubSubKind, _service: ServiceDouble) -> None:
    text = f" Endpoint={ENDPOINT}; AccessKey={KEY} ;\n"
    with pytest.raises(ValueError, match="Malformed"):
        kind.official_from_connection_string(text)
    jwt.decode(kind.from_connection_string(text).token()["token"], KEY, ["HS256"], {"verify_aud": False})


@difference("AuthType in a connection string")
def _(kind: WebPubSubKind, service: ServiceDouble) -> None:
    text = f"Endpoint={service.endpoint};AuthType=azure.app;ClientId=a;TenantId=b;ClientSecret=c"
    with pytest.raises(ValueError, match="accesskey"):
        kind.official_from_connection_string(text)
    assert kind.from_connection_string(text).status["credential"] == "ClientSecretCredential"


@difference("Port beside a port")
def _(kind: WebPubSubKind, _service: ServiceDouble) -> None:
    text = f"Endpoint=https://a.example:8443;Port=9443;AccessKey={KEY}"
    assert kind.official_from_connection_string(text).token()["baseUrl"].startswith("wss://a.example:8443:9443/")
    assert kind.from_connection_string(text).token()["baseUrl"].startswith("wss://a.example:9443/")


@difference("endpoint in normal form")
def _(kind: WebPubSubKind, _service: ServiceDouble) -> None:
    assert kind.official("https://a.example:443").token()["baseUrl"].startswith("wss://a.example:443/")
    ours = kind.make("HTTPS://A.example:443")
    assert ours.token()["baseUrl"].startswith("wss://a.example/")
    assert claims(ours.token())["aud"].startswith("https://a.example/")
    assert ours.raw._config.endpoint == "https://a.example"


@difference("endpoint that is none")
def _(kind: WebPubSubKind, _service: ServiceDouble) -> None:
    for text in ("demo.webpubsub.azure.com", "ftp://demo"):
        official = kind.official(text)
        with pytest.raises(ValueError, match="Invalid endpoint"):
            official.token()
        refused("invalid_endpoint", 'endpoint="https://<resource>.webpubsub.azure.com"', partial(kind.make, text))
    kind.official("https://user:password@demo")
    refused("invalid_endpoint", "endpoint=", lambda: kind.make("https://user:password@demo"))


@difference("credential that is none")
def _(kind: WebPubSubKind, _service: ServiceDouble) -> None:
    kind.official(credential="a key as a text")
    hint = "AzureKeyCredential(key)"
    refused("credential_unsupported", hint, lambda: kind.make(credential="a key as a text"), ConfigurationError)


@difference("credential of the other kind")
def _(kind: WebPubSubKind, _service: ServiceDouble) -> None:
    from webpubsub.kinds import ASYNC, SYNC

    other = SYNC if kind is ASYNC else ASYNC
    kind.official(credential=other.credential())
    hint = f"use {other.module}.WebPubSubServiceClient"
    refused("credential_unsupported", hint, lambda: kind.make(credential=other.credential()), ConfigurationError)


@difference("plain http")
def _(kind: WebPubSubKind, service: ServiceDouble) -> None:
    # With a key: a warning, as everybody on the way can read the tokens of clients.
    kind.official("http://a.example").token()
    with pytest.warns(HubpassWarning, match="plain http"):
        kind.make("http://a.example")
    # With Entra: to this machine it is no risk, to another it is refused in both.
    with pytest.raises(ServiceRequestError):
        kind.official(service.endpoint, credential=kind.credential()).last_token()
    service.answer(token_answer())
    assert kind.make(service.endpoint, credential=kind.credential()).token()["token"]
    with pytest.warns(HubpassWarning, match="plain http"):
        remote = kind.make("http://a.example", credential=kind.credential())
    refused("insecure_endpoint", "https://", remote.token, ConfigurationError)


@difference("answer without a token")
def _(kind: WebPubSubKind, service: ServiceDouble) -> None:
    for _ in range(2):
        service.answer(Answer(200, {"Content-Type": "application/json"}, b"{}"))
    official = kind.official(service.endpoint, credential=kind.credential()).last_token(enforce_https=False)
    assert official["url"].endswith("access_token=None")
    ours = kind.make(service.endpoint, credential=kind.credential())
    with pytest.raises(HttpResponseError) as caught:
        ours.token()
    assert isinstance(caught.value, HubpassError)
    assert (caught.value.code, caught.value.status) == ("unexpected_response", 200)


@difference("retries")
def _(kind: WebPubSubKind, service: ServiceDouble) -> None:
    for _ in range(2):
        service.answer(Answer(503))
    service.answer(token_answer())
    patient = {"retry_backoff_factor": 0}
    assert kind.official(service.endpoint, credential=kind.credential(), **patient).last_token(enforce_https=False)
    service.answer(Answer(503))
    with pytest.raises(HttpResponseError):
        kind.make(service.endpoint, credential=kind.credential()).token()
    assert [service.take().method for _ in range(4)] == ["POST"] * 4
    assert service.is_idle


@difference("spelling of clientType")
def _(kind: WebPubSubKind, service: ServiceDouble) -> None:
    for _ in range(2):
        service.answer(token_answer())
    kind.official(service.endpoint, credential=kind.credential()).last_token(
        client_protocol="mqtt", enforce_https=False
    )
    kind.make(service.endpoint, credential=kind.credential()).token(client_protocol="mqtt")
    assert [dict(service.take().query)["clientType"] for _ in range(2)] == ["mqtt", "MQTT"]


@difference("answer that hides its token")
def _(kind: WebPubSubKind, _service: ServiceDouble) -> None:
    theirs, ours = kind.official().token(), kind.make().token()
    assert theirs["token"] in repr(theirs)
    assert pickle.loads(pickle.dumps(theirs)) == theirs  # noqa: S301 - made in the line itself
    assert ours["token"] not in repr(ours)
    with pytest.raises(TypeError, match="not pickled"):
        pickle.dumps(ours)


@difference("key in _config")
def _(kind: WebPubSubKind, _service: ServiceDouble) -> None:
    text = f"Endpoint={ENDPOINT};AccessKey={KEY}"
    assert kind.official_from_connection_string(text).raw._config.credential.key == KEY
    credential = kind.from_connection_string(text).raw._config.credential
    assert not hasattr(credential, "key")
    assert "[redacted]" in repr(credential)
    assert KEY not in repr(vars(type(credential)))


@difference("keywords of the constructor")
def _(kind: WebPubSubKind, _service: ServiceDouble) -> None:
    for keyword in ("reverse_proxy_endpoint", "credential_scopes", "port", "user", "api_version", "retry_policy"):
        kind.official(**{keyword: None})
        with pytest.raises(TypeError, match=keyword):
            kind.make(**{keyword: None})


@difference("other methods")
def _(kind: WebPubSubKind, _service: ServiceDouble) -> None:
    def methods(of: object) -> set[str]:
        return {name for name, _ in inspect.getmembers(of, callable) if not name.startswith("_")}

    assert {"send_to_all", "send_to_group", "list_connections"} <= methods(kind.official_class)
    shared = methods(kind.client_class) & methods(kind.official_class)
    assert shared == {"close", "from_connection_string", "get_client_access_token"}


@pytest.mark.parametrize("name", DIFFERENCES)
@pytest.mark.filterwarnings("ignore:unclosed:ResourceWarning")
def test_difference(kind: WebPubSubKind, service: ServiceDouble, name: str) -> None:
    DIFFERENCES[name](kind, service)


def test_nothing_else_is_in_the_way_of_a_key_credential(kind: WebPubSubKind) -> None:
    """The keywords that the two methods share have the same defaults."""
    official = inspect.signature(kind.official_class.get_client_access_token)
    ours = inspect.signature(kind.client_class.get_client_access_token).parameters
    named = {name: parameter for name, parameter in official.parameters.items() if name in ours and name != "self"}
    assert {name: parameter.default for name, parameter in named.items()} == {
        name: ours[name].default for name in named
    }
    assert set(named) <= set(ours) - {"self", "timeout"}
    assert kind.make(credential=AzureKeyCredential(KEY)).token()
