"""Paths of mounts that have no router of their own."""

from __future__ import annotations

from typing import Literal, TypeAlias

from hubpass.integrations._mount import NEGOTIATE

Found: TypeAlias = Literal["once", "twice", "nothing"]


def hub_in(path: str, mounted: str) -> tuple[Found, str | None]:
    """Whether a path is that of a mount, or has ``/negotiate`` twice; and the hub that it names, if any."""
    if not path.endswith(NEGOTIATE):
        return "nothing", None
    below = path[: -len(NEGOTIATE)]
    hub = _fill(mounted, below)
    if hub is not None:
        return "once", hub or None
    if below.endswith(NEGOTIATE) and _fill(mounted, below[: -len(NEGOTIATE)]) is not None:
        return "twice", None
    return "nothing", None


def _fill(mounted: str, path: str) -> str | None:
    """What stands for ``{hub}`` in a path, or an empty text without a placeholder; None if the path is another."""
    before, placeholder, after = mounted.partition("{hub}")
    if not placeholder:
        return "" if path == mounted else None
    if not path.startswith(before) or not path.endswith(after):
        return None
    hub = path[len(before) : len(path) - len(after)]
    return hub if hub and "/" not in hub else None
