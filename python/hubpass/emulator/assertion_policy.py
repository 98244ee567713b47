"""What is demanded of client assertions beyond what Entra demands.

Entra sets no limit to the life of an assertion (article "Microsoft identity platform application authentication
certificate credentials") and takes one as often as it is sent until it expires: Microsoft's own library for Python
sends each for nine minutes. A client that does better can be held to it here.
"""

from __future__ import annotations


class AssertionPolicy:
    """`refuse_replays`: each `jti` counts once. `longest_life`: the most seconds to an assertion's `exp`, or None.

    Both are about assertions that are signed with a certificate: the token of another issuer is not the client's own
    work, and it is sent again and again while it lives.
    """

    def __init__(self) -> None:
        self.refuse_replays = False
        self.longest_life: float | None = None
        self._seen: dict[tuple[str, str], float] = {}

    def set(self, *, refuse_replays: bool, longest_life: float | None) -> None:
        """Change the policy; assertions that were sent before the change count as seen."""
        self.refuse_replays, self.longest_life = refuse_replays, longest_life

    def is_replay(self, client_id: str, jti: str, expires: float, now: float) -> bool:
        """Whether the client has sent this `jti` before. An expired assertion is refused anyhow, so it is forgotten."""
        for seen in [seen for seen, end in self._seen.items() if end <= now]:
            del self._seen[seen]
        replayed = (client_id, jti) in self._seen
        self._seen[client_id, jti] = expires
        return replayed and self.refuse_replays
