"""curl: the commands of the documentation."""

import json
import os
import shutil
import subprocess

import pytest

from rig import KEY, MODEL, events, user

CURL = shutil.which("curl")
IN_CI = os.environ.get("CI", "") not in ("", "false")
pytestmark = pytest.mark.skipif(not CURL and not IN_CI, reason="curl is not installed")


def curl(url, body=None, *more):
    command = [CURL or "curl", "--silent", "--show-error", "--no-buffer", "--fail-with-body", "--noproxy", "*", "--max-time", "30"]
    if body is not None:
        command += ["--header", "Content-Type: application/json", "--data", json.dumps(body)]
    return subprocess.run([*command, *more, url], capture_output=True)


def test_responses(system):
    body = {"model": MODEL, "input": "say yes"}
    whole = json.loads(curl(f"{system.base_url}/responses", body, "-H", f"Authorization: Bearer {KEY}").stdout)
    assert whole["output"][0]["content"][0]["text"] == "yes"
    done = curl(f"{system.base_url}/responses", {**body, "stream": True})
    assert done.returncode == 0
    assert [name for name, _ in events(done.stdout)][-1] == "response.completed"


def test_messages(system):
    body = {"model": MODEL, "max_tokens": 100, "messages": user("say yes")}
    more = ["-H", f"x-api-key: {KEY}", "-H", "anthropic-version: 2023-06-01"]
    whole = json.loads(curl(f"{system.base_url}/messages", body, *more).stdout)
    assert whole["content"] == [{"type": "text", "text": "yes"}]
    done = curl(f"{system.base_url}/messages", {**body, "stream": True}, *more)
    assert done.returncode == 0
    assert [name for name, _ in events(done.stdout)][-1] == "message_stop"


def test_completions_and_embeddings(system):
    whole = json.loads(curl(f"{system.base_url}/completions", {"model": MODEL, "prompt": "say yes"}).stdout)
    assert whole["choices"][0]["text"] == "yes"
    whole = json.loads(curl(f"{system.base_url}/embeddings", {"model": MODEL, "input": "yes"}).stdout)
    assert len(whole["data"][0]["embedding"]) == 8


def test_an_error_is_exit_code_22(system):
    for path, prompt in (("/chat/completions", {"messages": user("fail 500 no")}), ("/responses", {"input": "fail 500 no"})):
        assert curl(system.base_url + path, {"model": MODEL, **prompt}).returncode == 22


def test_a_chat_answer_that_breaks_off_is_no_whole_one(system):
    body = {"model": MODEL, "messages": user("say one two ; cut"), "stream": True}
    done = curl(f"{system.base_url}/chat/completions", body)
    assert done.returncode != 0 and b"[DONE]" not in done.stdout


def test_a_head_of_the_root(system):
    assert curl(system.url + "/", None, "--head").stdout.startswith(b"HTTP/1.1 200")
