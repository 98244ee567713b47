"""The fixtures of the shorter probe of hosts."""

from hosts.conftest import azure

__all__ = ["azure"]
