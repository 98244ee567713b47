"""The sync credentials."""

from __future__ import annotations

from hubpass.identity._applications import (
    AzurePipelinesBase,
    CertificateBase,
    ClientAssertionBase,
    ClientSecretBase,
    EnvironmentBase,
)
from hubpass.identity._base import SyncCredential
from hubpass.identity._chains import ChainedBase, DefaultAzureBase
from hubpass.identity._platforms import AzureCliBase, AzureDeveloperCliBase, ManagedIdentityBase, WorkloadIdentityBase


class ClientSecretCredential(ClientSecretBase, SyncCredential):
    __doc__ = ClientSecretBase.__doc__

    __slots__ = ()


class CertificateCredential(CertificateBase, SyncCredential):
    __doc__ = CertificateBase.__doc__

    __slots__ = ()


class ClientAssertionCredential(ClientAssertionBase, SyncCredential):
    __doc__ = ClientAssertionBase.__doc__

    __slots__ = ()


class AzurePipelinesCredential(AzurePipelinesBase, SyncCredential):
    __doc__ = AzurePipelinesBase.__doc__

    __slots__ = ()


class EnvironmentCredential(EnvironmentBase, SyncCredential):
    __doc__ = EnvironmentBase.__doc__

    __slots__ = ()


class ManagedIdentityCredential(ManagedIdentityBase, SyncCredential):
    __doc__ = ManagedIdentityBase.__doc__

    __slots__ = ()


class WorkloadIdentityCredential(WorkloadIdentityBase, SyncCredential):
    __doc__ = WorkloadIdentityBase.__doc__

    __slots__ = ()


class AzureCliCredential(AzureCliBase, SyncCredential):
    __doc__ = AzureCliBase.__doc__

    __slots__ = ()


class AzureDeveloperCliCredential(AzureDeveloperCliBase, SyncCredential):
    __doc__ = AzureDeveloperCliBase.__doc__

    __slots__ = ()


class ChainedTokenCredential(ChainedBase, SyncCredential):
    __doc__ = ChainedBase.__doc__

    __slots__ = ()


class DefaultAzureCredential(DefaultAzureBase, SyncCredential):
    __doc__ = DefaultAzureBase.__doc__

    __slots__ = ()
