"""What the clients of both services say of themselves, and what they refuse to say."""

from __future__ import annotations

# Type checkers know the name; to import it from `typing` would double the time that the package takes to import.
TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, NoReturn

    from typing_extensions import Self


class ServiceClientBase:
    """A client over a native one; the public classes document it."""

    __slots__ = ("__weakref__", "_native")

    _native: Any
    _is_async: bool

    def for_hub(self, hub: str) -> Self:
        """Make a client for another hub, which shares this one's credential, key and connections.

        Each of the two is closed on its own.

        Raises:
            InvalidArgumentError: The hub name cannot be used (``invalid_hub``).
            ClientClosedError: This client is closed.
        """
        client = type(self).__new__(type(self))
        client._native = self._native.for_hub(hub)  # noqa: SLF001 - a client of the same class
        return client

    @property
    def endpoint(self) -> str:
        """The service's address: scheme, host, and the port if it is not the scheme's own."""
        endpoint: str = self._native.endpoint
        return endpoint

    @property
    def client_endpoint(self) -> str:
        """The address that clients connect to; :attr:`endpoint` unless a reverse proxy stands before it."""
        endpoint: str = self._native.client_endpoint
        return endpoint

    @property
    def server_endpoint(self) -> str:
        """The address that this client sends requests to; :attr:`endpoint` unless a reverse proxy stands before it."""
        endpoint: str = self._native.server_endpoint
        return endpoint

    @property
    def hub(self) -> str:
        """The hub's name."""
        hub: str = self._native.hub
        return hub

    def __repr__(self) -> str:
        """Show where the client sends people, and nothing that it holds."""
        module = type(self).__module__.partition("._")[0]
        return f"<{module}.{type(self).__qualname__} endpoint={self.endpoint!r} hub={self.hub!r}>"

    def __reduce__(self) -> NoReturn:
        """Refuse to be pickled: the key would travel with it."""
        raise TypeError(f"a {type(self).__name__} is not pickled, because it holds a key; make one in each process")
