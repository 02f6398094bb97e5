"""Last of all: nothing that belongs to the application and the model was printed by any process of this suite, or seen by the relay."""

import re

import pytest

import rig

# What the suites of the packages send by themselves.
FOREIGN = {
    "My API Key": "key",
    "My Admin API Key": "key",
    "my-anthropic-api-key": "key",
    "The quick brown fox jumped": "prompt",
    "location is San Francisco": "prompt",
}


@pytest.fixture(scope="module", autouse=True)
def prompts_and_answers(system):
    """Canaries of every kind, on every way in and out, also where something fails."""
    for api in ("chat", "responses", "messages"):
        send(system, api)


def send(system, api):
    from test_errors import APIS

    path, body = APIS[api]
    words = {kind: rig.canary(f"{api} {kind}") for kind in ("prompt", "answer", "arguments", "thought", "image", "error")}
    image = {"chat": "image_url", "responses": "input_image", "messages": "image"}[api]
    prompts = [
        f"{words['prompt']}",
        f"say {words['answer']}",
        f"think {words['thought']} ; say yes",
        f'call weather {{"city":"{words["arguments"]}"}}',
        f"fail 500 {words['error']}",
        f"say one ; break 500 {words['error']}",
        f"say {words['answer']} ; cut",
    ]
    for prompt in prompts:
        for stream in (False, True):
            # A streamed chat answer that breaks off has no end.
            broken = api == "chat" and stream and "cut" in prompt
            asked = {**body(prompt), "stream": stream}
            rig.request(system, "POST", path, asked, broken, Authorization=f"Bearer {rig.KEY}")
    # Requests that are refused here: their words are not printed either.
    for bad in (
        f'{{"model":"demo",{words["prompt"]}',
        f'{{"model":"{words["prompt"]}\\n"}}',
        f'{{"model":"demo","{words["prompt"]}":1,"{words["prompt"]}":2}}',
        f'{{"model":"demo","max_tokens":1,"messages":[{{"role":"{words["prompt"]}","content":[{{"type":"{image}"}}]}}]}}',
        f'{{"model":"demo","input":[{{"type":"{words["prompt"]}","x":"{words["image"]}"}}]}}',
    ):
        rig.request(system, "POST", path, bad.encode(), x_api_key=rig.KEY)
    rig.request(system, "GET", f"/v1/{words['prompt']}?key={rig.KEY}")


def test_the_search_finds_what_is_there(system):
    """The taps hold the label, which travels in clear, and the processes said where they listen."""
    assert any(rig.MODEL.encode() in tap.seen() for tap in rig.Tap.all)
    assert all(any("listening" in line for line in process.lines) for process in rig.Process.all)
    assert len(rig.CANARIES) > 18


def test_no_process_printed_a_canary():
    found = [
        (process.name, kind)
        for process in rig.Process.all
        for word, kind in {**rig.CANARIES, **FOREIGN}.items()
        if any(word in line for line in process.lines)
    ]
    assert not found, f"processes and what they printed: {found}"


def test_no_canary_crossed_the_relay():
    found = []
    for tap in rig.Tap.all:
        seen = tap.seen()
        found += [kind for word, kind in {**rig.CANARIES, **FOREIGN}.items() if word.encode() in seen]
    assert not found


def test_no_nonce_was_printed():
    """Those of chutes-v1 travel in clear, so the taps know them; and no process printed any other long number."""
    seen = b"".join(tap.seen() for tap in rig.Tap.all)
    lists = re.findall(rb'"nonces":\[([^]]*)\]', seen)
    nonces = {nonce.decode() for found in lists for nonce in re.findall(rb'"([^"]+)"', found)}
    assert len(nonces) > 10, "test_chutes_profile.py asked for some"
    printed = "\n".join(line for process in rig.Process.all for line in process.lines)
    assert not [nonce for nonce in nonces if nonce in printed]
    identities = {line.split()[1] for process in rig.Process.all for line in process.lines if line.startswith("identity ")}
    numbers = set(re.findall(r"\b(?:[0-9a-f]{24,}|[0-9A-Za-z_-]{43})\b", printed)) - identities
    assert not numbers
