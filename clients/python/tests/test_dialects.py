"""Anthropic's package and OpenAI's `responses`, unmodified, over model servers that speak Chat Completions."""

import asyncio

import anthropic
import httpx2
import openai
import pytest
from rig import ASKED, KEY, MODEL, QUESTION, URL

import sealwire
import sealwire.httpx2

BASE = URL.removesuffix("/v1")


def transport(rig, **options):
    return sealwire.httpx2.Transport(rig.url, pins=rig.identity, **options)


def claude(rig, retries=0, **options):
    http = httpx2.Client(transport=transport(rig, **options), timeout=30)
    return anthropic.Anthropic(base_url=BASE, api_key=KEY, max_retries=retries, http_client=http)


def sdk(rig):
    http = httpx2.Client(transport=transport(rig), timeout=30)
    return openai.OpenAI(base_url=URL, api_key=KEY, max_retries=0, http_client=http)


@pytest.fixture(scope="module")
def expected(rig):
    direct = openai.OpenAI(base_url=rig.upstream + "/v1", api_key=KEY)
    return direct.chat.completions.create(model=MODEL, messages=ASKED)


def test_messages_whole(rig, expected):
    answer = claude(rig).messages.create(model=MODEL, max_tokens=100, messages=ASKED)
    assert answer.content[0].text == expected.choices[0].message.content
    assert answer.usage.output_tokens == expected.usage.completion_tokens
    assert answer.stop_reason == "end_turn"


def test_messages_streamed(rig, expected):
    with claude(rig).messages.stream(model=MODEL, max_tokens=100, messages=ASKED) as stream:
        pieces = list(stream.text_stream)
        assert stream.get_final_message().stop_reason == "end_turn"
    assert len(pieces) > 20
    assert "".join(pieces) == expected.choices[0].message.content


def test_messages_async(rig, expected):
    async def ask():
        inner = sealwire.httpx2.AsyncTransport(rig.url, pins=rig.identity)
        async with httpx2.AsyncClient(transport=inner, timeout=30) as http:
            client = anthropic.AsyncAnthropic(base_url=BASE, api_key=KEY, max_retries=0, http_client=http)
            async with client.messages.stream(model=MODEL, max_tokens=100, messages=ASKED) as stream:
                return "".join([piece async for piece in stream.text_stream])

    assert asyncio.run(ask()) == expected.choices[0].message.content


def test_messages_leave_sealed(rig):
    claude(rig).messages.create(model=MODEL, max_tokens=100, messages=ASKED, extra_headers={"x-session-id": "abcdef-session"})
    seen = rig.tap.seen()
    for word in (QUESTION, "xylograph", KEY, "stainless", "anthropic", "abcdef-session"):
        assert word.encode().lower() not in seen.lower(), word


def test_tokens_are_counted_here(rig):
    before = len(rig.tap.seen())
    assert claude(rig).messages.count_tokens(model=MODEL, messages=ASKED).input_tokens > 5
    assert sdk(rig).responses.input_tokens.count(model=MODEL, input=QUESTION).input_tokens > 5
    assert len(rig.tap.seen()) == before


def test_a_message_stream_that_is_left_ends_the_instances_work(own, upstream):
    upstream.endless = True
    with claude(own).messages.stream(model=MODEL, max_tokens=100, messages=ASKED) as stream:
        assert next(iter(stream.text_stream))
        assert not upstream.gone.is_set()
    assert upstream.gone.wait(10)


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "streamed"])
def test_an_error_of_the_model_server_is_anthropics(own, upstream, stream):
    upstream.refusal = "no such field"
    with pytest.raises(anthropic.BadRequestError) as caught:
        claude(own).messages.create(model=MODEL, max_tokens=100, messages=ASKED, stream=stream)
    assert caught.value.body["error"] == {"type": "invalid_request_error", "message": "no such field"}


def test_a_request_that_is_no_message(rig):
    with pytest.raises(anthropic.APIConnectionError) as caught:
        claude(rig).messages.create(model=MODEL, max_tokens=100, messages="hello")
    assert isinstance(caught.value.__cause__, sealwire.RequestError)


def test_errors_as_responses_are_anthropics_and_not_retried(rig):
    client = claude(rig, retries=5, errors="response")
    with pytest.raises(anthropic.NotFoundError) as caught:
        client.messages.create(model="no-such-model", max_tokens=100, messages=ASKED)
    assert caught.value.body["error"]["type"] == "not_found_error"


def test_responses_whole(rig, expected):
    answer = sdk(rig).responses.create(model=MODEL, input=QUESTION)
    assert answer.output_text == expected.choices[0].message.content
    assert answer.status == "completed"
    assert answer.usage.output_tokens == expected.usage.completion_tokens


def test_responses_streamed(rig, expected):
    events = list(sdk(rig).responses.create(model=MODEL, input=QUESTION, stream=True))
    pieces = [event.delta for event in events if event.type == "response.output_text.delta"]
    assert len(pieces) > 20
    assert "".join(pieces) == expected.choices[0].message.content
    assert events[-1].type == "response.completed"
