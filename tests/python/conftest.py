"""What the tests of every subject use."""

from collections.abc import Iterator

import pytest
from hypothesis import settings

from signalr.client_kind import ASYNC, SYNC, AnyClient, ClientKind
from signalr.service_double import ServiceDouble
from webpubsub import kinds

# A shared machine is slow at times; a deadline for a single example would make failures of it.
settings.register_profile("hubpass", deadline=None)
settings.load_profile("hubpass")


@pytest.fixture(params=[SYNC, ASYNC], ids=str)
def client_kind(request: pytest.FixtureRequest) -> ClientKind:
    """The sync and the async client, one after the other."""
    kind: ClientKind = request.param
    return kind


@pytest.fixture(params=[SYNC, ASYNC, kinds.SYNC, kinds.ASYNC], ids=lambda kind: f"{kind.service}-{kind}")
def any_kind(request: pytest.FixtureRequest) -> ClientKind | kinds.WebPubSubKind:
    """The same of both services."""
    kind: ClientKind | kinds.WebPubSubKind = request.param
    return kind


@pytest.fixture
def client(client_kind: ClientKind) -> AnyClient:
    """A client of either kind; nothing listens at its endpoint."""
    return client_kind.make()


@pytest.fixture
def service() -> Iterator[ServiceDouble]:
    """A service on this machine that answers as it is told."""
    with ServiceDouble() as double:
        yield double
