"""Pages of other sites: allowed by name, refused before anybody is asked."""

from typing import Any

import pytest

from hubpass import InvalidArgumentError
from hubpass.integrations._origins import CLIENT_HEADERS
from integrations.mounts import FRAMEWORKS, Framework

PAGE = "https://app.example.com"
PREFLIGHT = {
    "origin": PAGE,
    "access-control-request-method": "POST",
    "access-control-request-headers": "authorization,x-requested-with,x-signalr-user-agent",
}


def asked_in_vain(_: Any) -> str:
    pytest.fail("authorize was asked")


def test_a_page_that_is_allowed(browser_framework: Framework) -> None:
    mounted = browser_framework.mount(authorize=lambda _: "ada", allow_origins=[PAGE])
    answered = mounted.post(headers={"origin": PAGE})
    assert answered.status == 200
    assert answered.headers["access-control-allow-origin"] == PAGE
    assert answered.headers["access-control-allow-credentials"] == "true"
    assert answered.headers["vary"] == "Origin"


@pytest.mark.parametrize("result", [None, True], ids=["401", "500"])
def test_errors_are_readable_for_it_too(browser_framework: Framework, result: Any) -> None:
    mounted = browser_framework.mount(authorize=lambda _: result, allow_origins=[PAGE])
    answered = mounted.post(headers={"origin": PAGE})
    assert answered.status in {401, 500}
    assert answered.headers["access-control-allow-origin"] == PAGE
    assert answered.headers["vary"] == "Origin"
    assert answered.headers["cache-control"] == "no-store"


@pytest.mark.parametrize(
    "origin",
    [
        "https://evil.example",
        "https://app.example.com.evil.example",
        "https://evil.example/https://app.example.com",
        "http://app.example.com",
        "https://app.example.com:8443",
        "null",
        "*",
        "",
        f"{PAGE}, https://evil.example",
        f"{PAGE}/",
        f"{PAGE} ",
        "https://user@app.example.com",
    ],
)
def test_a_foreign_page_is_refused_before_anybody_is_asked(browser_framework: Framework, origin: str) -> None:
    if origin == "":
        # A server drops an empty header or passes it on; either way nobody comes in as a page.
        return
    mounted = browser_framework.mount(authorize=asked_in_vain, allow_origins=[PAGE])
    for answered in (
        mounted.post(headers={"origin": origin}),
        mounted.request("OPTIONS", "/chat/negotiate", {**PREFLIGHT, "origin": origin}),
    ):
        assert (answered.status, answered.code) == (403, "origin_not_allowed")
        assert "access-control-allow-origin" not in answered.headers
        assert answered.headers["vary"] == "Origin"


def test_the_pages_own_origin_needs_no_permission(browser_framework: Framework) -> None:
    mounted = browser_framework.mount(authorize=lambda _: "ada", allow_origins=[PAGE])
    own = {"origin": "https://api.example.com", "sec-fetch-site": "same-origin"}
    answered = mounted.post(headers=own)
    assert answered.status == 200
    assert "access-control-allow-origin" not in answered.headers
    assert mounted.post(headers={**own, "sec-fetch-site": "same-site"}).status == 403


def test_clients_that_are_no_browsers_have_no_origin(browser_framework: Framework) -> None:
    answered = browser_framework.mount(authorize=lambda _: "ada", allow_origins=[PAGE]).post()
    assert answered.status == 200
    assert answered.headers["vary"] == "Origin"
    assert "access-control-allow-origin" not in answered.headers


def test_a_preflight(browser_framework: Framework) -> None:
    mounted = browser_framework.mount(authorize=asked_in_vain, allow_origins=[PAGE], allow_headers=["X-Mine"])
    answered = mounted.request("OPTIONS", "/chat/negotiate", PREFLIGHT)
    assert (answered.status, answered.body) == (204, b"")
    assert answered.headers["access-control-allow-origin"] == PAGE
    assert answered.headers["access-control-allow-credentials"] == "true"
    assert answered.headers["access-control-allow-methods"] == "POST"
    allowed = answered.headers["access-control-allow-headers"].split(", ")
    assert set(allowed) == {*CLIENT_HEADERS, "x-mine"}
    assert set(PREFLIGHT["access-control-request-headers"].split(",")) <= set(allowed)


def test_without_allow_origins_cors_is_left_to_the_application(browser_framework: Framework) -> None:
    mounted = browser_framework.mount(authorize=lambda _: "ada")
    assert mounted.request("OPTIONS", "/chat/negotiate", PREFLIGHT).status == 405
    answered = mounted.post(headers={"origin": "https://elsewhere.example"})
    assert answered.status == 200
    assert not {"access-control-allow-origin", "vary"} & set(answered.headers)


def test_origins_are_compared_in_their_normal_form(browser_framework: Framework) -> None:
    mounted = browser_framework.mount(
        authorize=lambda _: "ada", allow_origins=["HTTPS://App.Example.com:443", "http://[::1]:3000"]
    )
    assert mounted.post(headers={"origin": PAGE}).status == 200
    assert mounted.post(headers={"origin": "http://[::1]:3000"}).status == 200


@pytest.mark.parametrize(
    "origins",
    [
        "https://app.example.com",
        [],
        ["*"],
        ["null"],
        ["https://*.example.com"],
        ["app.example.com"],
        ["https://app.example.com/"],
        ["https://app.example.com/path"],
        ["https://app.example.com?"],
        ["ftp://app.example.com"],
        ["https://u:p@app.example.com"],
        ["https://app.example.com:port"],
        [PAGE, 7],
        [""],
    ],
    ids=repr,
)
def test_what_is_not_an_origin_is_refused_at_the_mount(browser_framework: Framework, origins: Any) -> None:
    with pytest.raises(InvalidArgumentError) as caught:
        browser_framework.mount(authorize=lambda _: "ada", allow_origins=origins)
    assert caught.value.code == "invalid_argument"
    assert 'allow_origins=["https://app.example.com"]' in caught.value.hint


@pytest.mark.parametrize("headers", [["x y"], ["x\r\ny"], [7], "x y"], ids=repr)
def test_what_is_not_a_header_is_refused_at_the_mount(browser_framework: Framework, headers: Any) -> None:
    with pytest.raises(InvalidArgumentError) as caught:
        browser_framework.mount(authorize=lambda _: "ada", allow_origins=[PAGE], allow_headers=headers)
    assert (caught.value.code, caught.value.hint) == ("invalid_argument", 'Pass allow_headers=["x-my-header"].')


@pytest.mark.parametrize("framework", [framework for framework in FRAMEWORKS if not framework.has_cors], ids=str)
def test_in_functions_cors_is_the_platforms(framework: Framework) -> None:
    with pytest.raises(InvalidArgumentError) as caught:
        framework.mount(authorize=lambda _: "ada", allow_origins=[PAGE])
    assert caught.value.code == "invalid_argument"
    assert "az functionapp cors add" in caught.value.hint
    assert "az functionapp cors credentials" in caught.value.hint
