"""What a client must know to use the identities of the local Azure; on the standard library alone."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True)
class IdentityEndpoints:
    """Where the identities of one emulator get their tokens.

    `imds_endpoint` is the origin of IMDS, `arc_endpoint` the whole URL of the token endpoint of Azure Arc, whose
    secrets are files in `arc_directory`. `kubernetes_issuer` is the `iss` of service account tokens, exactly as a
    federated credential must name it. The developer who is signed in to `az` and `azd` has `developer_object_id` and
    sees the subscription `subscription_id`.
    """

    imds_endpoint: str
    arc_endpoint: str
    arc_directory: str
    kubernetes_issuer: str
    subscription_id: str
    developer_object_id: str

    @property
    def imds_environment(self) -> dict[str, str]:
        """The variable with which azure-identity for Python looks for IMDS here instead of at 169.254.169.254."""
        return {"AZURE_POD_IDENTITY_AUTHORITY_HOST": self.imds_endpoint}

    @property
    def arc_environment(self) -> dict[str, str]:
        """The variables that tell a client that it runs on a machine with the agent of Azure Arc."""
        return {"IDENTITY_ENDPOINT": self.arc_endpoint, "IMDS_ENDPOINT": self.imds_endpoint}


@dataclass(frozen=True)
class Certificate:
    """A certificate of an application, in files of the emulator's own directory that end with it.

    `pem_file` has the private key and the chain, `pkcs12_file` the same as PKCS#12 (often called PFX), and
    `certificate_file` the certificate alone. Thumbprints are hexadecimal; `thumbprint` is the SHA-1 one.
    """

    thumbprint: str
    sha256_thumbprint: str
    pem_file: str
    pkcs12_file: str
    certificate_file: str


@dataclass(frozen=True)
class UserAssignedIdentity:
    """A user-assigned managed identity, by the three things that it can be named by."""

    client_id: str
    object_id: str
    resource_id: str


@dataclass(frozen=True)
class ServiceAccountToken:
    """A token of a Kubernetes service account, which is absent from `repr`, and its subject."""

    subject: str
    token: str = field(repr=False)
