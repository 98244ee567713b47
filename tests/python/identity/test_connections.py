"""Every way to an identity, up to the end: the real SignalR client in JavaScript connects with what was negotiated."""

import json
import shutil
import subprocess
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

import hubpass.identity
from emulator.support import Azure
from hubpass import SignalRServiceClient, _native
from hubpass.emulator import Certificate, Emulator
from signalr.service_double import WATCHDOG, Answer, ServiceDouble

CLIENTS = Path(__file__).parents[2] / "clients"

NODE = shutil.which("node")
"""Found before the tests take `PATH` away."""

PASSWORD = "correct horse"

JOIN = """
const http = require("node:http");
const signalR = require("@microsoft/signalr");
// The application of the page: it gives out what was negotiated.
const app = http.createServer((request, response) => {
  const isNegotiation = request.method === "POST" && request.url.startsWith("/chat/negotiate");
  response.writeHead(isNegotiation ? 200 : 404, { "content-type": "application/json" });
  response.end(isNegotiation ? process.env.ANSWER : "");
});
app.listen(0, "127.0.0.1", async () => {
  const connection = new signalR.HubConnectionBuilder()
    .withUrl(`http://127.0.0.1:${app.address().port}/chat`)
    .configureLogging(signalR.LogLevel.None)
    .build();
  connection.on("message", async (text) => {
    console.log(text);
    await connection.stop();
    process.exit(0);
  });
  await connection.start();
  console.log("joined");
});
setTimeout(() => process.exit(3), 20000).unref();
"""


@dataclass
class Place:
    """The local Azure, and where an application would find what its identity needs."""

    azure: Azure
    certificate: Certificate
    locked_certificate: Certificate
    federated_file: str
    tools: str
    pipelines: ServiceDouble

    @property
    def emulator(self) -> Emulator:
        return self.azure.emulator

    @property
    def entra(self) -> dict[str, Any]:
        """The keywords of a credential or a client."""
        return {"authority": self.emulator.authority, "ca_file": self.emulator.ca_file}

    @property
    def names(self) -> dict[str, str]:
        return {"tenant_id": self.emulator.tenant_id, "client_id": self.emulator.client_id}

    @property
    def application(self) -> dict[str, str]:
        """The variables that name the application, without its proof."""
        return {
            "AZURE_TENANT_ID": self.emulator.tenant_id,
            "AZURE_CLIENT_ID": self.emulator.client_id,
            "AZURE_AUTHORITY_HOST": self.emulator.authority,
        }

    @property
    def virtual_machine(self) -> dict[str, str]:
        return self.emulator.identity.imds_environment

    @property
    def app_service(self) -> dict[str, str]:
        return {
            "IDENTITY_ENDPOINT": self.emulator.identity_endpoint,
            "IDENTITY_HEADER": self.emulator.identity_header,
        }

    @property
    def developer(self) -> dict[str, str]:
        return {"PATH": self.tools}

    def with_secret(self) -> dict[str, str]:
        return {**self.application, "AZURE_CLIENT_SECRET": self.emulator.client_secret}

    def with_certificate(self) -> dict[str, str]:
        return {**self.application, "AZURE_CLIENT_CERTIFICATE_PATH": self.certificate.pem_file}

    def with_federated_file(self) -> dict[str, str]:
        return {**self.application, "AZURE_FEDERATED_TOKEN_FILE": self.federated_file}

    def with_object(self, credential: Any) -> SignalRServiceClient:
        return SignalRServiceClient(self.azure.endpoint, "chat", credential, ca_file=self.emulator.ca_file)

    def with_credential(self, name: str, **options: Any) -> SignalRServiceClient:
        credential = getattr(hubpass.identity, name)(**options)
        return self.with_object(credential)

    def with_pipelines(self) -> SignalRServiceClient:
        """A job whose platform vouches for its service connection by the assertion of the federated file."""
        assertion = Path(self.federated_file).read_text()
        self.pipelines.answer(Answer(200, body=json.dumps({"oidcToken": assertion}).encode()))
        return self.with_credential(
            "AzurePipelinesCredential",
            **self.names,
            service_connection_id="connection",
            system_access_token="of the job",
            **self.entra,
        )

    def with_azure_arc(self) -> SignalRServiceClient:
        """A machine whose agent puts its keys where a test may write."""
        credential = hubpass.identity.ManagedIdentityCredential()
        keywords = {"ca_file": None, "arc_keys": self.emulator.identity.arc_directory}
        credential._native = _native.Credential.managed_identity(None, None, keywords, False)
        return self.with_object(credential)

    def with_chain(self) -> SignalRServiceClient:
        """A chain whose first member has nothing to try with."""
        nothing = hubpass.identity.EnvironmentCredential()
        emulator = self.emulator
        secret = hubpass.identity.ClientSecretCredential(
            emulator.tenant_id, emulator.client_id, emulator.client_secret, **self.entra
        )
        chain = hubpass.identity.ChainedTokenCredential(nothing, secret)
        return self.with_object(chain)

    def without_credential(self) -> SignalRServiceClient:
        return SignalRServiceClient(self.azure.endpoint, "chat", ca_file=self.emulator.ca_file)

    def with_text(self, **parts: str) -> SignalRServiceClient:
        """A client with a connection string of these parts."""
        text = "".join(f"{key}={value};" for key, value in {"Endpoint": self.azure.endpoint, **parts}.items())
        return SignalRServiceClient.from_connection_string(text, "chat", **self.entra)

    def with_application(self, **proof: str) -> SignalRServiceClient:
        emulator = self.emulator
        return self.with_text(AuthType="azure.app", ClientId=emulator.client_id, TenantId=emulator.tenant_id, **proof)


@dataclass
class Way:
    """How an application is told who it is, and whose token it then has."""

    name: str
    owner: str
    """`application`, `machine`, `user_assigned` or `developer`."""
    client: Callable[[Place], SignalRServiceClient]
    environment: Callable[[Place], Mapping[str, str]] = lambda _: {}

    def __str__(self) -> str:
        return self.name


WAYS = [
    Way(
        "a secret",
        "application",
        lambda at: at.with_credential(
            "ClientSecretCredential", **at.names, client_secret=at.emulator.client_secret, **at.entra
        ),
    ),
    Way(
        "a certificate",
        "application",
        lambda at: at.with_credential(
            "CertificateCredential", **at.names, certificate_path=at.certificate.pem_file, **at.entra
        ),
    ),
    Way(
        "a certificate in PKCS#12",
        "application",
        lambda at: at.with_credential(
            "CertificateCredential",
            **at.names,
            certificate_path=at.locked_certificate.pkcs12_file,
            password=PASSWORD,
            **at.entra,
        ),
    ),
    Way(
        "a function of assertions",
        "application",
        lambda at: at.with_credential(
            "ClientAssertionCredential", **at.names, func=Path(at.federated_file).read_text, **at.entra
        ),
    ),
    Way(
        "Azure Pipelines",
        "application",
        Place.with_pipelines,
        lambda at: {"SYSTEM_OIDCREQUESTURI": f"{at.pipelines.endpoint}/oidc"},
    ),
    Way("Azure Arc", "machine", Place.with_azure_arc, lambda at: at.emulator.identity.arc_environment),
    Way("a chain", "application", Place.with_chain),
    Way(
        "variables, a certificate in PKCS#12",
        "application",
        lambda at: at.with_credential("EnvironmentCredential", ca_file=at.emulator.ca_file),
        lambda at: {
            **at.with_certificate(),
            "AZURE_CLIENT_CERTIFICATE_PATH": at.locked_certificate.pkcs12_file,
            "AZURE_CLIENT_CERTIFICATE_PASSWORD": PASSWORD,
        },
    ),
    Way(
        "a federated file",
        "application",
        lambda at: at.with_credential(
            "WorkloadIdentityCredential", **at.names, token_file_path=at.federated_file, **at.entra
        ),
    ),
    Way(
        "a virtual machine",
        "machine",
        lambda at: at.with_credential("ManagedIdentityCredential"),
        lambda at: at.virtual_machine,
    ),
    Way(
        "a virtual machine, user-assigned",
        "user_assigned",
        lambda at: at.with_credential("ManagedIdentityCredential", client_id=at.emulator.user_assigned_client_id),
        lambda at: at.virtual_machine,
    ),
    Way(
        "App Service",
        "machine",
        lambda at: at.with_credential("ManagedIdentityCredential"),
        lambda at: at.app_service,
    ),
    Way(
        "App Service, user-assigned",
        "user_assigned",
        lambda at: at.with_credential("ManagedIdentityCredential", client_id=at.emulator.user_assigned_client_id),
        lambda at: at.app_service,
    ),
    Way("az", "developer", lambda at: at.with_credential("AzureCliCredential"), lambda at: at.developer),
    Way("azd", "developer", lambda at: at.with_credential("AzureDeveloperCliCredential"), lambda at: at.developer),
    Way(
        "variables, a secret",
        "application",
        lambda at: at.with_credential("EnvironmentCredential", ca_file=at.emulator.ca_file),
        Place.with_secret,
    ),
    Way(
        "variables, a certificate",
        "application",
        lambda at: at.with_credential("EnvironmentCredential", ca_file=at.emulator.ca_file),
        Place.with_certificate,
    ),
    Way(
        "variables, a federated file",
        "application",
        lambda at: at.with_credential("WorkloadIdentityCredential", ca_file=at.emulator.ca_file),
        Place.with_federated_file,
    ),
    Way(
        "by default, a secret",
        "application",
        lambda at: at.with_credential("DefaultAzureCredential", ca_file=at.emulator.ca_file),
        Place.with_secret,
    ),
    Way(
        "by default, a federated file",
        "application",
        lambda at: at.with_credential("DefaultAzureCredential", ca_file=at.emulator.ca_file),
        Place.with_federated_file,
    ),
    Way("no credential, a certificate", "application", Place.without_credential, Place.with_certificate),
    Way("no credential, a virtual machine", "machine", Place.without_credential, lambda at: at.virtual_machine),
    Way("no credential, App Service", "machine", Place.without_credential, lambda at: at.app_service),
    Way(
        "no credential, a developer",
        "developer",
        Place.without_credential,
        lambda at: {**at.developer, "AZURE_TOKEN_CREDENTIALS": "dev"},
    ),
    Way(
        "azure.msi, a virtual machine",
        "machine",
        lambda at: at.with_text(AuthType="azure.msi"),
        lambda at: at.virtual_machine,
    ),
    Way(
        "azure.msi, App Service, user-assigned",
        "user_assigned",
        lambda at: at.with_text(AuthType="azure.msi", ClientId=at.emulator.user_assigned_client_id),
        lambda at: at.app_service,
    ),
    Way(
        "azure.app, a secret",
        "application",
        lambda at: at.with_application(ClientSecret=at.emulator.client_secret),
    ),
    Way(
        "azure.app, a certificate",
        "application",
        lambda at: at.with_application(ClientCertPath=at.certificate.pem_file),
    ),
    Way(
        "serviceUri, a secret",
        "application",
        lambda at: SignalRServiceClient.from_env("chat", **at.entra),
        lambda at: {
            "AzureSignalRConnectionString__serviceUri": at.azure.endpoint,
            "AzureSignalRConnectionString__tenantId": at.emulator.tenant_id,
            "AzureSignalRConnectionString__clientId": at.emulator.client_id,
            "AzureSignalRConnectionString__clientSecret": at.emulator.client_secret,
        },
    ),
    Way("azure", "application", lambda at: at.with_text(AuthType="azure"), Place.with_secret),
]


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    with Emulator() as emulator:
        azure, identity = Azure(emulator), emulator.control.identity
        # Limits are not what is tested here.
        identity.set_imds_limits(requests_per_second=10_000, concurrent_requests=100)
        identity.add_federated_credential(emulator.client_id, "system:serviceaccount:default:application")
        file = tmp_path_factory.mktemp("federated") / "token"
        file.write_text(identity.service_account_token().token)
        certificate = identity.add_certificate(emulator.client_id)
        locked = identity.add_certificate(emulator.client_id, password=PASSWORD)
        with ServiceDouble() as pipelines:
            yield Place(azure, certificate, locked, str(file), identity.install_developer_tools(), pipelines)
        azure.close()


def owners(emulator: Emulator) -> dict[str, str]:
    """The object ids that tokens must have."""
    return {
        "application": emulator.object_id,
        "machine": emulator.managed_identity_object_id,
        "user_assigned": emulator.user_assigned_object_id,
        "developer": emulator.identity.developer_object_id,
    }


@pytest.mark.parametrize("way", WAYS, ids=str)
def test_the_real_client_connects(way: Way, place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    assert NODE, "node is needed"
    for name, value in way.environment(place).items():
        monkeypatch.setenv(name, value)
    control = place.azure.control
    # Another key for each way, so that none lives on what another has fetched.
    control.revoke_temporary_keys()
    control.clear_journal()
    client = way.client(place)
    answer = client.negotiate("ada")
    assert [entry.object_id for entry in control.journal("access_key")] == [owners(place.emulator)[way.owner]]
    process = subprocess.Popen(
        [NODE, "--unhandled-rejections=strict", "--eval", JOIN],
        cwd=CLIENTS,
        env={"ANSWER": json.dumps(answer)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        assert process.stdout is not None
        first = process.stdout.readline()
        if first == "joined\n":
            (connection,) = control.state().connections
            assert connection.user_id == "ada"
            client.send_to_all("message", "hello")
        output, errors = process.communicate(timeout=WATCHDOG)
    finally:
        process.kill()
        process.wait()
        client.close()
    assert (process.returncode, first + output, errors) == (0, "joined\nhello\n", "")
    # The next one is alone again.
    control.wait_for_connections(0)
