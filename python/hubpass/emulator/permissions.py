"""Who may do what: the built-in roles of both services, custom roles, and their assignments.

Source: the article "Azure built-in roles" of Microsoft's documentation. A role is a set of data actions, which
may contain `*`; every route of the data plane that takes an Entra token names the one action that it needs.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

from hubpass.emulator.changes import Changes

_PREFIX = "Microsoft.SignalRService/SignalR/"
_WEB_PUBSUB_PREFIX = "Microsoft.SignalRService/WebPubSub/"
SERVICE_OWNER = "SignalR Service Owner"
WEB_PUBSUB_SERVICE_OWNER = "Web PubSub Service Owner"
# What an identity has from the start if nobody says otherwise: everything, in both services.
DEFAULT_ROLES = (SERVICE_OWNER, WEB_PUBSUB_SERVICE_OWNER)

ACCESS_KEY = f"{_PREFIX}auth/accessKey/action"
HUB_SEND = f"{_PREFIX}hub/send/action"
GROUP_SEND = f"{_PREFIX}group/send/action"
GROUP_WRITE = f"{_PREFIX}group/write"

# Generating a token and connecting with it are two permissions of one identity (article "Generate client access URL
# for the clients" of Azure Web PubSub).
WEB_PUBSUB_GENERATE_TOKEN = f"{_WEB_PUBSUB_PREFIX}clientConnection/generateToken/action"
WEB_PUBSUB_CONNECTION_WRITE = f"{_WEB_PUBSUB_PREFIX}clientConnection/write"
WEB_PUBSUB_CONNECTION_READ = f"{_WEB_PUBSUB_PREFIX}clientConnection/read"
WEB_PUBSUB_CONNECTION_SEND = f"{_WEB_PUBSUB_PREFIX}clientConnection/send/action"
WEB_PUBSUB_HUB_SEND = f"{_WEB_PUBSUB_PREFIX}hub/send/action"
WEB_PUBSUB_GROUP_SEND = f"{_WEB_PUBSUB_PREFIX}group/send/action"
WEB_PUBSUB_GROUP_READ = f"{_WEB_PUBSUB_PREFIX}group/read"
WEB_PUBSUB_GROUP_WRITE = f"{_WEB_PUBSUB_PREFIX}group/write"
WEB_PUBSUB_USER_SEND = f"{_WEB_PUBSUB_PREFIX}user/send/action"
WEB_PUBSUB_USER_READ = f"{_WEB_PUBSUB_PREFIX}user/read"

BUILT_IN_ROLES: dict[str, frozenset[str]] = {
    role: frozenset(_PREFIX + action for action in actions)
    for role, actions in {
        "SignalR App Server": ("auth/accessKey/action", "serverConnection/write", "clientConnection/write"),
        "SignalR REST API Owner": (
            "auth/clientToken/action",
            "hub/*",
            "group/*",
            "clientConnection/*",
            "user/*",
        ),
        "SignalR REST API Reader": ("group/read", "clientConnection/read", "user/read"),
        SERVICE_OWNER: ("*",),
    }.items()
} | {
    "Web PubSub Service Reader": frozenset({f"{_WEB_PUBSUB_PREFIX}*/read"}),
    WEB_PUBSUB_SERVICE_OWNER: frozenset({f"{_WEB_PUBSUB_PREFIX}*"}),
}


class UnknownRoleError(LookupError):
    """There is no role of that name."""


class BuiltInRoleError(ValueError):
    """A built-in role cannot be redefined."""


@dataclass(frozen=True)
class PermissionsSnapshot:
    """Roles and assignments as they were at one moment."""

    roles: dict[str, frozenset[str]]
    assigned: dict[str, tuple[str, ...]]


class Permissions:
    """Roles by name and the roles that each identity (object id) has been given.

    A change counts at once, whereas Azure may take 30 minutes to let it be felt.
    """

    def __init__(self, changes: Changes) -> None:
        self._changes = changes
        self._roles = dict(BUILT_IN_ROLES)
        self._assigned: dict[str, list[str]] = {}

    def role_names(self) -> tuple[str, ...]:
        """The names of all roles, built-in ones first."""
        return tuple(self._roles)

    def define(self, role: str, actions: Iterable[str]) -> None:
        """Define or redefine a custom role; raises `BuiltInRoleError` for the name of a built-in one."""
        if role in BUILT_IN_ROLES:
            raise BuiltInRoleError(role)
        self._roles[role] = frozenset(actions)
        self._changes.notify()

    def assign(self, object_id: str, role: str) -> None:
        """Give an identity a role; raises `UnknownRoleError`."""
        if role not in self._roles:
            raise UnknownRoleError(role)
        roles = self._assigned.setdefault(object_id.lower(), [])
        if role not in roles:
            roles.append(role)
        self._changes.notify()

    def remove(self, object_id: str, role: str | None) -> int:
        """Take one role, or all of them (None), from an identity; returns how many it had of those."""
        before = self._assigned.get(object_id.lower(), [])
        kept = [found for found in before if role not in {None, found}]
        removed = len(before) - len(kept)
        if removed:
            self._assigned[object_id.lower()] = kept
            self._changes.notify()
        return removed

    def assignments(self) -> dict[str, list[str]]:
        """The roles of every identity that has any, by object id."""
        return {object_id: list(roles) for object_id, roles in self._assigned.items() if roles}

    def snapshot(self) -> PermissionsSnapshot:
        """What there is now, for :meth:`restore`."""
        return PermissionsSnapshot(
            dict(self._roles), {object_id: tuple(roles) for object_id, roles in self._assigned.items()}
        )

    def restore(self, snapshot: PermissionsSnapshot) -> None:
        """Forget every change since the snapshot."""
        self._roles = dict(snapshot.roles)
        self._assigned = {object_id: list(roles) for object_id, roles in snapshot.assigned.items()}
        self._changes.notify()

    def allows(self, object_id: str, action: str) -> bool:
        """Whether a role of the identity contains the data action."""
        return any(
            _covers(pattern, action)
            for role in self._assigned.get(object_id.lower(), [])
            for pattern in self._roles[role]
        )


def _covers(pattern: str, action: str) -> bool:
    """Whether a data action matches; `*` stands for any characters, and case is ignored."""
    expression = ".*".join(re.escape(part) for part in pattern.split("*"))
    return re.fullmatch(expression, action, re.IGNORECASE) is not None
