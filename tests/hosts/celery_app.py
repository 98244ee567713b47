"""A Celery application that negotiates. It is imported before the pool forks, so its workers inherit a key."""

import json
import os

from celery import Celery  # type: ignore[import-not-found]

from hosts.settings import connect
from hubpass import SignalRServiceClient

clients = connect(SignalRServiceClient)
clients["chat"].warm_up()
app = Celery()
app.conf.update(json.loads(os.environ["CELERY_SETTINGS"]))


@app.task(name="negotiate")  # type: ignore[untyped-decorator]
def negotiate(client: str) -> dict[str, str]:
    return {"worker": str(os.getpid()), "token": clients[client].negotiate("ada").access_token}


@app.task(name="report")  # type: ignore[untyped-decorator]
def report(kid: str) -> bool:
    return clients["chat"].invalidate_key(kid)
