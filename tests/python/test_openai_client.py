"""The official OpenAI package, unmodified, pointed at `sealwire proxy`."""

import base64
import time

import openai
import pytest

from system import MODEL, TOKEN_DELAY, System

KEY = "sk-this-key-stays-on-the-machine"
QUESTION = "Why is the sky blue? My secret word is xylograph."
ASKED = [{"role": "user", "content": QUESTION}]


def client(base_url):
    return openai.OpenAI(base_url=base_url, api_key=KEY, max_retries=0, timeout=30)


def whole(base_url, **more):
    return client(base_url).chat.completions.create(model=MODEL, messages=ASKED, **more)


def streamed(base_url, **more):
    """Pieces of text with their times, and the usage if it came."""
    pieces, usage = [], None
    with client(base_url).chat.completions.create(
        model=MODEL, messages=ASKED, stream=True, **more
    ) as stream:
        for chunk in stream:
            usage = chunk.usage or usage
            for choice in chunk.choices:
                if choice.delta.content:
                    pieces.append((time.monotonic(), choice.delta.content))
    return pieces, usage


def text(pieces):
    return "".join(piece for _, piece in pieces)


def test_models(system):
    assert [model.id for model in client(system.base_url).models.list()] == [MODEL]


def test_whole_answer_equals_the_upstreams(system):
    direct = whole(system.upstream + "/v1")
    sealed = whole(system.base_url)
    assert len(direct.choices[0].message.content) > 50
    assert sealed.choices[0].message.content == direct.choices[0].message.content
    assert sealed.choices[0].finish_reason == direct.choices[0].finish_reason
    assert sealed.usage == direct.usage


def test_streamed_answer_equals_the_upstreams_and_comes_token_by_token(system):
    direct, _ = streamed(system.upstream + "/v1")
    sealed, _ = streamed(system.base_url)
    assert len(direct) > 20
    assert [piece for _, piece in sealed] == [piece for _, piece in direct]
    # The upstream takes this long from first to last token; an answer that was held back comes at once.
    took = sealed[-1][0] - sealed[0][0]
    assert took > 0.8 * TOKEN_DELAY * (len(sealed) - 1), f"{len(sealed)} pieces within {took:.3f} s"


def test_usage_in_the_stream_only_if_asked_for(system):
    _, without = streamed(system.base_url)
    assert without is None
    direct, expected = streamed(system.upstream + "/v1", stream_options={"include_usage": True})
    sealed, usage = streamed(system.base_url, stream_options={"include_usage": True})
    assert usage == expected
    assert text(sealed) == text(direct)


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "streamed"])
def test_the_relay_counts_the_tokens(system, stream):
    expected = whole(system.upstream + "/v1").usage
    before = system.usage()
    if stream:
        streamed(system.base_url)
    else:
        whole(system.base_url)
    after = system.usage_after(before["requests"] + 1)
    grown = {name: after[name] - before[name] for name in after}
    assert grown["requests"] == 1
    assert grown["tokens_in"] == expected.prompt_tokens
    assert grown["tokens_out"] == expected.completion_tokens
    assert grown["receipts"] >= 1
    assert grown["receipts_refused"] == grown["without_receipt"] == 0


def test_the_relay_sees_neither_question_nor_answer_nor_key(system):
    pieces, _ = streamed(system.base_url)
    words = [QUESTION, "xylograph", text(pieces), " scatters", KEY]
    for place in (system.before_relay, system.behind_relay):
        seen = place.seen()
        # The label travels in clear by design, so this shows that the tap works.
        assert MODEL.encode() in seen
        assert len(seen) > len(text(pieces))
        for word in words:
            assert word.encode() not in seen, word


def test_unknown_model(system):
    for stream in (False, True):
        with pytest.raises(openai.NotFoundError) as caught:
            client(system.base_url).chat.completions.create(
                model="no-such-model", messages=ASKED, stream=stream
            )
        assert caught.value.code == "model_not_found"


def test_bad_request_is_the_models_own_error(system):
    with pytest.raises(openai.BadRequestError) as direct:
        client(system.upstream + "/v1").chat.completions.create(model=MODEL, messages=[])
    with pytest.raises(openai.BadRequestError) as sealed:
        client(system.base_url).chat.completions.create(model=MODEL, messages=[])
    assert sealed.value.body == direct.value.body


def test_dead_instance(own_system):
    assert whole(own_system.base_url).choices[0].message.content
    own_system.instance.kill()
    for stream in (False, True):
        start = time.monotonic()
        with pytest.raises(openai.InternalServerError) as caught:
            whole(own_system.base_url, stream=stream)
        assert time.monotonic() - start < 5
        assert caught.value.status_code in (502, 503)
        assert caught.value.code, "an error in the API's shape has a code"


def test_instance_that_dies_in_an_answer(own_system):
    got = []
    # The answer has begun, so no status can tell: an error event comes. Never a clean end.
    with pytest.raises(openai.APIError):
        for chunk in client(own_system.base_url).chat.completions.create(
            model=MODEL, messages=ASKED, stream=True
        ):
            got.append(chunk)
            if len(got) == 5:
                own_system.instance.kill()
    assert len(got) >= 5
    assert not any(choice.finish_reason for chunk in got for choice in chunk.choices)


def test_dead_upstream(own_system):
    own_system.model.kill()
    with pytest.raises(openai.InternalServerError) as caught:
        whole(own_system.base_url)
    assert caught.value.status_code in (502, 503)


def test_identity_that_is_not_pinned(binary):
    other = base64.urlsafe_b64encode(bytes(range(32))).rstrip(b"=").decode()
    system = System(binary, pin=other)
    try:
        with pytest.raises(openai.InternalServerError) as caught:
            whole(system.base_url)
        assert caught.value.status_code == 502
        assert QUESTION.encode() not in system.before_relay.seen()
    finally:
        system.stop()
