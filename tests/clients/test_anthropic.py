"""The `anthropic` package."""

import asyncio
import warnings

import anthropic
import pytest

import rig
from rig import MODEL, PNG, PNG_BYTES, WEATHER, anthropic_async, anthropic_client, user

WEATHER_TOOL = {"name": "weather", "description": "d", "input_schema": WEATHER}
CALL = 'call weather {"city":"Łódź"}'

KINDS = {
    "text": {"messages": user("Why is the sky blue?")},
    "unicode": {"messages": user("spell naïve 日本語 🦭 text")},
    "one tool": {"messages": user(CALL), "tools": [WEATHER_TOOL]},
    "text and two tools": {"messages": user(f"say look ; {CALL} ; {CALL}"), "tools": [WEATHER_TOOL]},
    "forced tool": {"messages": user("hello"), "tools": [WEATHER_TOOL], "tool_choice": {"type": "any"}},
    "named tool": {
        "messages": user("hello"),
        "tools": [WEATHER_TOOL],
        "tool_choice": {"type": "tool", "name": "weather"},
    },
    "thinking": {"messages": user("think first this ; say then that")},
    "thinking and tool": {"messages": user(f"think first this ; {CALL}"), "tools": [WEATHER_TOOL]},
    "asked to think": {"messages": user("hello"), "thinking": {"type": "enabled", "budget_tokens": 1024}},
    "cut short": {"messages": user("hello"), "max_tokens": 3},
    "stopped": {"messages": user("say one two three"), "stop_sequences": ["two"]},
    "system": {"messages": user("show /messages/0/content"), "system": "Be kind."},
}


def ask(client, kind, **more):
    return client.messages.create(**{"model": MODEL, "max_tokens": 4096, **kind, **more})


@pytest.mark.parametrize("kind", KINDS.values(), ids=KINDS)
def test_streamed_answer_accumulates_to_the_whole_one(system, kind):
    client = anthropic_client(system)
    whole = ask(client, kind)
    with client.messages.stream(**{"model": MODEL, "max_tokens": 4096, **kind}) as stream:
        accumulated = stream.get_final_message()
    unequal = ("id", "signature", "parsed_output")
    assert rig.without(accumulated, *unequal) == rig.without(whole, *unequal)
    assert whole.usage.input_tokens + (whole.usage.cache_read_input_tokens or 0) > 0
    assert whole.usage.output_tokens > 0


@pytest.mark.parametrize(
    ("kind", "reason", "sequence"),
    [
        ("text", "end_turn", None),
        ("one tool", "tool_use", None),
        ("forced tool", "tool_use", None),
        ("cut short", "max_tokens", None),
        ("stopped", "stop_sequence", "two"),
    ],
)
def test_stop_reasons(system, kind, reason, sequence):
    message = ask(anthropic_client(system), KINDS[kind])
    assert (message.stop_reason, message.stop_sequence) == (reason, sequence)


@pytest.mark.parametrize("kind", KINDS.values(), ids=KINDS)
def test_events_of_a_stream_are_in_order(system, kind):
    """One block open at a time, numbered from 0, its deltas of its own type."""
    types, opened, last = [], None, -1
    for event in ask(anthropic_client(system), kind, stream=True):
        types.append(event.type)
        match event.type:
            case "content_block_start":
                assert opened is None and event.index == last + 1
                opened = last = event.index
            case "content_block_delta":
                assert event.index == opened
            case "content_block_stop":
                assert event.index == opened
                opened = None
    assert (types[0], types[-2:]) == ("message_start", ["message_delta", "message_stop"])


def test_tools_round_trip(system):
    client, question = anthropic_client(system), user(f"think it may rain ; say look ; {CALL}")
    first = ask(client, {"messages": question, "tools": [WEATHER_TOOL]})
    use = first.content[-1]
    assert (use.type, use.name, use.input) == ("tool_use", "weather", {"city": "Łódź"})
    result = {"type": "tool_result", "tool_use_id": use.id, "content": [{"type": "text", "text": "dry"}]}
    history = [*question, {"role": "assistant", "content": first.content}, {"role": "user", "content": [result]}]
    second = ask(client, {"messages": history, "tools": [WEATHER_TOOL]})
    assert second.content[-1].text == "The tool said: dry (I had thought: it may rain)"


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "streamed"])
def test_tool_runner(system, stream):
    said = []

    @anthropic.beta_tool
    def weather(city: str) -> str:
        """The weather of a city."""
        said.append(city)
        return f"{city} is dry"

    runner = anthropic_client(system).beta.messages.tool_runner(
        model=MODEL,
        max_tokens=1000,
        messages=user('think it may rain ; call weather {"city":"Paris"}'),
        tools=[weather],
        stream=stream,
    )
    # What was thought is part of the conversation before the last turn.
    assert runner.until_done().content[-1].text == "The tool said: Paris is dry (I had thought: it may rain)"
    assert said == ["Paris"]


def test_a_thread_that_nobody_keeps_is_refused_by_name(system):
    """Its second request brings the last turn alone; answered, the rest of the conversation would be lost unseen."""
    client = anthropic_client(system)
    with pytest.raises(anthropic.BadRequestError) as caught:
        client.beta.messages.create(model=MODEL, max_tokens=10, messages=user("hello"), thread={"type": "create"})
    error = caught.value.body["error"]
    assert error["type"] == "invalid_request_error"
    assert error["details"] == {"error_code": "thread_unsupported_request", "unsupported": ["thread"]}


def test_names_of_calls_that_this_api_does_not_allow_go_back_unchanged(system):
    """Kimi's look like `functions.weather:0`; this API's may hold neither dot nor colon."""
    client, question = anthropic_client(system), user('call@functions.weather:0 weather {"city":"x"}')
    first = ask(client, {"messages": question, "tools": [WEATHER_TOOL]})
    (use,) = first.content
    assert "." not in use.id and ":" not in use.id
    result = {"type": "tool_result", "tool_use_id": use.id, "content": "dry"}
    shown = {"type": "text", "text": "show /messages/1/tool_calls/0/id"}
    history = [*question, {"role": "assistant", "content": first.content}]
    history.append({"role": "user", "content": [result, shown]})
    second = ask(client, {"messages": history, "tools": [WEATHER_TOOL]})
    assert second.content[-1].text == '"functions.weather:0"'


def test_arguments_that_are_no_json_become_an_object(system):
    message = ask(anthropic_client(system), {"messages": user("call-raw weather {oops"), "tools": [WEATHER_TOOL]})
    (use,) = message.content
    assert use.type == "tool_use" and isinstance(use.input, dict)


def test_thinking_blocks_have_a_signature(system):
    message = ask(anthropic_client(system), KINDS["thinking"])
    thinking, text = message.content
    assert (thinking.type, thinking.thinking, text.text) == ("thinking", "first this", "then that")
    assert isinstance(thinking.signature, str)


def test_images(system):
    source = {"type": "base64", "media_type": "image/png", "data": PNG}
    content = [{"type": "text", "text": "what is this"}, {"type": "image", "source": source}]
    message = ask(anthropic_client(system), {"messages": user(content)})
    assert message.content[0].text == f"I was shown image_url (image/png, {PNG_BYTES} bytes)."


def test_structured_output(system):
    output = {"format": {"type": "json_schema", "schema": WEATHER}}
    message = ask(anthropic_client(system), {"messages": user("hello"), "output_config": output})
    assert message.content[0].text == '{"city":"text"}'


def test_usage_counts_cached_tokens_apart(system):
    history = [*user("one two three"), {"role": "assistant", "content": "four"}, *user("say d")]
    usage = ask(anthropic_client(system), {"messages": history}).usage
    assert (usage.input_tokens, usage.cache_read_input_tokens, usage.output_tokens) == (2, 4, 1)


def test_count_tokens(system):
    client = anthropic_client(system)
    short = client.messages.count_tokens(model=MODEL, messages=user("hello"))
    long = client.messages.count_tokens(model=MODEL, messages=user("hello " * 500), tools=[WEATHER_TOOL])
    assert 0 < short.input_tokens < 50 < 400 < long.input_tokens < 2000


def test_async_client(system):
    async def both():
        async with anthropic_async(system) as client:
            asked = {"model": MODEL, "max_tokens": 1000, "messages": user("Why is the sky blue?")}
            whole = await client.messages.create(**asked)
            async with client.messages.stream(**asked) as stream:
                return whole.content[0].text, await stream.get_final_text()

    whole, streamed = asyncio.run(both())
    assert whole == streamed


STATUSES = {
    400: anthropic.BadRequestError,
    401: anthropic.AuthenticationError,
    403: anthropic.PermissionDeniedError,
    404: anthropic.NotFoundError,
    413: anthropic.RequestTooLargeError,
    429: anthropic.RateLimitError,
    500: anthropic.InternalServerError,
    529: anthropic.OverloadedError,
}


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "streamed"])
@pytest.mark.parametrize("status", STATUSES)
def test_errors_of_the_model_server_are_the_packages_own_classes(system, status, stream):
    # A model server that is overloaded says 503.
    said = 503 if status == 529 else status
    with pytest.raises(STATUSES[status]) as caught:
        ask(anthropic_client(system), {"messages": user(f"fail {said} no luck")}, stream=stream)
    assert caught.value.status_code == status
    assert caught.value.body["error"]["message"] == "no luck"


def test_a_prompt_that_is_too_long_is_said_in_this_apis_words(small):
    with pytest.raises(anthropic.BadRequestError) as caught:
        ask(anthropic_client(small), {"messages": user("word " * 300)})
    assert caught.value.body["error"]["type"] == "invalid_request_error"
    assert caught.value.body["error"]["message"] == "prompt is too long: 300 tokens > 200 maximum"


def test_an_error_in_mid_stream_is_raised(system):
    with pytest.raises(anthropic.APIStatusError, match="out of memory"):
        for _ in ask(
            anthropic_client(system), {"messages": user("say one two ; break 500 out of memory")}, stream=True
        ):
            pass


@pytest.mark.parametrize("prompt", ["say one two ; cut", "say one two ; end"])
def test_a_stream_that_ends_without_a_reason_is_an_error(system, prompt):
    with pytest.raises(anthropic.APIError):
        for _ in ask(anthropic_client(system), {"messages": user(prompt)}, stream=True):
            pass


def test_a_server_error_is_tried_again_as_often_as_the_client_is_told(own_system):
    with pytest.raises(anthropic.InternalServerError):
        ask(anthropic_client(own_system, max_retries=2), {"messages": user("fail 500 no luck")})
    assert own_system.tally()["begun"] == 3


def test_giving_up_stops_the_model(own_system):
    stream = ask(anthropic_client(own_system), {"messages": user("say one ; wait 50 ; say late")}, stream=True)
    for event in stream:
        if event.type == "content_block_delta":
            break
    stream.close()
    assert rig.eventually(lambda: own_system.tally()["given_up"] == 1)


def test_models(system):
    client = anthropic_client(system)
    (model,) = client.models.list(limit=1000).data
    assert (model.id, model.type, model.display_name) == (MODEL, "model", MODEL)
    assert client.models.retrieve(MODEL).id == MODEL
    with pytest.raises(anthropic.NotFoundError) as caught:
        client.models.retrieve("no-such-model")
    body = caught.value.body
    assert (body["type"], body["error"]["type"]) == ("error", "not_found_error")
    assert "no-such-model" in body["error"]["message"]
    assert body["request_id"] == caught.value.request_id


def test_raw_response_names_the_request(system):
    raw = anthropic_client(system).messages.with_raw_response.create(
        model=MODEL, max_tokens=10, messages=user("hello")
    )
    assert raw.headers["request-id"].startswith("req_")
    assert raw.parse()._request_id == raw.headers["request-id"]


@pytest.mark.parametrize("names", [{"api_key": rig.KEY}, {"auth_token": rig.KEY}], ids=str)
def test_either_way_to_show_a_key(binary, names):
    names = dict.fromkeys(names, rig.KEY)
    with rig.running(binary, proxy=["--app-key", rig.KEY]) as locked, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        good = anthropic.Anthropic(base_url=locked.url, max_retries=0, **names)
        assert ask(good, KINDS["text"]).content
        bad = anthropic.Anthropic(base_url=locked.url, api_key="wrong", max_retries=0)
        with pytest.raises(anthropic.AuthenticationError):
            ask(bad, KINDS["text"])
