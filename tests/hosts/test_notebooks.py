"""A notebook: top-level await in the running loop of ipykernel, and nothing secret in what is saved."""

from pathlib import Path

import nbformat  # type: ignore[import-not-found]
import pytest
from nbclient import NotebookClient  # type: ignore[import-not-found]

from emulator.support import WATCHDOG_SECONDS, Azure
from entra.clients import assert_accepted, requests
from hosts.host import environment

CELLS = [
    """
import os
from pathlib import Path
import hubpass, hubpass.aio
given = os.environ["SIGNALR_CONNECTION_STRING"], "chat"
options = {"authority": os.environ["SIGNALR_AUTHORITY"], "ca_file": os.environ["SIGNALR_CA_FILE"]}
client = hubpass.aio.SignalRServiceClient.from_connection_string(*given, **options)
client
""",
    "answer = await client.negotiate('ada')\nanswer",
    "print(answer)\nanswer.keys(), client.status()",
    """
blocking = hubpass.SignalRServiceClient.from_connection_string(*given, **options)
another = blocking.negotiate("bob")
another
""",
    """
try:
    blocking.negotiate("bob", claims={"everything": "x" * 5000})
except hubpass.TokenTooLongError as error:
    print(error)
""",
    "Path(os.environ['TOKENS']).write_text(answer.access_token + ' ' + another.access_token)",
    "await client.close()\nblocking.close()",
]


def test_a_notebook_awaits_and_saves_no_secret(azure: Azure, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {**environment(azure), "TOKENS": str(tmp_path / "tokens")}.items():
        monkeypatch.setenv(name, value)
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(cell) for cell in CELLS])
    NotebookClient(notebook, timeout=WATCHDOG_SECONDS, kernel_name="python3").execute()
    saved = nbformat.writes(notebook)
    tokens = (tmp_path / "tokens").read_text().split()
    for token in tokens:
        assert_accepted(azure, token)
        for part in token.split("."):
            assert part not in saved
    assert azure.emulator.client_secret not in saved
    assert saved.count("accessToken=[redacted]") >= 3
    # Each of the two clients has fetched for itself.
    assert (requests(azure, "token"), requests(azure, "access_key")) == (2, 2)
