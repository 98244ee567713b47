"""What `az account get-access-token` and `azd auth token` print, decided here and printed by the programs.

The forms are those that azure-identity reads, and that users show in public issues: Azure/azure-cli 25108 for a
session that has expired, Azure/azure-dev 7700 for the errors of `azd`.
"""

from __future__ import annotations

import argparse
import hmac
import json
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timezone
from typing import NoReturn

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from hubpass.emulator.control_orders import OrderError, read_order, refusal, texts
from hubpass.emulator.developer_tools import SECRET_HEADER, Tool, ToolMode
from hubpass.emulator.entra_errors import EntraError, described
from hubpass.emulator.interception import call_of
from hubpass.emulator.resources import check_resource, requested_resource
from hubpass.emulator.routes import Match
from hubpass.emulator.service import Service

if sys.version_info >= (3, 12):
    from typing import override
else:
    from typing_extensions import override

_LIFETIME = 3599
_MANAGEMENT = "https://management.core.windows.net/"
_WARNING = "WARNING: You have 2 update(s) available. Consider updating your CLI installation."
_INACTIVE_DAYS = 90
_DAY = 24 * 3600
_USAGE_ERROR = 2


@dataclass(frozen=True)
class _Printed:
    """What a run of the program leaves behind."""

    stdout: str = ""
    stderr: str = ""
    exit_code: int = 0


class _ToolError(Exception):
    """The program fails with this text and this exit code."""

    def __init__(self, text: str, exit_code: int = 1) -> None:
        super().__init__(text)
        self.text, self.exit_code = text, exit_code


class _Arguments(argparse.ArgumentParser):
    @override
    def error(self, message: str) -> NoReturn:
        """Fail as the program does instead of ending this process."""
        raise _ToolError(message, _USAGE_ERROR)


async def run_az(service: Service, request: Request, _: Match) -> Response:
    """One run of `az`."""
    return await _run(service, request, "az")


async def run_azd(service: Service, request: Request, _: Match) -> Response:
    """One run of `azd`."""
    return await _run(service, request, "azd")


async def _run(service: Service, request: Request, tool: Tool) -> Response:
    call = call_of(request.scope)
    given = request.headers.get(SECRET_HEADER, "")
    if not hmac.compare_digest(given.encode(), service.identity.tools.secret.encode()):
        call.action, call.reason = "refused", f"the header {SECRET_HEADER} is missing or wrong"
        return Response(status_code=401)
    try:
        arguments = texts(await read_order(request, "arguments"), "arguments")
    except OrderError as error:
        call.action, call.reason = "refused", error.message
        return refusal(error.message, error.status)
    mode = service.identity.tools.modes[tool]
    try:
        printed = _printed(service, request, tool, mode, arguments)
    except _ToolError as error:
        call.action, call.reason = "refused", error.text
        text = error.text if tool == "azd" and error.exit_code == 1 else f"ERROR: {error.text}"
        printed = _Printed(stderr=f"{text}\n", exit_code=error.exit_code)
    return JSONResponse({"stdout": printed.stdout, "stderr": printed.stderr, "exit_code": printed.exit_code})


def _printed(service: Service, request: Request, tool: Tool, mode: ToolMode, arguments: Sequence[str]) -> _Printed:
    resource, tenant_id, subscription = _az_order(arguments) if tool == "az" else _azd_order(arguments)
    directory, developer = service.directory, service.directory.developer
    if mode == "signed_out":
        raise _signed_out(tool)
    try:
        if mode == "session_expired":
            raise _expired(service.clock.now())
        audience = resource if tool == "az" and not resource.endswith("/.default") else requested_resource(resource)
        _check_tenant(service, tenant_id)
        check_resource(directory, developer.tenant_id, audience)
    except EntraError as error:
        raise _failed(service, tool, error, resource) from None
    if subscription not in {None, directory.subscription_id}:
        raise _ToolError(f"Subscription '{subscription}' not found. Check the spelling and casing and try again.")
    call = call_of(request.scope)
    call.object_id, call.action = developer.object_id, f"token for {audience}"
    if mode == "garbage":
        return _Printed("this is no JSON\n")
    now = service.clock.now()
    lifetime = _LIFETIME if service.token_lifetime is None else service.token_lifetime
    token = service.issuer.issue(developer, audience, now, lifetime)
    expires = int(now) + lifetime
    content = _az_content(service, token, expires) if tool == "az" else _azd_content(token, expires)
    output = json.dumps(content, indent=2) + "\n"
    if mode == "warning_in_output":
        return _Printed(f"{_WARNING}\n{output}")
    return _Printed(output, f"{_WARNING}\n" if mode == "warning" else "")


def _az_order(arguments: Sequence[str]) -> tuple[str, str | None, str | None]:
    """Resource or scope, tenant and subscription of a run of `az`."""
    parser = _Arguments(prog="az", add_help=False, allow_abbrev=False)
    parser.add_argument("command", nargs=2)
    parser.add_argument("--output", "-o", choices=["json"], default="json")
    what = parser.add_mutually_exclusive_group()
    what.add_argument("--resource", default=None)
    what.add_argument("--scope", nargs="+", default=None)
    parser.add_argument("--tenant", "-t", default=None)
    parser.add_argument("--subscription", "-s", default=None)
    given = parser.parse_args(list(arguments))
    if given.command != ["account", "get-access-token"]:
        parser.error(f"'{' '.join(given.command)}' is misspelled or not recognized by the system.")
    scope = " ".join(given.scope) if given.scope else None
    return given.resource or scope or _MANAGEMENT, given.tenant, given.subscription


def _azd_order(arguments: Sequence[str]) -> tuple[str, str | None, None]:
    """Scope and tenant of a run of `azd`."""
    parser = _Arguments(prog="azd", add_help=False, allow_abbrev=False)
    parser.add_argument("command", nargs=2)
    parser.add_argument("--output", "-o", choices=["json"], required=True)
    parser.add_argument("--scope", action="append", default=None)
    parser.add_argument("--tenant-id", default=None)
    parser.add_argument("--claims", default=None)
    parser.add_argument("--no-prompt", action="store_true")
    given = parser.parse_args(list(arguments))
    if given.command != ["auth", "token"]:
        parser.error(f'unknown command "{" ".join(given.command)}" for "azd"')
    return " ".join(given.scope or [f"{_MANAGEMENT}/.default"]), given.tenant_id, None


def _check_tenant(service: Service, tenant_id: str | None) -> None:
    """Refuse a tenant that does not exist, or that the developer is not a member of."""
    developer = service.directory.developer
    if tenant_id is None or tenant_id.lower() == developer.tenant_id:
        return
    if not service.directory.has_tenant(tenant_id):
        raise EntraError("invalid_tenant", 90002, f"Tenant '{tenant_id}' not found.")
    raise EntraError(
        "invalid_grant",
        50020,
        f"User account '{developer.user_name}' does not exist in tenant '{tenant_id}' and cannot access the "
        f"application '{developer.client_id}' in that tenant.",
    )


def _expired(now: float) -> EntraError:
    issued = datetime.fromtimestamp(now - (_INACTIVE_DAYS + 1) * _DAY, timezone.utc)
    return EntraError(
        "invalid_grant",
        700082,
        "The refresh token has expired due to inactivity. The token was issued on "
        f"{issued:%Y-%m-%dT%H:%M:%S}.0000000Z and was inactive for {_INACTIVE_DAYS}.00:00:00.",
    )


def _signed_out(tool: Tool) -> _ToolError:
    if tool == "az":
        return _ToolError("Please run 'az login' to setup account.")
    return _azd_error("fetching token: not logged in, run `azd auth login` to login")


def _failed(service: Service, tool: Tool, error: EntraError, resource: str) -> _ToolError:
    description = described(error, service.clock.now(), service.redactor)["error_description"]
    if tool == "azd":
        return _azd_error(f"fetching token: failed to authenticate:\n({error.error}) {description}\n")
    scope = resource if resource.endswith("/.default") else f"{resource}/.default"
    return _ToolError(
        f"{description}\nInteractive authentication is needed. Please run:\naz login --scope {scope}",
    )


def _azd_error(text: str) -> _ToolError:
    content = {
        "error": text,
        "message": "Authentication with Azure failed.",
        "suggestion": "Run 'azd auth login' to sign in again.",
    }
    return _ToolError(json.dumps(content))


def _az_content(service: Service, token: str, expires: int) -> dict[str, object]:
    return {
        "accessToken": token,
        # Local time without a zone, which is why newer clients read the field after it.
        "expiresOn": f"{datetime.fromtimestamp(expires, timezone.utc).astimezone():%Y-%m-%d %H:%M:%S.%f}",
        "expires_on": expires,
        "subscription": service.directory.subscription_id,
        "tenant": service.directory.developer.tenant_id,
        "tokenType": "Bearer",
    }


def _azd_content(token: str, expires: int) -> dict[str, object]:
    return {"token": token, "expiresOn": f"{datetime.fromtimestamp(expires, timezone.utc):%Y-%m-%dT%H:%M:%SZ}"}
