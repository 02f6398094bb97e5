import os
import sys
from pathlib import Path

import pytest

# The processes and the tap are those of the client test.
sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "python"))

from world import World  # noqa: E402


@pytest.fixture(scope="session")
def binary():
    path = os.environ.get("SEALWIRE_BIN")
    assert path, "set SEALWIRE_BIN and SEAL_CLIENT to the built binaries, or run `cargo xtask interop`"
    assert os.path.isfile(path), f"{path} does not exist"
    return path


@pytest.fixture(scope="session")
def world(binary, request):
    running = World(binary)
    request.config.world = running
    yield running
    running.stop()


def pytest_runtest_logreport(report):
    """A cell counts if nothing of it failed or was skipped."""
    cell = dict(report.user_properties).get("cell")
    if cell and (report.when == "call" or not report.passed):
        cells.setdefault(cell, []).append(report.passed)


cells = {}


def pytest_terminal_summary(terminalreporter, config):
    world = getattr(config, "world", None)
    passed = sum(all(results) for results in cells.values())
    terminalreporter.write_line(f"matrix: {passed} cells, {world.exchanges if world else 0} exchanges")
