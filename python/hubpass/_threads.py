"""Threads for what belongs to the application and may take long: credentials and callbacks.

They are made by Python and are daemons, so that a program ends when it wants to, whatever they are doing.
"""

from __future__ import annotations

import threading

# Type checkers know the name; to import it from `typing` would double the time that the package takes to import.
TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from contextvars import Context

    from hubpass._native import TokenDelivery


def start(target: Callable[[], object], name: str) -> None:
    """Run something on a thread of its own."""
    threading.Thread(target=target, name=name, daemon=True).start()


def begin_token(context: Context, get_token: Callable[[str], object], scope: str, delivery: TokenDelivery) -> None:
    """Call a credential whose methods block; ``delivery`` takes what it gives, or what it raises."""

    def fetch() -> None:
        try:
            token = context.run(get_token, scope)
        except BaseException as error:  # noqa: BLE001 - whatever a credential raises is the reason why there is no token
            delivery.fail(error)
        else:
            delivery.complete(token)

    start(fetch, "hubpass-credential")
