"""The async credentials."""

from __future__ import annotations

from hubpass.identity._applications import (
    AzurePipelinesBase,
    CertificateBase,
    ClientAssertionBase,
    ClientSecretBase,
    EnvironmentBase,
)
from hubpass.identity._chains import ChainedBase, DefaultAzureBase
from hubpass.identity._platforms import AzureCliBase, AzureDeveloperCliBase, ManagedIdentityBase, WorkloadIdentityBase
from hubpass.identity.aio._base import AsyncCredential


class ClientSecretCredential(ClientSecretBase, AsyncCredential):
    """As :class:`hubpass.identity.ClientSecretCredential`, with coroutines."""

    __slots__ = ()


class CertificateCredential(CertificateBase, AsyncCredential):
    """As :class:`hubpass.identity.CertificateCredential`, with coroutines."""

    __slots__ = ()


class ClientAssertionCredential(ClientAssertionBase, AsyncCredential):
    """As :class:`hubpass.identity.ClientAssertionCredential`, with coroutines."""

    __slots__ = ()


class AzurePipelinesCredential(AzurePipelinesBase, AsyncCredential):
    """As :class:`hubpass.identity.AzurePipelinesCredential`, with coroutines."""

    __slots__ = ()


class EnvironmentCredential(EnvironmentBase, AsyncCredential):
    """As :class:`hubpass.identity.EnvironmentCredential`, with coroutines."""

    __slots__ = ()


class ManagedIdentityCredential(ManagedIdentityBase, AsyncCredential):
    """As :class:`hubpass.identity.ManagedIdentityCredential`, with coroutines."""

    __slots__ = ()


class WorkloadIdentityCredential(WorkloadIdentityBase, AsyncCredential):
    """As :class:`hubpass.identity.WorkloadIdentityCredential`, with coroutines."""

    __slots__ = ()


class AzureCliCredential(AzureCliBase, AsyncCredential):
    """As :class:`hubpass.identity.AzureCliCredential`, with coroutines."""

    __slots__ = ()


class AzureDeveloperCliCredential(AzureDeveloperCliBase, AsyncCredential):
    """As :class:`hubpass.identity.AzureDeveloperCliCredential`, with coroutines."""

    __slots__ = ()


class ChainedTokenCredential(ChainedBase, AsyncCredential):
    """As :class:`hubpass.identity.ChainedTokenCredential`, with coroutines."""

    __slots__ = ()


class DefaultAzureCredential(DefaultAzureBase, AsyncCredential):
    """As :class:`hubpass.identity.DefaultAzureCredential`, with coroutines."""

    __slots__ = ()
