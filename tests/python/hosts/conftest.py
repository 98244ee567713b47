"""A local Azure of its own for each host, whose requests are counted."""

from collections.abc import Iterator

import pytest

from emulator.support import Azure
from hubpass.emulator import Emulator


@pytest.fixture
def azure() -> Iterator[Azure]:
    with Emulator(key_issue_for=3600) as emulator:
        azure = Azure(emulator)
        yield azure
        azure.close()
