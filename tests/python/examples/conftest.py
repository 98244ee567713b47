"""One wheel for all examples."""

from pathlib import Path

import pytest

from examples.installed import Installed, build_wheel, with_shared_packages


@pytest.fixture(scope="session")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build_wheel(tmp_path_factory.mktemp("wheel"))


@pytest.fixture(scope="session")
def installed(tmp_path_factory: pytest.TempPathFactory, wheel: Path) -> Installed:
    return with_shared_packages(tmp_path_factory.mktemp("installed"), wheel)
