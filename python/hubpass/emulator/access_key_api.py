"""`GET /api/v1/auth/accessKey`: an Entra token buys the temporary access key.

Source: `AadAccessKey` of the public SDK (Azure/azure-signalr) for the request and the answer; the versioned
twin stands in the public REST specification since 2023-07-01.
"""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from hubpass.emulator.authentication import entra_caller, single_query_value
from hubpass.emulator.interception import call_of
from hubpass.emulator.rest_errors import check_api_version
from hubpass.emulator.routes import Match
from hubpass.emulator.service import Service

_API_VERSIONS = ("2023-07-01", "2024-12-01")


async def give_access_key(service: Service, request: Request, match: Match) -> Response:
    """The current temporary key for an identity that may have it; the answer says nothing about its age."""
    entra_caller(service, request, match)
    if "versioned" in match.parameters:
        check_api_version(single_query_value(request, "api-version", required=False), _API_VERSIONS)
    key = service.temporary_keys.current()
    call_of(request.scope).kid = key.kid
    return JSONResponse({"KeyId": key.kid, "AccessKey": key.secret})
