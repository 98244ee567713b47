"""Workload identity at the local Entra: tokens of Kubernetes service accounts as assertions."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jwt
import pytest
from azure.core.exceptions import ClientAuthenticationError
from azure.identity import ClientAssertionCredential, WorkloadIdentityCredential
from azure.identity.aio import WorkloadIdentityCredential as AsyncWorkloadIdentityCredential
from cryptography.hazmat.primitives.asymmetric import rsa

from emulator.identity_support import (
    asked_with_assertion,
    entra_options,
    is_good_for_a_key,
    number_of,
    object_id_of,
    token_of,
    token_of_async,
)
from emulator.support import Azure
from hubpass.emulator import ControlError, ServiceAccountToken

SUBJECT = "system:serviceaccount:default:application"
OTHER_KEY = rsa.generate_private_key(public_exponent=65537, key_size=2048)


@pytest.fixture
def trusting(azure: Azure) -> Iterator[Azure]:
    """An emulator whose application trusts one service account."""
    identity, client_id = azure.control.identity, azure.emulator.client_id
    identity.add_federated_credential(client_id, SUBJECT)
    yield azure
    identity.remove_federated_credentials(client_id)


def projected(azure: Azure, path: Path, **options: Any) -> ServiceAccountToken:
    """A service account token in a file, as the webhook of workload identity mounts it."""
    token = azure.control.identity.service_account_token(**options)
    path.write_text(token.token, encoding="ascii")
    return token


def workload_credential(azure: Azure, path: Path, kind: Any = WorkloadIdentityCredential, **changes: str) -> Any:
    right = {"tenant_id": azure.emulator.tenant_id, "client_id": azure.emulator.client_id}
    return kind(**{**right, **changes}, token_file_path=str(path), **entra_options(azure))


def test_azure_identity_gets_a_token(trusting: Azure, tmp_path: Path) -> None:
    path = tmp_path / "token"
    token = projected(trusting, path)
    assert token.subject == SUBJECT
    assert token.token not in repr(token)
    for kind in (WorkloadIdentityCredential, AsyncWorkloadIdentityCredential):
        credential = workload_credential(trusting, path, kind)
        got = (
            asyncio.run(token_of_async(credential)) if kind is not WorkloadIdentityCredential else token_of(credential)
        )
        assert object_id_of(got) == trusting.emulator.object_id
        assert is_good_for_a_key(trusting, got)


def test_azure_identity_gets_a_token_with_its_environment(
    trusting: Azure, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "token"
    projected(trusting, path)
    monkeypatch.setenv("AZURE_TENANT_ID", trusting.emulator.tenant_id)
    monkeypatch.setenv("AZURE_CLIENT_ID", trusting.emulator.client_id)
    monkeypatch.setenv("AZURE_FEDERATED_TOKEN_FILE", str(path))
    monkeypatch.setenv("AZURE_AUTHORITY_HOST", trusting.emulator.authority)
    credential = WorkloadIdentityCredential(
        disable_instance_discovery=True, connection_verify=trusting.emulator.ca_file, retry_total=0
    )
    assert is_good_for_a_key(trusting, token_of(credential))


def test_azure_identity_with_an_assertion_of_its_own(trusting: Azure) -> None:
    def credential(**options: Any) -> ClientAssertionCredential:
        return ClientAssertionCredential(
            trusting.emulator.tenant_id,
            trusting.emulator.client_id,
            lambda: trusting.control.identity.service_account_token(**options).token,
            **entra_options(trusting),
        )

    assert is_good_for_a_key(trusting, token_of(credential()))
    with pytest.raises(ClientAuthenticationError, match=r"(?s)AADSTS700213.*system:serviceaccount:default:other"):
        token_of(credential(name="other"))


def test_a_user_assigned_identity_trusts_a_service_account(azure: Azure, tmp_path: Path) -> None:
    emulator, path = azure.emulator, tmp_path / "token"
    identity = azure.control.identity
    made = identity.add_user_assigned_identity("workload", roles=["SignalR App Server"])
    identity.add_federated_credential(made.client_id, SUBJECT)
    projected(azure, path)
    token = token_of(workload_credential(azure, path, client_id=made.client_id))
    assert object_id_of(token) == made.object_id
    assert is_good_for_a_key(azure, token)
    # It has no other credential, whatever is tried.
    refused = azure.ask_entra(client_id=made.client_id, client_secret=emulator.client_secret)
    assert number_of(refused) == 7000215
    with pytest.raises(ControlError, match="client_id is not that of an application"):
        identity.add_client_secret(made.client_id)


REFUSALS: dict[str, tuple[dict[str, Any], int]] = {
    "another name": ({"name": "other"}, 700213),
    "another namespace": ({"namespace": "kube-system"}, 700213),
    "another case": ({"name": "Application"}, 7002138),
    "another audience": ({"audience": "https://kubernetes.default.svc"}, 700212),
    "expired": ({"valid_for": -1}, 700024),
}


@pytest.mark.parametrize("case", REFUSALS)
def test_a_token_that_does_not_match_is_refused(trusting: Azure, case: str) -> None:
    options, number = REFUSALS[case]
    token = trusting.control.identity.service_account_token(**options)
    answer = asked_with_assertion(trusting, token.token)
    assert (number_of(answer), answer.status_code, answer.json()["error"]) == (number, 401, "invalid_client")
    assert trusting.control.journal("token")[-1].action == "refused"
    good = trusting.control.identity.service_account_token()
    assert asked_with_assertion(trusting, good.token).status_code == 200


def test_the_issuer_must_match_to_the_last_character(azure: Azure) -> None:
    identity, issuer = azure.control.identity, azure.emulator.identity.kubernetes_issuer
    assert issuer.endswith("/")
    application = azure.control.add_application()
    token = identity.service_account_token().token

    def asked() -> Any:
        return asked_with_assertion(azure, token, client_id=application.client_id)

    assert number_of(asked()) == 70025
    identity.add_federated_credential(application.client_id, SUBJECT, issuer=issuer.rstrip("/"))
    assert number_of(asked()) == 700211
    identity.add_federated_credential(application.client_id, SUBJECT, issuer=issuer)
    assert asked().status_code == 200
    identity.remove_federated_credentials(application.client_id)
    assert number_of(asked()) == 70025


def test_only_the_issuer_signs(trusting: Azure) -> None:
    identity = trusting.control.identity
    good = identity.service_account_token().token
    claims = jwt.decode(good, options={"verify_signature": False})
    header = jwt.get_unverified_header(good)
    for kid in (header["kid"], "other"):
        forged = jwt.encode(claims, OTHER_KEY, algorithm="RS256", headers={"kid": kid})
        assert number_of(asked_with_assertion(trusting, forged)) == 700027
    assert asked_with_assertion(trusting, good).status_code == 200
    identity.rotate_kubernetes_key()
    assert number_of(asked_with_assertion(trusting, good)) == 700027
    assert asked_with_assertion(trusting, identity.service_account_token().token).status_code == 200


def test_a_token_verifies_by_the_published_metadata(azure: Azure) -> None:
    issuer = azure.emulator.identity.kubernetes_issuer
    token = azure.control.identity.service_account_token(namespace="shop", name="web", valid_for=600).token
    metadata = azure.tls.get(f"{issuer}.well-known/openid-configuration").json()
    keys = jwt.PyJWKSet.from_dict(azure.tls.get(metadata["jwks_uri"]).json())
    claims = jwt.decode(
        token,
        keys[jwt.get_unverified_header(token)["kid"]],
        algorithms=metadata["id_token_signing_alg_values_supported"],
        audience="api://AzureADTokenExchange",
        issuer=metadata["issuer"],
    )
    assert metadata["issuer"] == issuer
    assert claims["sub"] == "system:serviceaccount:shop:web"
    assert claims["kubernetes.io"]["serviceaccount"]["name"] == "web"
    assert claims["exp"] - claims["iat"] == 600
    assert abs(claims["iat"] - time.time()) < 60


def test_the_token_of_a_pod_is_sent_until_it_expires(trusting: Azure) -> None:
    trusting.control.identity.set_assertion_policy(refuse_replays=True, longest_life=60)
    token = trusting.control.identity.service_account_token(valid_for=3600).token
    assert [asked_with_assertion(trusting, token).status_code for _ in range(2)] == [200, 200]
    trusting.control.identity.set_assertion_policy()
    trusting.control.advance_clock(3601)
    assert number_of(asked_with_assertion(trusting, token)) == 700024
