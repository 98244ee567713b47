"""What Hubpass raises.

Catch a class, match a ``code``, read the message, do what the ``hint`` says. None of them ever holds a key, a token or
a value of a connection string.
"""

from __future__ import annotations

import sys

# Type checkers know the name; to import it from `typing` would double the time that the package takes to import.
TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from hubpass._annotations import ErrorCode

__all__ = [
    "ClientAuthenticationError",
    "ClientClosedError",
    "ConfigurationError",
    "CredentialUnavailableError",
    "DeadlineExceededError",
    "HubpassError",
    "HubpassWarning",
    "InvalidArgumentError",
    "NetworkBlockedError",
    "PermissionMissingError",
    "ServiceError",
    "TokenTooLongError",
]


class HubpassWarning(UserWarning):
    """Something that works today and is probably not meant: an unknown key, a token near the limit, plain http."""


class HubpassError(Exception):
    """The base of everything that Hubpass raises.

    If ``azure.core.exceptions`` has been imported, what is raised for a failure of the service is also an instance of
    the azure-core class for that failure, so that ``except HttpResponseError`` goes on working.

    Attributes:
        message: What happened, as a sentence.
        code: What exactly went wrong; stable, for programs.
        status: The HTTP status of the answer that caused it, or ``None``.
        retry_after: How many seconds to wait before another try makes sense, or ``None`` if that is not known.
        hint: What to change: an exact command, variable, keyword or setting.
    """

    message: str
    code: ErrorCode
    status: int | None
    retry_after: float | None
    hint: str

    def __init__(
        self,
        message: str,
        *,
        code: ErrorCode,
        status: int | None = None,
        retry_after: float | None = None,
        hint: str = "",
    ) -> None:
        super().__init__(f"{message} {hint}".rstrip())
        self.message = message
        self.code = code
        self.status = status
        self.retry_after = retry_after
        self.hint = hint

    def __reduce__(self) -> tuple[Any, ...]:
        """Keep everything through pickling, as worker processes hand exceptions to each other."""
        cls = type(self)
        own = cls.__bases__[0] if cls in _twins.values() else cls
        return _restore, (own, self.message, self.code, self.status, self.retry_after, self.hint)


class ConfigurationError(HubpassError):
    """The connection string, the credential or the environment cannot work."""


class InvalidArgumentError(HubpassError, ValueError):
    """An argument of the call cannot work."""


class TokenTooLongError(HubpassError, ValueError):
    """The token would exceed the 4,096 characters that the service accepts; the hint names the largest claims."""


class ServiceError(HubpassError):
    """The service refused the call, failed, or could not be reached."""


class ClientAuthenticationError(ServiceError):
    """No token could be had: the credential, Entra or the managed-identity endpoint refused or failed."""


class CredentialUnavailableError(ClientAuthenticationError):
    """A credential has nothing to try with: a setting, a tool, a login or a managed identity is missing.

    A chain goes on to its next member after this error, and after no other. If ``azure.identity`` has been imported,
    it is also an instance of azure-identity's class of the same name, so that its chains go on, too.
    """


class PermissionMissingError(ServiceError):
    """The identity lacks a role (HTTP 403)."""


class NetworkBlockedError(ServiceError):
    """The service's network access rules, a proxy or a firewall refused the call."""


class DeadlineExceededError(ServiceError, TimeoutError):
    """The time given to the call (``timeout=``) ran out."""


class ClientClosedError(ServiceError):
    """The client was used after ``close()``, or while the interpreter exits."""


_CLASSES: dict[str, type[HubpassError]] = {
    cls.__name__: cls
    for cls in (
        ClientAuthenticationError,
        ClientClosedError,
        ConfigurationError,
        CredentialUnavailableError,
        DeadlineExceededError,
        InvalidArgumentError,
        NetworkBlockedError,
        PermissionMissingError,
        ServiceError,
        TokenTooLongError,
    )
}

# What azure-core has classes for: failures of the service, but not the use of a closed client.
_SERVICE_CLASSES = (
    ClientAuthenticationError,
    CredentialUnavailableError,
    DeadlineExceededError,
    NetworkBlockedError,
    PermissionMissingError,
    ServiceError,
)

# What azure-core raises for the same failure, by code; the other failures of a service are its HttpResponseError.
_AZURE_NAMES: dict[str, str] = {
    "certificate_unusable": "ClientAuthenticationError",
    "connection_failed": "ServiceRequestError",
    "credential_unavailable": "ClientAuthenticationError",
    "deadline_exceeded": "ServiceRequestError",
    "identity_unavailable": "ClientAuthenticationError",
    "name_resolution_failed": "ServiceRequestError",
    "not_found": "ResourceNotFoundError",
    "tls_failed": "ServiceRequestError",
    "unauthorized": "ClientAuthenticationError",
}

_twins: dict[tuple[str, str, str], type[HubpassError]] = {}


def _from_core(
    name: str, message: str, code: ErrorCode, status: int | None, retry_after: float | None, hint: str
) -> HubpassError:
    """Make the exception for an error of the core."""
    return _restore(_CLASSES[name], message, code, status, retry_after, hint)


def _restore(
    cls: type[HubpassError],
    message: str,
    code: ErrorCode,
    status: int | None,
    retry_after: float | None,
    hint: str,
) -> HubpassError:
    """Make an exception, which is azure-core's as well where the application knows those."""
    azure = sys.modules.get("azure.core.exceptions")
    if azure is None or cls not in _SERVICE_CLASSES:
        return cls(message, code=code, status=status, retry_after=retry_after, hint=hint)
    base = getattr(azure, _AZURE_NAMES.get(code, "HttpResponseError"))
    if cls is CredentialUnavailableError:
        base = getattr(sys.modules.get("azure.identity"), "CredentialUnavailableError", base)
    twin = _twins.get((cls.__name__, base.__module__, base.__name__))
    if twin is None:
        # Two threads that meet here make two classes, which differ in nothing that can be caught or pickled.
        twin = _twins[cls.__name__, base.__module__, base.__name__] = type(
            cls.__name__, (cls, base), {"__module__": cls.__module__}
        )
    error = twin(message, code=code, status=status, retry_after=retry_after, hint=hint)
    # azure-core's own attributes; its constructors are not reached through those of built-in exceptions.
    azure.AzureError.__init__(error, str(error))
    vars(error).update(message=message, status_code=status, response=None, reason=None, error=None, model=None)
    return error
