"""Which managed identity a request names, for every place that gives their tokens."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

from starlette.datastructures import QueryParams

from hubpass.emulator.directory import Directory, ManagedIdentity

Kind = Literal["client_id", "object_id", "resource_id"]


class SelectionError(ValueError):
    """The request names no identity that is there, or several."""


class SeveralSelectorsError(SelectionError):
    """More than one parameter names an identity, or one does it twice."""


class IdentityNotFoundError(SelectionError):
    """No identity of this machine has that id."""


def selected_identity(
    directory: Directory, query: QueryParams, selectors: Mapping[str, Kind]
) -> tuple[ManagedIdentity, Kind | None]:
    """The identity, and what it was named by: None for the system-assigned one, which is not named.

    `selectors` gives the parameters that the place knows, and what each of them holds. Raises `SelectionError`.
    """
    named = [(name, value) for name in selectors for value in query.getlist(name)]
    if not named:
        return directory.system_assigned, None
    if len(named) > 1:
        raise SeveralSelectorsError(f"Only one of {', '.join(selectors)} can be used.")
    name, value = named[0]
    kind = selectors[name]
    for identity in directory.user_assigned_identities:
        if ids_of(identity)[kind].lower() == value.lower():
            return identity, kind
    raise IdentityNotFoundError(f"No user-assigned identity has this {name}.")


def ids_of(identity: ManagedIdentity) -> dict[Kind, str]:
    """What an identity can be named by."""
    return {
        "client_id": identity.principal.client_id,
        "object_id": identity.principal.object_id,
        "resource_id": identity.resource_id or "",
    }
