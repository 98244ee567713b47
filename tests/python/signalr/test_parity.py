"""The sync and the async package are twins, and what is public is documented and cheap to import."""

import inspect
import types
from typing import Any

import pytest

import hubpass
import hubpass.aio
from hubpass import models
from signalr.client_kind import ClientKind
from signalr.scripts import run

Sync = hubpass.SignalRServiceClient
Async = hubpass.aio.SignalRServiceClient

METHODS = (
    "add_user_to_group",
    "close",
    "for_hub",
    "from_connection_string",
    "from_env",
    "invalidate_key",
    "negotiate",
    "send_to_all",
    "status",
    "warm_up",
)
PROPERTIES = ("application_name", "client_endpoint", "endpoint", "hub", "server_endpoint")
WAITING = ("add_user_to_group", "close", "invalidate_key", "negotiate", "send_to_all", "warm_up")


def public_names(of: Any) -> list[str]:
    return [name for name in dir(of) if not name.startswith("_")]


def test_both_clients_have_the_same_public_names() -> None:
    assert public_names(Sync) == public_names(Async) == sorted(METHODS + PROPERTIES)


@pytest.mark.parametrize("name", ["__init__", *METHODS])
def test_both_clients_have_the_same_signatures(name: str) -> None:
    assert inspect.signature(getattr(Sync, name)) == inspect.signature(getattr(Async, name))


def test_the_constructor_is_the_documented_one() -> None:
    parameters = inspect.signature(Sync).parameters
    assert list(parameters)[:3] == ["endpoint", "hub", "credential"]
    assert {parameter.kind for parameter in list(parameters.values())[3:]} == {inspect.Parameter.KEYWORD_ONLY}


def test_options_of_negotiate_are_keywords_with_defaults() -> None:
    parameters = dict(inspect.signature(Sync.negotiate).parameters)
    assert list(parameters)[:2] == ["self", "user_id"]
    options = {name: parameter for name, parameter in parameters.items() if name not in {"self", "user_id"}}
    for parameter in options.values():
        assert parameter.kind is inspect.Parameter.KEYWORD_ONLY
        assert parameter.default is not inspect.Parameter.empty
    assert set(options) == {
        "anonymous",
        "claims",
        "lifetime",
        "allow_long_lifetime",
        "close_on_authentication_expiration",
        "authentication_expires_on",
        "transports",
        "enable_detailed_errors",
        "timeout",
    }


def test_every_option_of_negotiate_is_in_its_typed_dict() -> None:
    from hubpass._annotations import NegotiateOptions

    options = set(inspect.signature(Sync.negotiate).parameters) - {"self", "user_id", "anonymous"}
    assert set(NegotiateOptions.__annotations__) == options


@pytest.mark.parametrize("name", WAITING)
def test_what_may_wait_is_a_coroutine_function(name: str) -> None:
    assert inspect.iscoroutinefunction(getattr(Async, name))
    assert not inspect.iscoroutinefunction(getattr(Sync, name))


@pytest.mark.parametrize("name", sorted(set(METHODS) - set(WAITING)))
def test_what_never_waits_is_none(name: str) -> None:
    assert not inspect.iscoroutinefunction(getattr(Async, name))


def test_context_managers_are_of_the_right_kind() -> None:
    assert hasattr(Sync, "__enter__")
    assert not hasattr(Sync, "__aenter__")
    assert hasattr(Async, "__aenter__")
    assert not hasattr(Async, "__enter__")


@pytest.mark.parametrize("module", [hubpass, hubpass.aio], ids=lambda module: module.__name__)
def test_all_is_what_there_is(module: types.ModuleType) -> None:
    exported = list(module.__all__)
    assert sorted(set(exported)) == sorted(exported)
    modules = {name for name, value in vars(module).items() if isinstance(value, types.ModuleType)}
    present = {name for name in vars(module) if not name.startswith("_")} - modules
    # Names that only annotations mention are imported when they are asked for.
    lazy = {"ClaimValue", "ClientProtocol", "ClientStatus", "ErrorCode", "Transport"} if module is hubpass else set()
    assert present - lazy == set(exported) - {"__version__"} - lazy
    for name in exported:
        assert getattr(module, name) is not None


def documented_things() -> dict[str, Any]:
    things: dict[str, Any] = {
        "hubpass": hubpass,
        "hubpass.aio": hubpass.aio,
        "aio.SignalRServiceClient": Async,
        "aio.WebPubSubServiceClient": hubpass.aio.WebPubSubServiceClient,
    }
    for name in hubpass.__all__:
        value = getattr(hubpass, name)
        if inspect.isclass(value) and value.__module__.startswith("hubpass"):
            things[name] = value
    for cls in [value for value in list(things.values()) if inspect.isclass(value)]:
        for base in cls.__mro__:
            if base.__module__.startswith("hubpass"):
                for name, member in vars(base).items():
                    is_member = inspect.isfunction(member) or isinstance(member, (property, classmethod))
                    if is_member and (not name.startswith("_") or name in {"__repr__", "__enter__", "__aenter__"}):
                        things[f"{base.__module__}.{base.__qualname__}.{name}"] = member
    return things


@pytest.mark.parametrize("thing", documented_things().values(), ids=documented_things())
def test_everything_public_is_documented(thing: Any) -> None:
    text = thing.__doc__
    assert text
    assert text.splitlines()[0].rstrip().endswith((".", ":"))


def test_the_default_lifetime_of_the_signature_is_the_documented_hour() -> None:
    default = inspect.signature(Sync.negotiate).parameters["lifetime"].default
    assert default is models.DEFAULT_LIFETIME
    assert default.total_seconds() == 3600


def test_the_version_is_the_distributions() -> None:
    from importlib.metadata import version

    assert hubpass.__version__ == version("hubpass")


HEAVY = ("asyncio", "ssl", "dataclasses", "inspect", "logging", "json", "azure")


def test_importing_hubpass_imports_nothing_heavy() -> None:
    outcome = run(
        f"""
        import sys
        before = set(sys.modules)
        import hubpass
        make = hubpass.SignalRServiceClient.from_connection_string
        make("Endpoint=https://a;AccessKey=b", "chat").negotiate("u")
        loaded = {{name.partition(".")[0] for name in set(sys.modules) - before}}
        print(sorted(loaded & set({HEAVY!r})))
        """
    )
    assert (outcome.code, outcome.errors, outcome.output) == (0, "", "[]\n")


def test_importing_the_async_client_adds_asyncio_alone() -> None:
    outcome = run(
        """
        import asyncio, sys
        before = set(sys.modules)
        import hubpass.aio
        roots = {name.partition(".")[0] for name in set(sys.modules) - before}
        print(sorted(roots & {"azure", "json", "dataclasses", "pydantic", "fastapi", "flask"}))
        """
    )
    assert (outcome.code, outcome.errors, outcome.output) == (0, "", "[]\n")


def test_both_modules_share_models_and_errors(client_kind: ClientKind) -> None:
    answer = client_kind.make().negotiate("u")
    assert type(answer) is hubpass.NegotiationResponse
