"""Secrets in the wrong place: connection strings that cannot be read, arguments mixed up, arguments of wrong types."""

import inspect
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeAlias

import pytest
from azure.core.credentials import AzureKeyCredential

from hubpass import HubpassError, KeyPolicy
from secrecy.search import Canaries, texts_of_exception, texts_of_value, variables_of_our_frames
from secrecy.witnesses import Witness
from signalr.client_kind import ENDPOINT, ClientKind, settle
from webpubsub.kinds import WebPubSubKind

AnyKind: TypeAlias = ClientKind | WebPubSubKind

KEY = "access+canary/of/the/key+0123456789abcdefgh="
CLIENT_SECRET = "q8Q~client.canary+of/the_secret-Zz9=7"
CERTIFICATE = "/etc/path-of-a-canary/of-the-certificate.pfx"
GOOD = f"Endpoint={ENDPOINT};AccessKey={KEY};Version=1.0;"
APPLICATION = f"Endpoint={ENDPOINT};AuthType=azure.app;ClientId=an-id;TenantId=a-tenant;"

CANARIES = Canaries(key=KEY, client_secret=CLIENT_SECRET, certificate=CERTIFICATE)


def found_in(error: BaseException, seen: Witness) -> list[str]:
    """What an error, all that was said, and the variables of our frames give away."""
    return CANARIES.find([*texts_of_exception(error), *variables_of_our_frames(error), *seen.texts])


CONNECTION_STRINGS = {
    "not one": KEY,
    "quoted": f'"{GOOD}"',
    "no separator": GOOD.replace(";", ","),
    "commas": GOOD.replace(";", ", "),
    "line ends": GOOD.replace(";", "\n"),
    "no name": f"Endpoint={ENDPOINT};{KEY}",
    "colons": f"Endpoint:{ENDPOINT};AccessKey:{KEY}",
    "a misspelt key": f"Endpoint={ENDPOINT};AcessKey={KEY};Version=1.0;",
    "another misspelt key": f"Endpoint={ENDPOINT};Access Key={KEY};Version=1.0;",
    "a misspelt endpoint": f"Endpont={ENDPOINT};AccessKey={KEY};Version=1.0;",
    "the key as a name": f"Endpoint={ENDPOINT};{KEY}={KEY};AccessKey=",
    "twice": f"{GOOD}AccessKey={KEY}",
    "a bad version": f"Endpoint={ENDPOINT};AccessKey={KEY};Version={KEY}",
    "a bad port": f"Endpoint={ENDPOINT};AccessKey={KEY};Port={KEY}",
    "the key as endpoint": f"Endpoint={KEY};AccessKey={KEY}",
    "the key in the query": f"Endpoint={ENDPOINT}?{KEY};AccessKey={KEY}",
    "the key in the fragment": f"Endpoint={ENDPOINT}#{KEY};AccessKey={KEY}",
    "the key as password": f"Endpoint=https://user:{KEY}@demo;AccessKey={KEY}",
    "a bad client endpoint": f"{GOOD}ClientEndpoint=ftp://{KEY}",
    "a bad server endpoint": f"{GOOD}ServerEndpoint={KEY}",
    "a bad kind of identity": f"Endpoint={ENDPOINT};AuthType={CLIENT_SECRET}",
    "no tenant": f"Endpoint={ENDPOINT};AuthType=azure.app;ClientId=a;ClientSecret={CLIENT_SECRET}",
    "no client id": f"Endpoint={ENDPOINT};AuthType=azure.app;TenantId=a;ClientSecret={CLIENT_SECRET}",
    "a misspelt secret": f"{APPLICATION}ClientSecrt={CLIENT_SECRET}",
    "a certificate": f"{APPLICATION}ClientCert={CERTIFICATE}",
    "a certificate and its password": f"{APPLICATION}ClientCertPath={CERTIFICATE};ClientCertPassword={CLIENT_SECRET}",
    "the secret as tenant": f"{APPLICATION.replace('a-tenant', CLIENT_SECRET)}ClientSecret=x;ClientSecret=y",
    "surrogates": f"{GOOD}\udc80",
    "zeros": f"{GOOD}\0{KEY}",
}


@pytest.mark.parametrize("name", CONNECTION_STRINGS)
def test_no_connection_string_is_repeated(client_kind: ClientKind, witnessed: Witness, name: str) -> None:
    with pytest.raises(HubpassError) as caught:
        # What is wrong with a certificate is told when it is read.
        settle(client_kind.from_connection_string(CONNECTION_STRINGS[name]).raw.warm_up())
    assert found_in(caught.value, witnessed) == []


def test_an_unknown_key_is_named_without_its_value(client_kind: ClientKind, witnessed: Witness) -> None:
    client = client_kind.from_connection_string(f"{GOOD}Colour={KEY};ClientSecret={CLIENT_SECRET}").raw
    assert CANARIES.find([*texts_of_value(client), *texts_of_value(client._native), *witnessed.texts]) == []


class Shows:
    """An object of the caller's which shows what it holds."""

    def __repr__(self) -> str:
        return KEY

    __str__ = __repr__


WRONG: dict[str, Any] = {
    "a text": KEY,
    "bytes": KEY.encode(),
    "a list": [KEY],
    "a mapping": {"key": KEY},
    "an object": Shows(),
    "surrogates": KEY + "\udc80",
    "a connection string": GOOD,
    "one in bytes": GOOD.encode(),
    "a path": Path(KEY),
    "a policy of texts": KeyPolicy(lifetime=KEY, renew_after=(KEY, KEY)),  # type: ignore[arg-type]  # wrong on purpose
}


def refusal(call: Callable[[], Any]) -> BaseException:
    """What a call raises; Python's own ``TypeError`` is one of the ways to refuse."""
    with pytest.raises((HubpassError, TypeError)) as caught:
        settle(call())
    return caught.value


# Files of certificates are read later; they have tests of their own.
READ_LATER = {"ca_file", "a certificate", "a certificate and its password"}


def arguments_of(make: Callable[..., Any]) -> list[str]:
    """All that a constructor takes, so that none is forgotten."""
    return [name for name in inspect.signature(make).parameters if name not in READ_LATER]


def assert_none_is_repeated(make: Callable[..., Any], right: dict[str, Any], seen: Witness) -> None:
    for name in arguments_of(make):
        for wrong, value in WRONG.items():
            # Where it belongs, it is right.
            if (name, wrong) != ("connection_string", "a connection string"):
                error = refusal(lambda: make(**{**right, name: value}))  # noqa: B023 - called before the next one
                assert found_in(error, seen) == [], (name, wrong)


class TokenCredential:
    def get_token(self, *scopes: str) -> None:
        """Never called."""


class AsyncTokenCredential:
    async def get_token(self, *scopes: str) -> None:
        """Never called."""


def token_credential(kind: AnyKind) -> Any:
    return AsyncTokenCredential() if kind.name == "async" else TokenCredential()


def test_no_argument_of_the_constructor_is_repeated(any_kind: AnyKind, witnessed: Witness) -> None:
    right = {"endpoint": ENDPOINT, "hub": "chat", "credential": token_credential(any_kind)}
    assert_none_is_repeated(any_kind.client_class, right, witnessed)


def test_no_argument_beside_a_connection_string_is_repeated(any_kind: AnyKind, witnessed: Witness) -> None:
    right = {"connection_string": f"{APPLICATION}ClientSecret={CLIENT_SECRET}", "hub": "chat"}
    assert_none_is_repeated(any_kind.client_class.from_connection_string, right, witnessed)


def test_no_argument_beside_the_environment_is_repeated(
    any_kind: AnyKind, witnessed: Witness, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("SIGNALR", "WEBPUBSUB"):
        monkeypatch.setenv(f"AZURE_{name}_CONNECTIONSTRING", f"{APPLICATION}ClientSecret={CLIENT_SECRET}")
    assert_none_is_repeated(any_kind.client_class.from_env, {"hub": "chat"}, witnessed)


@pytest.mark.parametrize("name", CONNECTION_STRINGS)
def test_no_variable_of_the_environment_is_repeated(
    any_kind: AnyKind, witnessed: Witness, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    text = CONNECTION_STRINGS[name].replace("\0", "")
    for service in ("SIGNALR", "WEBPUBSUB"):
        monkeypatch.setenv(f"AZURE_{service}_CONNECTIONSTRING", text)
    if (any_kind.service, name) == ("web-pubsub", "a bad version"):
        # This service has no version that would be wrong.
        any_kind.from_env()
        assert CANARIES.find(witnessed.texts) == []
        return
    if name in READ_LATER:
        client = any_kind.from_env()
        assert CANARIES.find([*texts_of_value(client), *witnessed.texts]) == []
        return
    with pytest.raises(HubpassError) as caught:
        any_kind.from_env()
    assert found_in(caught.value, witnessed) == []


def test_arguments_that_were_mixed_up_are_not_repeated(client_kind: ClientKind, witnessed: Witness) -> None:
    cls = client_kind.client_class
    credential = AzureKeyCredential(KEY)
    mixed_up: list[Callable[[], Any]] = [
        lambda: cls(GOOD, "chat"),
        lambda: cls(GOOD, "chat", credential),
        lambda: cls("chat", GOOD, credential),
        lambda: cls(KEY, "chat", ENDPOINT),
        lambda: cls(ENDPOINT, KEY, "chat"),
        lambda: cls(ENDPOINT, "chat", KEY),
        lambda: cls(ENDPOINT, "chat", GOOD),
        lambda: cls(credential, "chat", ENDPOINT),
        lambda: cls(ENDPOINT, "chat", acces_key=KEY),
        lambda: cls.from_connection_string("chat", GOOD),
        lambda: cls.from_connection_string(KEY, GOOD),
        lambda: cls.from_connection_string(ENDPOINT, "chat", key=KEY),
        lambda: cls.from_connection_string(GOOD, "chat", KEY),
    ]
    for number, call in enumerate(mixed_up):
        assert found_in(refusal(call), witnessed) == [], number


def test_arguments_of_other_methods_are_repeated_by_no_text(client_kind: ClientKind, witnessed: Witness) -> None:
    """They are no place for secrets, so that the variables of a frame may show them."""
    raw = client_kind.from_connection_string(GOOD).raw
    calls: list[Callable[[], Any]] = [
        lambda: raw.for_hub(GOOD),
        lambda: raw.for_hub(KEY.encode()),
        lambda: raw.negotiate("ada", key=KEY),
        lambda: raw.negotiate(anonymous=GOOD),
        lambda: raw.negotiate("ada", lifetime=GOOD),
        lambda: raw.negotiate("ada", transports=[KEY]),
        lambda: raw.negotiate("ada", authentication_expires_on=KEY),
        lambda: raw.send_to_all("say", excluded=[KEY.encode()]),
        lambda: raw.send_to_all(KEY.encode()),
        lambda: raw.send_to_all("say", timeout=KEY),
        lambda: raw.warm_up(timeout=KEY),
        lambda: raw.add_user_to_group(KEY.encode(), "readers"),
        lambda: raw.add_user_to_group("ada", KEY.encode()),
        lambda: raw.add_user_to_group("ada", KEY * 30),
        lambda: raw.add_user_to_group("ada", "readers", ttl=KEY),
        lambda: raw.invalidate_key(KEY.encode()),
    ]
    for number, call in enumerate(calls):
        error = refusal(call)
        assert CANARIES.find([*texts_of_exception(error), *witnessed.texts]) == [], number


def test_a_file_of_certificates_is_not_repeated(client_kind: ClientKind, witnessed: Witness, tmp_path: Path) -> None:
    """Neither its path nor, if it is another file, what is in it."""
    file = tmp_path / "key.pem"
    file.write_text(f"-----BEGIN CERTIFICATE-----\n{KEY}\n-----END CERTIFICATE-----\n{KEY}")
    for value in (file, *WRONG.values()):

        def use(value: Any = value) -> None:
            client_kind.make("https://demo.invalid", ca_file=value).send_to_all("say")

        assert found_in(refusal(use), witnessed) == []


def test_a_key_credential_that_goes_bad_is_not_repeated(client_kind: ClientKind, witnessed: Witness) -> None:
    class Credential:
        key: Any = KEY

    credential = Credential()
    client = client_kind.make(credential=credential)
    client.negotiate("ada")
    for value in (KEY.encode(), KEY + "\udc80", [KEY], Shows(), None):
        credential.key = value
        for call in (lambda: client.negotiate("ada"), lambda: client.send_to_all("say")):
            with pytest.raises(HubpassError) as caught:
                call()
            assert found_in(caught.value, witnessed) == []
