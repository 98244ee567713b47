"""The end of a sync client."""

from __future__ import annotations

# Type checkers know the name; to import it from `typing` would double the time that the package takes to import.
TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from typing_extensions import Self


class SyncLifetime:
    """What a sync client does at its end."""

    __slots__ = ()

    _native: Any

    def close(self) -> None:
        """Refuse further calls, and let go of the connections.

        Calls that are under way end as if nothing had happened. Clients of other hubs that :meth:`for_hub` made go on,
        and the last of them takes the connections with it. ``status`` still answers, with ``ready`` false. Closing
        twice does nothing. A client that is dropped instead lets go of its connections, too.
        """
        self._native.close()

    def __enter__(self) -> Self:
        """Give the client itself."""
        return self

    def __exit__(self, *exc_info: object) -> None:
        """Close the client."""
        self.close()
