"""The files of ``examples/starters``, unmodified, from an installed wheel, with the real clients in JavaScript."""

import json
import socket
import subprocess

import pytest

from examples.installed import ROOT, STARTERS, Installed
from signalr.service_double import WATCHDOG

# Both print a line of JSON for each thing that they have seen, and end by themselves.
SIGNALR = """
const signalR = require("@microsoft/signalr");
const post = (path, token) =>
  fetch(APP + path, { method: "POST", headers: token ? { Authorization: `Bearer ${token}` } : {} });
const client = (token) =>
  new signalR.HubConnectionBuilder()
    .withUrl(APP + "/chat", { accessTokenFactory: () => token })
    .configureLogging(signalR.LogLevel.None)
    .build();
(async () => {
  const [ada, bob] = ["Ada", "Bob"].map((name) => client(`the token of ${name}`));
  const heard = [ada, bob].map((one) => new Promise((resolve) => one.on("message", (...all) => resolve(all))));
  await Promise.all([ada.start(), bob.start()]);
  console.log((await post("/messages?text=hello", "the token of Ada")).status);
  console.log(JSON.stringify(await Promise.all(heard)));
  console.log((await post("/chat/negotiate")).status, (await post("/messages?text=x", "guess")).status);
  await client("guess").start().catch((error) => console.log(/401/.test(error.message)));
  await Promise.all([ada.stop(), bob.stop()]);
  process.exit(0);
})();
"""
WEB_PUBSUB = """
const { WebPubSubClient } = require("@azure/web-pubsub-client");
const quiet = { keepAliveIntervalInMs: 0, keepAliveTimeoutInMs: 0 };
const negotiate = (cookie) => fetch(APP + "/rooms/negotiate", { method: "POST", headers: { cookie } });
const login = async (name) => {
  const answer = await fetch(APP + "/login", { method: "POST", body: new URLSearchParams({ name }) });
  return answer.headers.get("set-cookie").split(";")[0];
};
const client = (cookie) =>
  new WebPubSubClient({ getClientAccessUrl: async () => (await (await negotiate(cookie)).json()).url }, quiet);
(async () => {
  const [ada, bob] = (await Promise.all(["ada", "bob"].map(login))).map(client);
  const heard = new Promise((resolve) => bob.on("group-message", ({ message }) => resolve(message)));
  await Promise.all([ada.start(), bob.start()]);
  await ada.sendToGroup("lobby", { hello: "bob" }, "json");
  const { data, group, fromUserId } = await heard;
  console.log(JSON.stringify([data, group, fromUserId]));
  await ada.sendToGroup("other", "x", "text").catch((error) => console.log(error.errorDetail.name));
  console.log((await negotiate("")).status);
  await Promise.all([ada.stop(), bob.stop()]);
  process.exit(0);
})();
"""


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])


def node(script: str, app: str) -> list[str]:
    """What a program of a page prints, with the packages of the tests of clients."""
    code = f"const APP = {json.dumps(app)};\n{script}\nsetTimeout(() => process.exit(3), {WATCHDOG * 1000}).unref();"
    found = subprocess.run(
        ["node", "--unhandled-rejections=strict", "--eval", code],
        cwd=ROOT / "tests/clients",
        check=False,
        capture_output=True,
        text=True,
        timeout=WATCHDOG * 2,
    )
    assert found.returncode == 0, found.stderr
    return found.stdout.splitlines()


def test_there_are_five_files() -> None:
    files = {path.name for path in STARTERS.iterdir() if path.is_file()}
    assert files == {"app_fastapi.py", "app_flask.py", "function_app.py", "notebook.ipynb", "test_chat.py"}


@pytest.mark.timeout(180)
def test_fastapi_under_uvicorn(installed: Installed) -> None:
    port = free_port()
    uvicorn = [installed.python, "-m", "uvicorn", "app_fastapi:app", "--port", str(port), "--log-level", "warning"]
    app = f"http://127.0.0.1:{port}"
    with installed.serving(installed.with_azure(*uvicorn), f"{app}/docs"):
        lines = node(SIGNALR, app)
    assert lines == ["202", '[["ada","hello"],["ada","hello"]]', "401 401", "true"]


@pytest.mark.timeout(180)
def test_flask_under_gunicorn(installed: Installed) -> None:
    port = free_port()
    address = ["--bind", f"127.0.0.1:{port}", "--log-level", "warning", "--no-control-socket", "--workers", "2"]
    gunicorn = [installed.python, "-m", "gunicorn", *address, "app_flask:app"]
    app = f"http://127.0.0.1:{port}"
    with installed.serving(installed.with_azure(*gunicorn), app, FLASK_SECRET_KEY="made up"):
        lines = node(WEB_PUBSUB, app)
    assert lines == ['[{"hello":"bob"},"lobby","ada"]', "Forbidden", "401"]


@pytest.mark.timeout(180)
def test_the_tests_of_an_application(installed: Installed) -> None:
    """The plugin is found by its entry point; nothing names it."""
    options = ["-q", "-p", "no:cacheprovider", "-o", "hubpass_emulator=true"]
    outcome = installed.run(installed.python, "-m", "pytest", *options, "test_chat.py")
    assert outcome.returncode == 0, outcome.stdout + outcome.stderr
    assert "4 passed" in outcome.stdout
