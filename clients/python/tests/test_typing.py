"""The stubs are what the compiled core is, and programs that use the package are typed."""

import subprocess
import sys
from pathlib import Path

import pytest

FOLDER = Path(__file__).parents[1]


def run(tmp_path, *args):
    done = subprocess.run(
        [sys.executable, "-m", *args], capture_output=True, text=True, cwd=tmp_path, env={"PATH": "", "MYPY_CACHE_DIR": str(tmp_path)}
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_stubs_fit_the_core(tmp_path):
    run(tmp_path, "mypy.stubtest", "sealwire._core")


@pytest.mark.parametrize("what", ["python/sealwire", "examples"])
def test_types(tmp_path, what):
    run(tmp_path, "mypy", "--strict", str(FOLDER / what))
