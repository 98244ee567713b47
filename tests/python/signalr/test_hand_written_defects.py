"""One test for each defect that is common in hand-written negotiate servers, and shows us immune.

CORS and the methods of a route belong to the web framework. What our answer can do about those is to be right
for a client that POSTs and appends ``/negotiate`` by itself.
"""

import base64
import hashlib
import hmac
import inspect
import json
from collections.abc import Callable
from datetime import timedelta
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import jwt
import pytest

from hubpass import ConfigurationError, HubpassError, InvalidArgumentError, TokenTooLongError
from signalr.client_kind import ENDPOINT, KEY, AnyClient, ClientKind
from signalr.service_double import ServiceDouble
from signalr.tokens import own_claims, unverified, verified

AUDIENCE = f"{ENDPOINT}/client/?hub=chat"
# 32 bytes in base64, as Azure makes keys: 44 characters, the last of them padding.
BASE64_KEY = base64.b64encode(bytes(range(32))).decode()


def payload_of(part: str) -> Any:
    return json.loads(base64.urlsafe_b64decode(part + "=" * (-len(part) % 4)))


def test_the_token_is_a_jwt_and_no_shared_access_signature(client: AnyClient) -> None:
    """Defect: a ``SharedAccessSignature sr=...&sig=...`` text, which other services take, as access token."""
    token = client.negotiate("u").access_token
    assert not token.startswith("SharedAccessSignature")
    header, payload, _ = token.split(".")
    assert payload_of(header) == {"alg": "HS256", "typ": "JWT"}
    assert isinstance(payload_of(payload), dict)


def test_the_key_itself_is_never_a_bearer(client_kind: ClientKind, service: ServiceDouble) -> None:
    """Defect: the raw access key sent as ``Authorization: Bearer``, or handed to browsers."""
    client = client_kind.make(service.endpoint)
    client.send_to_all("say")
    request = service.take()
    assert KEY not in request.target + repr(request.headers) + request.body.decode()
    assert KEY not in json.dumps(client.negotiate("u"))
    verified(request.bearer, f"{service.endpoint}/api/hubs/chat/:send")


def test_no_token_is_a_placeholder(client_kind: ClientKind) -> None:
    """Defect: a made-up token where the real one was to come later; without a key there is no client."""
    for credential in ("", "your-access-key"):
        with pytest.raises(ConfigurationError):
            client_kind.make(credential=credential)
    with pytest.raises(HubpassError):
        client_kind.from_connection_string(f"Endpoint={ENDPOINT};AccessKey=;Version=1.0;")


def test_the_keys_text_signs_and_not_what_it_decodes_to(client_kind: ClientKind) -> None:
    """Defect: the access key base64-decoded before HMAC."""
    token = (
        client_kind.from_connection_string(f"Endpoint={ENDPOINT};AccessKey={BASE64_KEY}").negotiate("u").access_token
    )
    signed, _, signature = token.rpartition(".")
    by_text = hmac.new(BASE64_KEY.encode(), signed.encode(), hashlib.sha256).digest()
    assert signature == base64.urlsafe_b64encode(by_text).decode().rstrip("=")
    with pytest.raises(jwt.InvalidSignatureError):
        jwt.decode(token, base64.b64decode(BASE64_KEY), algorithms=["HS256"], audience=AUDIENCE)


@pytest.mark.parametrize("key", [BASE64_KEY, BASE64_KEY[:-1] + "==", "=" + KEY, KEY + "=a=b="])
def test_the_keys_padding_is_kept(client_kind: ClientKind, key: str) -> None:
    """Defect: the ``=`` at the key's end cut off by ``part.split("=")[1]``."""
    client = client_kind.from_connection_string(f"Endpoint={ENDPOINT};AccessKey={key};Version=1.0;")
    verified(client.negotiate("u").access_token, AUDIENCE, key)
    with pytest.raises(jwt.InvalidSignatureError):
        verified(client.negotiate("u").access_token, AUDIENCE, key.rstrip("=") or "x" * 32)


def test_the_audience_is_signalrs(client: AnyClient) -> None:
    """Defect: the audience of Azure Web PubSub, ``https://<host>/client/hubs/<hub>``, in a SignalR token."""
    audience = unverified(client.negotiate("u").access_token)["aud"]
    assert audience == AUDIENCE
    assert "/client/hubs/" not in audience


def test_the_audience_of_a_request_is_its_address(client_kind: ClientKind, service: ServiceDouble) -> None:
    """Defect: the audience of REST calls guessed: the host alone, the client's, or the URL with its query."""
    client_kind.make(service.endpoint).send_to_all("say", excluded=["c"])
    request = service.take()
    assert unverified(request.bearer)["aud"] == service.endpoint + request.target.partition("?")[0]


def test_a_clients_token_is_not_used_for_requests(client_kind: ClientKind, service: ServiceDouble) -> None:
    """Defect: the token made for a browser sent to the REST API too."""
    client = client_kind.make(service.endpoint)
    browsers = client.negotiate("u").access_token
    client.send_to_all("say")
    ours = service.take().bearer
    assert ours != browsers
    assert unverified(ours)["aud"] != unverified(browsers)["aud"]
    assert "asrs.s.uid" not in unverified(ours)


@pytest.mark.parametrize("hub", ["chat", "Chat", "CHAT"])
def test_hub_case_never_differs(client_kind: ClientKind, service: ServiceDouble, hub: str) -> None:
    """Defect: ``Chat`` in the URL and ``chat`` in the audience: the service compares letter by letter."""
    client = client_kind.make(service.endpoint, hub, application_name="Shop")
    answer = client.negotiate("u")
    assert urlsplit(answer.url).query == "hub=shop_chat"
    assert unverified(answer.access_token)["aud"].endswith("/client/?hub=shop_chat")
    client.send_to_all("say")
    assert service.take().path == "/api/hubs/chat/:send"


def test_no_claims_are_invented(client: AnyClient) -> None:
    """Defect: ``webpubsub.*`` roles or a ``groups`` claim in the hope that SignalR knows them."""
    token = client.negotiate("u", claims={"mine": 1}).access_token
    assert own_claims(token) == {"asrs.s.uid": "u", "mine": 1}
    assert set(unverified(token)) == {"asrs.s.uid", "mine", "aud", "exp", "iat", "iss", "nbf"}
    for keyword in ("roles", "groups"):
        with pytest.raises(TypeError):
            client.negotiate("u", **{keyword: ["webpubsub.joinLeaveGroup"]})


def test_a_token_that_is_too_long_is_our_error(client: AnyClient) -> None:
    """Defect: more than 4,096 characters, which shows in browsers and proxies as CORS, 403, 413 or 414."""
    with pytest.raises(TokenTooLongError) as caught:
        client.negotiate("u", claims={"groups": ["a-group-of-the-directory"] * 200, "name": "Ada"})
    assert "groups (" in caught.value.hint
    assert "claims=" in caught.value.hint


def test_negotiate_is_appended_once_by_the_client(client: AnyClient) -> None:
    """Defect: ``/negotiate/negotiate``, because the client appends ``/negotiate`` to the path.

    JavaScript's client does so with our URL as well: it then asks the service, whose path has one.
    """
    url = urlsplit(client.negotiate("u").url)
    assert url.path == "/client/"
    redirected = url._replace(path=url.path.rstrip("/") + "/negotiate").geturl()
    assert redirected == f"{ENDPOINT}/client/negotiate?hub=chat"
    assert redirected.count("negotiate") == 1


def test_negotiate_version_stays_the_clients(client: AnyClient) -> None:
    """Defect: ``negotiateVersion`` twice: the server copied it into the URL and the client adds it again."""
    answer = client.negotiate("u")
    assert parse_qsl(urlsplit(answer.url).query) == [("hub", "chat")]
    # With ``negotiateVersion`` or ``connectionId`` the client would take the answer for the service's own.
    assert list(answer) == ["url", "accessToken"]


def test_the_answer_has_the_clients_spelling(client: AnyClient) -> None:
    """Defect: ``accesstoken``, ``access_token`` or ``Url``, for which the client looks in vain."""
    assert list(json.loads(json.dumps(client.negotiate("u")))) == ["url", "accessToken"]


@pytest.mark.parametrize("keyword", ["userid", "user", "userID", "uid", "username", "annonymous"])
def test_a_misspelt_keyword_lets_nobody_in(client: AnyClient, keyword: str) -> None:
    """Defect: ``negotiate(userid=...)`` swallowed by ``**kwargs``, and an anonymous token signed."""
    with pytest.raises(TypeError, match=keyword):
        client.negotiate(**{keyword: "u"})
    kinds = {parameter.kind for parameter in inspect.signature(client.raw.negotiate).parameters.values()}
    assert inspect.Parameter.VAR_KEYWORD not in kinds


@pytest.mark.parametrize("lifetime", [timedelta(0), 0, timedelta(seconds=-60)], ids=repr)
def test_a_token_is_never_born_expired(client: AnyClient, lifetime: Any) -> None:
    """Defect: a lifetime of zero, from an option that was not set, signs a token that has expired already."""
    with pytest.raises(InvalidArgumentError) as caught:
        client.negotiate("u", lifetime=lifetime)
    assert caught.value.code == "invalid_lifetime"
    assert "lifetime=timedelta(hours=1)" in caught.value.hint


def test_the_key_is_not_printed(client_kind: ClientKind, capfd: pytest.CaptureFixture[str]) -> None:
    """Defect: the client, its settings or the connection string printed or logged with the key."""
    client = client_kind.from_connection_string(f"Endpoint={ENDPOINT};AccessKey={KEY}")
    print(client.raw, repr(client.raw), client.negotiate("u"))  # noqa: T201 - what applications do
    captured = capfd.readouterr()
    assert ENDPOINT in captured.out
    assert KEY not in captured.out + captured.err
    assert "eyJ" not in captured.out + captured.err


@pytest.mark.parametrize(
    "spoil",
    [
        lambda text: text.replace("AccessKey=", "AccessKey:"),
        lambda text: text.replace("Endpoint", "Endpiont"),
        lambda text: text.replace("https://", ""),
        lambda text: text.replace(";", ","),
        lambda text: text.replace("Version=1.0", "Version=one"),
        lambda text: text.replace("AccessKey=", ""),
    ],
    ids=["colon", "misspelt", "no scheme", "commas", "version", "no name"],
)
def test_a_malformed_connection_string_is_not_echoed(client_kind: ClientKind, spoil: Callable[[str], str]) -> None:
    """Defect: ``ValueError: cannot parse 'Endpoint=...;AccessKey=...'``, with the key, in a log."""
    text = f"Endpoint={ENDPOINT};AccessKey={KEY};Version=1.0;"
    with pytest.raises(HubpassError) as caught:
        client_kind.from_connection_string(spoil(text))
    error = caught.value
    for shown in (str(error), repr(error), repr(error.args), repr(vars(error))):
        assert KEY not in shown
        assert KEY.rstrip("=") not in shown
