"""Errors as Entra answers them: the OAuth 2.0 error, and Entra's own number and text for it.

Sources: "Microsoft Entra authentication and authorization error codes" of Microsoft's documentation and, for the
numbers and statuses that it lacks, answers that users show in public issues: AADSTS700024 (AzureAD
microsoft-authentication-library-for-dotnet 4951), AADSTS700213 (Azure/azure-workload-identity 1200), AADSTS700212 and
AADSTS5002723 (the recorded answers in the tests of Microsoft's own clients).
"""

from __future__ import annotations

import uuid
from collections import deque
from datetime import datetime, timezone

from starlette.requests import Request
from starlette.responses import JSONResponse

from hubpass.emulator.redaction import Redactor

# Refusals that nothing here causes by itself; the control API orders them.
ON_ORDER: dict[int, tuple[str, int, str]] = {
    50196: (
        "invalid_grant",
        400,
        "The server terminated an operation because it encountered a client request loop.",
    ),
    53003: (
        "invalid_grant",
        400,
        "Access has been blocked by Conditional Access policies. The access policy does not allow token issuance.",
    ),
    530003: ("invalid_grant", 400, "Your device is required to be managed to access this resource."),
    7000112: ("unauthorized_client", 400, "The application is disabled."),
}


class EntraError(Exception):
    """An error answer of the token endpoint; the text is written to the journal as well."""

    def __init__(self, error: str, number: int, text: str, status: int = 400) -> None:
        super().__init__(text)
        self.error, self.number, self.text, self.status = error, number, text, status

    def __str__(self) -> str:
        """The number and the text, as the answer begins."""
        return f"AADSTS{self.number}: {self.text}"


class RefusalsOnOrder:
    """Refusals that the next requests for a token get, in the order in which they were ordered."""

    def __init__(self) -> None:
        self._numbers: deque[int] = deque()

    def add(self, number: int, times: int) -> None:
        """Refuse the next `times` requests; raises `KeyError` for a number that is not `ON_ORDER`."""
        _ = ON_ORDER[number]
        self._numbers.extend([number] * times)

    def clear(self) -> None:
        """Forget those that are left."""
        self._numbers.clear()

    def check(self) -> None:
        """Raise the next one, if there is one."""
        if self._numbers:
            number = self._numbers.popleft()
            error, status, text = ON_ORDER[number]
            raise EntraError(error, number, text, status)


def described(error: EntraError, now: float, redactor: Redactor, correlation_id: str = "") -> dict[str, object]:
    """The JSON of an error answer. `now` is in Unix seconds; without a GUID for `correlation_id` there is a new one."""
    trace_id = str(uuid.uuid4())
    moment = datetime.fromtimestamp(now, timezone.utc).strftime("%Y-%m-%d %H:%M:%SZ")
    try:
        correlation_id = str(uuid.UUID(correlation_id))
    except ValueError:
        correlation_id = str(uuid.uuid4())
    return {
        "error": error.error,
        "error_description": (
            f"AADSTS{error.number}: {redactor.text(error.text)} Trace ID: {trace_id} "
            f"Correlation ID: {correlation_id} Timestamp: {moment}"
        ),
        "error_codes": [error.number],
        "timestamp": moment,
        "trace_id": trace_id,
        "correlation_id": correlation_id,
    }


def error_answer(request: Request, error: EntraError, now: float, redactor: Redactor, authority: str) -> JSONResponse:
    """The answer of the token endpoint."""
    content = described(error, now, redactor, request.headers.get("client-request-id", ""))
    return JSONResponse(
        {**content, "error_uri": f"{authority}/error?code={error.number}"},
        status_code=error.status,
        headers={"cache-control": "no-store, no-cache", "pragma": "no-cache"},
    )
