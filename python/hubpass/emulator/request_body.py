"""Reads the content of requests, up to a limit."""

from __future__ import annotations

from starlette.requests import ClientDisconnect, Request

# A client that is still writing would see a reset instead of the answer, so this much more is read and
# dropped.
_MOST_DISCARDED_BYTES = 16 * 1024 * 1024


class BodyTooLongError(Exception):
    """The content has more bytes than are allowed."""


class BodyEndedError(Exception):
    """The client went away before the content was complete."""


async def read_body(request: Request, limit: int) -> bytes:
    """The whole content; raises `BodyTooLongError` for more than `limit` bytes, or `BodyEndedError`."""
    body = bytearray()
    total = 0
    try:
        async for chunk in request.stream():
            total += len(chunk)
            if total <= limit:
                body += chunk
            elif total > _MOST_DISCARDED_BYTES:
                break
    except ClientDisconnect:
        raise BodyEndedError from None
    if total > limit:
        raise BodyTooLongError
    return bytes(body)
