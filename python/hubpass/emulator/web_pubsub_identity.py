"""What the claims of a Web PubSub client token mean: the user, the groups to begin with, and what it may do.

Sources: "Client protocols" of the documentation of Azure Web PubSub for the claims and the roles, and Microsoft's own
emulator (Azure/azure-webpubsub, `tools/emulator`) for roles with wildcards.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from hubpass.emulator.tokens import Claims, refuse_with_text

_LONGEST_GROUP = 1024
_LONGEST_PATTERN = 1024
_MOST_STARS = 5
_JOIN_LEAVE = "webpubsub.joinLeaveGroup"
_SEND = "webpubsub.sendToGroup"
_TOKEN_CLAIMS = frozenset({"aud", "exp", "iat", "nbf", "iss"})
_WILDCARD = re.compile(r"\\(?P<escaped>.)|(?P<any>\*\*)|(?P<run>\*)|(?P<one>\?)|(?P<literal>[^\\])", re.DOTALL)


@dataclass(frozen=True)
class WebPubSubIdentity:
    """Who connects; `user_id` is None for an anonymous client."""

    user_id: str | None
    roles: tuple[str, ...]
    groups: tuple[str, ...]
    claims: dict[str, Any]

    def may_join_or_leave(self, group: str) -> bool:
        """Whether a role allows the client to join or leave `group` by itself."""
        return _grants(self.roles, _JOIN_LEAVE, group)

    def may_send_to(self, group: str) -> bool:
        """Whether a role allows the client to send to `group`."""
        return _grants(self.roles, _SEND, group)


def web_pubsub_identity(claims: Claims) -> WebPubSubIdentity:
    """Read a verified token; raises `RefusedError` (400) for a claim that has no meaning."""
    user_id = claims.get("sub")
    if isinstance(user_id, (list, dict)):
        # An array would come from merging a caller's claim with the real one, which is how a user id is spoofed.
        refuse_with_text(400, "The claim sub must be a single value.")
    groups = _texts(claims, "webpubsub.group")
    if not all(is_group_name(group) for group in groups):
        refuse_with_text(400, "The token contains an invalid group name.")
    own = {name: value for name, value in claims.items() if name not in _TOKEN_CLAIMS}
    return WebPubSubIdentity(None if user_id is None else str(user_id), _texts(claims, "role"), groups, own)


def is_group_name(group: str) -> bool:
    """Whether there can be a group of that name: 1 to 1,024 characters that are not all white space."""
    return 0 < len(group) <= _LONGEST_GROUP and not group.isspace()


def _texts(claims: Claims, name: str) -> tuple[str, ...]:
    """A claim that may occur several times, which makes an array of it in JWT."""
    value = claims.get(name, [])
    found = value if isinstance(value, list) else [value]
    if not all(isinstance(item, str) for item in found):
        refuse_with_text(400, f"The claim {name} must be a text or a list of texts.")
    return tuple(found)


def _grants(roles: Iterable[str], permission: str, group: str) -> bool:
    patterns = f"{permission}s."
    return any(
        role in {permission, f"{permission}.{group}"}
        or (role.startswith(patterns) and _matches(role.removeprefix(patterns), group))
        for role in roles
    )


def _matches(pattern: str, group: str) -> bool:
    """Whether a group fits a pattern: `?` is one character but a dot, `*` a run of those, `**` anything."""
    if not 0 < len(pattern) <= _LONGEST_PATTERN:
        return False
    expression, stars, end = [], 0, 0
    for part in _WILDCARD.finditer(pattern):
        end = part.end()
        stars += part.group().count("*") if part["escaped"] is None else 0
        if part["any"]:
            expression.append(".*")
        elif part["run"]:
            expression.append(r"[^.]*")
        elif part["one"]:
            expression.append(r"[^.]")
        else:
            expression.append(re.escape(part["escaped"] or part["literal"]))
    # A backslash at the end escapes nothing, and too many stars make no pattern: such a role grants nothing.
    if end != len(pattern) or stars > _MOST_STARS:
        return False
    return re.fullmatch("".join(expression), group, re.DOTALL) is not None
