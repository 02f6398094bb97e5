"""chutes-v1 with code nobody here wrote: the published client under the OpenAI SDK through our relay and instance, and our client against a server of that
client's own crypto."""

import asyncio
import gzip
import json
import subprocess
import sys
import urllib.error
import urllib.request

import httpx
import openai
import pytest
from chutes_e2ee import AsyncChutesE2EETransport, ChutesE2EETransport

from chutes_server import ChutesServer
from system import MODEL, Process

KEY = "cpk-a-key-of-the-test"
ASKED = [{"role": "user", "content": "Why is the sky blue? My secret word is xylograph."}]


class ChutesSystem:
    """Model server, instance, relay, all ours, speaking chutes-v1."""

    def __init__(self, binary):
        self.parts = []
        self.model = self.run(binary, "demo-model", "--model", MODEL, "--token-delay-ms", "1")
        self.upstream = self.model.url()
        self.instance = self.run(
            binary, "instance", "--upstream", self.upstream, "--model", MODEL, "--evidence", "none", "--profile", "chutes-v1"
        )
        self.relay = self.run(
            binary, "relay", "--instance", self.instance.url(), "--profile", "chutes-v1", "--api-key", KEY
        )
        self.url = self.relay.url()
        self.wait()

    def run(self, binary, command, *args):
        process = Process(binary, command, "--listen", "127.0.0.1:0", *args)
        self.parts.append(process)
        return process

    def wait(self):
        with httpx.Client(headers={"Authorization": f"Bearer {KEY}"}) as client:
            for _ in range(200):
                if client.get(self.url + "/v1/models").json().get("data"):
                    return
        raise AssertionError("the relay did not find the instance")

    def stop(self):
        for part in reversed(self.parts):
            part.stop()


@pytest.fixture(scope="module")
def ours(binary):
    system = ChutesSystem(binary)
    yield system
    system.stop()


@pytest.fixture
def theirs(ours):
    server = ChutesServer(ours.upstream, MODEL)
    yield server
    server.stop()


@pytest.fixture
def proxy(binary, theirs):
    """Our client against their server. Its evidence is not at stake here."""
    process = Process(
        binary,
        "proxy",
        "--listen",
        "127.0.0.1:0",
        "--profile",
        "chutes-v1",
        "--api-base",
        theirs.url,
        "--insecure-trust-relay",
        "--relay-key",
        KEY,
    )
    yield process.url() + "/v1"
    process.stop()


def sdk(base_url, **more):
    return openai.OpenAI(base_url=base_url, api_key=KEY, max_retries=0, timeout=30, **more)


def published(ours):
    transport = ChutesE2EETransport(api_key=KEY, api_base=ours.url)
    return sdk(ours.url + "/v1", http_client=httpx.Client(transport=transport))


def direct(ours):
    return sdk(ours.upstream + "/v1").chat.completions.create(model=MODEL, messages=ASKED)


def text(chunks):
    return "".join(choice.delta.content or "" for chunk in chunks for choice in chunk.choices)


def test_published_client_whole(ours):
    answer = published(ours).chat.completions.create(model=MODEL, messages=ASKED)
    expected = direct(ours)
    assert len(expected.choices[0].message.content) > 50
    assert answer.choices[0].message.content == expected.choices[0].message.content
    assert answer.usage == expected.usage


def test_published_client_streamed(ours):
    chunks = list(published(ours).chat.completions.create(model=MODEL, messages=ASKED, stream=True))
    assert text(chunks) == direct(ours).choices[0].message.content
    assert chunks[-1].usage.completion_tokens == direct(ours).usage.completion_tokens


def test_published_client_many_requests_outlive_their_nonces(ours):
    client = published(ours)
    for _ in range(25):
        answer = client.chat.completions.create(model=MODEL, messages=ASKED, max_tokens=2)
        assert answer.usage.completion_tokens == 2


def test_published_async_client(ours):
    async def ask():
        transport = AsyncChutesE2EETransport(api_key=KEY, api_base=ours.url)
        client = openai.AsyncOpenAI(
            base_url=ours.url + "/v1", api_key=KEY, max_retries=0, http_client=httpx.AsyncClient(transport=transport)
        )
        whole = await client.chat.completions.create(model=MODEL, messages=ASKED)
        stream = await client.chat.completions.create(model=MODEL, messages=ASKED, stream=True)
        return whole.choices[0].message.content, text([chunk async for chunk in stream])

    whole, streamed = asyncio.run(ask())
    assert whole == streamed == direct(ours).choices[0].message.content


def test_published_client_sees_the_relays_errors(ours):
    client = sdk(
        ours.url + "/v1",
        http_client=httpx.Client(transport=ChutesE2EETransport(api_key="wrong", api_base=ours.url)),
    )
    # It asks for the models first, and passes on what the relay says.
    with pytest.raises((openai.APIError, httpx.HTTPStatusError)):
        client.chat.completions.create(model=MODEL, messages=ASKED)


def test_our_client_whole(ours, theirs, proxy):
    answer = sdk(proxy).chat.completions.create(model=MODEL, messages=ASKED)
    assert answer.choices[0].message.content == direct(ours).choices[0].message.content
    (seen,) = theirs.seen
    assert seen["path"] == "/v1/chat/completions"
    # The salt of this installation keeps its prefix cache apart from others'.
    assert len(seen["body"].pop("cache_salt")) >= 32
    assert seen["body"] == {"model": MODEL, "messages": ASKED}


def test_our_client_streamed(ours, theirs, proxy):
    stream = sdk(proxy).chat.completions.create(model=MODEL, messages=ASKED, stream=True)
    assert text(stream) == direct(ours).choices[0].message.content
    assert theirs.seen[0]["streamed"]


def test_our_client_sends_the_published_clients_gzip_reader_what_it_reads(theirs, proxy):
    """Text that packs well, text that does not, and characters beyond ASCII."""
    for content in ["a" * 100_000, "".join(chr(0x100 + n * n % 5000) for n in range(5000)), "\u0000\u2028é"]:
        asked = [{"role": "user", "content": content}]
        sdk(proxy).chat.completions.create(model=MODEL, messages=asked, max_tokens=1)
        assert theirs.seen[-1]["body"]["messages"] == asked
    assert len(theirs.blobs[0]) < 10_000


def test_thinking_suffix_and_header(theirs, proxy):
    more = {"max_tokens": 1, "messages": ASKED}
    sdk(proxy).chat.completions.create(model=MODEL + ":THINKING", **more)
    sdk(proxy).chat.completions.create(model=MODEL, extra_headers={"X-Enable-Thinking": "true"}, **more)
    for seen in theirs.seen:
        assert seen["body"]["model"] == MODEL
        assert seen["body"]["chat_template_kwargs"] == {"thinking": True, "enable_thinking": True}


def test_a_model_without_a_tee_is_refused_unless_waived_by_name(binary, ours):
    server = ChutesServer(ours.upstream, MODEL, confidential=False)
    common = ["proxy", "--listen", "127.0.0.1:0", "--profile", "chutes-v1", "--api-base", server.url]
    common += ["--insecure-trust-relay", "--relay-key", KEY]
    strict = Process(binary, *common)
    waived = Process(binary, *common, "--allow-non-confidential", MODEL)
    try:
        with pytest.raises(openai.APIStatusError):
            sdk(strict.url() + "/v1").chat.completions.create(model=MODEL, messages=ASKED)
        assert not server.blobs
        answer = sdk(waived.url() + "/v1").chat.completions.create(model=MODEL, messages=ASKED)
        assert answer.choices[0].message.content
    finally:
        strict.stop()
        waived.stop()
        server.stop()


def test_what_cannot_be_sealed_is_not_sent(theirs, proxy):
    for body in [b"not JSON", b"{}", b"[]", b'{"model":"demo","model":"x"}', gzip.compress(b"{}")]:
        request = urllib.request.Request(
            proxy + "/chat/completions", data=body, headers={"Content-Type": "application/json"}
        )
        with pytest.raises(urllib.error.HTTPError) as caught:
            urllib.request.urlopen(request)
        assert caught.value.code == 400
        assert json.loads(caught.value.read())["error"]["message"]
    assert not theirs.blobs


def test_the_attack_gets_through_to_the_published_client_only(binary):
    run = subprocess.run([binary, "attack", "--python", sys.executable], capture_output=True, text=True, timeout=300)
    assert run.returncode == 0, run.stdout + run.stderr
    rows = run.stdout.split("---\n", 1)[1].split("\n\n", 1)[0].splitlines()
    assert len(rows) == 16
    published = [row for row in rows if row[32:].startswith("ACCEPTED")]
    assert len(published) >= 12
    assert run.stdout.splitlines()[-1].endswith("native sealwire (our instance): 0")
