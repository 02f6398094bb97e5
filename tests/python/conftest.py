import os

import pytest

from system import System


@pytest.fixture(scope="session")
def binary():
    path = os.environ.get("SEALWIRE_BIN")
    assert path, "set SEALWIRE_BIN to the built binary, or run `cargo xtask python`"
    assert os.path.isfile(path), f"{path} does not exist"
    return path


@pytest.fixture(scope="session")
def system(binary):
    """A system that all tests of the good path share."""
    running = System(binary)
    yield running
    running.stop()


@pytest.fixture
def own_system(binary):
    """A system that the test may break."""
    running = System(binary)
    yield running
    running.stop()
