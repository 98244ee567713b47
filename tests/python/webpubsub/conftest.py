"""Both kinds of client of Web PubSub."""

import pytest

from webpubsub.kinds import ASYNC, SYNC, WebPubSubKind


@pytest.fixture(params=[SYNC, ASYNC], ids=str)
def kind(request: pytest.FixtureRequest) -> WebPubSubKind:
    """The sync and the async clients, one after the other."""
    chosen: WebPubSubKind = request.param
    return chosen
