"""The end of an async client."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from typing_extensions import Self


class AsyncLifetime:
    """What an async client does at its end."""

    __slots__ = ()

    _native: Any

    async def close(self) -> None:
        """Refuse further calls. Closing twice does nothing."""
        self._native.close()

    async def __aenter__(self) -> Self:
        """Give the client itself."""
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        """Close the client."""
        await self.close()
