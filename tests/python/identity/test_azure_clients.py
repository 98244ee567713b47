"""Our credentials in Microsoft's packages: the protocols of azure-core, its policy, and a client library."""

import asyncio
import json
import subprocess
import sys
from pathlib import Path
from textwrap import dedent
from typing import Any

import pytest
from azure.core import AsyncPipelineClient, PipelineClient
from azure.core.credentials import AccessToken, AccessTokenInfo, SupportsTokenInfo, TokenCredential
from azure.core.credentials_async import AsyncSupportsTokenInfo, AsyncTokenCredential
from azure.core.pipeline.policies import AsyncBearerTokenCredentialPolicy, BearerTokenCredentialPolicy
from azure.core.rest import HttpRequest
from azure.messaging.webpubsubservice import WebPubSubServiceClient
from azure.messaging.webpubsubservice.aio import WebPubSubServiceClient as AsyncWebPubSubServiceClient

import hubpass.identity
import hubpass.identity.aio
from identity.doubles import SCOPE, Entra, Kind, token
from networks.certificates import Authority
from networks.service import Conversation, ScriptedService
from signalr.client_kind import settle
from signalr.scripts import run

NAMES = [name for name in hubpass.identity.__all__ if name.endswith("Credential")]


def test_both_modules_have_the_same_credentials() -> None:
    assert hubpass.identity.aio.__all__ == NAMES
    for name in NAMES:
        sync, awaited = getattr(hubpass.identity, name), getattr(hubpass.identity.aio, name)
        assert set(dir(sync)) - {"__enter__", "__exit__"} == set(dir(awaited)) - {"__aenter__", "__aexit__"}


def test_the_names_are_those_of_azure_identity() -> None:
    import azure.identity

    assert set(NAMES) <= set(azure.identity.__all__)


def test_they_are_what_azure_core_calls_credentials(kind: Kind, entra: Entra) -> None:
    credential = kind.with_secret(entra)
    protocols: list[Any] = (
        [AsyncTokenCredential, AsyncSupportsTokenInfo] if kind.name == "async" else [TokenCredential, SupportsTokenInfo]
    )
    for protocol in protocols:
        assert isinstance(credential, protocol)
    plain = settle(credential.get_token(SCOPE, unknown_option=1))
    assert type(plain) is AccessToken
    assert plain.token == "token"
    info = settle(credential.get_token_info(SCOPE, options={"enable_cae": False, "pop": {}}))
    assert type(info) is AccessTokenInfo
    assert (info.token, info.expires_on, info.token_type) == (plain.token, plain.expires_on, "Bearer")


def accepting_type_checkers() -> tuple[TokenCredential, AsyncTokenCredential]:
    """Never called; mypy reads it."""
    return hubpass.identity.ManagedIdentityCredential(), hubpass.identity.aio.ManagedIdentityCredential()


def service(root_authority: Authority, answer: dict[str, Any]) -> ScriptedService:
    def serve(conversation: Conversation) -> None:
        while conversation.receive():
            conversation.answer(200, json.dumps(answer).encode(), content_type="application/json")

    return ScriptedService(serve, root_authority.issue("localhost").context())


def test_the_policy_of_azure_core(kind: Kind, entra: Entra, root_authority: Authority) -> None:
    credential = kind.with_secret(entra)
    with service(root_authority, {}) as serving:
        endpoint, verify = serving.at("localhost"), str(entra.ca_file)
        request = HttpRequest("GET", endpoint)

        async def send() -> int:
            policy = AsyncBearerTokenCredentialPolicy(credential, SCOPE, enable_cae=True)
            async with credential, AsyncPipelineClient[Any, Any](endpoint, per_retry_policies=[policy]) as client:
                answer = await client.send_request(request, connection_verify=verify)
                return int(answer.status_code)

        if kind.name == "async":
            assert asyncio.run(send()) == 200
        else:
            policy = BearerTokenCredentialPolicy(credential, SCOPE, enable_cae=True)
            with credential, PipelineClient[Any, Any](endpoint, per_retry_policies=[policy]) as client:
                assert client.send_request(request, connection_verify=verify).status_code == 200
        assert serving.take().headers["authorization"] == "Bearer token"
        assert json.loads(entra.take()[1]["claims"]) == {"access_token": {"xms_cc": {"values": ["CP1"]}}}


def test_a_client_library(kind: Kind, entra: Entra, root_authority: Authority) -> None:
    credential = kind.with_secret(entra)
    entra.answer(token("of-our-credential"))
    with service(root_authority, {"token": "signed-by-the-service"}) as serving:
        endpoint, verify = serving.at("localhost"), str(entra.ca_file)

        async def ask() -> Any:
            async with AsyncWebPubSubServiceClient(endpoint, "chat", credential, connection_verify=verify) as client:
                return await client.get_client_access_token(user_id="ann")

        if kind.name == "async":
            answer = asyncio.run(ask())
        else:
            with WebPubSubServiceClient(endpoint, "chat", credential, connection_verify=verify) as client:
                answer = client.get_client_access_token(user_id="ann")
        assert answer["token"] == "signed-by-the-service"
        assert serving.take().headers["authorization"] == "Bearer of-our-credential"
    assert entra.take()[1]["scope"] == "https://webpubsub.azure.com/.default"


WITHOUT_AZURE = """
import asyncio, inspect, sys
import hubpass.identity, hubpass.identity.aio
authority, ca_file = sys.argv[1:]
def check(made):
    assert made[0] == made.token == "token", "another token"
    assert "token=[redacted]" in repr(made), repr(made)
for module in (hubpass.identity, hubpass.identity.aio):
    credential = module.ClientSecretCredential("t", "c", "s", authority=authority, ca_file=ca_file)
    async def outermost(given):
        return await given if inspect.isawaitable(given) else given
    plain = asyncio.run(outermost(credential.get_token("https://a/.default")))
    check(plain)
    text, expires_on = plain
    info = asyncio.run(outermost(credential.get_token_info("https://a/.default")))
    assert (info.token, info.expires_on, info.token_type) == (text, expires_on, "Bearer")
    assert "[redacted]" in repr(info)
assert not [name for name in sys.modules if name.startswith("azure")]
"""


def test_without_azure_core_there_are_tokens_of_the_same_form(entra: Entra) -> None:
    arguments = [sys.executable, "-c", dedent(WITHOUT_AZURE), entra.authority, str(entra.ca_file)]
    done = subprocess.run(arguments, capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stderr) == (0, "")


def test_importing_them_imports_little() -> None:
    script = "import sys, hubpass.identity; print(*{'asyncio', 'azure', 'typing', 'logging'} & set(sys.modules))"
    outcome = run(script)
    assert (outcome.code, outcome.output.split(), outcome.errors) == (0, [], "")


def test_pickles_are_refused(kind: Kind, entra: Entra, tmp_path: Path) -> None:
    import pickle

    with pytest.raises(TypeError, match="holds a secret"), (tmp_path / "pickle").open("wb") as file:
        pickle.dump(kind.with_secret(entra), file)
