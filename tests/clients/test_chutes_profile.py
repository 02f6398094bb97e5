"""The same front over the other profile, `chutes-v1`: proxy, relay and instance all ours."""

import pytest

import rig
from rig import MODEL, user
from system import Process, Tap
from test_translators import APIS, said, said_in_stream, streamed, whole


# The relay asks for it, so it is nobody's secret there.
RELAY_KEY = "cpk-of-the-relay"


class ChutesSystem:
    def __init__(self, binary):
        self.parts = []
        model = self.run(binary, "demo-model", "--model", MODEL, "--token-delay-ms", "1")
        self.upstream = model.url()
        profile = ["--profile", "chutes-v1"]
        instance = self.run(
            binary, "instance", "--upstream", self.upstream, "--model", MODEL, "--evidence", "none", *profile
        )
        relay = self.run(binary, "relay", "--instance", instance.url(), "--api-key", RELAY_KEY, *profile)
        self.before_relay = Tap(relay.url())
        self.parts.append(self.before_relay)
        trust = ["--insecure-trust-relay", "--allow-non-confidential", MODEL, "--relay-key", RELAY_KEY]
        proxy = self.run(
            binary, "proxy", "--api-base", self.before_relay.url, "--default-model", MODEL, *trust, *profile
        )
        self.url = proxy.url()
        self.base_url = self.url + "/v1"
        assert rig.eventually(lambda: rig.request(self, "GET", "/readyz")[0] == 200)

    def run(self, binary, command, *arguments):
        process = Process(binary, command, "--listen", "127.0.0.1:0", *arguments)
        self.parts.append(process)
        return process

    def stop(self):
        for part in reversed(self.parts):
            part.stop()


@pytest.fixture(scope="module")
def chutes(binary):
    system = ChutesSystem(binary)
    yield system
    system.stop()


@pytest.mark.parametrize("api", APIS)
def test_whole_and_streamed_answers(chutes, api):
    word = rig.canary("prompt over chutes-v1")
    assert said(api, whole(chutes, api, f"say {word} 日本語")) == f"{word} 日本語"
    assert said_in_stream(api, streamed(chutes, api, f"spell {word} 日本語")) == f"{word} 日本語"


def test_the_packages(chutes):
    client = rig.openai_client(chutes)
    assert client.responses.create(model=MODEL, input="think a ; say b").output_text == "b"
    chunks = list(client.chat.completions.create(model=MODEL, messages=user("say one two"), stream=True))
    # The profile makes the model server count in every event; nobody here asked for that.
    assert not any(chunk.usage for chunk in chunks)
    with rig.anthropic_client(chutes).messages.stream(
        model=MODEL, max_tokens=100, messages=user("think a ; say b")
    ) as stream:
        final = stream.get_final_message()
    assert (final.content[-1].text, final.usage.output_tokens) == ("b", 2)


def test_more_requests_than_a_discovery_has_nonces(chutes):
    for number in range(25):
        assert said("chat", whole(chutes, "chat", f"say {number}")) == str(number)
