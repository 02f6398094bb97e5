import sys
from pathlib import Path

# The rig of the binaries' own tests serves these too.
sys.path.insert(0, str(Path(__file__).parents[3] / "tests" / "python"))

import os

import httpx
import httpx2
import pytest

import sealwire
import sealwire.httpx2
from rig import Rig, Upstream


@pytest.fixture(scope="session")
def binary():
    path = os.environ.get("SEALWIRE_BIN")
    assert path, "set SEALWIRE_BIN to the built binary, or run `cargo xtask python`"
    assert os.path.isfile(path), f"{path} does not exist"
    return path


class Library:
    """One of the two HTTP libraries, with our transports for it."""

    def __init__(self, http, transports):
        self.http, self.transports = http, transports

    def client(self, relay, timeout=30, **options):
        return self.http.Client(transport=self.transports.Transport(relay, **options), timeout=timeout)

    def async_client(self, relay, timeout=30, **options):
        return self.http.AsyncClient(transport=self.transports.AsyncTransport(relay, **options), timeout=timeout)


@pytest.fixture(params=["httpx", "httpx2"])
def library(request):
    return {"httpx": Library(httpx, sealwire), "httpx2": Library(httpx2, sealwire.httpx2)}[request.param]


@pytest.fixture(scope="session")
def rig(binary):
    """Instance and relay before the demo model, which all tests of the good path share."""
    running = Rig(binary)
    yield running
    running.stop()


@pytest.fixture
def upstream():
    server = Upstream()
    yield server
    server.stop()


@pytest.fixture
def own(binary, upstream):
    """A rig of the test's own before an upstream that does as it is told."""
    running = Rig(binary, upstream=upstream.url)
    yield running
    running.stop()
