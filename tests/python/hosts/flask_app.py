"""A Flask application that negotiates. It gets its key when it is imported: before the workers fork, or in each."""

import os

from flask import Flask, Response, jsonify

from hosts.settings import WORKER, connect
from hubpass import SignalRServiceClient

clients = connect(SignalRServiceClient)
clients["chat"].warm_up()
app = Flask(__name__)


@app.post("/<name>/negotiate")
def negotiate(name: str) -> Response:
    answer = jsonify(clients[name].negotiate("ada"))
    answer.headers[WORKER] = str(os.getpid())
    return answer


@app.delete("/chat/keys/<kid>")
def invalidate_key(kid: str) -> Response:
    return jsonify(clients["chat"].invalidate_key(kid))
