"""What ``negotiate`` costs in Python: against PyJWT building the same token, and awaited against called.

Reproduce with ``make bench``, or with a release build of hubpass: ``python benches/negotiate.py``. All
contestants run inside the same asyncio event loop, with another user id at each call. The process fails if a
minimum misses its goal.
"""

import asyncio
import sys
import time
from collections.abc import Callable, Coroutine
from functools import partial
from typing import Any, TypeAlias

import jwt

import hubpass
import hubpass.aio
from rounds import goal_met, interleave

Batch: TypeAlias = Callable[[], Coroutine[Any, Any, float]]

ENDPOINT = "https://contoso.service.signalr.net"
KEY = "bm90LWEta2V5LWJ1dC10aGUtc2hhcGUtb2Ytb25lLTEyMzQ1Njc4OTA="
KEY_BYTES = KEY.encode()
URL = f"{ENDPOINT}/client/?hub=chat"

USER_IDS = [f"user-{number}" for number in range(400)]
# A batch is short against a time slice, so that many of them are not interrupted even on a busy machine.
ROUNDS = 300


def negotiate_by_hand(user_id: str) -> dict[str, str]:
    now = int(time.time())
    claims = {
        "aud": URL,
        "iss": "azure-signalr",
        "asrs.s.uid": user_id,
        "nbf": now,
        "exp": now + 3600,
        "iat": now,
    }
    return {"url": URL, "accessToken": jwt.encode(claims, KEY_BYTES, algorithm="HS256")}


async def time_calls(negotiate: Callable[[str], dict[str, str]], user_ids: list[str]) -> float:
    begin = time.perf_counter()
    for user_id in user_ids:
        negotiate(user_id)
    return (time.perf_counter() - begin) / len(user_ids)


async def time_awaits(negotiate: Callable[[str], Coroutine[Any, Any, dict[str, str]]], user_ids: list[str]) -> float:
    begin = time.perf_counter()
    for user_id in user_ids:
        await negotiate(user_id)
    return (time.perf_counter() - begin) / len(user_ids)


def content(answer: dict[str, str]) -> dict[str, Any]:
    """What an answer says, without the second in which it was made."""
    token = jwt.decode_complete(answer["accessToken"], KEY_BYTES, algorithms=["HS256"], audience=URL)
    claims = token["payload"]
    issued_at = claims["iat"]
    times = {name: claims[name] - issued_at for name in ("nbf", "exp", "iat")}
    return {"url": answer["url"], "header": token["header"], "claims": claims | times}


def main() -> bool:
    connection_string = f"Endpoint={ENDPOINT};AccessKey={KEY};Version=1.0;"
    client = hubpass.SignalRServiceClient.from_connection_string(connection_string, "chat")
    aio_client = hubpass.aio.SignalRServiceClient.from_connection_string(connection_string, "chat")
    loop = asyncio.new_event_loop()

    # A wrong token is fast and worth nothing.
    expected = content(negotiate_by_hand("user"))
    for answer in (client.negotiate("user"), loop.run_until_complete(aio_client.negotiate("user"))):
        if content(answer) != expected:
            sys.exit("The contestants do not build the same token.")

    def measure(batch: Batch) -> float:
        return loop.run_until_complete(batch())

    batches: dict[str, Batch] = {
        # A few calls of PyJWT take as long as many of the others.
        "PyJWT": partial(time_calls, negotiate_by_hand, USER_IDS[:20]),
        "negotiate": partial(time_calls, client.negotiate, USER_IDS),
        "await aio negotiate": partial(time_awaits, aio_client.negotiate, USER_IDS),
    }
    spreads = interleave({name: partial(measure, batch) for name, batch in batches.items()}, rounds=ROUNDS)
    loop.close()
    by_hand, sync, awaited = (spreads[name] for name in batches)
    met = [
        goal_met("PyJWT / negotiate", by_hand.ratio_to(sync), at_least=15),
        goal_met("await aio negotiate / negotiate", awaited.ratio_to(sync), at_most=1.3),
    ]
    return all(met)


if __name__ == "__main__":
    sys.exit(not main())
