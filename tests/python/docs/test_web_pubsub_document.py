"""What the document of Web PubSub shows is run, and what it lists is compared with the tests and the code."""

import asyncio
import re
from pathlib import Path

import httpx
import pytest

import hubpass
from hubpass import _native
from webpubsub.kinds import KEY, verified
from webpubsub.test_differences import DIFFERENCES

DOCUMENT = (Path(__file__).parents[3] / "docs/web-pubsub.md").read_text(encoding="utf-8")


def run(number: int) -> dict[str, object]:
    """The document's code in Python, by its place."""
    names: dict[str, object] = {}
    code = re.findall(r"```python\n(.*?)```", DOCUMENT, flags=re.DOTALL)[number]
    exec(compile(code, "web-pubsub.md", "exec"), names)  # noqa: S102 - the document is ours
    return names


def rows(heading: str) -> list[list[str]]:
    """The rows of the table under a heading, without its head."""
    section = DOCUMENT.partition(f"# {heading}\n")[2].partition("\n#")[0]
    lines = [line for line in section.splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines[2:]]


def test_the_smallest_server_answers(monkeypatch: pytest.MonkeyPatch) -> None:
    text = f"Endpoint=https://contoso.webpubsub.azure.com;AccessKey={KEY};Version=1.0;"
    monkeypatch.setenv("AZURE_WEBPUBSUB_CONNECTIONSTRING", text)
    names = run(0)

    async def ask() -> dict[str, str]:
        transport = httpx.ASGITransport(app=names["app"])  # type: ignore[arg-type]
        async with httpx.AsyncClient(transport=transport, base_url="http://app") as browser:
            found: dict[str, str] = (await browser.post("/negotiate")).json()
            return found

    answer = asyncio.run(ask())
    url, _, token = answer["url"].partition("?access_token=")
    assert set(answer) == {"url"}
    assert url == "wss://contoso.webpubsub.azure.com/client/hubs/chat"
    claims = verified(token, url.replace("wss", "https"))
    assert (claims["sub"], len(claims["role"])) == ("ada", 2)


def test_a_client_with_a_credential_says_what_it_holds(capsys: pytest.CaptureFixture[str]) -> None:
    assert isinstance(run(1)["client"], hubpass.WebPubSubServiceClient)
    assert "'mode': 'entra'" in capsys.readouterr().out


def test_the_code_for_programs_that_were_written_before(capsys: pytest.CaptureFixture[str]) -> None:
    assert isinstance(run(2)["answer"], hubpass.ClientAccessToken)
    assert "[redacted]" in capsys.readouterr().out


def test_every_difference_is_tested_and_every_tested_one_is_listed() -> None:
    listed = [row[0] for row in rows("Differences")]
    assert listed == list(DIFFERENCES)


def test_codes_are_those_of_the_code() -> None:
    codes = _native.error_codes()
    for error, code, _ in rows("When it is refused"):
        assert codes[code.strip("`")] == error.strip("`")
    named = {word for row in rows("Differences") for word in re.findall(r"`([a-z_]+)`", row[2])}
    assert named - set(codes) <= {"retry_after", "server_endpoint", "scope", "repr", "str"}


def test_the_arguments_are_those_of_the_method() -> None:
    import inspect

    listed = {name for row in rows("The smallest server") for name in re.findall(r"`(\w+)(?:=True)?`", row[0])}
    assert listed == set(inspect.signature(hubpass.WebPubSubServiceClient.negotiate).parameters) - {"self"}
