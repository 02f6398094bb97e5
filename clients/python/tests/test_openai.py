"""The official OpenAI package, unmodified, with our transport in its client: blocking and not, over both HTTP libraries."""

import asyncio

import openai
import pytest
from rig import ASKED, KEY, MODEL, QUESTION, URL

import sealwire


def sdk(client, **more):
    return openai.OpenAI(base_url=URL, api_key=KEY, max_retries=0, http_client=client, **more)


def direct(rig):
    return openai.OpenAI(base_url=rig.upstream + "/v1", api_key=KEY, max_retries=0)


def text(chunks):
    return "".join(choice.delta.content or "" for chunk in chunks for choice in chunk.choices)


@pytest.fixture
def client(library, rig):
    return sdk(library.client(rig.url, pins=rig.identity))


def test_models(client):
    assert [model.id for model in client.models.list()] == [MODEL]


def test_whole_answer_equals_the_upstreams(client, rig):
    expected = direct(rig).chat.completions.create(model=MODEL, messages=ASKED)
    answer = client.chat.completions.create(model=MODEL, messages=ASKED)
    assert len(expected.choices[0].message.content) > 50
    assert answer.choices[0].message.content == expected.choices[0].message.content
    assert answer.usage == expected.usage


def test_streamed_answer_equals_the_upstreams(client, rig):
    expected = list(direct(rig).chat.completions.create(model=MODEL, messages=ASKED, stream=True))
    chunks = list(client.chat.completions.create(model=MODEL, messages=ASKED, stream=True))
    assert len(chunks) > 20
    assert [chunk.choices for chunk in chunks] == [chunk.choices for chunk in expected]


def test_usage_in_the_stream_only_if_asked_for(client):
    ask = {"model": MODEL, "messages": ASKED, "stream": True}
    assert not any(chunk.usage for chunk in client.chat.completions.create(**ask))
    chunks = list(client.chat.completions.create(**ask, stream_options={"include_usage": True}))
    assert chunks[-1].usage.completion_tokens > 0


def test_async_whole_and_streamed(library, rig):
    async def ask():
        async with library.async_client(rig.url, pins=rig.identity) as http:
            client = openai.AsyncOpenAI(base_url=URL, api_key=KEY, max_retries=0, http_client=http)
            whole = await client.chat.completions.create(model=MODEL, messages=ASKED)
            stream = await client.chat.completions.create(model=MODEL, messages=ASKED, stream=True)
            return whole.choices[0].message.content, text([chunk async for chunk in stream])

    whole, streamed = asyncio.run(ask())
    assert len(whole) > 50
    assert streamed == whole


def test_a_stream_comes_as_it_is_made(own, upstream):
    """The upstream never ends this answer, so whoever waits for its end gets nothing."""
    upstream.endless = True
    client = sdk(httpx_client(own))
    with client.chat.completions.create(model=MODEL, messages=ASKED, stream=True) as stream:
        assert text([next(stream) for _ in upstream.tokens]) == "".join(upstream.tokens)


def httpx_client(rig, **options):
    import httpx

    return httpx.Client(transport=sealwire.Transport(rig.url, pins=rig.identity, **options), timeout=30)


def test_nothing_of_the_request_leaves_in_clear(client, rig):
    whole = client.chat.completions.create(model=MODEL, messages=ASKED, extra_headers={"x-session-id": "abcdef-session"})
    seen = rig.tap.seen()
    # The label travels in clear by design, so this shows that the tap works.
    assert MODEL.encode() in seen
    for word in (QUESTION, "xylograph", whole.choices[0].message.content, KEY, "stainless", "abcdef-session", "OpenAI/"):
        assert word.encode().lower() not in seen.lower(), word


def test_the_model_server_gets_the_listed_fields_only(own, upstream):
    sdk(httpx_client(own)).chat.completions.create(model=MODEL, messages=ASKED)
    ((path, headers, body),) = upstream.seen
    assert path == "/v1/chat/completions"
    assert body == {"model": MODEL, "messages": ASKED}
    names = {name.lower() for name in headers}
    assert "user-agent" in names
    assert not any("stainless" in name or name == "authorization" for name in names)


def test_an_error_of_the_model_server_is_its_own(client, rig):
    with pytest.raises(openai.BadRequestError) as expected:
        direct(rig).chat.completions.create(model=MODEL, messages=[])
    with pytest.raises(openai.BadRequestError) as caught:
        client.chat.completions.create(model=MODEL, messages=[])
    assert caught.value.body == expected.value.body


def test_what_no_retry_helps_is_not_retried(library, rig):
    client = openai.OpenAI(
        base_url=URL, api_key=KEY, max_retries=5, http_client=library.client(rig.url, pins=rig.identity)
    )
    before = len(rig.tap.connections)
    with pytest.raises(sealwire.RequestError) as caught:
        client.chat.completions.create(model="no-such-model", messages=ASKED)
    assert caught.value.code == "model_not_found"
    assert len(rig.tap.connections) <= before + 1


def test_errors_as_responses(library, rig):
    """For SDKs that retry every exception: Anthropic's, and OpenAI's before version 3."""
    client = openai.OpenAI(
        base_url=URL, api_key=KEY, max_retries=5, http_client=library.client(rig.url, pins=rig.identity, errors="response")
    )
    with pytest.raises(openai.NotFoundError) as caught:
        client.chat.completions.create(model="no-such-model", messages=ASKED)
    assert caught.value.code == "model_not_found"
    assert caught.value.response.headers["x-should-retry"] == "false"


def test_an_instance_that_dies_in_an_answer(library, own, upstream):
    upstream.endless = True
    client = sdk(library.client(own.url, pins=own.identity))
    got = []
    with pytest.raises(openai.APIConnectionError):
        for chunk in client.chat.completions.create(model=MODEL, messages=ASKED, stream=True):
            got.append(chunk)
            if len(got) == len(upstream.tokens):
                own.instance.kill()
    assert text(got) == "".join(upstream.tokens)
