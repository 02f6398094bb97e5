"""The `openai` package over Chat Completions."""

import asyncio
import json

import openai
import pydantic
import pytest

import rig
from rig import KEY, MODEL, PNG, PNG_BYTES, WEATHER, openai_async, openai_client, user

TOOLS = [{"type": "function", "function": {"name": "weather", "strict": True, "parameters": WEATHER}}]

# Every kind of answer, by a prompt that asks for it.
KINDS = {
    "text": {"messages": user("Why is the sky blue?")},
    "unicode": {"messages": user("spell naïve 日本語 🦭 text")},
    "one tool": {"messages": user('call weather {"city":"Łódź"}'), "tools": TOOLS},
    "two tools": {"messages": user('say look ; call weather {"city":"A"} ; call weather {"city":"B"}'), "tools": TOOLS},
    "forced tool": {"messages": user("hello"), "tools": TOOLS, "tool_choice": "required"},
    "thinking": {"messages": user("think first this ; say then that")},
    "several": {"messages": user("hello"), "n": 3},
    "cut short": {"messages": user("hello"), "max_tokens": 3},
    "stopped": {"messages": user("say one two three"), "stop": ["two"]},
    "shown tokens": {"messages": user("hello"), "logprobs": True, "top_logprobs": 2},
    "JSON": {"messages": user("hello"), "response_format": {"type": "json_object"}},
}


@pytest.mark.parametrize("kind", KINDS.values(), ids=KINDS)
def test_streamed_answer_accumulates_to_the_whole_one(system, kind):
    client = openai_client(system)
    whole = client.chat.completions.create(model=MODEL, **kind)
    with client.chat.completions.stream(model=MODEL, stream_options={"include_usage": True}, **kind) as stream:
        try:
            accumulated = stream.get_final_completion()
        except openai.LengthFinishReasonError as cut:
            # The helper's way to say that there is nothing to parse.
            accumulated = cut.completion
    # The helper parses what it accumulates, keeps the number of a call within the message, and drops what it does not know.
    unequal = ("created", "parsed", "parsed_arguments", "index", "stop_reason")
    left, right = rig.without(accumulated, *unequal), rig.without(whole, *unequal)
    assert drop_none(left) == drop_none(right)
    assert whole.usage.completion_tokens > 0


def drop_none(value):
    """Absent and null are the same to this client; so is an empty content beside a call, with which a stream begins."""
    if isinstance(value, dict):
        kept = {name: drop_none(member) for name, member in value.items() if member is not None}
        if kept.get("content") == "" and "tool_calls" in kept:
            del kept["content"]
        return kept
    if isinstance(value, list):
        return [drop_none(item) for item in value]
    return value


def test_finish_reasons(system):
    def finish(**asked):
        return openai_client(system).chat.completions.create(model=MODEL, **asked).choices[0].finish_reason

    assert finish(**KINDS["text"]) == "stop"
    assert finish(**KINDS["one tool"]) == "tool_calls"
    assert finish(**KINDS["cut short"]) == "length"
    assert finish(**KINDS["stopped"]) == "stop"


def test_tools_round_trip(system):
    client, question = openai_client(system), user('call weather {"city":"Paris"} ; call weather {"city":"Rome"}')
    called = client.chat.completions.create(model=MODEL, messages=question, tools=TOOLS)
    message = called.choices[0].message
    assert [call.function.name for call in message.tool_calls] == ["weather", "weather"]
    assert len({call.id for call in message.tool_calls}) == 2
    results = [
        {"role": "tool", "tool_call_id": call.id, "content": f"{json.loads(call.function.arguments)['city']}: dry"}
        for call in message.tool_calls
    ]
    answer = client.chat.completions.create(model=MODEL, messages=[*question, message, *results], tools=TOOLS)
    assert answer.choices[0].message.content == "The tool said: Paris: dry | Rome: dry"


def test_thinking_comes_and_goes_back(system):
    client, question = openai_client(system), user('think it may rain ; call weather {"city":"Paris"}')
    message = client.chat.completions.create(model=MODEL, messages=question, tools=TOOLS).choices[0].message
    assert message.model_extra["reasoning_content"] == "it may rain"
    result = {"role": "tool", "tool_call_id": message.tool_calls[0].id, "content": "dry"}
    answer = client.chat.completions.create(model=MODEL, messages=[*question, message, result], tools=TOOLS)
    assert answer.choices[0].message.content == "The tool said: dry (I had thought: it may rain)"


class Step(pydantic.BaseModel):
    explanation: str
    done: bool


class Plan(pydantic.BaseModel):
    steps: list[Step]
    total: int


def test_parsed_answer(system):
    client = openai_client(system)
    whole = client.chat.completions.parse(model=MODEL, messages=user("hello"), response_format=Plan)
    assert whole.choices[0].message.parsed == Plan(steps=[Step(explanation="text", done=True)], total=1)
    with client.chat.completions.stream(model=MODEL, messages=user("hello"), response_format=Plan) as stream:
        assert stream.get_final_completion().choices[0].message.parsed == whole.choices[0].message.parsed


def test_parsed_tool_call(system):
    tool = openai.pydantic_function_tool(Step, name="step")
    answer = openai_client(system).chat.completions.parse(
        model=MODEL, messages=user('call step {"explanation":"x","done":false}'), tools=[tool]
    )
    call = answer.choices[0].message.tool_calls[0]
    assert call.function.parsed_arguments == Step(explanation="x", done=False)


def test_images(system):
    parts = [
        {"type": "text", "text": "what is this"},
        {"type": "image_url", "image_url": {"url": "data:image/png;base64," + PNG}},
        {"type": "image_url", "image_url": {"url": "https://example.com/a.png"}},
    ]
    answer = openai_client(system).chat.completions.create(model=MODEL, messages=user(parts))
    said = answer.choices[0].message.content
    assert said == f"I was shown image_url (image/png, {PNG_BYTES} bytes), image_url (a link)."


def test_usage_counts_cached_and_thought_tokens(system):
    history = [*user("one two three"), {"role": "assistant", "content": "four"}, *user("think a b c ; say d")]
    usage = openai_client(system).chat.completions.create(model=MODEL, messages=history).usage
    assert usage.completion_tokens == 4 and usage.completion_tokens_details.reasoning_tokens == 3
    assert usage.prompt_tokens == 11 and usage.prompt_tokens_details.cached_tokens == 4


def test_usage_in_a_stream_only_if_asked_for(system):
    def last(**more):
        stream = openai_client(system).chat.completions.create(model=MODEL, messages=user("hello"), stream=True, **more)
        return list(stream)[-1]

    assert last().usage is None and last().choices[0].finish_reason == "stop"
    assert last(stream_options={"include_usage": True}).usage.completion_tokens > 0


def test_async_client(system):
    async def ask():
        async with openai_async(system) as client:
            asked = {"model": MODEL, "messages": user("Why is the sky blue?")}
            whole = await client.chat.completions.create(**asked)
            stream = await client.chat.completions.create(stream=True, **asked)
            pieces = [choice.delta.content or "" async for chunk in stream for choice in chunk.choices]
            return whole.choices[0].message.content, "".join(pieces)

    whole, streamed = asyncio.run(ask())
    assert whole == streamed


def test_many_async_requests_at_once_do_not_mix(system):
    async def ask():
        async with openai_async(system) as client:
            async def one(number):
                stream = await client.chat.completions.create(
                    model=MODEL, messages=user(f"say number {number}"), stream=True
                )
                return "".join([choice.delta.content or "" async for chunk in stream for choice in chunk.choices])

            return await asyncio.gather(*(one(number) for number in range(40)))

    assert asyncio.run(ask()) == [f"number {number}" for number in range(40)]


def test_raw_response_names_the_request(system):
    raw = openai_client(system).chat.completions.with_raw_response.create(model=MODEL, messages=user("hello"))
    assert raw.headers["content-type"] == "application/json"
    assert raw.headers["x-request-id"].startswith("req_")
    assert raw.parse()._request_id == raw.headers["x-request-id"]
    other = openai_client(system).chat.completions.create(model=MODEL, messages=user("hello"))
    assert other._request_id != raw.headers["x-request-id"]


STATUSES = {
    400: openai.BadRequestError,
    401: openai.AuthenticationError,
    403: openai.PermissionDeniedError,
    404: openai.NotFoundError,
    409: openai.ConflictError,
    422: openai.UnprocessableEntityError,
    429: openai.RateLimitError,
    500: openai.InternalServerError,
    503: openai.InternalServerError,
}


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "streamed"])
@pytest.mark.parametrize("status", STATUSES)
def test_errors_of_the_model_server_are_the_packages_own_classes(system, status, stream):
    with pytest.raises(STATUSES[status]) as caught:
        openai_client(system).chat.completions.create(
            model=MODEL, messages=user(f"fail {status} no luck"), stream=stream
        )
    assert caught.value.status_code == status
    assert caught.value.body["message"] == "no luck"
    # vLLM has the status there, where this API has a word or nothing.
    assert caught.value.code is None


def test_a_page_of_html_becomes_an_error_of_the_api(system):
    with pytest.raises(openai.InternalServerError) as caught:
        openai_client(system).chat.completions.create(model=MODEL, messages=user("fail 502 <html>bad</html>"))
    assert "502" in caught.value.body["message"] and "html" not in caught.value.body["message"]


def attempts(system, ask):
    """How often the model server was asked."""
    before = system.tally()["begun"]
    ask()
    return system.tally()["begun"] - before


def test_a_server_error_is_tried_again_as_often_as_the_client_is_told(own_system):
    def ask():
        with pytest.raises(openai.InternalServerError):
            openai_client(own_system, max_retries=2).chat.completions.create(
                model=MODEL, messages=user("fail 500 no luck")
            )

    assert attempts(own_system, ask) == 3


def test_retry_after_reaches_the_client(system):
    with pytest.raises(openai.RateLimitError) as caught:
        openai_client(system).chat.completions.create(model=MODEL, messages=user("fail 429 retry-after=7 slow down"))
    assert caught.value.response.headers["retry-after"] == "7"


def test_what_is_not_trusted_is_not_asked_again(untrusted):
    sent = []
    http_client = openai.DefaultHttpxClient(event_hooks={"request": [sent.append]})
    with pytest.raises(openai.APIStatusError) as caught:
        openai_client(untrusted, max_retries=3, http_client=http_client).chat.completions.create(
            model=MODEL, messages=user("hello")
        )
    assert caught.value.response.headers["x-should-retry"] == "false"
    assert len(sent) == 1
    assert untrusted.tally()["begun"] == 0


def test_an_error_in_mid_stream_is_raised(system):
    got = []
    with pytest.raises(openai.APIError, match="out of memory"):
        for chunk in openai_client(system).chat.completions.create(
            model=MODEL, messages=user("say one two three ; break 500 out of memory"), stream=True
        ):
            got.append(chunk)
    assert "".join(c.choices[0].delta.content or "" for c in got) == "one two three"
    assert not any(choice.finish_reason for chunk in got for choice in chunk.choices)


def test_a_connection_of_the_model_server_that_breaks_is_no_clean_end(system):
    got = []
    with pytest.raises(openai.APIError):
        for chunk in openai_client(system).chat.completions.create(
            model=MODEL, messages=user("say one two three ; cut"), stream=True
        ):
            got.append(chunk)
    assert got and not any(choice.finish_reason for chunk in got for choice in chunk.choices)


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "streamed"])
def test_giving_up_stops_the_model(own_system, stream):
    """A client that does not wait any longer is known to the model server at the other end of the chain."""
    client = openai_client(own_system, timeout=0.5)
    with pytest.raises(openai.APITimeoutError):
        for _ in client.chat.completions.create(model=MODEL, messages=user("wait 50 ; say late"), stream=stream) or []:
            pass
    assert rig.eventually(lambda: own_system.tally()["given_up"] == 1)


def test_a_stream_that_is_closed_early_stops_the_model(own_system):
    stream = openai_client(own_system).chat.completions.create(
        model=MODEL, messages=user("say one ; wait 50 ; say late"), stream=True
    )
    next(iter(stream))
    stream.close()
    assert rig.eventually(lambda: own_system.tally()["given_up"] == 1)


def test_key_and_prompt_stay_off_the_relay(system):
    word = rig.canary("prompt")
    openai_client(system).chat.completions.create(model=MODEL, messages=user(f"say {word}"))
    for tap in (system.before_relay, system.behind_relay):
        seen = tap.seen()
        assert MODEL.encode() in seen
        assert word.encode() not in seen and KEY.encode() not in seen
