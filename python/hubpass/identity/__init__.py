"""Credentials with the names and the meaning of azure-identity's, over the core of Hubpass.

    from hubpass.identity import DefaultAzureCredential

Any Azure SDK for Python client takes them, and so do the clients of Hubpass. The same names with coroutines are in
:mod:`hubpass.identity.aio`.
"""

from hubpass.exceptions import ClientAuthenticationError, CredentialUnavailableError
from hubpass.identity._credentials import (
    AzureCliCredential,
    AzureDeveloperCliCredential,
    AzurePipelinesCredential,
    CertificateCredential,
    ChainedTokenCredential,
    ClientAssertionCredential,
    ClientSecretCredential,
    DefaultAzureCredential,
    EnvironmentCredential,
    ManagedIdentityCredential,
    WorkloadIdentityCredential,
)

__all__ = [
    "AzureCliCredential",
    "AzureDeveloperCliCredential",
    "AzurePipelinesCredential",
    "CertificateCredential",
    "ChainedTokenCredential",
    "ClientAssertionCredential",
    "ClientAuthenticationError",
    "ClientSecretCredential",
    "CredentialUnavailableError",
    "DefaultAzureCredential",
    "EnvironmentCredential",
    "ManagedIdentityCredential",
    "WorkloadIdentityCredential",
]
