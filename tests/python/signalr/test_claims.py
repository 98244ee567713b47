"""What applications put into tokens: what is kept, what is refused, and how much of it fits."""

import enum
import warnings
from collections import OrderedDict, UserDict
from collections.abc import Iterator
from decimal import Decimal
from types import MappingProxyType
from typing import Any

import pytest

from hubpass import Event, HubpassWarning, InvalidArgumentError, TokenTooLongError
from signalr.client_kind import AnyClient, ClientKind
from signalr.tokens import own_claims

FILLER = "x"
LIMIT = 4096
LARGE = 3072


def claims_in_token(client: AnyClient, claims: Any) -> dict[str, Any]:
    return {
        name: value
        for name, value in own_claims(client.negotiate("u", claims=claims).access_token).items()
        if name != "asrs.s.uid"
    }


def refused(client: AnyClient, claims: Any, *, code: str = "invalid_claim", hint: str) -> InvalidArgumentError:
    with pytest.raises(InvalidArgumentError) as caught:
        client.negotiate("u", claims=claims)
    assert caught.value.code == code
    assert hint in caught.value.hint
    return caught.value


def token_of(client: AnyClient, length: int) -> str:
    """A token of exactly so many characters, by one claim of the right size."""
    shortest = len(client.negotiate("u", claims={"fill": ""}).access_token)
    # Three bytes make four characters; where that does not meet the length exactly, one or two more do.
    guess = max(0, (length - shortest) * 3 // 4 - 4)
    for size in range(guess, guess + 8):
        token = client.negotiate("u", claims={"fill": FILLER * size}).access_token
        if len(token) == length:
            return token
    raise AssertionError(f"no claim makes a token of {length} characters")


@pytest.mark.parametrize(
    "value",
    [
        "text",
        "",
        'Ünïcödé \U0001f600 \u2028 \x00 " \\ </script>',
        True,
        False,
        None,
        0,
        -1,
        2**63 - 1,
        -(2**63),
        2**64 - 1,
        1.5,
        -0.0,
        1e300,
        5e-324,
        [],
        [1, "a", None, [2.5]],
        {},
        {"a": {"b": [True]}, "": 0},
    ],
    ids=ascii,
)
def test_json_types_are_kept(client: AnyClient, value: Any) -> None:
    kept = claims_in_token(client, {"claim": value})["claim"]
    assert (type(kept), kept) == (type(value), value)


def test_python_types_that_are_json_types_underneath(client: AnyClient) -> None:
    class Level(enum.IntEnum):
        HIGH = 3

    class Role(str, enum.Enum):
        ADMIN = "admin"

    claims = {"level": Level.HIGH, "role": Role.ADMIN, "pair": (1, 2), "ordered": OrderedDict(b=1, a=2)}
    assert claims_in_token(client, claims) == {
        "level": 3,
        "role": "admin",
        "pair": [1, 2],
        "ordered": {"b": 1, "a": 2},
    }


@pytest.mark.parametrize(
    ("value", "hint"),
    [
        (float("nan"), "JSON has no NaN"),
        (float("inf"), "JSON has no NaN"),
        ([1, float("-inf")], "JSON has no NaN"),
        (2**64, "str(number)"),
        (-(2**63) - 1, "str(number)"),
        (10**1000, "str(number)"),
        (Decimal("1.5"), "str(value)"),
        (b"bytes", "str(value)"),
        ({1, 2}, "str(value)"),
        (object(), "str(value)"),
        (1j, "str(value)"),
        ({"a": object}, "str(value)"),
        ({1: "a"}, "{str(key): value}"),
        ({None: "a"}, "{str(key): value}"),
        ("\ud800", "encode"),
        (["a\udfff"], "encode"),
        ({"\ud800": 1}, "{str(key): value}"),
    ],
    ids=lambda value: ascii(value)[:20],
)
def test_values_that_json_cannot_say(client: AnyClient, value: Any, hint: str) -> None:
    error = refused(client, {"suspect": value}, hint=hint)
    assert "suspect" in error.message


def test_deep_and_endless_values_are_refused(client: AnyClient) -> None:
    deep: list[Any] = []
    for _ in range(10_000):
        deep = [deep]
    endless: dict[str, Any] = {}
    endless["self"] = endless
    for value in (deep, endless):
        refused(client, {"deep": value}, hint="Pass a flatter value")
    moderate: Any = "bottom"
    for _ in range(50):
        moderate = [moderate]
    assert claims_in_token(client, {"deep": moderate}) == {"deep": moderate}


def test_a_mapping_need_not_be_a_dict(client: AnyClient) -> None:
    for mapping in (MappingProxyType({"a": 1}), UserDict({"a": 1}), OrderedDict(a=1)):
        assert claims_in_token(client, mapping) == {"a": 1}


def test_a_nested_mapping_or_sequence_is_what_its_type_hint_says(client: AnyClient) -> None:
    """``ClaimValue`` promises ``Mapping`` and ``Sequence``."""
    assert claims_in_token(client, {"a": MappingProxyType({"b": 1})}) == {"a": {"b": 1}}
    assert claims_in_token(client, {"a": range(3)}) == {"a": [0, 1, 2]}


def test_pairs_repeat_a_name(client: AnyClient) -> None:
    pairs = [("role", "a"), ("other", 1), ("role", "b"), ("role", ["c"])]
    assert claims_in_token(client, pairs) == {"role": ["a", "b", "c"], "other": 1}
    assert claims_in_token(client, iter(pairs)) == {"role": ["a", "b", "c"], "other": 1}
    assert claims_in_token(client, []) == {}
    assert claims_in_token(client, {}) == {}


@pytest.mark.parametrize(
    "claims",
    ["role", b"role", 1, ["ab"], [("a",)], [("a", 1, 2)], {"a"}, [None], object()],
    ids=lambda c: ascii(c)[:12],
)
def test_claims_of_another_shape(client: AnyClient, claims: Any) -> None:
    refused(client, claims, hint='claims={"name": value}')


@pytest.mark.parametrize("name", [1, None, b"a", ("a",), True], ids=repr)
def test_names_are_texts(client: AnyClient, name: Any) -> None:
    refused(client, {name: 1}, hint='claims={"name": value}')
    refused(client, [(name, 1)], hint='claims={"name": value}')


@pytest.mark.parametrize("name", ["", " ", "\t", "a\nb", "a\x00"], ids=ascii)
def test_names_can_be_read(client: AnyClient, name: str) -> None:
    refused(client, {name: 1}, hint='claims={"name": value}')


def test_an_error_of_the_callers_own_is_the_callers(client: AnyClient) -> None:
    class DatabaseError(Exception):
        pass

    def rows() -> Iterator[tuple[str, int]]:
        yield "a", 1
        raise DatabaseError

    class Lazy(UserDict[str, int]):
        def items(self) -> Any:
            raise DatabaseError

    for claims in (rows(), Lazy(), {"nested": Lazy()}):
        with pytest.raises(DatabaseError):
            client.negotiate("u", claims=claims)


@pytest.mark.parametrize("name", ["asrs.s.uid", "asrs.s.anything", "asrs.u.iss", "ASRS.S.UID", "Asrs.u.x"])
def test_the_services_own_names_are_reserved(client: AnyClient, name: str) -> None:
    error = refused(client, {name: "mallory"}, code="reserved_claim", hint="user_id=")
    assert "mallory" not in str(error)
    refused(client, [("fine", 1), (name, "mallory")], code="reserved_claim", hint="Rename the claim")


@pytest.mark.parametrize("name", ["aud", "exp", "iat", "nbf", "iss", "actort", "acr", "azp", "c_hash", "jti", "nonce"])
def test_names_that_mean_something_in_a_token_are_set_aside(client: AnyClient, name: str) -> None:
    answer = client.negotiate("u", claims={name: "mine"})
    assert own_claims(answer.access_token) == {"asrs.s.uid": "u", f"asrs.u.{name}": "mine"}


def test_4096_characters_pass_and_4097_do_not(client: AnyClient) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", HubpassWarning)
        token = token_of(client, LIMIT)
        fill = own_claims(token)["fill"]
        assert len(token) == LIMIT
        with pytest.raises(TokenTooLongError) as caught:
            client.negotiate("u", claims={"fill": fill + FILLER})
    # The next length that base64 can have is 4,097 or 4,098; both are too long.
    assert str(LIMIT) in caught.value.message
    assert any(f"{length} characters" in caught.value.message for length in (LIMIT + 1, LIMIT + 2))


def test_the_error_names_the_largest_claims_with_their_sizes_and_never_their_values(
    client: AnyClient,
) -> None:
    claims = {
        "groups": ["canary-g"] * 300,
        "photo": "canary-p" * 200,
        "note": "canary-n" * 100,
        "tiny": "canary-t",
    }
    with pytest.raises(TokenTooLongError) as caught:
        client.negotiate("canary-u", claims=claims)
    error = caught.value
    assert isinstance(error, ValueError)
    assert error.code == "token_too_long"
    assert "claims=" in error.hint
    order = [error.hint.index(f"{name} (") for name in ("groups", "photo", "note")]
    assert order == sorted(order)
    # Three bytes of JSON, with the comma and the colon, take four characters of the token.
    photo = len(',"photo":""') + 200 * len("canary-p")
    assert f"photo ({-(-photo * 4 // 3)})" in error.hint
    assert "tiny" not in error.hint
    assert "canary" not in str(error) + error.message + error.hint


def test_the_names_of_claims_are_shortened(client: AnyClient) -> None:
    """A name may be as long as a token: an error has to stay one line."""
    with pytest.raises(TokenTooLongError) as caught:
        client.negotiate("ada", claims={"ä" * 65: "x", "b" * 64: "y", "c" * 5000: 1})
    error = caught.value
    assert error.code == "token_too_long"
    assert f"{'c' * 64}... (" in error.hint
    assert f" {'b' * 64} (" in error.hint
    assert f" {'ä' * 64}... (" in error.hint
    assert len(error.hint) < 400


def test_a_long_user_id_is_named_as_the_cause(client: AnyClient) -> None:
    with pytest.raises(TokenTooLongError) as caught:
        client.negotiate("u" * 4000, claims={"a": 1})
    assert "user_id" in caught.value.hint
    assert "uuu" not in str(caught.value)


def test_one_warning_and_one_event_for_each_client_above_3072(client_kind: ClientKind) -> None:
    events: list[Event] = []
    client = client_kind.make(on_event=events.append)
    assert len(token_of(client, LARGE)) == LARGE
    assert events == []
    fill = {"fill": FILLER * 2300}
    with pytest.warns(HubpassWarning) as caught:
        first = client.negotiate("u", claims=fill)
    assert LARGE < len(first.access_token) <= LIMIT
    assert len(caught) == 1
    assert "claims=" in str(caught[0].message)
    assert str(len(first.access_token)) in str(caught[0].message)
    assert FILLER * 9 not in str(caught[0].message)
    # Warnings are errors here: a second one would fail the test.
    client.negotiate("u", claims=fill)
    assert [(event.name, dict(event.attributes)) for event in events] == [
        ("large_token", {"length": len(first.access_token), "limit": LIMIT})
    ]
    with pytest.warns(HubpassWarning):
        client_kind.make().negotiate("u", claims=fill)


def test_a_callback_that_fails_does_not_fail_the_call(client_kind: ClientKind, monkeypatch: pytest.MonkeyPatch) -> None:
    class MetricsError(Exception):
        pass

    def failing(event: Event) -> None:
        raise MetricsError(event.name)

    reported: list[Any] = []
    monkeypatch.setattr("sys.unraisablehook", reported.append)
    with pytest.warns(HubpassWarning):
        answer = client_kind.make(on_event=failing).negotiate("u", claims={"fill": FILLER * 2300})
    assert answer.access_token
    assert [type(report.exc_value) for report in reported] == [MetricsError]
