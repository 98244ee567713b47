"""How the control API reads its orders: a JSON object with known fields, or a refusal that says why."""

from __future__ import annotations

import json
import math
from collections.abc import Awaitable, Callable
from typing import Any, cast

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from hubpass.emulator.control_answer import ControlAnswer

_MAX_BODY_BYTES = 1024 * 1024

Handler = Callable[[Request], Awaitable[Response]]


class OrderError(Exception):
    """An order that makes no sense; `status` is that of the answer."""

    def __init__(self, message: str, status: int = 400) -> None:
        super().__init__(message)
        self.message, self.status = message, status


def order_route(path: str, method: str, handler: Handler) -> Route:
    """A route whose handler may raise `OrderError`."""

    async def serve(request: Request) -> Response:
        try:
            return await handler(request)
        except OrderError as error:
            return refusal(error.message, error.status)

    return Route(path, serve, methods=[method])


def refusal(message: str, status: int) -> ControlAnswer:
    """The answer to a refused order."""
    return ControlAnswer({"error": message}, status_code=status)


async def read_order(request: Request, *known: str) -> dict[str, Any]:
    """The JSON object of the request; without `known` names the caller checks the fields itself."""
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > _MAX_BODY_BYTES:
            raise OrderError("the body is too large", 413)
    try:
        order = json.loads(bytes(body) or b"{}")
    except ValueError:
        raise OrderError("the body is not JSON") from None
    if not isinstance(order, dict):
        raise OrderError("the body is not a JSON object")
    unknown = set(order) - set(known)
    if known and unknown:
        raise OrderError(f"unknown fields: {', '.join(sorted(unknown))}")
    return cast("dict[str, Any]", order)


def number(value: object) -> float:
    """A finite number."""
    try:
        found = float(cast(Any, value)) if not isinstance(value, bool) else math.nan
    except (TypeError, ValueError):
        found = math.nan
    if not math.isfinite(found):
        raise OrderError("a number is missing or is not finite")
    return found


def positive_or_none(order: dict[str, Any], name: str) -> float | None:
    """A positive number, or None where the field is null or absent."""
    value = order.get(name)
    if value is None:
        return None
    if number(value) <= 0:
        raise OrderError(f"{name} must be positive")
    return number(value)


def flag(order: dict[str, Any], name: str) -> bool:
    """A field that must be there and must be true or false."""
    value = order.get(name)
    if not isinstance(value, bool):
        raise OrderError(f"{name} must be true or false")
    return value


def text(order: dict[str, Any], name: str) -> str:
    """A field that must be there and must be a text with something in it."""
    value = order.get(name)
    if not isinstance(value, str) or not value.strip():
        raise OrderError(f"{name} must be a text")
    return value


def text_or_none(order: dict[str, Any], name: str) -> str | None:
    """A text, or None where the field is null or absent."""
    return None if order.get(name) is None else text(order, name)


def texts(order: dict[str, Any], name: str) -> list[str]:
    """A list of texts; empty where the field is absent."""
    value = order.get(name, [])
    if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
        raise OrderError(f"{name} must be a list of texts")
    return value
