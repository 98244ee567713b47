"""What a mounted route does with a request, whatever the framework: the same steps in the same order everywhere.

Screen (method, origin, size), authorize (the framework's part), decide what the answer of ``authorize`` means,
negotiate.
"""

from __future__ import annotations

import json
import logging
import math
import secrets
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import timedelta
from typing import Any, NamedTuple, TypeAlias, cast

from hubpass.exceptions import HubpassError, InvalidArgumentError, TokenTooLongError
from hubpass.grants import ANONYMOUS, Forbidden, Grant
from hubpass.integrations._origins import PREFLIGHT_SECONDS, Origins
from hubpass.integrations._services import AnyClient, checked_client, group_calls, negotiation

log = logging.getLogger("hubpass.integrations")

Headers: TypeAlias = tuple[tuple[str, str], ...]
GetHeader: TypeAlias = Callable[[str], "str | None"]

NEGOTIATE = "/negotiate"
OTHER_METHODS = ("GET", "HEAD", "PUT", "PATCH", "DELETE")
# The body of a negotiation is empty. What a proxy or a curious client adds is not read, and much of it is refused.
_BODY_MAX = 64 * 1024
# Seconds. A client that is told nothing comes back at once; one that is told an hour has gone for good.
_RETRY_AFTER_DEFAULT, _RETRY_AFTER_MAX = 5, 300
_NO_STORE: Headers = (("Cache-Control", "no-store"),)


class Reply(NamedTuple):
    """An answer before any framework has seen it."""

    status: int
    body: bytes
    headers: Headers = ()


class Plan(NamedTuple):
    """What has to be called to answer a grant: in order, first what comes before the negotiation."""

    grant: object
    before: Sequence[Callable[[], Any]]
    negotiate: Callable[[], Any]


class Mount:
    """One place at which an application negotiates, with the keywords that every framework's function takes.

    `asynchronous` says which kind of client the framework can use; `None` is either.
    """

    def __init__(
        self,
        client: AnyClient | Callable[[], AnyClient],
        path: str,
        *,
        authorize: object,
        hubs: Iterable[str] | None,
        allow_origins: Iterable[str] | None,
        allow_headers: Iterable[str],
        groups_ttl: timedelta | None,
        asynchronous: bool | None,
    ) -> None:
        if authorize is not ANONYMOUS and not callable(authorize):
            raise InvalidArgumentError(
                "The argument authorize is neither a function nor hubpass.ANONYMOUS.",
                code="invalid_argument",
                hint="Pass authorize= with a function that returns a user id, a hubpass.Grant or None. To let "
                "everybody in, pass authorize=hubpass.ANONYMOUS.",
            )
        self.path = _checked_path(path, has_hubs=hubs is not None)
        self.authorize = authorize
        self.groups_ttl = groups_ttl
        self.origins = None if allow_origins is None else Origins(allow_origins, allow_headers)
        self._hubs = None if hubs is None else _checked_hubs(hubs)
        self._asynchronous = asynchronous
        self._make: Callable[[], object] | None = None
        self._client: AnyClient | None = None
        self._by_hub: dict[str, AnyClient] = {}
        if callable(client):
            self._make = client
        else:
            self._take(client)

    def _take(self, made: object) -> AnyClient:
        client = checked_client(made, self._asynchronous)
        self._by_hub = {hub.lower(): client.for_hub(hub) for hub in self._hubs or ()}
        self._client = client
        return client

    @property
    def client(self) -> AnyClient:
        """The client; made now if the application gave a function that makes it."""
        if self._client is not None or self._make is None:
            return cast("AnyClient", self._client)
        # Two threads that meet here make two clients, of which the second is used.
        return self._take(self._make())

    def forget_client(self) -> AnyClient | None:
        """The client that this mount has made and whoever calls has to close; an application closes its own."""
        if self._make is None or self._client is None:
            return None
        client, self._client, self._by_hub = self._client, None, {}
        return client

    def client_for(self, hub: str | None) -> AnyClient | Reply:
        """The client of the hub in the path, or the answer if there is no such hub here."""
        client = self.client
        if self._hubs is None:
            return client
        found = self._by_hub.get((hub or "").lower())
        return found or problem(404, "hub_not_found", "There is no such hub here.")

    def screen(self, method: str, header: GetHeader) -> Reply | None:
        """The answer to a request that does not get as far as ``authorize``; None if it may go on."""
        if self.origins is not None and self._is_foreign(self.origins, header):
            log.warning(
                "A negotiation from another site was refused. If it is one of yours, add it to allow_origins= of %s.",
                self.path or "/",
            )
            return problem(403, "origin_not_allowed", "This site may not negotiate here.")
        if method == "OPTIONS" and self.origins is not None:
            return self._preflight(self.origins)
        if method != "POST":
            reply = problem(405, "method_not_allowed", "A negotiation is a POST.")
            return reply._replace(headers=(("Allow", "POST" if self.origins is None else "POST, OPTIONS"),))
        length = header("content-length")
        if length and (not length.isdecimal() or int(length) > _BODY_MAX):
            return problem(413, "request_too_large", "A negotiation has no body.")
        return None

    def _is_foreign(self, origins: Origins, header: GetHeader) -> bool:
        origin = header("origin")
        if origin is None or origins.allows(origin):
            return False
        # The page's own origin needs no permission. Only browsers write this header, and no page can (Fetch Metadata).
        return header("sec-fetch-site") != "same-origin"

    def _preflight(self, origins: Origins) -> Reply:
        return Reply(
            204,
            b"",
            (
                ("Access-Control-Allow-Methods", "POST"),
                ("Access-Control-Allow-Headers", ", ".join(origins.headers)),
                ("Access-Control-Max-Age", str(PREFLIGHT_SECONDS)),
            ),
        )

    def common_headers(self, header: GetHeader) -> Headers:
        """What every answer of this mount carries, errors included."""
        if self.origins is None:
            return _NO_STORE
        headers = (*_NO_STORE, ("Vary", "Origin"))
        origin = header("origin")
        if origin is not None and self.origins.allows(origin):
            headers += (("Access-Control-Allow-Origin", origin), ("Access-Control-Allow-Credentials", "true"))
        return headers

    def doubled(self) -> Reply:
        """The answer to a path that ends with ``/negotiate`` twice."""
        log.warning(
            "A client asked for %s/negotiate/negotiate: it adds /negotiate itself. Give it the URL %s.",
            self.path,
            self.path or "/",
        )
        return problem(
            404, "negotiate_twice", "The client adds /negotiate itself: leave it out of the URL it is given."
        )

    def plan(self, authorized: object, hub: str | None) -> Plan | Reply:
        """The calls that answer a request which ``authorize`` has seen, or the answer if there is nothing to call.

        For ANONYMOUS, `authorized` is ANONYMOUS itself.
        """
        client = self.client_for(hub)
        if isinstance(client, Reply):
            return client
        grant = self._grant(authorized)
        if isinstance(grant, Reply):
            return grant
        try:
            before = group_calls(client, grant, self.groups_ttl) if isinstance(grant, Grant) else ()
            return Plan(grant, before, negotiation(client, grant))
        except InvalidArgumentError as error:
            return _failure(error, grant)

    def _grant(self, authorized: object) -> object:
        if isinstance(authorized, Grant) or (authorized is ANONYMOUS and self.authorize is ANONYMOUS):
            return authorized
        if authorized is None:
            return problem(401, "not_signed_in", "Nobody is signed in.")
        if isinstance(authorized, str) and authorized.strip():
            return Grant(authorized)
        what = "an empty text" if isinstance(authorized, str) else f"an object of the type {type(authorized).__name__}"
        return _broken(
            f"authorize of {self.path or '/'} returned {what}.",
            "Return a user id as a text that is not empty, hubpass.Grant(user_id, ...), or None for 401.",
        )

    def forbidden(self, refusal: Forbidden) -> Reply:
        """The answer to a user who may not connect."""
        log.info("authorize of %s raised hubpass.Forbidden: %s", self.path or "/", refusal)
        return problem(403, "forbidden", "This user may not connect.")


JSON: Headers = (("Content-Type", "application/json"),)


def problem(status: int, code: str, message: str, **more: str) -> Reply:
    """An answer that says what is wrong: to a program by its code, to a person by its message."""
    return Reply(status, json.dumps({"error": {"code": code, "message": message, **more}}).encode(), JSON)


def run(plan: Plan | Reply) -> Reply:
    """Carry out a plan with a sync client."""
    if isinstance(plan, Reply):
        return plan
    try:
        for call in plan.before:
            call()
        return _answer(plan.negotiate())
    except HubpassError as error:
        return _failure(error, plan.grant)


async def run_async(plan: Plan | Reply) -> Reply:
    """Carry out a plan with an async client."""
    if isinstance(plan, Reply):
        return plan
    try:
        for call in plan.before:
            await call()
        return _answer(await plan.negotiate())
    except HubpassError as error:
        return _failure(error, plan.grant)


def _answer(answer: Mapping[str, str]) -> Reply:
    return Reply(200, json.dumps(answer).encode(), JSON)


def _failure(error: HubpassError, grant: object) -> Reply:
    if isinstance(error, TokenTooLongError):
        log.error("A negotiation was refused with 413: %s", error)
        return problem(413, error.code, error.message)
    expires_on = grant.expires_on if isinstance(grant, Grant) else None
    if error.code == "invalid_authentication_expires_on" and getattr(expires_on, "tzinfo", None) is not None:
        return problem(401, "session_expired", "The user's session has ended.")
    if isinstance(error, InvalidArgumentError):
        return _broken(f"authorize gave a grant that cannot be used: {error.message}", error.hint)
    wait = _RETRY_AFTER_DEFAULT if error.retry_after is None else math.ceil(error.retry_after)
    number = secrets.token_hex(8)
    log.error("A negotiation was answered with 503 (error %s, %s): %s", number, error.code, error)
    reply = problem(503, "unavailable", "Try again later.", id=number)
    return reply._replace(headers=(*JSON, ("Retry-After", str(min(max(wait, 1), _RETRY_AFTER_MAX)))))


def _broken(message: str, hint: str) -> Reply:
    """The answer where the application is at fault, which only its log is told of."""
    number = secrets.token_hex(8)
    log.error("A negotiation was answered with 500 (error %s): %s %s", number, message, hint)
    return problem(500, "misconfigured", "The application cannot negotiate.", id=number)


def _checked_hubs(hubs: Iterable[str]) -> tuple[str, ...]:
    names = () if isinstance(hubs, str) else tuple(hubs)
    if names and all(isinstance(name, str) for name in names):
        return names
    raise InvalidArgumentError(
        "The argument hubs is not a set of hub names.",
        code="invalid_argument",
        hint='Pass hubs={"chat", "news"}, or leave it out: the hub is then that of the client.',
    )


def _checked_path(path: object, *, has_hubs: bool) -> str:
    if not isinstance(path, str) or (path and not path.startswith("/")) or "?" in path or "#" in path:
        raise _not_a_path("The path of a mount does not begin with a slash.", "/chat")
    cut = path.rstrip("/")
    if cut.endswith(NEGOTIATE):
        raise _not_a_path("The path of a mount ends with /negotiate, which is added to it.", cut[: -len(NEGOTIATE)])
    if has_hubs and cut.count("{hub}") != 1:
        raise _not_a_path("The argument hubs needs a path with {hub} in it.", "/{hub}")
    if not has_hubs and "{" in cut:
        raise _not_a_path(
            "The path of a mount has a placeholder, and no hubs to fill it with.",
            '/{hub}", hubs={"chat", "news"}, path="',
        )
    return cut


def _not_a_path(message: str, example: str) -> InvalidArgumentError:
    return InvalidArgumentError(message, code="invalid_argument", hint=f'Pass path="{example}".')
