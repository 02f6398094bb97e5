"""The profile chutes-v1: against our relay and instance, and against a server of the published client's own crypto; and the shim for that client's users."""

import asyncio

import httpx
import openai
import pytest
from chutes_server import CHUTE, ChutesServer
from rig import ASKED, CHAT, KEY, MODEL, QUESTION, URL, Middle, Rig, question

import sealwire
from sealwire.chutes_e2ee import AsyncChutesE2EETransport, ChutesE2EETransport

TRUSTING = {"profile": "chutes-v1", "insecure_trust_relay": True}


@pytest.fixture(scope="module")
def ours(binary):
    rig = Rig(binary, profile="chutes-v1")
    yield rig
    rig.stop()


@pytest.fixture
def theirs(ours):
    server = ChutesServer(ours.upstream, MODEL)
    yield server
    server.stop()


def client(server, **options):
    return httpx.Client(transport=sealwire.Transport(server.url, **{**TRUSTING, **options}), timeout=30)


def sdk(http):
    return openai.OpenAI(base_url=URL, api_key=KEY, max_retries=0, http_client=http)


def expected(ours):
    direct = openai.OpenAI(base_url=ours.upstream + "/v1", api_key=KEY)
    return direct.chat.completions.create(model=MODEL, messages=ASKED).choices[0].message.content


def text(chunks):
    return "".join(choice.delta.content or "" for chunk in chunks for choice in chunk.choices)


def waived(server):
    """Our instance shows no evidence here, so its relay lists it as not confidential."""
    return {"allow_non_confidential": [MODEL]}


@pytest.mark.parametrize("peer", ["ours", "theirs"])
def test_whole_and_streamed(library, ours, peer, request):
    server = request.getfixturevalue(peer)
    client = sdk(library.client(server.url, **TRUSTING, **waived(server)))
    whole = client.chat.completions.create(model=MODEL, messages=ASKED)
    chunks = list(client.chat.completions.create(model=MODEL, messages=ASKED, stream=True))
    assert whole.choices[0].message.content == expected(ours)
    assert text(chunks) == expected(ours)
    assert not any(chunk.usage for chunk in chunks if not chunk.choices)


def test_async(library, ours):
    async def ask():
        async with library.async_client(ours.url, **TRUSTING, **waived(ours)) as http:
            client = openai.AsyncOpenAI(base_url=URL, api_key=KEY, max_retries=0, http_client=http)
            whole = await client.chat.completions.create(model=MODEL, messages=ASKED)
            stream = await client.chat.completions.create(model=MODEL, messages=ASKED, stream=True)
            return whole.choices[0].message.content, text([chunk async for chunk in stream])

    assert asyncio.run(ask()) == (expected(ours),) * 2


def test_nothing_of_the_request_leaves_in_clear(ours):
    answer = sdk(client(ours, **waived(ours))).chat.completions.create(model=MODEL, messages=ASKED)
    seen = ours.tap.seen()
    assert b"/e2e/invoke" in seen
    for word in (QUESTION, "xylograph", answer.choices[0].message.content, KEY, "stainless"):
        assert word.encode().lower() not in seen.lower(), word


def test_cancelling_ends_the_instances_work(binary, upstream):
    upstream.endless = True
    rig = Rig(binary, upstream=upstream.url, profile="chutes-v1")
    try:
        with client(rig, **waived(rig)).stream("POST", CHAT, json=question(stream=True)) as response:
            pieces = response.iter_bytes()
            next(pieces)
            assert not upstream.gone.is_set()
        assert upstream.gone.wait(10)
    finally:
        rig.stop()


def test_many_requests_outlive_their_nonces(theirs):
    http = client(theirs)
    for _ in range(25):
        assert http.post(CHAT, json=question(max_tokens=1)).status_code == 200


def test_many_at_once(theirs):
    async def main():
        transport = sealwire.AsyncTransport(theirs.url, **TRUSTING)
        async with httpx.AsyncClient(transport=transport, timeout=60) as http:
            answers = await asyncio.gather(*(http.post(CHAT, json=question(max_tokens=1)) for _ in range(24)))
            assert {answer.status_code for answer in answers} == {200}

    asyncio.run(main())


def test_models_are_those_that_can_be_used(ours):
    assert [model["id"] for model in client(ours, **waived(ours)).get(URL + "/models").json()["data"]] == [MODEL]
    assert client(ours).get(URL + "/models").json()["data"] == []


def test_a_model_without_a_tee_is_refused_unless_waived_by_name(ours):
    server = ChutesServer(ours.upstream, MODEL, confidential=False)
    try:
        with pytest.raises(sealwire.RequestError) as caught:
            client(server).post(CHAT, json=question())
        assert caught.value.code == "not_confidential"
        assert not server.blobs
        assert client(server, allow_non_confidential=[MODEL]).post(CHAT, json=question()).status_code == 200
    finally:
        server.stop()


def test_a_deployment_by_its_id_and_one_that_is_not_there(theirs):
    assert client(theirs).post(CHAT, json=question() | {"model": CHUTE}).status_code == 200
    assert theirs.seen[0]["body"]["model"] == MODEL
    with pytest.raises(sealwire.RequestError) as caught:
        client(theirs).post(CHAT, json=question() | {"model": "no-such-model"})
    assert caught.value.code == "model_not_found"


def test_thinking_by_suffix_and_by_header(theirs):
    http = client(theirs)
    http.post(CHAT, json=question(max_tokens=1) | {"model": MODEL + ":THINKING"})
    http.post(CHAT, json=question(max_tokens=1), headers={"X-Enable-Thinking": "true"})
    for seen in theirs.seen:
        assert seen["body"]["model"] == MODEL
        assert seen["body"]["chat_template_kwargs"] == {"thinking": True, "enable_thinking": True}


# What the relay says.


def invoked(change):
    """A relay that changes what comes of `/e2e/invoke`."""

    def at(path, response, body):
        if path == "/e2e/invoke":
            return change(response, body)

    return Middle(at)


def invocations(relay):
    return [request for request in relay.requests if request.method == "POST"]


def refusals(status, detail, times):
    left = [detail] * times

    def change(response, body):
        if left:
            return httpx.Response(status, json={"detail": left.pop()})

    return invoked(change)


@pytest.mark.parametrize(
    ("status", "detail"),
    [(403, "Invalid, expired, or already-used nonce"), (429, "Instance is at maximum capacity")],
)
def test_refusals_that_another_attempt_gets_past(theirs, status, detail):
    relay = refusals(status, detail, 1)
    assert client(theirs, transport=relay).post(CHAT, json=question()).status_code == 200
    first, second = invocations(relay)
    assert first.headers["x-e2e-nonce"] != second.headers["x-e2e-nonce"]


@pytest.mark.parametrize(
    ("status", "detail", "code"),
    [(401, "who are you", "relay_401"), (402, "out of credit", "relay_402"), (404, "Chute not found", "relay_404")],
)
def test_refusals_that_stay(theirs, status, detail, code):
    relay = refusals(status, detail, 9)
    with pytest.raises(sealwire.RelayError) as caught:
        client(theirs, transport=relay).post(CHAT, json=question())
    assert caught.value.code == code
    assert detail in str(caught.value)
    assert len(invocations(relay)) == 1


def lines(response, body, edit):
    """The answer with its list of events edited."""
    events = body.split(b"\n\n")
    edit(events)
    return httpx.Response(200, headers={"content-type": "text/event-stream"}, content=b"\n\n".join(events))


def swapped(events):
    events[5], events[6] = events[6], events[5]


@pytest.mark.parametrize(
    ("edit", "code"),
    [
        (lambda events: events.insert(4, b'data: {"usage":{"prompt_tokens":1},"choices":[{"delta":{"content":"x"}}]}'), "event_members"),
        (lambda events: events.insert(4, b"data: [DONE]"), "event_plaintext_done"),
        (lambda events: events.insert(4, b'data: {"e2e_error":"it failed"}'), "relay_failed"),
        (lambda events: events.__delitem__(slice(-6, None)), "truncated"),
        (lambda events: events.insert(5, events[4]), "sequence"),
        (swapped, "sequence"),
    ],
    ids=["a forged event", "a forged end", "a forged error", "cut", "repeated", "exchanged"],
)
def test_a_relay_that_changes_streams(ours, edit, code):
    relay = invoked(lambda response, body: lines(response, body, edit))
    with pytest.raises(sealwire.Error) as caught:
        client(ours, transport=relay, **waived(ours)).post(CHAT, json=question(stream=True))
    assert caught.value.code == code


def test_a_whole_answer_that_is_changed(theirs):
    relay = invoked(
        lambda response, body: httpx.Response(200, headers=response.headers, content=body[:-1] + bytes([body[-1] ^ 1]))
    )
    with pytest.raises(sealwire.AnswerError) as caught:
        client(theirs, transport=relay).post(CHAT, json=question())
    assert caught.value.code == "decrypt"


# The shim.


def test_the_shim_needs_a_policy_and_says_so(theirs, monkeypatch):
    monkeypatch.delenv("SEALWIRE_POLICY", raising=False)
    with pytest.raises(sealwire.ConfigError) as caught:
        ChutesE2EETransport(api_key=KEY, api_base=theirs.url)
    assert "SEALWIRE_POLICY" in str(caught.value)
    monkeypatch.setenv("SEALWIRE_POLICY", "no-such-policy.toml")
    with pytest.raises(sealwire.ConfigError) as caught:
        ChutesE2EETransport(api_key=KEY, api_base=theirs.url)
    assert "no-such-policy.toml" in str(caught.value)


def test_the_shim(theirs, ours):
    transport = ChutesE2EETransport(KEY, theirs.url, httpx.HTTPTransport(), insecure_trust_relay=True)
    client = openai.OpenAI(api_key=KEY, base_url="https://llm.invalid/v1", http_client=httpx.Client(transport=transport))
    chunks = client.chat.completions.create(model=MODEL, messages=ASKED, stream=True)
    assert text(chunks) == expected(ours)

    async def ask():
        transport = AsyncChutesE2EETransport(api_key=KEY, api_base=theirs.url, insecure_trust_relay=True)
        async with httpx.AsyncClient(transport=transport) as http:
            return (await http.post(CHAT, json=question())).json()

    assert asyncio.run(ask())["choices"][0]["message"]["content"] == expected(ours)
