"""Properties of every token, whatever goes into it, as PyJWT sees them."""

import base64
import json
import string
import warnings
from typing import Any

import jwt
from azure.core.credentials import AzureKeyCredential
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from hubpass import HubpassWarning, NegotiationResponse, TokenTooLongError
from signalr.client_kind import ENDPOINT, AnyClient, ClientKind
from signalr.tokens import REGISTERED, verified

SET_ASIDE = {"aud", "exp", "iat", "nbf", "iss", "actort", "acr", "azp", "c_hash", "jti", "nonce"}

# PyJWT warns of keys of fewer than 32 bytes.
keys = st.text(st.characters(exclude_categories=["Cs"]), min_size=32, max_size=200)
user_ids = st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=1, max_size=80).filter(
    lambda text: not text.isspace()
)
hubs = st.builds(
    str.__add__,
    st.sampled_from(string.ascii_letters),
    st.text(string.ascii_letters + string.digits + "_`,.[]", max_size=127),
)
texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=40)
json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**64 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | texts,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(texts, inner, max_size=4),
    max_leaves=8,
)
names = st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=1, max_size=30).filter(
    lambda name: bool(name.strip()) and not name.lower().startswith(("asrs.s.", "asrs.u.", "http://schemas."))
)
claim_sets = st.dictionaries(
    names | st.sampled_from([*sorted(SET_ASIDE), "sub", "nameid", "role"]), json_values, max_size=6
)

over_both_clients = settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


def negotiate(client: AnyClient, *args: Any, **options: Any) -> NegotiationResponse:
    """A token; what makes none because it would be too long is another test's subject."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", HubpassWarning)
            return client.negotiate(*args, **options)
    except TokenTooLongError:
        assume(False)
        raise


def as_text(value: Any) -> Any:
    """The documented form of a claim whose name is set aside: text, as the official SDK writes it."""
    if isinstance(value, list):
        return [as_text(item) for item in value]
    if value is None:
        return ""
    return value if isinstance(value, str) else json.dumps(value)


def same(left: Any, right: Any) -> bool:
    """Equality that tells ``1`` from ``1.0`` and ``True``, as JSON does."""
    if isinstance(left, list) and isinstance(right, list):
        return len(left) == len(right) and all(map(same, left, right))
    if isinstance(left, dict) and isinstance(right, dict):
        return left.keys() == right.keys() and all(same(left[key], right[key]) for key in left)
    return type(left) is type(right) and left == right


@over_both_clients
@given(key=keys, user_id=user_ids, hub=hubs, claims=claim_sets)
def test_pyjwt_reads_back_what_was_put_in(
    client_kind: ClientKind, key: str, user_id: str, hub: str, claims: dict[str, Any]
) -> None:
    client = client_kind.make(hub=hub, credential=AzureKeyCredential(key))
    answer = negotiate(client, user_id, claims=claims)
    audience = f"{ENDPOINT}/client/?hub={hub.lower()}"
    assert answer.url == audience
    found = verified(answer.access_token, audience, key)
    own = {name: value for name, value in found.items() if name not in REGISTERED}
    assert own.pop("asrs.s.uid") == user_id
    for name, value in claims.items():
        if name not in SET_ASIDE:
            assert same(own.pop(name), value)
            continue
        text = own.pop(f"asrs.u.{name}")
        if isinstance(value, (bool, float, dict)):
            # Texts of the same number or object may be written in more than one way.
            assert same(json.loads(text), value)
        elif not isinstance(value, list):
            assert text == as_text(value)
    assert own == {}


@over_both_clients
@given(user_id=user_ids, claims=claim_sets)
def test_the_form_of_a_token(client_kind: ClientKind, user_id: str, claims: dict[str, Any]) -> None:
    token = negotiate(client_kind.make(), user_id, claims=claims).access_token
    assert jwt.get_unverified_header(token) == {"alg": "HS256", "typ": "JWT"}
    parts = token.split(".")
    assert len(parts) == 3
    for part in parts:
        assert part
        assert set(part) <= set(string.ascii_letters + string.digits + "-_")
        decoded = base64.urlsafe_b64decode(part + "=" * (-len(part) % 4))
        assert base64.urlsafe_b64encode(decoded).decode().rstrip("=") == part
    assert json.loads(base64.urlsafe_b64decode(parts[0] + "==")) == {"alg": "HS256", "typ": "JWT"}
    payload = base64.urlsafe_b64decode(parts[1] + "=" * (-len(parts[1]) % 4)).decode()
    pairs: list[tuple[str, Any]] = json.loads(payload, object_pairs_hook=list)
    top_level = [name for name, _ in pairs]
    assert len(top_level) == len(set(top_level))


@over_both_clients
@given(user_id=user_ids, claims=claim_sets)
def test_two_tokens_differ_in_time_only(client_kind: ClientKind, user_id: str, claims: dict[str, Any]) -> None:
    client = client_kind.make()
    first, second = (
        jwt.decode(negotiate(client, user_id, claims=claims).access_token, options={"verify_signature": False})
        for _ in range(2)
    )
    assert list(first) == list(second)
    assert second["exp"] - second["iat"] == first["exp"] - first["iat"] == 3600
    for name in ("exp", "iat", "nbf"):
        assert second.pop(name) >= first.pop(name)
    assert same(first, second)


@over_both_clients
@given(key=keys, other=keys)
def test_no_other_key_verifies_it(client_kind: ClientKind, key: str, other: str) -> None:
    assume(key != other)
    token = client_kind.make(credential=AzureKeyCredential(key)).negotiate("u").access_token
    try:
        verified(token, f"{ENDPOINT}/client/?hub=chat", other)
    except jwt.InvalidSignatureError:
        return
    # HMAC pads short keys with zeros and hashes long ones (RFC 2104): only such keys are the same key.
    assert key.rstrip("\0") == other.rstrip("\0")
