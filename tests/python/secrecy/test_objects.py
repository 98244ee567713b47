"""Every public name: what its objects show, and what of them travels in pickles and copies."""

import copy
import json
import pickle
import pprint
from collections.abc import Callable
from datetime import timedelta
from functools import partial
from typing import Any

import azure.core.exceptions  # noqa: F401 - with it our errors are azure-core's as well
import pytest
from azure.core.credentials import AzureKeyCredential

import hubpass
import hubpass.aio
from hubpass import Event, HubpassError, KeyPolicy, NegotiationResponse
from secrecy.clients import Echoed
from secrecy.echoing_azure import ACCESS_KEY, KID, canaries
from secrecy.search import chain_of, texts_of_copies, texts_of_exception, texts_of_value
from signalr.client_kind import ASYNC, SYNC, ClientKind
from webpubsub import kinds

IDENTITIES = ["application", "managed_identity", "credential", "shared_key"]


def warmed_up(kind: ClientKind, echo: Echoed, identity: Any) -> Any:
    client = echo.client(kind, identity)
    client.warm_up()
    client.send_to_all("say")
    return client


@pytest.mark.parametrize("identity", IDENTITIES)
def test_a_client_that_holds_everything_shows_nothing(client_kind: ClientKind, echo: Echoed, identity: str) -> None:
    client = warmed_up(client_kind, echo, identity)
    for raw in (client.raw, client.for_hub("other").raw):
        texts = [*texts_of_value(raw), *texts_of_value(raw._native), repr(raw.status()), json.dumps(raw.status())]
        assert canaries().find(texts) == []
        for copied in (pickle.dumps, copy.copy, copy.deepcopy):
            for thing in (raw, raw._native):
                with pytest.raises(TypeError):
                    copied(thing)
    client.close()
    assert canaries().find([*texts_of_value(client.raw), *texts_of_value(client.raw._native)]) == []


@pytest.mark.parametrize("identity", IDENTITIES)
def test_an_answer_gives_its_token_only_on_the_documented_ways(
    client_kind: ClientKind, echo: Echoed, identity: str
) -> None:
    answer = warmed_up(client_kind, echo, identity).negotiate("ada")
    secrets = canaries()
    secrets.add("client token", answer.access_token)
    shown = [repr(answer), str(answer), f"{answer}", "%s" % answer, ascii(answer), pprint.pformat(answer)]  # noqa: UP031 - loggers do
    shown += [repr([answer]), repr({"a": answer}), str(ValueError(answer)), *texts_of_copies(answer)]
    shown += [repr(answer.kid), repr(answer.expires_on), repr(answer.url), *map(str, answer.keys())]
    assert secrets.find(shown) == []
    assert answer.kid == (None if identity == "shared_key" else KID)
    # The ways on which it is meant to leave.
    for text in (
        answer.access_token,
        answer["accessToken"],
        json.dumps(answer),
        repr(dict(answer)),
        repr(answer.copy()),
    ):
        assert secrets.find([text])


def _makers() -> dict[str, Callable[[], Any]]:
    """For each public class an object that was made with secrets wherever it takes any."""
    errors = [name for name in hubpass.__all__ if name.endswith("Error")]
    found = {name: partial(getattr(hubpass, name), "message", code="throttled", hint="hint") for name in errors}
    key = AzureKeyCredential(ACCESS_KEY)
    return {
        **found,
        "ClientAccessToken": lambda: kinds.SYNC.make(credential=key).access(user_id="ada"),
        "Event": lambda: Event("key_renewed", {"kid": KID}),
        "Forbidden": lambda: hubpass.Forbidden("message"),
        "Grant": lambda: hubpass.Grant("ada", roles=["webpubsub.sendToGroup"]),
        "HubpassWarning": lambda: hubpass.HubpassWarning("message"),
        "KeyPolicy": lambda: KeyPolicy(lifetime=timedelta(minutes=80)),
        "NegotiationResponse": lambda: SYNC.make(credential=key).negotiate("ada"),
        "SignalRServiceClient": lambda: SYNC.make(credential=key).raw,
        "WebPubSubNegotiationResponse": lambda: kinds.SYNC.make(credential=key).negotiate("ada"),
        "WebPubSubServiceClient": lambda: kinds.SYNC.make(credential=key).raw,
        "aio.SignalRServiceClient": lambda: ASYNC.make(credential=key).raw,
        "aio.WebPubSubServiceClient": lambda: kinds.ASYNC.make(credential=key).raw,
    }


WITH_AN_EXIT = {"ClientAccessToken", "NegotiationResponse", "WebPubSubNegotiationResponse"}
"""Classes with attributes that give a token, which the test of answers is about."""


def test_every_public_class_is_searched() -> None:
    names = {name for name in hubpass.__all__ if isinstance(getattr(hubpass, name), type)}
    names |= {f"aio.{name}" for name in hubpass.aio.__all__ if isinstance(getattr(hubpass.aio, name), type)}
    # Types of annotations have no objects of their own: a status is a plain dict, a claim's value is the caller's.
    assert names - {"ClientStatus"} == set(_makers())


@pytest.mark.parametrize("name", sorted(_makers()))
def test_no_object_shows_a_secret(name: str) -> None:
    made = _makers()[name]()
    texts = texts_of_copies(made) if name in WITH_AN_EXIT else texts_of_value(made)
    assert canaries().find(texts) == []


@pytest.mark.parametrize("name", sorted(name for name in _makers() if name.endswith("Error")))
def test_an_error_travels_without_what_hangs_on_it(name: str) -> None:
    """What was raised in a worker process arrives whole, and nothing arrives that was hung on it."""
    error: HubpassError = _makers()[name]()
    error.__cause__ = RuntimeError(ACCESS_KEY)
    error.__context__ = RuntimeError(ACCESS_KEY)
    error.__notes__ = [ACCESS_KEY]  # type: ignore[attr-defined]  # Python 3.10 has no add_note
    error.mine = ACCESS_KEY  # type: ignore[attr-defined]  # what a middleware may do
    for travelled in (pickle.loads(pickle.dumps(error)), copy.copy(error), copy.deepcopy(error)):  # noqa: S301 - ours
        assert list(chain_of(travelled)) == [travelled]
        assert canaries().find(texts_of_exception(travelled)) == []
        for attribute in ("message", "code", "status", "retry_after", "hint"):
            assert getattr(travelled, attribute) == getattr(error, attribute)
        assert isinstance(travelled, getattr(hubpass, name))


def test_an_error_of_the_service_travels_as_it_was_raised(client_kind: ClientKind, echo: Echoed) -> None:
    client = echo.connected(client_kind, echo.azure.application.replace("ClientSecret=", "ClientSecret=wrong-"))
    with pytest.raises(HubpassError) as caught:
        client.warm_up()
    travelled = pickle.loads(pickle.dumps(caught.value))  # noqa: S301 - ours
    assert (type(travelled), str(travelled)) == (type(caught.value), str(caught.value))
    assert canaries().find([*texts_of_exception(travelled), *texts_of_exception(caught.value)]) == []


def test_the_answer_type_is_hidden_from_a_subclass_too() -> None:
    class Own(NegotiationResponse):
        """What an application may derive."""

    answer = Own(url="https://a", accessToken="eyJhbGciOiJIUzI1NiJ9")
    assert canaries().find([repr(answer), str(answer), f"{answer}", *texts_of_copies(answer)]) == []
