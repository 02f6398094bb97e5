"""The `openai` package over Responses."""

import asyncio
import json

import openai
import pydantic
import pytest

import rig
from rig import MODEL, PNG, PNG_BYTES, WEATHER, openai_async, openai_client

WEATHER_TOOL = {"type": "function", "name": "weather", "description": "d", "strict": True, "parameters": WEATHER}
PATCH_TOOL = {"type": "custom", "name": "patch", "description": "takes text"}
CALL = 'call weather {"city":"Łódź"}'

KINDS = {
    "text": {"input": "Why is the sky blue?"},
    "unicode": {"input": "spell naïve 日本語 🦭 text"},
    "one tool": {"input": CALL, "tools": [WEATHER_TOOL]},
    "text and two tools": {"input": f"say look ; {CALL} ; {CALL}", "tools": [WEATHER_TOOL]},
    "custom tool": {"input": 'call patch {"input":"*** a\\n\\"b\\" é"}', "tools": [PATCH_TOOL]},
    "thinking": {"input": "think first this ; say then that"},
    "thinking and tool": {"input": f"think first this ; {CALL}", "tools": [WEATHER_TOOL]},
    "summary": {"input": "think first this ; say then that", "reasoning": {"effort": "low", "summary": "auto"}},
    "cut short": {"input": "hello", "max_output_tokens": 3},
    "instructions": {"input": "show /messages/0/content", "instructions": "Be kind."},
    "shown tokens": {"input": "say one two", "include": ["message.output_text.logprobs"], "top_logprobs": 2},
}

COUNTED = {
    "text": {"input": "hello"},
    "long": {"input": "hello " * 500},
    "instructions": {"input": "hello", "instructions": "Be kind. " * 100},
    "tools": {"input": CALL, "tools": [WEATHER_TOOL]},
}

# What differs from one answer to the next.
OWN = ("id", "created_at", "completed_at", "item_id", "parsed", "parsed_arguments")


@pytest.mark.parametrize("kind", KINDS.values(), ids=KINDS)
def test_streamed_answer_accumulates_to_the_whole_one(system, kind):
    client = openai_client(system)
    whole = client.responses.create(model=MODEL, **kind)
    with client.responses.stream(model=MODEL, **kind) as stream:
        seen = list(stream)
        accumulated = stream.get_final_response() if seen[-1].type == "response.completed" else seen[-1].response
    assert rig.without(accumulated, *OWN) == rig.without(whole, *OWN)
    assert [event.sequence_number for event in seen if hasattr(event, "sequence_number")] == list(range(len(seen)))
    assert whole.usage.total_tokens == whole.usage.input_tokens + whole.usage.output_tokens


def test_input_tokens(system):
    client = openai_client(system)
    counts = {name: client.responses.input_tokens.count(model=MODEL, **kind) for name, kind in COUNTED.items()}
    assert {count.object for count in counts.values()} == {"response.input_tokens"}
    assert 0 < counts["text"].input_tokens < 50 < counts["tools"].input_tokens
    assert counts["text"].input_tokens + 150 < counts["instructions"].input_tokens < 400 < counts["long"].input_tokens < 2000


def test_input_tokens_of_a_stored_response_are_refused(system):
    with pytest.raises(openai.NotFoundError, match="whole conversation"):
        openai_client(system).responses.input_tokens.count(model=MODEL, input="hello", previous_response_id="resp_1")


@pytest.mark.parametrize("kind", KINDS.values(), ids=KINDS)
def test_streamed_items_are_those_of_the_final_response(system, kind):
    """One item open at a time, deltas that add up, identifiers that stay."""
    added, done, text, final, open_item = [], [], {}, None, None
    for event in openai_client(system).responses.create(model=MODEL, stream=True, **kind):
        match event.type:
            case "response.output_item.added":
                assert open_item is None
                open_item = event.item.id
                added.append(event.item.id)
            case "response.output_item.done":
                assert open_item == event.item.id
                open_item = None
                done.append(event.item)
            case "response.completed" | "response.incomplete":
                assert final is None
                final = event.response
            case kind_of if kind_of.endswith(".delta"):
                assert event.item_id == open_item
                text[event.item_id] = text.get(event.item_id, "") + event.delta
    assert final is not None and open_item is None
    assert [item.id for item in final.output] == added == [item.id for item in done]
    assert [item.model_dump() for item in final.output] == [item.model_dump() for item in done]
    for item in final.output:
        assert text[item.id] == content(item)


def content(item):
    match item.type:
        case "message":
            return "".join(part.text for part in item.content)
        case "function_call":
            return item.arguments
        case "custom_tool_call":
            return item.input
        case "reasoning":
            return "".join(part.text for part in [*(item.summary or []), *(item.content or [])])


def test_function_tool_round_trip(system):
    client, asked = openai_client(system), [{"role": "user", "content": f"think it may rain ; {CALL}"}]
    first = client.responses.create(model=MODEL, input=asked, tools=[WEATHER_TOOL])
    call = next(item for item in first.output if item.type == "function_call")
    assert json.loads(call.arguments) == {"city": "Łódź"}
    history = [item.model_dump(exclude_none=True) for item in first.output]
    result = {"type": "function_call_output", "call_id": call.call_id, "output": "dry"}
    second = client.responses.create(model=MODEL, input=[*asked, *history, result], tools=[WEATHER_TOOL])
    assert second.output_text == "The tool said: dry (I had thought: it may rain)"


def test_custom_tool_round_trip(system):
    client, asked = openai_client(system), [{"role": "user", "content": 'call patch {"input":"*** text"}'}]
    first = client.responses.create(model=MODEL, input=asked, tools=[PATCH_TOOL])
    (call,) = first.output
    assert (call.type, call.name, call.input) == ("custom_tool_call", "patch", "*** text")
    result = {"type": "custom_tool_call_output", "call_id": call.call_id, "output": "applied"}
    history = call.model_dump(exclude_none=True)
    second = client.responses.create(model=MODEL, input=[*asked, history, result], tools=[PATCH_TOOL])
    assert second.output_text == "The tool said: applied"


def test_reasoning_goes_back_as_an_opaque_blob_alone(system):
    """A client that keeps no reasoning text hands the blob back."""
    client, asked = openai_client(system), [{"role": "user", "content": f"think it may rain ; {CALL}"}]
    include = ["reasoning.encrypted_content"]
    first = client.responses.create(model=MODEL, input=asked, tools=[WEATHER_TOOL], include=include, store=False)
    reasoning, call = first.output
    assert reasoning.encrypted_content
    blob = {"type": "reasoning", "id": reasoning.id, "summary": [], "encrypted_content": reasoning.encrypted_content}
    result = {"type": "function_call_output", "call_id": call.call_id, "output": "dry"}
    history = [blob, call.model_dump(exclude_none=True), result]
    second = client.responses.create(model=MODEL, input=[*asked, *history], tools=[WEATHER_TOOL])
    assert second.output_text == "The tool said: dry (I had thought: it may rain)"


class Plan(pydantic.BaseModel):
    steps: list[str]
    total: int


def test_parsed_answer(system):
    client = openai_client(system)
    whole = client.responses.parse(model=MODEL, input="hello", text_format=Plan)
    assert whole.output_parsed == Plan(steps=["text"], total=1)
    with client.responses.stream(model=MODEL, input="hello", text_format=Plan) as stream:
        assert stream.get_final_response().output_parsed == whole.output_parsed


def test_images(system):
    parts = [
        {"type": "input_text", "text": "what is this"},
        {"type": "input_image", "detail": "auto", "image_url": "data:image/png;base64," + PNG},
    ]
    answer = openai_client(system).responses.create(model=MODEL, input=[{"role": "user", "content": parts}])
    assert answer.output_text == f"I was shown image_url (image/png, {PNG_BYTES} bytes)."


def test_usage_counts_cached_and_thought_tokens(system):
    history = [
        {"role": "user", "content": "one two three"},
        {"role": "assistant", "content": "four"},
        {"role": "user", "content": "think a b c ; say d"},
    ]
    usage = openai_client(system).responses.create(model=MODEL, input=history).usage
    assert usage.output_tokens == 4 and usage.output_tokens_details.reasoning_tokens == 3
    assert usage.input_tokens == 11 and usage.input_tokens_details.cached_tokens == 4


def test_async_client(system):
    async def ask():
        async with openai_async(system) as client:
            whole = await client.responses.create(model=MODEL, input="Why is the sky blue?")
            async with client.responses.stream(model=MODEL, input="Why is the sky blue?") as stream:
                return whole.output_text, (await stream.get_final_response()).output_text

    whole, streamed = asyncio.run(ask())
    assert whole == streamed


def test_an_error_in_mid_stream_fails_the_response(system):
    seen = list(
        openai_client(system).responses.create(
            model=MODEL, input="say one two ; break 500 out of memory", stream=True
        )
    )
    assert seen[-1].type == "response.failed"
    assert seen[-1].response.status == "failed"
    assert "out of memory" in seen[-1].response.error.message
    assert not any(event.type == "response.completed" for event in seen)


@pytest.mark.parametrize("prompt", ["say one two ; cut", "say one two ; end"])
def test_a_stream_that_ends_without_a_reason_fails_the_response(system, prompt):
    seen = list(openai_client(system).responses.create(model=MODEL, input=prompt, stream=True))
    assert seen[-1].type == "response.failed"


@pytest.mark.parametrize("status", [400, 404, 429, 500])
def test_errors_of_the_model_server(system, status):
    with pytest.raises(openai.APIStatusError) as caught:
        openai_client(system).responses.create(model=MODEL, input=f"fail {status} no luck")
    assert caught.value.status_code == status
    assert caught.value.body["message"] == "no luck"


def test_nothing_is_kept(system):
    client = openai_client(system)
    answer = client.responses.create(model=MODEL, input="hello", store=True)
    for ask in (
        lambda: client.responses.retrieve(answer.id),
        lambda: client.responses.delete(answer.id),
        lambda: client.responses.cancel(answer.id),
        lambda: client.responses.input_items.list(answer.id),
    ):
        with pytest.raises(openai.NotFoundError):
            ask()
    with pytest.raises(openai.NotFoundError) as caught:
        client.responses.create(model=MODEL, input="hello", previous_response_id=answer.id)
    assert caught.value.code == "previous_response_not_found"


@pytest.mark.parametrize(
    ("param", "value"), [("background", True), ("conversation", "conv_1"), ("prompt", {"id": "pmpt_1"})]
)
def test_what_needs_a_store_is_refused_by_name(system, param, value):
    with pytest.raises(openai.BadRequestError) as caught:
        openai_client(system).responses.create(model=MODEL, input="hello", **{param: value})
    assert caught.value.param == param


def test_giving_up_stops_the_model(own_system):
    stream = openai_client(own_system).responses.create(model=MODEL, input="say one ; wait 50 ; say late", stream=True)
    for event in stream:
        if event.type == "response.output_text.delta":
            break
    stream.close()
    assert rig.eventually(lambda: own_system.tally()["given_up"] == 1)
