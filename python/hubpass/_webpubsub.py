"""The sync client of Azure Web PubSub."""

from __future__ import annotations

from hubpass._lifetime import SyncLifetime
from hubpass._webpubsub_base import WebPubSubServiceClientBase
from hubpass.models import DEFAULT_LIFETIME

# Type checkers know the name; to import it from `typing` would double the time that the package takes to import.
TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from datetime import timedelta
    from typing import Literal, overload

    from typing_extensions import Unpack

    from hubpass._annotations import ClientProtocol, WebPubSubNegotiateOptions
    from hubpass.models import ClientAccessToken, WebPubSubNegotiationResponse


class WebPubSubServiceClient(WebPubSubServiceClientBase, SyncLifetime):
    """Lets clients into a hub of Azure Web PubSub.

    Make one for each process and share it between threads; making it does no I/O and starts no thread.

    Args:
        endpoint: The service's address, such as ``https://<resource>.webpubsub.azure.com``.
        hub: The hub's name: a letter, then up to 127 letters, digits and ``_ ` , . [ ]``. Its case is kept.
        credential: What proves to the service who we are. ``AzureKeyCredential`` of azure-core, or any object with the
            access key as ``key``, signs tokens here; a key replaced by ``update()`` is used from the next call on. Or a
            credential of azure-identity such as ``DefaultAzureCredential()``, or any object with azure-core's
            ``get_token`` or ``get_token_info``: the service then signs each token, and no shared key exists anywhere.
            Default: :class:`hubpass.identity.DefaultAzureCredential`, whatever identity the machine offers.
        client_endpoint: Where clients connect if that is not ``endpoint`` (a reverse proxy).
        server_endpoint: Where this client sends its requests if that is not ``endpoint``.
        scope: The scope of the Entra token. Default: ``https://webpubsub.azure.com/.default``.
        ca_file: A PEM file of certificates to trust beside the system's, for networks that inspect TLS.
        timeout: How many seconds a call may take that needs the network, from the credential to the answer. Default:
            10.
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
        def negotiate(
            self, user_id: str, **options: Unpack[WebPubSubNegotiateOptions]
        ) -> WebPubSubNegotiationResponse: ...

        @overload
        def negotiate(
            self, *, anonymous: Literal[True], **options: Unpack[WebPubSubNegotiateOptions]
        ) -> WebPubSubNegotiationResponse: ...

    def negotiate(
        self,
        user_id: str | None = None,
        *,
        anonymous: bool = False,
        roles: Iterable[str] | None = (),
        groups: Iterable[str] | None = (),
        lifetime: timedelta = DEFAULT_LIFETIME,
        client_protocol: ClientProtocol = "Default",
        timeout: float | None = None,
    ) -> WebPubSubNegotiationResponse:
        """Say where a client connects, with the token that lets it in: the answer to its negotiate request.

        Pass a user id, or ``anonymous=True``: nothing else counts as identity, and nothing falls back to anonymous.
        With an access key this is pure computation, which needs no network and never waits. With Entra each call is a
        request to the service (``POST /api/hubs/{hub}/:generateToken`` of the REST API 2024-12-01), at most 32 at a
        time; a call that waits for its turn waits within its ``timeout``.

        Args:
            user_id: Who connects, as text: ``str(user.id)``. It becomes the claim ``sub``.
            anonymous: ``True`` lets a client in that has no user id.
            roles: What the client may do by itself, such as ``webpubsub.joinLeaveGroup.<group>`` and
                ``webpubsub.sendToGroup.<group>``, or both without a group ("Permissions" of the service's
                documentation of its JSON subprotocol). Without any it may only send events to the server.
            groups: The groups that the client is in from the start; it needs no role for them.
            lifetime: How long the token may be used to connect, from 1 minute to 24 hours. Default: 1 hour. With Entra
                it is rounded down to whole minutes. A client that is connected by then stays connected.
            client_protocol: ``"Default"``, ``"MQTT"`` or ``"SocketIO"``; case does not matter.
            timeout: How many seconds the call may take if it needs the network. Default: the client's.

        Returns:
            A ``dict`` with ``url``, ready to be returned as JSON.

        Raises:
            InvalidArgumentError: An argument cannot be used; ``code`` and ``hint`` say which and how to mend it.
            TokenTooLongError: The token would exceed 4,096 characters, or with Entra the URL of the request 8,000; the
                hint names the largest parts.
            ServiceError: No Entra token could be had, or the service refused or failed: see ``code``, ``hint`` and
                ``retry_after``.
            PermissionMissingError: The identity lacks the role *Web PubSub Service Owner*.
            DeadlineExceededError: The time ran out.
            ClientClosedError: The client is closed.
        """
        return self._native.negotiate(user_id, anonymous, roles, groups, lifetime, client_protocol, timeout)

    def get_client_access_token(
        self,
        *,
        client_protocol: ClientProtocol = "Default",
        user_id: str | None = None,
        roles: Iterable[str] | None = None,
        minutes_to_expire: int = 60,
        groups: Iterable[str] | None = None,
        jwt_headers: Mapping[str, object] | None = None,
        timeout: float | None = None,
    ) -> ClientAccessToken:
        """Give a token for a client, as the method of this name in Microsoft's SDK does (version 1.3).

        For programs that were written for that SDK. Without a user id the client is anonymous; :meth:`negotiate` asks
        for a decision. What the other method lets pass in silence and this one refuses is listed in
        ``docs/web-pubsub.md``.

        Args:
            client_protocol: As in :meth:`negotiate`.
            user_id: Who connects, as text. Default: nobody in particular.
            roles: As in :meth:`negotiate`.
            minutes_to_expire: How many minutes the token may be used to connect: an int from 1 on. Default: 60.
            groups: As in :meth:`negotiate`.
            jwt_headers: Headers for the token beside ``alg``, such as ``kid``. Only with an access key: otherwise the
                service signs.
            timeout: As in :meth:`negotiate`.

        Returns:
            A ``dict`` with ``baseUrl`` (where the client connects), ``token``, and ``url`` (both in one).

        Raises:
            InvalidArgumentError: As in :meth:`negotiate`.
            TokenTooLongError: As in :meth:`negotiate`.
            ServiceError: As in :meth:`negotiate`.
            PermissionMissingError: As in :meth:`negotiate`.
            DeadlineExceededError: As in :meth:`negotiate`.
            ClientClosedError: As in :meth:`negotiate`.
        """
        return self._native.get_client_access_token(
            client_protocol, user_id, roles, minutes_to_expire, groups, jwt_headers, timeout
        )

    def warm_up(self, timeout: float | None = None) -> None:
        """Make sure that clients can be let in: with Entra, get a token and have the service sign once.

        The first user then finds a token and an open connection, and a role that is missing is told at the start. The
        token that the service signs is for nobody, lives a minute and is thrown away. With an access key there is
        nothing to do.

        Args:
            timeout: How many seconds it may take. Default: the client's.

        Raises:
            ServiceError: As in :meth:`negotiate`.
            PermissionMissingError: As in :meth:`negotiate`.
            DeadlineExceededError: The time ran out.
            ClientClosedError: The client is closed.
        """
        self._native.warm_up(timeout)
