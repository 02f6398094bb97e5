"""The `openai` and `@anthropic-ai/sdk` packages of npm: `node/*.test.mjs` against the system of this session."""

import os
import pathlib
import re
import subprocess

import pytest

import rig

FOLDER = pathlib.Path(__file__).parent / "node"
NODE = os.environ.get("CLIENTS_NODE")


@pytest.mark.skipif(not NODE, reason="node with the packages of tests/clients/node is not there")
@pytest.mark.parametrize("suite", ["chat", "responses", "messages"])
def test_packages_of_npm(system, suite, counted):
    """Each test of the file is one of node's own runner; what it prints is shown where it fails."""
    variables = {
        "SEALWIRE_URL": system.url,
        "SEALWIRE_UPSTREAM": system.upstream,
        "SEALWIRE_KEY": rig.KEY,
        "SEALWIRE_MODEL": rig.MODEL,
    }
    done = subprocess.run(
        [NODE, "--test", "--test-reporter=tap", f"{suite}.test.mjs"],
        cwd=FOLDER,
        env={**os.environ, **variables},
        capture_output=True,
        text=True,
        timeout=300,
    )
    counts = dict(re.findall(r"^# (pass|fail|skipped) (\d+)$", done.stdout, re.MULTILINE))
    assert done.returncode == 0 and counts["fail"] == counts["skipped"] == "0", done.stdout + done.stderr
    assert int(counts["pass"]) >= 5
    counted("npm", int(counts["pass"]))
