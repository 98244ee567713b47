"""Every framework, one after the other."""

import pytest

from integrations.mounts import FRAMEWORKS, Framework


@pytest.fixture(params=FRAMEWORKS, ids=str)
def framework(request: pytest.FixtureRequest) -> Framework:
    found: Framework = request.param
    return found


@pytest.fixture(params=[framework for framework in FRAMEWORKS if framework.has_cors], ids=str)
def browser_framework(request: pytest.FixtureRequest) -> Framework:
    """Those in which CORS is the application's and not a platform's."""
    found: Framework = request.param
    return found
