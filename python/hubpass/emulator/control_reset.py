"""Puts everything back that orders and calls have changed, so that one local Azure serves many tests."""

from __future__ import annotations

from dataclasses import dataclass, field

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from hubpass.emulator.access_keys import KeyName
from hubpass.emulator.connections import CloseOrder
from hubpass.emulator.control_orders import order_route, read_order
from hubpass.emulator.permissions import PermissionsSnapshot
from hubpass.emulator.service import Service, ServiceMode, log

_REASON = "The local Azure was reset."


@dataclass(frozen=True)
class _Baseline:
    """What the command line had decided."""

    service_mode: ServiceMode
    key_life: float
    key_issue_for: float
    permissions: PermissionsSnapshot
    keys: dict[KeyName, str] = field(repr=False)
    web_pubsub_keys: dict[KeyName, str] = field(repr=False)
    local_auth_disabled: bool
    network_denied: bool
    token_lifetime: int | None

    @classmethod
    def of(cls, service: Service) -> _Baseline:
        return cls(
            service.service_mode,
            service.temporary_keys.life,
            service.temporary_keys.issue_for,
            service.permissions.snapshot(),
            service.keys.snapshot(),
            service.web_pubsub.keys.snapshot(),
            service.local_auth_disabled,
            service.network_denied,
            service.token_lifetime,
        )


def reset_routes(service: Service) -> list[Route]:
    """The route for the control port. What counts as the beginning is how the service is now."""
    baseline = _Baseline.of(service)

    async def reset(request: Request) -> Response:
        await read_order(request)
        _put_back(service, baseline)
        return JSONResponse({"reset": True})

    return [order_route("/reset", "POST", reset)]


def _put_back(service: Service, baseline: _Baseline) -> None:
    # What is under way now ends later, and is no business of whoever reads the journal then.
    service.journal.begin_era()
    service.faults.clear()
    service.faults.release(None)
    for connection in service.connections.all():
        connection.close(CloseOrder(_REASON))
        # Whoever asks for the connections next must not see one that is about to end.
        service.connections.retire(connection)
    service.connections.user_groups.clear()
    for web_pubsub in service.web_pubsub.connections.known():
        service.web_pubsub.connections.close(web_pubsub, _REASON)
    service.service_mode = baseline.service_mode
    service.local_auth_disabled = baseline.local_auth_disabled
    service.network_denied = baseline.network_denied
    service.token_lifetime = baseline.token_lifetime
    service.identity.reset()
    service.directory.reset()
    service.permissions.restore(baseline.permissions)
    service.keys.restore(baseline.keys)
    service.web_pubsub.keys.restore(baseline.web_pubsub_keys)
    service.temporary_keys.set_policy(baseline.key_life, baseline.key_issue_for)
    service.clock.reset()
    # A key that was made while the clock was ahead would be given out for longer than others.
    service.temporary_keys.revoke(None)
    log.info("Everything was put back.")
