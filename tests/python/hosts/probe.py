"""What every host has to show: each worker negotiates what the service accepts, with no request too many."""

from collections import defaultdict
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import jwt

from emulator.support import Azure, poll
from entra.clients import assert_accepted, requests
from hosts.host import Host, Negotiated

CALLERS = 4
"""How many ask at once, so that requests come to workers that would be idle otherwise."""


def kid_of(answer: Negotiated) -> str:
    """The name of the key that has signed a token."""
    return str(jwt.get_unverified_header(answer.token)["kid"])


def ask_until(is_enough: Callable[[], bool], ask: Callable[[], None], what: str) -> None:
    """Let several callers ask at once, again and again, until that has shown enough."""
    with ThreadPoolExecutor(CALLERS) as callers:

        def round_is_enough() -> bool:
            for asked in [callers.submit(ask) for _ in range(CALLERS)]:
                asked.result()
            return is_enough()

        poll(round_is_enough, what)


def assert_workers_negotiate(host: Host, azure: Azure, *, workers: int, fetched: int) -> None:
    """Each of so many workers negotiates, with a key inherited or fetched, through a revocation and renewals.

    ``fetched`` is how many processes had to fetch a token and a key before the first answer: one that forks the others
    later, or each worker.
    """
    kids = _assert_each_answers(host, azure, workers)
    assert (requests(azure, "token"), requests(azure, "access_key")) == (fetched, fetched)
    _revoke(azure, kids)
    _assert_each_recovers(host, azure, workers)
    # The token that a worker has inherited or fetched buys the next key as well.
    assert (requests(azure, "token"), requests(azure, "access_key")) == (fetched, fetched + workers)
    azure.control.set_temporary_key_policy(life=30, issue_for=0.2)
    _assert_each_renews(host, azure, workers)
    # The other client of each worker has bought one token and all of its keys with that.
    assert requests(azure, "token") == fetched + workers


def _assert_each_answers(host: Host, azure: Azure, workers: int) -> set[str]:
    seen: dict[str, str] = {}

    def ask() -> None:
        answer = host.negotiate("chat")
        assert_accepted(azure, answer.token)
        seen[answer.worker] = kid_of(answer)

    ask_until(lambda: len(seen) == workers, ask, f"only {seen} of {workers} workers answered")
    return set(seen.values())


def _revoke(azure: Azure, kids: set[str]) -> None:
    for kid in kids:
        azure.control.revoke_temporary_keys(kid)


def _assert_each_recovers(host: Host, azure: Azure, workers: int) -> None:
    """A client that is refused reports the key, and whoever negotiates next in that worker gets another."""
    recovered: set[str] = set()

    def ask() -> None:
        answer = host.negotiate("chat")
        if azure.negotiate(answer.token).status_code == 401:
            host.report(kid_of(answer))
        else:
            recovered.add(answer.worker)

    ask_until(lambda: len(recovered) == workers, ask, f"only {recovered} of {workers} workers got another key")


def _assert_each_renews(host: Host, azure: Azure, workers: int) -> None:
    """No answer is refused while each worker goes from one key to the next, and to the one after that."""
    kids: defaultdict[str, set[str]] = defaultdict(set)

    def ask() -> None:
        answer = host.negotiate("brief")
        assert_accepted(azure, answer.token)
        kids[answer.worker].add(kid_of(answer))

    def is_enough() -> bool:
        return len(kids) == workers and all(len(seen) >= 3 for seen in kids.values())

    ask_until(is_enough, ask, f"no three keys in each of {workers} workers: {kids}")
