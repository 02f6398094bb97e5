"""The Codex CLI (npm `@openai/codex`), as a user runs it: `codex exec` with a provider of one's own that is the proxy."""

import base64
import json
import os
import subprocess

import pytest

import rig

CODEX = os.environ.get("CLIENTS_CODEX")
pytestmark = pytest.mark.skipif(not CODEX, reason="the Codex CLI is not installed")

CONFIG = """\
model = "demo"
model_provider = "sealwire"
check_for_update_on_startup = false
{more}
[analytics]
enabled = false

[model_providers.sealwire]
name = "sealwire"
base_url = "{base_url}"
env_key = "SEALWIRE_TEST_KEY"
wire_api = "responses"
request_max_retries = 0
stream_max_retries = 0
stream_idle_timeout_ms = 2500
"""
# Whatever would leave this machine goes nowhere.
NOWHERE = dict.fromkeys(("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"), "http://127.0.0.1:9")


@pytest.fixture
def codex(system, tmp_path):
    """Runs one turn in an empty folder; its exit code and events."""
    home, folder = tmp_path / "home", tmp_path / "work"
    home.mkdir()
    folder.mkdir()

    def run(*arguments, more='web_search = "disabled"', at=system):
        (home / "config.toml").write_text(CONFIG.format(base_url=at.base_url, more=more))
        done = subprocess.run(
            [CODEX, "exec", "--skip-git-repo-check", "--json", "--sandbox", "danger-full-access", *arguments],
            cwd=folder,
            env={
                "PATH": os.environ["PATH"],
                "HOME": str(home),
                "CODEX_HOME": str(home),
                "SEALWIRE_TEST_KEY": rig.KEY,
                "NO_PROXY": "127.0.0.1,localhost",
                **NOWHERE,
            },
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=120,
        )
        assert done.stdout, done.stderr
        return done.returncode, [json.loads(line) for line in done.stdout.splitlines()]

    run.folder = folder
    return run


def items(seen, kind):
    ended = [event["item"] for event in seen if event["type"] == "item.completed"]
    return [item for item in ended if item["type"] == kind]


def answer(seen):
    return items(seen, "agent_message")[-1]["text"]


def usage(seen):
    return next(event["usage"] for event in seen if event["type"] == "turn.completed")


def test_plain_answer_and_usage(codex):
    code, seen = codex("say hello there")
    assert (code, answer(seen)) == (0, "hello there")
    assert usage(seen)["input_tokens"] > 100 and usage(seen)["output_tokens"] == 2


def test_a_command_runs_and_its_output_comes_back(codex):
    word = rig.canary("tool output")
    call = json.dumps({"cmd": f"echo {word} | tee written.txt"})
    code, seen = codex(f"think I shall look ; call exec_command {call}")
    assert code == 0
    assert (codex.folder / "written.txt").read_text() == word + "\n"
    (command,) = items(seen, "command_execution")
    assert (command["exit_code"], command["aggregated_output"]) == (0, word + "\n")
    assert word in answer(seen)


def test_reasoning_is_shown_and_carried(codex):
    _, seen = codex('think I shall look ; call exec_command {"cmd":"true"}')
    assert [item["text"] for item in items(seen, "reasoning")] == ["I shall look"]
    assert answer(seen).endswith("(I had thought: I shall look)")
    assert usage(seen)["reasoning_output_tokens"] == 3


def test_several_commands_in_one_turn(codex):
    calls = " ; ".join(f'call exec_command {{"cmd":"echo {number}"}}' for number in (1, 2, 3))
    _, seen = codex(calls)
    assert sorted(item["aggregated_output"] for item in items(seen, "command_execution")) == ["1\n", "2\n", "3\n"]


def test_a_tool_of_a_namespace(codex):
    """Codex finds it by name and namespace, and answers by itself."""
    _, seen = codex('call multi_agent_v1__wait_agent {"targets":["nobody"]}')
    assert "nobody" in answer(seen) and "unsupported call" not in answer(seen)


def test_an_image(codex, tmp_path):
    image = tmp_path / "pixel.png"
    image.write_bytes(base64.b64decode(rig.PNG))
    code, seen = codex("--image", str(image), "--", "what is this")
    assert (code, answer(seen)) == (0, f"I was shown image_url (image/png, {rig.PNG_BYTES} bytes).")


def test_structured_output(codex, tmp_path):
    schema = tmp_path / "schema.json"
    schema.write_text(json.dumps(rig.WEATHER))
    _, seen = codex("--output-schema", str(schema), "hello")
    assert json.loads(answer(seen)) == {"city": "text"}


def test_tools_that_nobody_here_can_run_do_not_disturb(codex):
    """As it comes, Codex offers a search with every request."""
    code, seen = codex("say yes", more="")
    assert (code, answer(seen)) == (0, "yes")


def test_silence_longer_than_codex_waits(codex):
    for prompt in ("wait 5 ; say late", "delay 5 ; say late"):
        code, seen = codex(prompt)
        assert (code, answer(seen)) == (0, "late")


def failure(seen):
    return next(event["error"]["message"] for event in seen if event["type"] == "turn.failed")


def test_a_prompt_that_is_too_long_is_known_as_such(codex, small):
    code, seen = codex("hello", at=small)
    assert code != 0 and "context window" in failure(seen)


@pytest.mark.parametrize("prompt", ["fail 400 xylograph", "fail 500 xylograph", "say one ; break 500 xylograph"])
def test_what_the_model_server_says_is_shown(codex, prompt):
    code, seen = codex(prompt)
    assert code != 0
    # Codex replaces the words of a 500 by its own.
    assert "xylograph" in failure(seen) or "fail 500" in prompt


def test_an_answer_that_breaks_off_is_no_answer(codex):
    for prompt in ("say one two ; cut", "say one two ; end"):
        code, seen = codex(prompt)
        assert code != 0 and failure(seen)


def test_what_is_not_trusted_is_said(codex, untrusted):
    code, seen = codex("hello", at=untrusted)
    assert code != 0 and "sealwire" in failure(seen)
    assert untrusted.tally()["begun"] == 0
