"""The packages' own tests of their APIs, as published in their source archives, run against the proxy.

What is not served, or cannot pass anywhere, is deselected by `deselected.txt`, an entry and its reason a line. Everything else of the files named here must pass.
"""

import os
import pathlib
import re
import subprocess
import sys
import tarfile
import xml.etree.ElementTree as xml
from importlib import metadata

import pytest

import rig

HERE = pathlib.Path(__file__).parent
FILES = {
    "openai": ["chat/test_completions.py", "test_completions.py", "test_embeddings.py", "test_models.py", "test_responses.py", "responses/test_input_tokens.py"],
    "anthropic": ["test_messages.py", "test_models.py"],
}
# A file that is empty, or no longer collected, must not look like success.
LEAST = {"openai": 90, "anthropic": 100}


# The models whose entry the suites ask for.
NAMES = ("gpt-6-astra", "model_id")


@pytest.fixture(scope="module")
def named(binary):
    arguments = ["--default-model", rig.MODEL]
    with rig.running(binary, others=NAMES, proxy=arguments) as running:
        yield running


@pytest.fixture(scope="session")
def archives():
    path = os.environ.get("CLIENTS_ARCHIVES")
    if not path:
        pytest.skip("the source archives are not there: run `cargo xtask clients`")
    return pathlib.Path(path)


def unpacked(archives, package):
    name = f"{package}-{metadata.version(package)}"
    folder = archives / name
    if not folder.is_dir():
        with tarfile.open(archives / f"{name}.tar.gz") as archive:
            archive.extractall(archives, filter="data")
    return folder


def deselected(package):
    """(pattern, reason) of each entry."""
    entries = []
    for line in (HERE / "deselected.txt").read_text().splitlines():
        if line and not line.startswith("#"):
            entry, reason = (part.strip() for part in line.split("  ", 1))
            owner, pattern = entry.split(":", 1)
            if owner == package:
                entries.append((pattern, reason))
    return entries


@pytest.mark.parametrize("package", FILES)
def test_suite_of_the_package(named, package, archives, tmp_path, counted):
    folder, entries = unpacked(archives, package), deselected(package)
    plugin = tmp_path / "choose.py"
    plugin.write_text(PLUGIN)
    report = tmp_path / "report.xml"
    url = named.base_url if package == "openai" else named.url
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-p", "choose", "-p", "no:cacheprovider", "-n", "0", "-q", f"--junitxml={report}"]
        + [f"tests/api_resources/{file}" for file in FILES[package]],
        cwd=folder,
        env={
            **{name: value for name, value in os.environ.items() if not name.startswith(("OPENAI_", "ANTHROPIC_"))},
            "TEST_API_BASE_URL": url,
            "CHOOSE": "\n".join(pattern for pattern, _ in entries),
            "PYTHONPATH": str(tmp_path),
            "PYTHONDONTWRITEBYTECODE": "1",
        },
        capture_output=True,
        text=True,
        timeout=600,
    )
    assert done.returncode == 0, done.stdout[-20000:] + done.stderr[-5000:]
    (suite,) = xml.parse(report).getroot().iter("testsuite")
    counts = {name: int(suite.attrib[name]) for name in ("tests", "failures", "errors", "skipped")}
    passed = counts["tests"] - counts["skipped"]
    assert counts["failures"] == counts["errors"] == 0
    assert passed >= LEAST[package]
    unused = re.findall(r"^unused: (.*)$", done.stdout, re.MULTILINE)
    assert not unused, f"entries of deselected.txt that fit no test: {unused}"
    left_out = int(re.search(r"^deselected: (\d+)$", done.stdout, re.MULTILINE)[1])
    counted(f"{package}'s own suite", passed, f"{left_out} deselected, {counts['skipped']} skipped by the package")


# Deselects by patterns of the node's name, and says which of them fitted nothing.
PLUGIN = '''
import fnmatch
import os

patterns = os.environ["CHOOSE"].splitlines()


def pytest_collection_modifyitems(config, items):
    used, kept, dropped = set(), [], []
    for item in items:
        name = item.nodeid.removeprefix("tests/api_resources/").replace("[", " ").replace("]", "")
        fitting = [pattern for pattern in patterns if fnmatch.fnmatchcase(name, pattern)]
        used.update(fitting)
        (dropped if fitting else kept).append(item)
    config.hook.pytest_deselected(items=dropped)
    items[:] = kept
    print(f"\\ndeselected: {len(dropped)}")
    for pattern in patterns:
        if pattern not in used:
            print(f"unused: {pattern}")
'''
