"""Every row of the golden vectors, run against the Python package.

The format is described in tests/vectors/README.md.
"""

from collections.abc import Callable, Iterable
from datetime import datetime, timedelta, timezone
from queue import SimpleQueue
from typing import Any
from urllib.parse import urlsplit

import jwt
import pytest
from azure.core.credentials import AzureKeyCredential

import hubpass
from hubpass import NegotiationResponse, SignalRServiceClient
from hubpass._native import parse_connection_string
from vectors.vector_files import (
    SHAPES,
    Row,
    documents,
    faults_of_document,
    faults_of_row,
    row_ids,
    rows,
)

# The official rows have shorter keys than PyJWT likes, and endpoints of plain http, of which Hubpass warns.
pytestmark = [
    pytest.mark.filterwarnings("ignore::jwt.InsecureKeyLengthWarning"),
    pytest.mark.filterwarnings("ignore:.*plain http:hubpass.HubpassWarning"),
]

REGISTERED = {"aud", "exp", "iat", "iss", "nbf"}
DEFAULT_PORTS = {"http": 80, "https": 443}
CLASS_OF_CODE = {
    "claim_names_user": hubpass.InvalidArgumentError,
    "invalid_application_name": hubpass.InvalidArgumentError,
    "invalid_authentication_expires_on": hubpass.InvalidArgumentError,
    "invalid_connection_string": hubpass.ConfigurationError,
    "invalid_endpoint": hubpass.InvalidArgumentError,
    "invalid_lifetime": hubpass.InvalidArgumentError,
    "invalid_user_id": hubpass.InvalidArgumentError,
    "token_too_long": hubpass.TokenTooLongError,
}

connect = SignalRServiceClient.from_connection_string
executed: set[str] = set()


def vectors(shape: str) -> pytest.MarkDecorator:
    """Runs a test once for every row of the files of one shape."""
    return pytest.mark.parametrize("row", [pytest.param(row, id=row.id) for row in rows(shape)])


@pytest.fixture(autouse=True)
def note_execution(request: pytest.FixtureRequest) -> None:
    if "row" in request.fixturenames:
        executed.add(request.getfixturevalue("row").id)


def assert_observed(observed: dict[str, Any], wanted: dict[str, Any]) -> None:
    """Compares what the row speaks of; a key that nobody observes fails instead of being skipped."""
    assert {key: observed[key] for key in wanted} == wanted


def assert_refused(code: str, call: Callable[..., object], *arguments: Any, **options: Any) -> None:
    with pytest.raises(CLASS_OF_CODE[code]) as caught:
        call(*arguments, **options)
    assert caught.value.code == code


def assert_not_offered(
    keywords: Iterable[str], options: dict[str, Any], call: Callable[..., object], *arguments: Any
) -> None:
    for keyword in keywords:
        with pytest.raises(TypeError, match=rf"\b{keyword}\b"):
            call(*arguments, **{keyword: options[keyword]})


def port_of(uri: str | None) -> int | None:
    parts = urlsplit(uri or "")
    return parts.port or DEFAULT_PORTS.get(parts.scheme)


def normal_form(uri: str | None) -> str | None:
    """The one text of a URI: lower case, no default port, a closing slash only behind a path."""
    if uri is None:
        return None
    parts = urlsplit(uri)
    port = f":{parts.port}" if parts.port not in (None, DEFAULT_PORTS[parts.scheme]) else ""
    path = parts.path.rstrip("/")
    return f"{parts.scheme}://{parts.hostname}{port}{path and path + '/'}"


def with_normal_uris(wanted: dict[str, Any]) -> dict[str, Any]:
    return {key: normal_form(value) if key.endswith("endpoint") else value for key, value in wanted.items()}


def decoded(token: str, key: str, audience: str) -> dict[str, Any]:
    claims: dict[str, Any] = jwt.decode(
        token,
        key,
        algorithms=["HS256"],
        audience=audience,
        issuer="azure-signalr",
        options={"require": ["aud", "exp", "iat", "iss", "nbf"], "strict_aud": True},
    )
    return claims


def access_key_of(connection_string: str) -> str:
    """The key as the official parser reads it: behind the first equals sign, trimmed."""
    fields = (part.split("=", 1) for part in connection_string.split(";") if "=" in part)
    return next(value.strip() for name, value in fields if name.strip().lower() == "accesskey")


def client_audience(endpoint: str, hub: str) -> str:
    parts = urlsplit(endpoint)
    return f"{parts.scheme}://{parts.hostname}/client/?hub={hub}"


@vectors("connection_string")
def test_connection_string(row: Row) -> None:
    if "error" in row.wanted:
        assert_refused(row.wanted["error"], parse_connection_string, row.input)
        assert_refused(row.wanted["error"], connect, row.input, "hub")
        return
    parsed = parse_connection_string(row.input)
    observed = {
        "kind": parsed.kind,
        "version": parsed.version,
        "endpoint": parsed.endpoint,
        "client_endpoint": parsed.client_endpoint,
        "client_port": port_of(parsed.client_endpoint),
        "server_endpoint": parsed.server_endpoint,
        "server_port": port_of(parsed.server_endpoint),
    }
    if parsed.kind == "access_key":
        observed["access_key"] = key = row.wanted.get("access_key", access_key_of(row.input))
        with connect(row.input, "hub") as client:
            assert client.client_endpoint == (parsed.client_endpoint or parsed.endpoint)
            assert client.server_endpoint == (parsed.server_endpoint or parsed.endpoint)
            # A token that this key verifies proves which key was read.
            answer = client.negotiate(anonymous=True)
            assert decoded(answer.access_token, key, client_audience(parsed.endpoint, "hub"))
    assert_observed(observed, with_normal_uris(row.wanted))
    assert parsed.warnings == []


@vectors("service_endpoint")
def test_service_endpoint(row: Row) -> None:
    parsed = parse_connection_string(row.input)
    observed = {
        "endpoint": parsed.endpoint,
        "client_endpoint": parsed.client_endpoint or parsed.endpoint,
        "server_endpoint": parsed.server_endpoint or parsed.endpoint,
    }
    if parsed.kind == "access_key":
        with connect(row.input, "hub") as client:
            assert observed == {name: getattr(client, name) for name in observed}
            answer = client.negotiate(anonymous=True)
        unverified = jwt.decode(answer.access_token, options={"verify_signature": False})
        assert decoded(answer.access_token, access_key_of(row.input), unverified["aud"])
        observed["audience_base"] = unverified["aud"].removesuffix("client/?hub=hub")
    assert_observed(observed, with_normal_uris(row.wanted))


@vectors("endpoint_argument")
def test_endpoint_argument(row: Row) -> None:
    credential = AzureKeyCredential("fake_key")
    if "error" in row.wanted:
        assert_refused(row.wanted["error"], SignalRServiceClient, row.input, "hub", credential)
        return
    with SignalRServiceClient(row.input, "hub", credential) as client:
        assert_observed({"endpoint": client.endpoint, "port": port_of(client.endpoint)}, row.wanted)


@vectors("endpoint_equality")
def test_endpoint_equality(row: Row) -> None:
    addresses = []
    for side in (row.input["first"], row.input["second"]):
        text, options = side["connection_string"], side["options"]
        assert_not_offered(options, options, connect, text, "hub")
        with connect(text, "hub") as client:
            addresses.append((client.endpoint, client.client_endpoint, client.server_endpoint))
    wanted = row.wanted.get("without_them", row.wanted)
    assert_observed({"equal": addresses[0] == addresses[1]}, wanted)
    used = {*row.input["first"]["options"], *row.input["second"]["options"]}
    assert set(row.wanted.get("keywords", ())) == used


@vectors("endpoint_name")
def test_endpoint_name(row: Row) -> None:
    assert row.wanted.keys() == {"error", "keywords"}
    arguments = (row.input["endpoint"], "hub", AzureKeyCredential("fake_key"))
    assert_not_offered(row.wanted["keywords"], row.input["options"], SignalRServiceClient, *arguments)


def negotiate(given: dict[str, Any], **options: Any) -> tuple[SignalRServiceClient, NegotiationResponse]:
    """Calls negotiate as the row says; options of the file become those of the call."""
    if "lifetime_seconds" in options:
        options["lifetime"] = timedelta(seconds=options.pop("lifetime_seconds"))
    if "authentication_expires_on" in options:
        options["authentication_expires_on"] = datetime.fromtimestamp(
            options["authentication_expires_on"], tz=timezone.utc
        )
    if given["claims"] is not None:
        options["claims"] = [(name, value) for name, value in given["claims"]]
    with connect(given["connection_string"], given["hub"], application_name=given["application_name"]) as client:
        if given["user_id"] is None:
            return client, client.negotiate(anonymous=True, **options)
        return client, client.negotiate(given["user_id"], **options)


@vectors("negotiate")
def test_negotiate(row: Row) -> None:
    wanted, options = row.wanted, row.input["options"]
    if wanted.get("error") == "unexpected_keyword":
        assert_not_offered(wanted["keywords"], options, negotiate, row.input)
        options = {name: value for name, value in options.items() if name not in wanted["keywords"]}
        wanted = wanted["without_them"]
    if "error" in wanted:
        assert_refused(wanted["error"], negotiate, row.input, **options)
        return
    client, answer = negotiate(row.input, **options)
    application = row.input["application_name"]
    hub = f"{application}_{row.input['hub']}".lower() if application else row.input["hub"].lower()
    audience = wanted.get("aud", client_audience(client.endpoint, hub))
    token = decoded(answer.access_token, access_key_of(row.input["connection_string"]), audience)
    assert token["iat"] == token["nbf"]
    observed = {
        "url": answer.url,
        "aud": token["aud"],
        "algorithm": jwt.get_unverified_header(answer.access_token)["alg"],
        "claims": [[name, value] for name, value in token.items() if name not in REGISTERED],
        "has": {name: token.get(name) for name in wanted.get("has", ())},
        "absent": [name for name in wanted.get("absent", ()) if name not in token],
        "equal_to_exp": [name for name in wanted.get("equal_to_exp", ()) if token[name] == str(token["exp"])],
        "lifetime_seconds": token["exp"] - token["nbf"],
    }
    assert_observed(observed, wanted)


@vectors("claim_name")
def test_claim_name(row: Row) -> None:
    given = {
        "connection_string": "Endpoint=https://abc;AccessKey=fake_key",
        "hub": "hub",
        "application_name": None,
        "user_id": "user",
        "claims": [[row.input, "value"]],
    }
    client, answer = negotiate(given)
    token = decoded(answer.access_token, "fake_key", client_audience(client.endpoint, "hub"))
    own = {name: value for name, value in token.items() if name not in REGISTERED}
    assert own == {"asrs.s.uid": "user", row.wanted["name"]: "value"}


@vectors("rest_send")
def test_rest_send(
    row: Row, loopback_service: tuple[int, "SimpleQueue[tuple[str, str, dict[str, str], bytes]]"]
) -> None:
    port, calls = loopback_service
    official, local = row.input["endpoint"], f"http://127.0.0.1:{port}"

    def send() -> None:
        with connect(
            f"Endpoint=http://127.0.0.1;Port={port};AccessKey={row.input['access_key']}",
            row.input["hub"],
            application_name=row.input["application_name"],
        ) as client:
            client.send_to_all("target")

    if "error" in row.wanted:
        assert_refused(row.wanted["error"], send)
        assert calls.empty()
        return
    send()
    method, target, headers, body = calls.get_nowait()
    assert calls.empty()
    assert (method, body) == ("POST", b'{"Target":"target","Arguments":[]}')
    scheme, bearer = headers["authorization"].split(" ")
    assert scheme == "Bearer"
    token = decoded(bearer, row.input["access_key"], row.wanted["aud"].replace(official, local))
    observed = {
        "url": official + target,
        "aud": token["aud"].replace(local, official),
        "claim_names": sorted(token.keys() - REGISTERED),
    }
    assert_observed(observed, row.wanted)


@pytest.mark.parametrize(("name", "document"), documents().items())
def test_every_file_is_classified(name: str, document: dict[str, Any]) -> None:
    assert faults_of_document(name, document) == []


def test_ids_are_unique() -> None:
    ids = row_ids()
    assert len(ids) == len(set(ids))


GOOD_ROW: dict[str, Any] = {
    "id": "a-1",
    "input": "",
    "status": "differs",
    "expect": {},
    "ours": {"x": 1},
    "reason": "r",
}


@pytest.mark.parametrize(
    ("change", "fault"),
    [
        ({"status": None}, "unclassified: status None"),
        ({"status": "skip"}, "unclassified: status 'skip'"),
        ({"reason": " "}, "differs without a reason"),
        ({"ours": {}}, "differs without a result of ours that differs"),
        ({"status": "run"}, "reason in a row that runs"),
        ({"expects": {}}, "unknown key expects"),
        ({"status": "run", "expect": {"error": "refused"}}, "an error and ours_code belong together"),
    ],
)
def test_a_row_that_is_not_classified_is_found(change: dict[str, Any], fault: str) -> None:
    assert faults_of_row(GOOD_ROW) == []
    assert fault in faults_of_row(GOOD_ROW | change)


def test_a_file_that_no_runner_reads_is_found() -> None:
    document = documents()["a1.json"]
    assert "no runner reads the shape 'new'" in faults_of_document("a1.json", document | {"shape": "new"})
    assert "16 rows, but count is 17" in faults_of_document("a1.json", document | {"count": 17})


def test_every_row_was_executed(request: pytest.FixtureRequest) -> None:
    """The last test of this file: what it compares is complete only when all others have run."""
    config = request.config
    one_by_one = any("::" in argument for argument in config.args)
    filters = ("keyword", "markexpr", "deselect", "lf")
    if one_by_one or any(config.getoption(name, default=None) for name in filters):
        pytest.skip("only a selection of the rows was asked for")
    assert [shape for shape in sorted(SHAPES) if not rows(shape)] == []
    assert sorted(executed) == sorted(row_ids())
