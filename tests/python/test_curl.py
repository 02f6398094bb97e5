"""curl against `sealwire proxy`."""

import json
import os
import shutil
import subprocess
import time

import pytest

from system import MODEL, TOKEN_DELAY

CURL = shutil.which("curl")
IN_CI = os.environ.get("CI", "") not in ("", "false")
pytestmark = pytest.mark.skipif(not CURL and not IN_CI, reason="curl is not installed")


def arguments(base_url, **more):
    body = {"model": MODEL, "messages": [{"role": "user", "content": "Why is the sky blue?"}], **more}
    return [
        CURL or "curl", "--silent", "--show-error", "--no-buffer", "--fail-with-body", "--noproxy", "*", "--max-time", "30",
        "--header", "Content-Type: application/json", "--data", json.dumps(body), base_url + "/chat/completions",
    ]


def whole(base_url):
    done = subprocess.run(arguments(base_url), capture_output=True, check=True)
    return json.loads(done.stdout)["choices"][0]["message"]["content"]


def test_whole_answer(system):
    assert whole(system.base_url) == whole(system.upstream + "/v1")


def test_streamed_answer(system):
    pieces, done = [], False
    with subprocess.Popen(
        arguments(system.base_url, stream=True), stdout=subprocess.PIPE, text=True
    ) as curl:
        for line in curl.stdout:
            if not line.startswith("data: "):
                assert line == "\n", line
                continue
            data = line.removeprefix("data: ").strip()
            if data == "[DONE]":
                done = True
                continue
            assert not done, "nothing follows [DONE]"
            for choice in json.loads(data)["choices"]:
                if piece := choice["delta"].get("content"):
                    pieces.append((time.monotonic(), piece))
    assert curl.returncode == 0 and done
    assert "".join(piece for _, piece in pieces) == whole(system.upstream + "/v1")
    took = pieces[-1][0] - pieces[0][0]
    assert len(pieces) > 20 and took > 0.8 * TOKEN_DELAY * (len(pieces) - 1)


def test_unknown_model_is_a_404_in_the_apis_shape(system):
    done = subprocess.run(
        [*arguments(system.base_url, model="no-such-model"), "--write-out", "\n%{http_code}"], capture_output=True, text=True
    )
    body, status = done.stdout.rsplit("\n", 1)
    assert status == "404"
    assert json.loads(body)["error"]["code"] == "model_not_found"


def test_a_cut_answer_is_no_whole_one(own_system):
    """An answer that breaks off must leave curl with an error, not with exit code 0 and half the text."""
    with subprocess.Popen(
        arguments(own_system.base_url, stream=True), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as curl:
        for _ in range(10):
            assert curl.stdout.readline()
        own_system.instance.kill()
        rest = curl.stdout.read()
    assert "[DONE]" not in rest
    assert curl.returncode != 0
