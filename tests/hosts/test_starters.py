"""The files of ``examples/starters`` that need more than ``make test`` has: a notebook, and Azure Functions."""

import json
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from emulator.support import WATCHDOG_SECONDS, Azure
from examples.installed import ROOT, Installed, clean
from hubpass.emulator.environment import settings

# `make hosts` makes it where there is a Python that is new enough for the worker.
PYTHON = ROOT / ".venv-functions/bin/python"
SKIPPED = "the worker of Azure Functions needs Python 3.13: put python3.13 on the PATH, and run make hosts"

EASY_AUTH = {"X-MS-CLIENT-PRINCIPAL-ID": "ada"}


@pytest.mark.timeout(300)
def test_the_notebook_in_a_kernel(installed: Installed) -> None:
    execute = [installed.python, "-c", "from nbclient.cli import main; main()", "--inplace", "notebook.ipynb"]
    # The kernel is one of the installed interpreter, and of no other that the machine has.
    register = installed.run(installed.python, "-m", "ipykernel", "install", "--sys-prefix")
    assert register.returncode == 0, register.stderr
    outcome = installed.run(*installed.with_azure(*execute))
    assert outcome.returncode == 0, outcome.stderr
    notebook = json.loads((installed.folder / "notebook.ipynb").read_text())
    outputs = [output for cell in notebook["cells"] for output in cell.get("outputs", [])]
    assert {output["output_type"] for output in outputs} == {"execute_result"}
    shown = ["".join(output["data"]["text/plain"]) for output in outputs]
    assert "accessToken=[redacted]" in shown[0]
    assert shown[1] == "True"
    # No part of a token: each begins with the same letters.
    assert "eyJ" not in json.dumps(notebook)


class Worker:
    """The worker with an application, behind a host that sends it one request after the other."""

    def __init__(self, process: "subprocess.Popen[str]") -> None:
        self._process = process
        self.functions: dict[str, Any] = self._read()

    def invoke(self, function: str, *, method: str = "POST", headers: Any = None, **more: Any) -> dict[str, Any]:
        given = {"url": f"http://localhost/api/{function}", "query": {}, "route_params": {}, "body": "", **more}
        order = {"function": function, "method": method, "headers": headers or {}, **given}
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(order) + "\n")
        self._process.stdin.flush()
        answer: dict[str, Any] = self._read()
        return answer

    def _read(self) -> Any:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        assert line, self._process.communicate(timeout=WATCHDOG_SECONDS)[1]
        return json.loads(line)


@contextmanager
def worker(installed: Installed, folder: Path, azure: Azure) -> Iterator[Worker]:
    """Start it as App Service does that has authentication on."""
    environment = clean({**settings(azure.emulator), "WEBSITE_AUTH_ENABLED": "True"})
    command = [installed.python, str(Path(__file__).with_name("functions_host.py")), str(folder)]
    with subprocess.Popen(
        command,
        cwd=folder,
        env=environment,
        text=True,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    ) as process:
        try:
            yield Worker(process)
            _, errors = process.communicate(timeout=WATCHDOG_SECONDS)
            assert (process.returncode, errors) == (0, "")
        finally:
            process.kill()


@pytest.fixture(scope="session")
def functions(tmp_path_factory: pytest.TempPathFactory, wheel: Path) -> Installed:
    if not PYTHON.exists():
        pytest.skip(SKIPPED)
    made = Installed(tmp_path_factory.mktemp("functions"), wheel, str(PYTHON))
    (packages,) = PYTHON.parents[1].glob("lib/*/site-packages")
    made.share(str(packages))
    return made


@pytest.fixture(params=["sync", "async"])
def application(request: pytest.FixtureRequest, functions: Installed, tmp_path: Path) -> Path:
    """The example as it is, and the same with the async client."""
    if request.param == "sync":
        return functions.folder
    text = (functions.folder / "function_app.py").read_text()
    for before, after in (
        ("from hubpass import", "from hubpass.aio import"),
        ("\ndef send", "\nasync def send"),
        ("chat.send_to_all", "await chat.send_to_all"),
    ):
        assert text.count(before) == 1
        text = text.replace(before, after)
    (tmp_path / "function_app.py").write_text(text)
    return tmp_path


@pytest.mark.timeout(300)
def test_functions(functions: Installed, application: Path, azure: Azure) -> None:
    with worker(functions, application, azure) as host:
        assert set(host.functions) == {"negotiate", "send"}
        trigger, answer = host.functions["negotiate"]
        assert (trigger["type"], trigger["route"], trigger["methods"]) == ("httpTrigger", "chat/negotiate", ["POST"])
        assert str(trigger["authLevel"]).lower() == "anonymous"
        assert answer["type"] == "http"
        assert str(host.functions["send"][0]["authLevel"]).lower() == "function"

        nobody = host.invoke("negotiate")
        assert (nobody["status"], json.loads(nobody["body"])["error"]["code"]) == (401, "not_signed_in")
        somebody = host.invoke("negotiate", headers=EASY_AUTH)
        assert somebody["status"] == 200
        found = {name.lower(): value for name, value in somebody["headers"].items()}
        assert found["content-type"] == "application/json"
        assert found["cache-control"] == "no-store"
        with azure.client(json.loads(somebody["body"])["accessToken"]) as client:
            (connection,) = azure.control.connections()
            assert connection.user_id == "ada"
            assert host.invoke("send", query={"text": "hello"})["status"] == 202
            assert client.hear()["arguments"] == ["hello"]

        azure.control.revoke_temporary_keys()
        azure.control.fail_next("access_key", times=100, status=503)
        # The key that is in hand signs on, whatever happens to the service.
        assert host.invoke("negotiate", headers=EASY_AUTH)["status"] == 200
