import os

import pytest

import rig


@pytest.fixture(scope="session")
def binary():
    path = os.environ.get("SEALWIRE_BIN")
    assert path and os.path.isfile(path), "set SEALWIRE_BIN to the built binary, or run `cargo xtask clients`"
    return path


@pytest.fixture(scope="session")
def system(binary):
    """A system that all tests of the good path share. It shows that it lives after a second of silence."""
    arguments = ["--default-model", rig.MODEL, "--keep-alive", "1"]
    with rig.running(binary, proxy=arguments) as running:
        yield running


@pytest.fixture(scope="session")
def small(binary):
    """The same with a model of 200 tokens."""
    with rig.running(binary, model=["--max-model-len", "200"], proxy=["--keep-alive", "1"]) as running:
        yield running


@pytest.fixture
def own_system(binary):
    """A system that the test may break."""
    with rig.running(binary) as running:
        yield running


@pytest.fixture(scope="session")
def untrusted(binary):
    """A proxy that has pinned an identity which no instance has."""
    with rig.running(binary, pin="AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8") as running:
        yield running


COUNTED = {}


@pytest.fixture
def counted():
    """Notes how many tests of its own another runner has run, for the closing lines."""

    def note(runner, tests, more=""):
        before, _ = COUNTED.get(runner, (0, ""))
        COUNTED[runner] = (before + tests, more)

    return note


def pytest_terminal_summary(terminalreporter):
    for runner, (tests, more) in sorted(COUNTED.items()):
        terminalreporter.write_line(f"counted: {runner}: {tests} passed" + (f"; {more}" if more else ""))
