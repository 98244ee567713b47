"""Fixtures for pytest: the local Azure, what it saw, and real connections to it.

An application that is built when it is imported needs its settings before that: put ``hubpass_emulator = true`` under
``[tool.pytest.ini_options]``, and the local Azure is started, and named in the environment, before tests are collected.
Without that it starts with the first test that asks for it. Each process of pytest-xdist has its own.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

    from hubpass.emulator.process import Emulator
    from hubpass.pytest_plugin.signalr import SignalRTester
    from hubpass.pytest_plugin.web_pubsub import WebPubSubTester

_INI = "hubpass_emulator"
_started = pytest.StashKey["_LocalAzure"]()


class _LocalAzure:
    """The local Azure of one process, and the environment as it was before."""

    def __init__(self) -> None:
        self.emulator: Emulator | None = None
        self._before: dict[str, str] = {}

    def start(self) -> Emulator:
        if self.emulator is None:
            from hubpass.emulator.environment import with_settings
            from hubpass.emulator.process import Emulator, EmulatorError

            emulator = Emulator()
            try:
                emulator.start()
            except EmulatorError as error:
                raise pytest.UsageError(str(error)) from None
            self._before = dict(os.environ)
            _replace_environment(with_settings(self._before, emulator))
            self.emulator = emulator
        return self.emulator

    def stop(self) -> None:
        if self.emulator is not None:
            _replace_environment(self._before)
            emulator, self.emulator = self.emulator, None
            emulator.stop()


def _replace_environment(wanted: dict[str, str]) -> None:
    for name in set(os.environ) - set(wanted):
        del os.environ[name]
    os.environ.update(wanted)


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the option that starts the local Azure before tests are collected."""
    parser.addini(
        _INI, "start the local Azure of hubpass before tests are collected, and name it in os.environ", "bool", False
    )


def pytest_configure(config: pytest.Config) -> None:
    """Start the local Azure if the option says so."""
    config.stash[_started] = _LocalAzure()
    # The process that only hands tests to others runs none itself.
    is_controller = bool(getattr(config.option, "dist", "no") != "no") and not hasattr(config, "workerinput")
    if config.getini(_INI) and not is_controller:
        config.stash[_started].start()


def pytest_unconfigure(config: pytest.Config) -> None:
    """Stop it."""
    if _started in config.stash:
        config.stash[_started].stop()


@pytest.fixture(scope="session")
def hubpass_emulator(request: pytest.FixtureRequest) -> Emulator:
    """Give the local Azure of this process, for all that the other fixtures do not offer (``hubpass.emulator``)."""
    return request.config.stash[_started].start()


@pytest.fixture
def _hubpass_reset(hubpass_emulator: Emulator) -> None:
    """Begin anew once for each test, whichever of the services it asks for, and before it has done anything."""
    from hubpass.pytest_plugin.testers import reset

    reset(hubpass_emulator)


@pytest.fixture
def signalr(hubpass_emulator: Emulator, _hubpass_reset: None) -> Iterator[SignalRTester]:
    """Give the local Azure SignalR Service, as new: see :class:`hubpass.pytest_plugin.signalr.SignalRTester`."""
    from hubpass.pytest_plugin.signalr import SignalRTester

    tester = SignalRTester(hubpass_emulator)
    yield tester
    tester.close()


@pytest.fixture
def web_pubsub(hubpass_emulator: Emulator, _hubpass_reset: None) -> Iterator[WebPubSubTester]:
    """Give the local Azure Web PubSub, as new: see :class:`hubpass.pytest_plugin.web_pubsub.WebPubSubTester`."""
    from hubpass.pytest_plugin.web_pubsub import WebPubSubTester

    tester = WebPubSubTester(hubpass_emulator)
    yield tester
    tester.close()
