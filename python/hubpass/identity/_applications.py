"""How the credentials of applications are made, sync and async alike."""

from __future__ import annotations

from hubpass import _native
from hubpass.identity._base import CredentialBase, keywords

# Type checkers know the names; to import them from `typing` would double the time that the package takes to import.
TYPE_CHECKING = False
if TYPE_CHECKING:
    import os
    from collections.abc import Callable, Iterable


class ClientSecretBase(CredentialBase):
    """An application that proves itself with a secret.

    Args:
        tenant_id: The tenant (directory) of the application: its id or a domain.
        client_id: The application (client) id.
        client_secret: The value of one of its secrets.
        authority: The https address of the Entra authority, with or without ``https://``. Default:
            ``AZURE_AUTHORITY_HOST``, or the public cloud's, ``login.microsoftonline.com``.
        additionally_allowed_tenants: Further tenants that callers may ask tokens of; ``["*"]`` are all. Default: none.
        disable_instance_discovery: Accepted for the sake of programs written for azure-identity. Nothing is ever asked
            of an authority but the token, so that it changes nothing.
        ca_file: A PEM file of certificates to trust beside the system's.

    Raises:
        InvalidArgumentError: An argument cannot be used.
    """

    __slots__ = ()

    def __init__(
        self,
        tenant_id: str,
        client_id: str,
        client_secret: str,
        *,
        authority: str | None = None,
        additionally_allowed_tenants: Iterable[str] | None = None,
        disable_instance_discovery: bool = True,
        ca_file: str | os.PathLike[str] | None = None,
    ) -> None:
        del disable_instance_discovery
        try:
            common = keywords(authority, additionally_allowed_tenants, ca_file)
            self._native = _native.Credential.client_secret(tenant_id, client_id, client_secret, common, self._is_async)
        finally:
            # Error reporters show the variables of each frame of a traceback; no secret may be among them.
            del tenant_id, client_id, client_secret


class CertificateBase(CredentialBase):
    """An application that proves itself with a certificate and its private key (RSA).

    A file is read anew for each token, because certificates are renewed in place. The assertion is signed with PS256
    and names the certificate by its SHA-256 thumbprint; with RS256 and SHA-1 for the tenant ``adfs``.

    Args:
        tenant_id: As of :class:`ClientSecretCredential`.
        client_id: As of :class:`ClientSecretCredential`.
        certificate_path: A PEM or PKCS#12 file with the certificate and its private key. Either this or the next.
        certificate_data: The bytes of such a file.
        password: What opens the file, if it is encrypted.
        send_certificate_chain: Whether to send the certificates of the file along (``x5c``), which authentication by
            subject name and issuer needs.
        authority: As of :class:`ClientSecretCredential`.
        additionally_allowed_tenants: As of :class:`ClientSecretCredential`.
        disable_instance_discovery: As of :class:`ClientSecretCredential`.
        ca_file: As of :class:`ClientSecretCredential`.

    Raises:
        InvalidArgumentError: An argument cannot be used.
        ClientAuthenticationError: ``certificate_data`` cannot be used (``certificate_unusable``). What is wrong with a
            file is told when a token is asked for.
    """

    __slots__ = ()

    def __init__(
        self,
        tenant_id: str,
        client_id: str,
        certificate_path: str | os.PathLike[str] | None = None,
        *,
        certificate_data: bytes | None = None,
        password: str | bytes | None = None,
        send_certificate_chain: bool = False,
        authority: str | None = None,
        additionally_allowed_tenants: Iterable[str] | None = None,
        disable_instance_discovery: bool = True,
        ca_file: str | os.PathLike[str] | None = None,
    ) -> None:
        del disable_instance_discovery
        try:
            common = keywords(authority, additionally_allowed_tenants, ca_file)
            self._native = _native.Credential.certificate(
                tenant_id,
                client_id,
                certificate_path,
                certificate_data,
                password,
                send_certificate_chain,
                common,
                self._is_async,
            )
        finally:
            # As of a secret.
            del tenant_id, client_id, certificate_path, certificate_data, password


class ClientAssertionBase(CredentialBase):
    """An application for which a function gives assertions: tokens of an issuer that Entra trusts.

    Args:
        tenant_id: As of :class:`ClientSecretCredential`.
        client_id: As of :class:`ClientSecretCredential`.
        func: It takes no arguments and returns a JSON Web Token as text. It is called for each new token, on a thread
            of its own, so that it may block; in an async credential, too.
        authority: As of :class:`ClientSecretCredential`.
        additionally_allowed_tenants: As of :class:`ClientSecretCredential`.
        disable_instance_discovery: As of :class:`ClientSecretCredential`.
        ca_file: As of :class:`ClientSecretCredential`.

    Raises:
        InvalidArgumentError: An argument cannot be used.
    """

    __slots__ = ()

    def __init__(
        self,
        tenant_id: str,
        client_id: str,
        func: Callable[[], str],
        *,
        authority: str | None = None,
        additionally_allowed_tenants: Iterable[str] | None = None,
        disable_instance_discovery: bool = True,
        ca_file: str | os.PathLike[str] | None = None,
    ) -> None:
        del disable_instance_discovery
        common = keywords(authority, additionally_allowed_tenants, ca_file)
        self._native = _native.Credential.client_assertion(tenant_id, client_id, func, common, self._is_async)


class AzurePipelinesBase(CredentialBase):
    """A service connection of Azure Pipelines with workload identity federation.

    Args:
        tenant_id: The tenant of the service connection's identity.
        client_id: Its client id.
        service_connection_id: The id of the service connection: ``resourceId`` in the URL of its page.
        system_access_token: The job's token, ``$(System.AccessToken)``, which the job has to map into its environment.
        authority: As of :class:`ClientSecretCredential`.
        additionally_allowed_tenants: As of :class:`ClientSecretCredential`.
        disable_instance_discovery: As of :class:`ClientSecretCredential`.
        ca_file: As of :class:`ClientSecretCredential`.

    Raises:
        InvalidArgumentError: An argument cannot be used.
    """

    __slots__ = ()

    def __init__(
        self,
        *,
        tenant_id: str,
        client_id: str,
        service_connection_id: str,
        system_access_token: str,
        authority: str | None = None,
        additionally_allowed_tenants: Iterable[str] | None = None,
        disable_instance_discovery: bool = True,
        ca_file: str | os.PathLike[str] | None = None,
    ) -> None:
        del disable_instance_discovery
        try:
            common = keywords(authority, additionally_allowed_tenants, ca_file)
            self._native = _native.Credential.azure_pipelines(
                tenant_id, client_id, service_connection_id, system_access_token, common, self._is_async
            )
        finally:
            # As of a secret.
            del tenant_id, client_id, service_connection_id, system_access_token


class EnvironmentBase(CredentialBase):
    """An application that the environment describes, as it was when the credential was made.

    ``AZURE_TENANT_ID`` and ``AZURE_CLIENT_ID``, with ``AZURE_CLIENT_SECRET``, or else with
    ``AZURE_CLIENT_CERTIFICATE_PATH`` (``AZURE_CLIENT_CERTIFICATE_PASSWORD``, ``AZURE_CLIENT_SEND_CERTIFICATE_CHAIN``).
    Without them ``get_token`` raises :class:`~hubpass.CredentialUnavailableError`. A user name and a password are not
    used.

    Args:
        authority: As of :class:`ClientSecretCredential`.
        additionally_allowed_tenants: As of :class:`ClientSecretCredential`.
        disable_instance_discovery: As of :class:`ClientSecretCredential`.
        ca_file: As of :class:`ClientSecretCredential`.
    """

    __slots__ = ()

    def __init__(
        self,
        *,
        authority: str | None = None,
        additionally_allowed_tenants: Iterable[str] | None = None,
        disable_instance_discovery: bool = True,
        ca_file: str | os.PathLike[str] | None = None,
    ) -> None:
        del disable_instance_discovery
        common = keywords(authority, additionally_allowed_tenants, ca_file)
        self._native = _native.Credential.environment(common, self._is_async)
