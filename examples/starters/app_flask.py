"""A room for groups with Azure Web PubSub in Flask.

Without Azure: FLASK_SECRET_KEY=secret hubpass emulator run -- gunicorn app_flask:app
"""

import os

from flask import Flask, Request, abort, request, session

from hubpass import Grant, WebPubSubServiceClient
from hubpass.integrations.flask import negotiate_blueprint

# Reads AZURE_WEBPUBSUB_CONNECTIONSTRING. One client serves the whole process.
rooms = WebPubSubServiceClient.from_env("rooms")

app = Flask(__name__)
# Every worker needs the same key, or sessions end at the other workers.
app.secret_key = os.environ["FLASK_SECRET_KEY"]
app.config.update(SESSION_COOKIE_SAMESITE="Lax")


@app.post("/login")
def login() -> dict[str, str]:
    """Sign somebody in; your own authentication stands here."""
    name = request.form.get("name") or abort(400)
    session["user"] = name
    return {"user": name}


def authorize(_: Request) -> Grant | None:
    """Let whoever is signed in join one group and send to it; ``None`` is answered with 401."""
    user = session.get("user")
    return Grant(user, groups=["lobby"], roles=["webpubsub.sendToGroup.lobby"]) if user else None


# Pages fetch POST /rooms/negotiate and connect to the URL in the answer.
app.register_blueprint(negotiate_blueprint(rooms, "/rooms", authorize=authorize))
