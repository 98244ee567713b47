"""Each framework under a web server of its kind."""

from collections.abc import Iterator

import pytest

from hostile.servers import Server, serving

UVICORN = ["uvicorn", "--http", "h11", "--fd", "{fd}", "--log-level", "warning"]
GUNICORN = ["gunicorn", "--bind", "fd://{fd}", "--log-level", "warning", "--no-control-socket"]
COMMANDS = {
    "asgi": [*UVICORN, "hostile.apps:asgi_app"],
    "starlette": [*UVICORN, "hostile.apps:starlette_app"],
    "fastapi": [*UVICORN, "hostile.apps:fastapi_app"],
    "wsgi": [*GUNICORN, "hostile.apps:wsgi_app"],
    "flask": [*GUNICORN, "hostile.apps:flask_app"],
    "flask-threads": [*GUNICORN, "--worker-class", "gthread", "--threads", "4", "hostile.apps:flask_app"],
}


@pytest.fixture(scope="module", params=COMMANDS, ids=str)
def server(request: pytest.FixtureRequest) -> Iterator[Server]:
    with serving(COMMANDS[request.param]) as running:
        yield running
