"""Threads for what belongs to the application and may take long: credentials and callbacks.

They are made by Python and are daemons, so that a program ends when it wants to, whatever they are doing.
"""

from __future__ import annotations

import sys
import threading
from functools import partial

# Type checkers know the name; to import it from `typing` would double the time that the package takes to import.
TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from contextvars import Context
    from typing import Any

    from hubpass._native import TokenDelivery


def start(target: Callable[[], object], name: str) -> None:
    """Run something on a thread of its own.

    It is a thread of the operating system also where gevent or eventlet have put greenlets in the place of threads: the
    core calls from threads that run no hub, where a greenlet that waits would never be resumed.
    """
    if "gevent.monkey" in sys.modules:
        gevent, monkey = sys.modules["gevent"], sys.modules["gevent.monkey"]
        # Whatever waits on a thread makes a hub for it, whose files stay open until somebody closes them.
        run = partial(_run_then, target, lambda: gevent.get_hub().destroy(destroy_loop=True))
        monkey.get_original("_thread", "start_new_thread")(run, ())
    elif "eventlet.patcher" in sys.modules:
        hubs, patcher = sys.modules["eventlet.hubs"], sys.modules["eventlet.patcher"]
        run = partial(_run_then, target, lambda: hubs.get_hub().abort(wait=True))
        patcher.original("threading").Thread(target=run, name=name, daemon=True).start()
    else:
        threading.Thread(target=target, name=name, daemon=True).start()


def _run_then(target: Callable[[], object], end: Callable[[], object]) -> None:
    try:
        target()
    finally:
        end()


def begin_token(context: Context, get_token: Callable[[str], object], scope: str, delivery: TokenDelivery) -> None:
    """Call a credential whose methods block; ``delivery`` takes what it gives, or what it raises."""
    start(
        partial(_deliver, partial(context.run, get_token, scope), delivery.complete, delivery.fail),
        "hubpass-credential",
    )


def begin_assertion(context: Context, func: Callable[[], object], delivery: TokenDelivery) -> None:
    """Call a function for an assertion, as ``begin_token`` calls a credential."""
    start(
        partial(_deliver, partial(context.run, func), delivery.complete_assertion, delivery.fail), "hubpass-assertion"
    )


def _deliver(
    call: Callable[[], Any], complete: Callable[[Any], object], fail: Callable[[BaseException], object]
) -> None:
    try:
        given = call()
    except BaseException as error:  # noqa: BLE001 - whatever it raises is the reason why there is no token
        fail(error)
    else:
        complete(given)
