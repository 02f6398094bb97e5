"""The implementations by name, each as a client and as an instance, behind one command line.

instance: --listen 127.0.0.1:PORT --label NAME --upstream URL --identity-seed HEX [--suites 1,2]
    prints one line `listening http://127.0.0.1:PORT identity HEX` when it is ready; port 0 picks one
client: --url URL --label NAME --suite N --identity HEX [--early allow|never] [--key KEY] [--path PATH] [--drip N]
    content on standard input, the answer on standard output as it comes; exit code 0 only after a verified end with its final receipt checked,
    else `error CODE: text` on standard error and exit code 1; --drip N sends the content in N pieces, 20 ms apart

The Rust instance is `sealwire instance`, which says the same in its own words.
"""

import base64
import os
import shutil
import subprocess
import sys
import tempfile
import threading
from pathlib import Path

import pytest

from system import Process

ROOT = Path(__file__).resolve().parents[2]
NAMES = ["rust", "typescript", "python"]
LABEL = "demo"
SEED = bytes(range(32))
IN_CI = os.environ.get("CI", "") not in ("", "false")
# A step that takes longer than this does not come at all.
PATIENCE = 30.0


def need(what, path):
    """A named failure in CI and a named skip elsewhere, if a part is not there."""
    if path and Path(path).is_file():
        return str(path)
    shown = Path(path).relative_to(ROOT) if path and Path(path).is_relative_to(ROOT) else path
    message = f"no {what}: {shown or 'it'} is not there"
    if IN_CI:
        pytest.fail(message, pytrace=False)
    pytest.skip(message)


def command(name, role):
    """The start of a command line, and the environment, for `role` "instance" or "client"."""
    env = dict(os.environ)
    what = {"rust": "Rust", "typescript": "TypeScript", "python": "Python"}[name] + " " + role
    if name == "typescript":
        script = need(what, ROOT / "clients" / "typescript" / "dist" / "node" / f"{role}-cli.js")
        return [need("node", shutil.which("node")), script], env
    if name == "python":
        reference = ROOT / "vectors" / "reference"
        need(what, reference / "sealwire_ref" / f"{role}_cli.py")
        env["PYTHONPATH"] = str(reference)
        return [sys.executable, "-m", f"sealwire_ref.{role}_cli"], env
    variable = {"instance": "SEALWIRE_BIN", "client": "SEAL_CLIENT"}[role]
    return [need(what, os.environ.get(variable))], env


class Instance:
    """A running instance of an implementation, with both suites."""

    def __init__(self, name, upstream, label=LABEL, seed=SEED):
        start, env = command(name, "instance")
        self.name, self.label = name, label
        self._folder = None
        if name == "rust":
            # Its seed is in a file that only its owner may read.
            self._folder = tempfile.TemporaryDirectory()
            key = Path(self._folder.name) / "identity"
            key.touch(mode=0o600)
            key.write_text(base64.urlsafe_b64encode(seed).rstrip(b"=").decode() + "\n")
            arguments = [
                "instance", "--listen", "127.0.0.1:0", "--model", label, "--upstream", upstream,
                "--evidence", "none", "--identity-key", str(key), "--suite", "1", "--suite", "2",
            ]
            self.process = Process(start[0], *arguments, env=env)
            identity = self.process.value("identity")
            self.identity = base64.urlsafe_b64decode(identity + "=").hex()
            self.url = self.process.url()
            return
        arguments = [
            "--listen", "127.0.0.1:0", "--label", label, "--upstream", upstream,
            "--identity-seed", seed.hex(), "--suites", "1,2",
        ]
        self.process = Process(start[0], *start[1:], *arguments, env=env)
        words = self.process.value("listening").split()
        assert len(words) == 3 and words[1] == "identity", words
        self.url, self.identity = words[0], words[2]

    def kill(self):
        self.process.kill()

    def stop(self):
        self.process.stop()
        if self._folder:
            self._folder.cleanup()


class Client:
    """One run of an implementation's client. What it prints is kept as it comes."""

    def __init__(self, name, url, suite, identity, body, early="allow", key=None, drip=None, label=LABEL):
        start, env = command(name, "client")
        arguments = ["--url", url, "--label", label, "--suite", str(suite), "--identity", identity, "--early", early]
        arguments += ["--key", key] if key else []
        arguments += ["--drip", str(drip)] if drip else []
        self.name = name
        self.process = subprocess.Popen(
            [*start, *arguments], env=env, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE
        )
        self.out, self.errors, self.reads = bytearray(), bytearray(), 0
        self._ended = False
        self._changed = threading.Condition()
        self._readers = [
            threading.Thread(target=self._read_out, daemon=True),
            threading.Thread(target=self._read_errors, daemon=True),
        ]
        for reader in self._readers:
            reader.start()
        try:
            self.process.stdin.write(body)
            self.process.stdin.close()
        except BrokenPipeError:
            # It refused before it read its input: the exit code and the message tell.
            pass

    def _read_out(self):
        while data := os.read(self.process.stdout.fileno(), 65536):
            with self._changed:
                self.out += data
                self.reads += 1
                self._changed.notify_all()
        with self._changed:
            self._ended = True
            self._changed.notify_all()

    def _read_errors(self):
        while data := os.read(self.process.stderr.fileno(), 65536):
            self.errors += data

    def wait_for(self, text):
        """Waits until the output holds the text, and the process still runs."""
        wanted = text.encode()
        with self._changed:
            came = self._changed.wait_for(lambda: wanted in self.out or self._ended, timeout=PATIENCE)
            assert came and wanted in self.out, f"{text[:40]!r} did not come; {self.said()}"
            assert not self._ended, f"the output ended too early; {self.said()}"

    def end(self):
        """Waits for the end: exit code, output, error line."""
        try:
            code = self.process.wait(timeout=PATIENCE)
        except subprocess.TimeoutExpired:
            self.stop()
            raise AssertionError(f"the client did not end; {self.said()}") from None
        for reader in self._readers:
            reader.join(timeout=PATIENCE)
        return code, bytes(self.out), self.errors.decode(errors="replace")

    def said(self):
        return f"{self.name} client, output {bytes(self.out[-200:])!r}, errors {bytes(self.errors[-2000:])!r}"

    def stop(self):
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
