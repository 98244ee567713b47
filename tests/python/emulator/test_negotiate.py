"""`POST /client/negotiate`: its query, its answer, and CORS."""

from __future__ import annotations

import pytest

from emulator.support import Azure

JAVASCRIPT_CLIENT_HEADERS = {"authorization", "x-requested-with", "x-signalr-user-agent", "content-type"}


def test_version_1_has_an_id_and_a_secret_token(azure: Azure) -> None:
    answer = azure.negotiate(azure.token()).json()
    assert answer["negotiateVersion"] == 1
    assert answer["connectionId"] != answer["connectionToken"]
    assert answer["availableTransports"] == [
        {"transport": "WebSockets", "transferFormats": ["Text", "Binary"]},
        {"transport": "ServerSentEvents", "transferFormats": ["Text"]},
        {"transport": "LongPolling", "transferFormats": ["Text", "Binary"]},
    ]
    assert set(answer) == {"negotiateVersion", "connectionId", "connectionToken", "availableTransports"}


@pytest.mark.parametrize("query", ["hub=chat", "hub=chat&negotiateVersion=0"])
def test_version_0_has_an_id_only(azure: Azure, query: str) -> None:
    answer = azure.negotiate(azure.token(), query).json()
    assert set(answer) == {"negotiateVersion", "connectionId", "availableTransports"}
    assert answer["negotiateVersion"] == 0


def test_a_newer_version_is_answered_with_the_newest_known(azure: Azure) -> None:
    assert azure.negotiate(azure.token(), "hub=chat&negotiateVersion=9").json()["negotiateVersion"] == 1


@pytest.mark.parametrize(
    "query",
    [
        "",
        "hub=",
        "hub=chat&hub=chat",
        "hub=1chat",
        "hub=ch%20at",
        "hub=chat&negotiateVersion=1&negotiateVersion=1",
        "hub=chat&negotiateVersion=one",
    ],
)
def test_a_bad_query_is_refused_and_its_correction_passes(azure: Azure, query: str) -> None:
    token = azure.token()
    answer = azure.negotiate(token, query)
    assert answer.status_code == 400
    assert "query parameter" in answer.text
    assert azure.negotiate(token, "hub=chat&negotiateVersion=1").status_code == 200


def test_every_character_that_a_hub_name_may_have(azure: Azure) -> None:
    hub = "a_`,.[]9"
    assert azure.negotiate(azure.token(hub), "hub=a_%60,.[]9").status_code == 200


def test_a_hub_name_has_a_limit(azure: Azure) -> None:
    longest = "a" * 257
    assert azure.negotiate(azure.token(longest), f"hub={longest}").status_code == 200
    assert azure.negotiate(azure.token(f"{longest}a"), f"hub={longest}a").status_code == 400


def test_the_transports_of_the_token_restrict_the_offer(azure: Azure) -> None:
    for mask, offered in (
        ("1", ["WebSockets"]),
        ("5", ["WebSockets", "LongPolling"]),
        ("6", ["ServerSentEvents", "LongPolling"]),
    ):
        answer = azure.negotiate(azure.user_token({"asrs.s.htt": mask})).json()
        assert [offer["transport"] for offer in answer["availableTransports"]] == offered


def test_stateful_reconnect_is_declined_by_silence(azure: Azure) -> None:
    answer = azure.negotiate(azure.token(), "hub=chat&negotiateVersion=1&useStatefulReconnect=true")
    assert answer.status_code == 200
    assert "useStatefulReconnect" not in answer.json()


def test_browsers_of_any_origin_may_read_the_answer_with_credentials(azure: Azure) -> None:
    origin = "http://localhost:5173"
    for token, status in ((azure.token(), 200), (None, 401)):
        answer = azure.negotiate(token, headers={"Origin": origin})
        assert answer.status_code == status
        assert answer.headers["access-control-allow-origin"] == origin
        assert answer.headers["access-control-allow-credentials"] == "true"
        assert "Origin" in answer.headers["vary"]
    assert "access-control-allow-origin" not in azure.negotiate(azure.token()).headers


def test_a_preflight_allows_what_the_javascript_client_sends(azure: Azure) -> None:
    answer = azure.http.options(
        f"{azure.endpoint}/client/negotiate?hub=chat",
        headers={
            "Origin": "http://localhost:5173",
            "Access-Control-Request-Method": "POST",
            "Access-Control-Request-Headers": ",".join(JAVASCRIPT_CLIENT_HEADERS),
        },
    )
    assert answer.status_code == 204
    allowed = {name.strip() for name in answer.headers["access-control-allow-headers"].split(",")}
    assert allowed == JAVASCRIPT_CLIENT_HEADERS
    assert "POST" in answer.headers["access-control-allow-methods"]
    assert answer.headers["access-control-allow-origin"] == "http://localhost:5173"
    assert answer.headers["access-control-allow-credentials"] == "true"


def test_the_rest_routes_have_no_cors(azure: Azure) -> None:
    answer = azure.http.options(
        f"{azure.endpoint}/api/hubs/chat/:send",
        headers={"Origin": "http://localhost:5173", "Access-Control-Request-Method": "POST"},
    )
    assert answer.status_code == 405
    assert not [name for name in answer.headers if name.startswith("access-control")]


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/client/negotiate?hub=chat", 405),
        ("POST", "/client/negotiate/negotiate?hub=chat", 404),
        ("PUT", "/client/?hub=chat", 405),
        ("POST", "/api/v1/hubs/chat", 404),
        ("POST", "/api/v1/auth/accessKey", 405),
        ("GET", "/api/v1/auth/accesskey", 404),
        ("POST", "/api/hubs/chat/users/ann/:send", 404),
        ("DELETE", "/api/health", 405),
        ("GET", "/", 404),
    ],
)
def test_an_unsupported_request_is_told_what_there_is(azure: Azure, method: str, path: str, status: int) -> None:
    answer = azure.http.request(method, azure.endpoint + path)
    assert answer.status_code == status
    assert answer.headers["x-ms-error-code"] == answer.json()["code"]
    assert "POST /api/hubs/{hub}/:send" in answer.json()["message"]
    (entry,) = azure.control.journal()
    assert (entry.route, entry.action, entry.status) == ("unsupported", "refused", status)


def test_an_unsupported_websocket_is_refused(azure: Azure) -> None:
    token = azure.token()
    assert azure.refused_socket(token, path="/server/").status_code == 404
    for path in ("/client/", "/client"):
        with azure.socket(token, path=path) as client:
            client.shake_hands()


@pytest.mark.parametrize("method", ["HEAD", "GET"])
def test_health_needs_no_token(azure: Azure, method: str) -> None:
    assert azure.http.request(method, f"{azure.endpoint}/api/health?api-version=2024-12-01").status_code == 200
