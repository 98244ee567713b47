"""What docs/networks.md shows is run, and what it lists is compared with the code."""

import re
import shlex
from pathlib import Path

import pytest

import hubpass
from hubpass import HubpassError, _native
from networks.calls import SEND
from networks.connect_proxy import ConnectProxy
from signalr.client_kind import ClientKind

DOCUMENT = (Path(__file__).parents[3] / "docs/networks.md").read_text(encoding="utf-8")


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", DOCUMENT, flags=re.DOTALL)


def test_its_python_runs() -> None:
    [code] = blocks("python")
    names: dict[str, object] = {}
    exec(compile(code, "docs/networks.md", "exec"), names)  # noqa: S102 - the document is ours
    client = names["client"]
    assert isinstance(client, hubpass.SignalRServiceClient)
    # The file does not exist here, which only a request needs to know.
    assert client.negotiate("ada").access_token
    with pytest.raises(HubpassError) as caught:
        client.send_to_all("say")
    assert caught.value.code == "transport_unavailable"


def test_its_variables_mean_what_it_says(client_kind: ClientKind, monkeypatch: pytest.MonkeyPatch) -> None:
    """With the host of the proxy replaced, because that one does not exist."""
    values = dict(shlex.split(line)[1].split("=", 1) for line in blocks("sh")[0].splitlines())
    assert list(values) == ["HTTPS_PROXY", "NO_PROXY"]
    with ConnectProxy(credentials="user:p@ssword") as proxy:
        url = values["HTTPS_PROXY"].replace("proxy.contoso.example:3128", f"127.0.0.1:{proxy.port}")
        monkeypatch.setenv("HTTPS_PROXY", url)
        monkeypatch.setenv("NO_PROXY", values["NO_PROXY"] + ",contoso.invalid:8443")
        assert SEND.failure(client_kind, "https://contoso.service.signalr.net").status is None
        assert SEND.failure(client_kind, "https://contoso.invalid:8443").code == "name_resolution_failed"
    assert proxy.targets == ["contoso.service.signalr.net:443"]


def test_every_code_in_its_table_exists() -> None:
    table = re.findall(r"^\| `(\w+)`", DOCUMENT.partition("## Every error")[2], flags=re.MULTILINE)
    heading, *codes = table
    assert heading == "code"
    assert set(codes) <= set(_native.error_codes())
    assert {"transport_unavailable", "network_blocked", "tls_failed", "redirect_refused"} <= set(codes)
