"""Several tenants, client secrets that expire, resources, and refusals on order."""

from __future__ import annotations

import json
import subprocess
import uuid
from pathlib import Path
from typing import Any

import jwt
import pytest
from azure.core.exceptions import ClientAuthenticationError
from azure.identity import ClientSecretCredential

from emulator.identity_support import (
    asked_with_assertion,
    certificate_assertion,
    entra_options,
    is_good_for_a_key,
    number_of,
    object_id_of,
    token_of,
)
from emulator.support import SCOPE, Azure
from hubpass.emulator import Application, ControlError


def asked(azure: Azure, application: Application, tenant_id: str | None = None, **form: Any) -> Any:
    right = {"client_id": application.client_id, "client_secret": application.client_secret}
    return azure.ask_entra(tenant_id or application.tenant_id, **{**right, **form})


def test_a_tenant_exists_without_applications(azure: Azure) -> None:
    absent = str(uuid.uuid4())
    assert number_of(azure.ask_entra(absent)) == 90002
    assert azure.control.identity.add_tenant(absent.upper()) == absent
    assert number_of(azure.ask_entra(absent)) == 700016
    new = azure.control.identity.add_tenant()
    assert str(uuid.UUID(new)) == new
    with pytest.raises(ControlError, match="tenant_id must be a GUID"):
        azure.control.identity.add_tenant("contoso")


def test_an_application_is_present_where_a_tenant_consented(azure: Azure) -> None:
    control, home = azure.control, azure.emulator.tenant_id
    other = control.identity.add_tenant()
    application = control.add_application(tenant_id=other, multi_tenant=True)
    assert asked(azure, application).status_code == 200
    assert number_of(asked(azure, application, home)) == 700016
    object_id = control.identity.consent(application.client_id, home, roles=["SignalR App Server"])
    assert object_id != application.object_id
    token = asked(azure, application, home).json()["access_token"]
    claims = jwt.decode(token, options={"verify_signature": False})
    assert (claims["tid"], claims["oid"], claims["appid"]) == (home, object_id, application.client_id)
    assert is_good_for_a_key(azure, token)
    # A second consent changes nothing, and a token of its home tenant is still of no use to the service.
    assert control.identity.consent(application.client_id, home) == object_id
    foreign = asked(azure, application).json()["access_token"]
    assert azure.ask_key(foreign).status_code == 401


def test_consent_is_for_multi_tenant_applications(azure: Azure) -> None:
    control = azure.control
    application = control.add_application()
    with pytest.raises(ControlError, match=r"add_application\(multi_tenant=True\)"):
        control.identity.consent(application.client_id, control.identity.add_tenant())
    with pytest.raises(ControlError, match="unknown roles: King"):
        control.identity.consent(application.client_id, azure.emulator.tenant_id, roles=["King"])
    with pytest.raises(ControlError, match="client_id is not that of an application"):
        control.identity.consent(str(uuid.uuid4()), azure.emulator.tenant_id)


def test_azure_identity_in_another_tenant(azure: Azure) -> None:
    control, home = azure.control, azure.emulator.tenant_id
    application = control.add_application(tenant_id=control.identity.add_tenant(), multi_tenant=True)
    credential = ClientSecretCredential(home, application.client_id, application.client_secret, **entra_options(azure))
    with pytest.raises(ClientAuthenticationError, match="AADSTS700016"):
        token_of(credential)
    object_id = control.identity.consent(application.client_id, home)
    credential = ClientSecretCredential(home, application.client_id, application.client_secret, **entra_options(azure))
    assert object_id_of(token_of(credential)) == object_id


def test_an_assertion_is_for_one_tenant(azure: Azure) -> None:
    control, emulator = azure.control, azure.emulator
    application = control.add_application(multi_tenant=True)
    other = control.identity.add_tenant()
    control.identity.consent(application.client_id, other)
    certificate = control.identity.add_certificate(application.client_id)
    assertion = certificate_assertion(azure, certificate, client_id=application.client_id)
    answer = asked_with_assertion(azure, assertion, client_id=application.client_id, tenant_id=other)
    assert number_of(answer) == 700023
    audience = f"{emulator.authority}/{other}/oauth2/v2.0/token"
    assertion = certificate_assertion(azure, certificate, client_id=application.client_id, aud=audience)
    assert asked_with_assertion(azure, assertion, client_id=application.client_id, tenant_id=other).status_code == 200


def test_client_secrets_expire_and_can_be_replaced(azure: Azure) -> None:
    control = azure.control
    application = control.add_application()
    secret = control.identity.add_client_secret(application.client_id, valid_for=3600)
    lasting = control.identity.add_client_secret(application.client_id)
    for text in (application.client_secret, secret, lasting):
        assert asked(azure, application, client_secret=text).status_code == 200
    control.advance_clock(3600)
    answer = asked(azure, application, client_secret=secret)
    assert (answer.status_code, answer.json()["error"], number_of(answer)) == (401, "invalid_client", 7000222)
    assert asked(azure, application, client_secret=lasting).status_code == 200
    assert number_of(asked(azure, application, client_secret=f"{lasting}x")) == 7000215
    with pytest.raises(ControlError, match="valid_for must be positive"):
        control.identity.add_client_secret(application.client_id, valid_for=0)
    azure.ask_entra(scope=f"https://{secret}/.default")
    assert secret not in repr(control.journal())
    assert not any(secret in line for line in azure.emulator.log_lines)


def test_a_resource_has_to_be_known_in_the_tenant(azure: Azure) -> None:
    application = azure.control.add_application()
    for resource in (
        "https://signalr.azure.com",
        "https://signalr.azure.cn",
        "https://webpubsub.azure.us",
        "https://management.core.windows.net/",
        "https://graph.microsoft.com",
        f"api://{application.client_id}",
        application.client_id,
    ):
        assert azure.ask_entra(scope=f"{resource}/.default").status_code == 200, resource
    for resource in (
        "https://signalr.azure.co",
        "https://signalrazure.com",
        "http://signalr.azure.com",
        "https://signalr.azure.com.example.org",
        f"api://{uuid.uuid4()}",
    ):
        answer = azure.ask_entra(scope=f"{resource}/.default")
        assert (answer.status_code, answer.json()["error"]) == (400, "invalid_resource"), resource
        assert number_of(answer) == 500011


REFUSALS_ON_ORDER = [
    (53003, "invalid_grant"),
    (530003, "invalid_grant"),
    (50196, "invalid_grant"),
    (7000112, "unauthorized_client"),
]


@pytest.mark.parametrize(("number", "error"), REFUSALS_ON_ORDER)
def test_good_requests_are_refused_on_order(azure: Azure, number: Any, error: str) -> None:
    azure.control.identity.refuse_tokens(number, 2)
    # Whoever does not prove itself hears that first.
    assert number_of(azure.ask_entra(client_secret="wrong")) == 7000215
    for _ in range(2):
        answer = azure.ask_entra()
        assert (answer.status_code, answer.json()["error"], number_of(answer)) == (400, error, number)
    assert azure.ask_entra().status_code == 200


def test_refusals_on_order_can_be_taken_back(azure: Azure) -> None:
    azure.control.identity.refuse_tokens(53003, 5)
    azure.control.identity.refuse_tokens(53003, 0)
    assert azure.ask_entra().status_code == 200
    number: Any = 1
    with pytest.raises(ControlError, match="number must be one of 50196, 53003"):
        azure.control.identity.refuse_tokens(number)
    with pytest.raises(ControlError, match="times must be a whole number"):
        azure.control.identity.refuse_tokens(53003, -1)


def test_everything_can_be_put_back(fresh_azure: Azure) -> None:
    azure, control, emulator = fresh_azure, fresh_azure.control, fresh_azure.emulator
    identity, client_id = control.identity, emulator.client_id
    tenant_id = identity.add_tenant()
    other = control.add_application()
    user_assigned = identity.add_user_assigned_identity("other")
    secret = identity.add_client_secret(client_id)
    certificate = identity.add_certificate(client_id)
    subject = identity.service_account_token().subject
    for trusting in (client_id, emulator.user_assigned_client_id):
        identity.add_federated_credential(trusting, subject)
    identity.refuse_tokens(53003, 3)
    identity.set_assertion_policy(longest_life=1)
    identity.set_imds_limits(requests_per_second=1, concurrent_requests=1)
    identity.set_arc_challenge("without_realm")
    identity.set_developer_tool("azd", "garbage")

    identity.reset()
    assert azure.ask_entra().status_code == 200
    assert number_of(azure.ask_entra(tenant_id)) == 90002
    assert number_of(asked(azure, other)) == 700016
    assert number_of(azure.ask_entra(client_secret=secret)) == 7000215
    assert number_of(asked_with_assertion(azure, certificate_assertion(azure, certificate))) == 700027
    for trusted in (client_id, emulator.user_assigned_client_id):
        token = identity.service_account_token().token
        assert number_of(asked_with_assertion(azure, token, client_id=trusted)) == 70025
    assert azure.ask_identity(client_id=user_assigned.client_id).status_code == 400
    assert azure.ask_identity(client_id=emulator.user_assigned_client_id).status_code == 200
    own = identity.add_certificate(client_id)
    assert asked_with_assertion(azure, certificate_assertion(azure, own)).status_code == 200
    imds = f"{emulator.identity.imds_endpoint}/metadata/identity/oauth2/token"
    query = {"api-version": "2018-02-01", "resource": "https://signalr.azure.com"}
    for _ in range(2):
        assert azure.http.get(imds, params=query, headers={"Metadata": "true"}).status_code == 200
    query["api-version"] = "2020-06-01"
    challenge = azure.http.get(emulator.identity.arc_endpoint, params=query, headers={"Metadata": "true"})
    assert "realm=" in challenge.headers["www-authenticate"]
    program = Path(identity.install_developer_tools()) / "azd"
    command = [str(program), "auth", "token", "--output", "json", "--scope", SCOPE]
    assert "token" in json.loads(subprocess.run(command, capture_output=True, check=True, timeout=60).stdout)
