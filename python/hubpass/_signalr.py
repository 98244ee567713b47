"""The sync client of Azure SignalR Service."""

from __future__ import annotations

from hubpass._lifetime import SyncLifetime
from hubpass._signalr_base import SignalRServiceClientBase
from hubpass.models import DEFAULT_LIFETIME

# Type checkers know the name; to import it from `typing` would double the time that the package takes to import.
TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from datetime import datetime, timedelta
    from typing import Literal, overload

    from typing_extensions import Unpack

    from hubpass._annotations import ClaimValue, NegotiateOptions, Transport
    from hubpass.models import NegotiationResponse


class SignalRServiceClient(SignalRServiceClientBase, SyncLifetime):
    """Lets clients into a hub of Azure SignalR Service, and sends to them.

    Make one for each process and share it between threads; making it does no I/O and starts no thread.

    Args:
        endpoint: The service's address, such as ``https://<resource>.service.signalr.net``.
        hub: The hub's name: a letter, then up to 127 letters, digits and ``_ ` , . [ ]``. Case does not matter.
        credential: What proves to the service who we are. A credential of azure-identity such as
            ``DefaultAzureCredential()``, or any object with azure-core's ``get_token`` or ``get_token_info``: its Entra
            token buys the temporary keys that sign, and no shared key exists anywhere. Or ``AzureKeyCredential`` of
            azure-core, or any object with the access key as ``key``: a key replaced by ``update()`` is used from the
            next call on.
            Default: :class:`hubpass.identity.DefaultAzureCredential`, whatever identity the machine offers.
        client_endpoint: Where clients connect if that is not ``endpoint`` (a reverse proxy).
        server_endpoint: Where this client sends its requests if that is not ``endpoint``.
        application_name: A prefix that separates the hubs of several applications on one service.
        scope: The scope of the Entra token. Default: ``https://signalr.azure.com/.default``.
        key_policy: How long temporary keys are trusted and when they are renewed. Default: ``KeyPolicy()``.
        ca_file: A PEM file of certificates to trust beside the system's, for networks that inspect TLS.
        timeout: How many seconds a call may take that needs the network, from the credential to the answer. Default:
            10.
        verify_keys: Whether each temporary key proves itself by one ``POST /client/negotiate`` before it signs for
            users. One that the service does not know is replaced at once. Default: ``False``, because it costs a
            request for each key (about one an hour), and needs a network that lets clients of the service through
            from here; where that is not so, or the service is in trouble, the key signs unproven, and the event
            ``key_unproven`` says why.
        on_event: A function that is called with each :class:`hubpass.Event`, one after the other, on a thread of its
            own.

    Raises:
        ConfigurationError: The credential is not one that this client can use.
        InvalidArgumentError: An argument cannot be used.
    """

    __slots__ = ()

    _is_async = False

    if TYPE_CHECKING:

        @overload
        def negotiate(self, user_id: str, **options: Unpack[NegotiateOptions]) -> NegotiationResponse: ...

        @overload
        def negotiate(
            self, *, anonymous: Literal[True], **options: Unpack[NegotiateOptions]
        ) -> NegotiationResponse: ...

    def negotiate(
        self,
        user_id: str | None = None,
        *,
        anonymous: bool = False,
        claims: Mapping[str, ClaimValue] | Iterable[tuple[str, ClaimValue]] | None = None,
        lifetime: timedelta = DEFAULT_LIFETIME,
        allow_long_lifetime: bool = False,
        close_on_authentication_expiration: bool = False,
        authentication_expires_on: datetime | None = None,
        transports: Iterable[Transport] | None = None,
        enable_detailed_errors: bool = False,
        timeout: float | None = None,
    ) -> NegotiationResponse:
        """Sign a token for a client and say where it connects: the answer to its ``POST /negotiate``.

        Pass a user id, or ``anonymous=True``: nothing else counts as identity, and nothing falls back to anonymous.
        With a key in hand this is pure computation of about a microsecond, which needs no network and never waits. With
        Entra the first call waits for a key; later ones renew it in the background, and go on signing with the one in
        hand while it is valid, whatever happens to Entra or to the service.

        Args:
            user_id: Who connects, as text: ``str(user.id)``. It becomes the claim ``asrs.s.uid``.
            anonymous: ``True`` lets a client in that has no user id.
            claims: The application's own claims, which upstream handlers and hub servers see: a mapping, or pairs of
                name and value if a name is to appear more than once. JSON types are kept. Names that mean something in
                a token (``iss``, ``exp``, ...) travel as ``asrs.u.<name>``, and .NET's long names in their short form
                (``ClaimsUtility`` and ``ClaimTypeMapping`` in Azure/azure-signalr).
            lifetime: How long the token may be used to connect, from 1 second to 24 hours. Default: 1 hour. A client
                that is connected by then stays connected.
            allow_long_lifetime: Whether more than 24 hours is meant.
            close_on_authentication_expiration: Whether the service ends the connection at
                ``authentication_expires_on``, or without one when the token expires (``asrs.s.coae``).
            authentication_expires_on: When the user's own session ends, with a time zone. The token never outlives it.
            transports: Which transports the client may use. Default: all that the service offers (``asrs.s.htt``).
            enable_detailed_errors: Whether the client is told what went wrong inside the hub (``asrs.s.derror``).
            timeout: How many seconds the call may take if it needs the network. Default: the client's.

        Returns:
            A ``dict`` with ``url`` and ``accessToken``, ready to be returned as JSON.

        Raises:
            InvalidArgumentError: An argument cannot be used; ``code`` and ``hint`` say which and how to mend it.
            TokenTooLongError: The token would exceed 4,096 characters; the hint names the largest claims.
            ServiceError: There is no valid key, and none could be had: see ``code``, ``hint``, ``retry_after`` and the
                cause.
            PermissionMissingError: The identity lacks the role for temporary keys, *SignalR App Server*.
            DeadlineExceededError: The time ran out while waiting for a key.
            ClientClosedError: The client is closed.
        """
        return self._native.negotiate(
            user_id,
            anonymous,
            claims,
            lifetime,
            allow_long_lifetime,
            close_on_authentication_expiration,
            authentication_expires_on,
            transports,
            enable_detailed_errors,
            timeout,
        )

    def send_to_all(
        self, target: str, *arguments: object, excluded: Iterable[str] = (), timeout: float | None = None
    ) -> None:
        """Call a method on every client of the hub.

        Returns when the service has accepted the message (REST API 2024-12-01, ``POST /api/hubs/{hub}/:send``). It is
        not sent again after a failure, because it may have been delivered.

        Args:
            target: The name of the method that clients registered with ``connection.on``.
            *arguments: What the method is called with: values that JSON can express, together at most 1 MB.
            excluded: Ids of connections that do not get it.
            timeout: How many seconds the call may take. Default: the client's.

        Raises:
            InvalidArgumentError: The message cannot be sent (``invalid_message``), or another argument is wrong.
            ConfigurationError: The endpoint is plain http on another machine (``insecure_endpoint``).
            DeadlineExceededError: The time ran out; the message may have been delivered.
            ServiceError: The service refused it, failed, or could not be reached; see ``code`` and ``hint``.
            ClientClosedError: The client is closed.
        """
        self._native.send_to_all(target, arguments, excluded, timeout)

    def add_user_to_group(
        self, user_id: str, group: str, *, ttl: timedelta | None = None, timeout: float | None = None
    ) -> None:
        """Let a user be in a group: with the connections that it has, and with those that it will make.

        A token of Azure SignalR Service cannot say in which groups its client is; this can, before or after the client
        connects (REST API 2024-12-01, ``PUT /api/hubs/{hub}/users/{user}/groups/{group}``).

        Args:
            user_id: The user, as text: the id that ``negotiate`` was given.
            group: The group's name: 1 to 1,024 characters, of which case matters.
            ttl: For how long connections that the user makes join the group, in whole seconds. Zero: those that it has
                now, and no other. Default: as long as the service remembers, which is a year.
            timeout: How many seconds the call may take. Default: the client's.

        Raises:
            InvalidArgumentError: An argument cannot be used (``invalid_user_id``, ``invalid_group``).
            PermissionMissingError: The identity lacks the role *SignalR REST API Owner*.
            DeadlineExceededError: The time ran out.
            ServiceError: The service refused it, failed, or could not be reached; see ``code`` and ``hint``.
            ClientClosedError: The client is closed.
        """
        self._native.add_user_to_group(user_id, group, ttl, timeout)

    def warm_up(self, timeout: float | None = None) -> None:
        """Get a key now, so that the first ``negotiate`` does not wait. With an access key there is nothing to get.

        Args:
            timeout: How many seconds it may take. Default: the client's.

        Raises:
            ServiceError: There is no key to be had, as in :meth:`negotiate`.
            DeadlineExceededError: The time ran out.
            ClientClosedError: The client is closed.
        """
        self._native.warm_up(timeout)

    def invalidate_key(self, kid: str) -> bool:
        """Say that the temporary key with this name is dead, so that it signs no more.

        The service never tells this process that a key was revoked; it tells the client, which is refused with "The
        signature key was not found". The key before it signs meanwhile, if it is young enough, and the next call begins
        to fetch another. A name that is not in hand is ignored, and so are reports that would force more than one fetch
        a minute.

        Args:
            kid: The name of the key: ``answer.kid``, or ``kid`` in the header of the refused token.

        Returns:
            Whether a key was dropped.

        Raises:
            ClientClosedError: The client is closed.
        """
        return self._native.invalidate_key(kid)
