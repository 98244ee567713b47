"""What is raised: classes, codes, attributes, pickles, and azure-core's classes beside ours."""

import copy
import pickle
from typing import Any, get_args

import azure.core.exceptions as azure
import pytest

import hubpass
from hubpass import (
    ClientAuthenticationError,
    ClientClosedError,
    ConfigurationError,
    CredentialUnavailableError,
    DeadlineExceededError,
    ErrorCode,
    HubpassError,
    HubpassWarning,
    InvalidArgumentError,
    NetworkBlockedError,
    PermissionMissingError,
    ServiceError,
    TokenTooLongError,
    _native,
)
from signalr.client_kind import ClientKind
from signalr.scripts import run
from signalr.service_double import Answer, ServiceDouble

CLASSES: list[type[HubpassError]] = [
    HubpassError,
    ConfigurationError,
    InvalidArgumentError,
    TokenTooLongError,
    ServiceError,
    ClientAuthenticationError,
    CredentialUnavailableError,
    PermissionMissingError,
    NetworkBlockedError,
    DeadlineExceededError,
    ClientClosedError,
]
ATTRIBUTES = ("message", "code", "status", "retry_after", "hint")


class ApplicationError(ServiceError):
    """A class that an application derives from ours."""


def through_pickle(error: BaseException, protocol: int | None = None) -> Any:
    return pickle.loads(pickle.dumps(error, protocol))  # noqa: S301 - we have just written it


def attributes_of(error: BaseException) -> dict[str, Any]:
    return {name: getattr(error, name) for name in ATTRIBUTES}


def test_the_core_and_the_type_know_the_same_codes() -> None:
    assert sorted(_native.error_codes()) == list(get_args(ErrorCode))


def test_every_class_of_the_core_is_public_and_used() -> None:
    used = set(_native.error_codes().values())
    assert used == {cls.__name__ for cls in CLASSES if cls is not HubpassError}
    for name in used:
        assert name in hubpass.__all__


@pytest.mark.parametrize(
    ("cls", "bases"),
    [
        (HubpassError, {Exception}),
        (ConfigurationError, {HubpassError}),
        (InvalidArgumentError, {HubpassError, ValueError}),
        (TokenTooLongError, {HubpassError, ValueError}),
        (ServiceError, {HubpassError}),
        (ClientAuthenticationError, {ServiceError}),
        (CredentialUnavailableError, {ClientAuthenticationError}),
        (PermissionMissingError, {ServiceError}),
        (NetworkBlockedError, {ServiceError}),
        (DeadlineExceededError, {ServiceError, TimeoutError}),
        (ClientClosedError, {ServiceError}),
    ],
)
def test_the_hierarchy(cls: type[HubpassError], bases: set[type]) -> None:
    assert set(cls.__bases__) == bases
    assert cls.__module__ == "hubpass.exceptions"


def test_the_warning_is_a_user_warning_and_no_error() -> None:
    assert issubclass(HubpassWarning, UserWarning)
    assert not issubclass(HubpassWarning, HubpassError)


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
@pytest.mark.parametrize("cls", [*CLASSES, ApplicationError])
def test_every_class_pickles_with_all_attributes(cls: type[HubpassError], protocol: int) -> None:
    error = cls("It broke.", code="throttled", status=429, retry_after=1.5, hint="Wait.")
    assert str(error) == "It broke. Wait."
    for twin in (through_pickle(error, protocol), copy.copy(error), copy.deepcopy(error)):
        assert isinstance(twin, cls)
        assert attributes_of(twin) == attributes_of(error)
        assert str(twin) == str(error)
    bare = through_pickle(cls("It broke.", code="not_found"), protocol)
    assert attributes_of(bare) == {
        "message": "It broke.",
        "code": "not_found",
        "status": None,
        "retry_after": None,
        "hint": "",
    }
    assert str(bare) == "It broke."


OF_THE_SERVICE: list[tuple[int | None, type[HubpassError], str, type[Exception]]] = [
    (400, ServiceError, "request_refused", azure.HttpResponseError),
    (401, ServiceError, "unauthorized", azure.ClientAuthenticationError),
    (403, PermissionMissingError, "permission_missing", azure.HttpResponseError),
    (404, ServiceError, "not_found", azure.ResourceNotFoundError),
    (429, ServiceError, "throttled", azure.HttpResponseError),
    (503, ServiceError, "service_unavailable", azure.HttpResponseError),
    (302, ServiceError, "redirect_refused", azure.HttpResponseError),
    (None, DeadlineExceededError, "deadline_exceeded", azure.ServiceRequestError),
]


@pytest.mark.parametrize(
    ("status", "ours", "code", "theirs"), OF_THE_SERVICE, ids=[code for _, _, code, _ in OF_THE_SERVICE]
)
def test_what_the_service_causes_is_azure_cores_error_too(
    client_kind: ClientKind,
    service: ServiceDouble,
    status: int | None,
    ours: type[HubpassError],
    code: str,
    theirs: type[Exception],
) -> None:
    if status is None:
        service.hold()
    else:
        service.answer(Answer(status, {"Retry-After": "3"}))
    with pytest.raises(theirs) as caught:
        client_kind.make(service.endpoint).send_to_all("say", timeout=0.3 if status is None else None)
    error: Any = caught.value
    ones: list[Any] = [error, through_pickle(error), copy.copy(error)]
    for one in ones:
        # As a list, because the type checker would conclude from each what else an object has.
        assert [isinstance(one, cls) for cls in (ours, theirs, azure.AzureError)] == [True, True, True]
        assert type(one).__name__ == ours.__name__
        assert type(one).__module__ == "hubpass.exceptions"
        assert (one.code, one.status, one.status_code) == (code, status, status)
        assert one.retry_after == (None if status is None else 3.0)
        assert one.message == error.message
        assert str(one) == f"{one.message} {one.hint}"
        assert (one.response, one.reason, one.continuation_token) == (None, None, None)


def test_a_connection_that_fails_is_azure_cores_request_error(client_kind: ClientKind) -> None:
    with ServiceDouble() as gone:
        endpoint = gone.endpoint
    for url, code in ((endpoint, "connection_failed"), ("https://demo.invalid", "name_resolution_failed")):
        with pytest.raises(azure.ServiceRequestError) as caught:
            client_kind.make(url).send_to_all("say")
        assert isinstance(caught.value, ServiceError)
        assert caught.value.code == code


def test_mistakes_in_a_call_are_not_azure_cores_errors(client_kind: ClientKind) -> None:
    """A retry policy that catches ``AzureError`` must not repeat them."""
    client = client_kind.make()
    with pytest.raises(InvalidArgumentError) as argument:
        client.negotiate("")
    with pytest.raises(TokenTooLongError) as too_long:
        client.negotiate("u", claims={"a": "x" * 5000})
    with pytest.raises(ConfigurationError) as configuration:
        client_kind.make(credential=object())
    client.close()
    with pytest.raises(ClientClosedError) as closed:
        client.negotiate("u")
    for caught in (argument, too_long, configuration, closed):
        assert not isinstance(caught.value, azure.AzureError)


WITHOUT_AZURE = """
import asyncio, pickle, sys
import hubpass, hubpass.aio

class Credential:
    key = "a-made-up-access-key-of-44-characters-000000="

def theirs():
    return [name for name in sys.modules if name == "azure" or name.startswith("azure.")]

for make in (hubpass.SignalRServiceClient, hubpass.aio.SignalRServiceClient):
    client = make(sys.argv[1], "chat", Credential())
    try:
        call = client.send_to_all("say")
        if call is not None:
            asyncio.run(call)
    except hubpass.ServiceError as error:
        assert type(error) is hubpass.ServiceError, type(error).__mro__
        pickled = pickle.dumps(error)
assert theirs() == [], theirs()
import azure.core.exceptions
again = pickle.loads(pickled)
assert isinstance(again, azure.core.exceptions.ServiceRequestError)
try:
    asyncio.run(client.send_to_all("say"))
except azure.core.exceptions.ServiceRequestError as error:
    print(error.code)
"""


def test_azure_core_is_used_only_if_the_application_has_imported_it() -> None:
    """It costs more to import than all of Hubpass."""
    with ServiceDouble() as gone:
        endpoint = gone.endpoint
    outcome = run(WITHOUT_AZURE, endpoint)
    assert (outcome.code, outcome.errors, outcome.output) == (0, "", "connection_failed\n")


def test_what_was_pickled_with_azure_core_is_read_without_it(client_kind: ClientKind, service: ServiceDouble) -> None:
    service.answer(Answer(404))
    with pytest.raises(azure.ResourceNotFoundError) as caught:
        client_kind.make(service.endpoint).send_to_all("say")
    outcome = run(
        """
        import pickle, sys
        error = pickle.loads(bytes.fromhex(sys.argv[1]))
        print(type(error).__mro__[0].__name__, error.code, error.status)
        assert not any(name.startswith("azure") for name in sys.modules)
        """,
        pickle.dumps(caught.value).hex(),
    )
    assert (outcome.code, outcome.errors, outcome.output) == (0, "", "ServiceError not_found 404\n")
