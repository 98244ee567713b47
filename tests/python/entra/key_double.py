"""A service that gives every credential one temporary key, and holds its answer to all that comes after that."""

import json
from collections import Counter
from threading import Lock
from typing import Any

from typing_extensions import override

from signalr.service_double import Answer, Held, Received, ServiceDouble

KID = "a-temporary-key"
_SECRET = "a-made-up-temporary-key-of-44-characters-00="


class KeyDouble(ServiceDouble):
    """Answers the first request of every bearer; later ones wait until the test ends, or their sender does."""

    def __init__(self) -> None:
        super().__init__()
        self._lock = Lock()
        self._seen: Counter[str] = Counter()

    @override
    def handle(self, received: Received, connection: Any) -> Answer:
        with self._lock:
            self._seen[received.bearer] += 1
            is_first = self._seen[received.bearer] == 1
        if not is_first:
            self.track(Held()).arrive(connection)
        body = json.dumps({"KeyId": KID, "AccessKey": _SECRET}).encode()
        return Answer(200, {"Content-Type": "application/json"}, body)
