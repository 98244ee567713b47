"""The local Azure of the tests of identities."""

from entra.conftest import azure, shared_entra

__all__ = ["azure", "shared_entra"]
