"""The fixtures of the shorter probe of hosts, and of the examples."""

from examples.conftest import installed, wheel
from hosts.conftest import azure

__all__ = ["azure", "installed", "wheel"]
