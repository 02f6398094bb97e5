"""Faults that other proxies and translators have had, each as a test of this one."""

import json

import pytest

import rig
from rig import MODEL, WEATHER, events, post, request, user

APIS = {
    "chat": ("/v1/chat/completions", lambda prompt: {"model": MODEL, "messages": user(prompt)}),
    "responses": ("/v1/responses", lambda prompt: {"model": MODEL, "input": prompt}),
    "messages": ("/v1/messages", lambda prompt: {"model": MODEL, "max_tokens": 4096, "messages": user(prompt)}),
}


def whole(system, api, prompt, /, **more):
    path, body = APIS[api]
    status, answer = post(system, path, {**body(prompt), **more})
    assert status == 200, answer
    return answer


def streamed(system, api, prompt, /, **more):
    path, body = APIS[api]
    status, headers, content = request(system, "POST", path, {**body(prompt), **more, "stream": True})
    assert status == 200, content
    assert headers["content-type"].startswith("text/event-stream")
    return content


def said(api, answer):
    match api:
        case "chat":
            return answer["choices"][0]["message"]["content"]
        case "responses":
            return "".join(p["text"] for item in answer["output"] if item["type"] == "message" for p in item["content"])
        case "messages":
            return "".join(block["text"] for block in answer["content"] if block["type"] == "text")


def said_in_stream(api, content):
    text = ""
    for _, data in events(content):
        if data == "[DONE]":
            continue
        event = json.loads(data)
        match api:
            case "chat":
                text += "".join(choice["delta"].get("content") or "" for choice in event["choices"])
            case "responses" if event["type"] == "response.output_text.delta":
                text += event["delta"]
            case "messages" if event["type"] == "content_block_delta":
                text += event["delta"].get("text", "")
    return text


@pytest.mark.parametrize("api", APIS)
def test_characters_split_across_writes_stay_whole(system, api):
    text = "naïve 日本語 🦭 \u2028 e\u0301 end"
    assert said_in_stream(api, streamed(system, api, f"spell {text}")) == text


@pytest.mark.parametrize("api", APIS)
def test_an_event_of_more_than_a_megabyte_arrives(system, api):
    text = "x" * 1_500_000
    assert said_in_stream(api, streamed(system, api, f"say {text}")) == text
    assert said(api, whole(system, api, f"say {text}")) == text


@pytest.mark.parametrize("api", APIS)
def test_an_error_is_never_text_of_the_assistant(system, api):
    content = streamed(system, api, "say one ; break 500 xylograph")
    assert said_in_stream_before_error(api, content) == "one"
    assert b'"stop_reason":"error"' not in content.replace(b" ", b"")
    assert b"xylograph" in content


def said_in_stream_before_error(api, content):
    keep = []
    for name, data in events(content):
        if '"error"' in data and "xylograph" in data:
            break
        keep.append(f"event: {name}\ndata: {data}\n\n" if name else f"data: {data}\n\n")
    return said_in_stream(api, "".join(keep).encode())


@pytest.mark.parametrize("api", APIS)
def test_the_model_server_streams_only_if_the_application_does(system, api):
    assert said(api, whole(system, api, "show /stream")) in ("null", "false")
    assert said_in_stream(api, streamed(system, api, "show /stream")) == "true"


@pytest.mark.parametrize("api", APIS)
@pytest.mark.parametrize("name", ["deepseek-r1-thinking", "claude-opus-4-thinking", "o3"])
def test_thinking_does_not_hang_on_the_name_of_the_model(system, api, name):
    for member in ("reasoning_effort", "chat_template_kwargs"):
        assert said(api, whole(system, api, f"show /{member}", model=name)) == "null"


def test_a_stream_in_its_own_api_is_passed_byte_by_byte(system):
    """No blank line more or less than the model server wrote."""
    body = {"model": MODEL, "messages": user("spell é ; think a ; say b c"), "stream": True}
    body["stream_options"] = {"include_usage": True}
    _, _, sealed = request(system, "POST", "/v1/chat/completions", body)

    class Upstream:
        url = system.upstream

    _, _, direct = request(Upstream, "POST", "/v1/chat/completions", body)

    def blank(content):
        created = json.loads(next(data for _, data in events(content)))["created"]
        return content.replace(f'"created":{created}'.encode(), b'"created":0')

    assert blank(sealed) == blank(direct)


@pytest.mark.parametrize("api", ["responses", "messages"])
def test_every_event_has_its_name_before_its_data(system, api):
    content = streamed(system, api, 'think a ; say b c ; call weather {"city":"x"}', **tools(api)).decode()
    blocks = [block for block in content.split("\n\n") if block and not block.startswith(("data: [DONE]", ":"))]
    for block in blocks:
        name, data = block.split("\n")
        assert name == "event: " + json.loads(data.removeprefix("data: "))["type"]


def tools(api):
    if api == "messages":
        return {"tools": [{"name": "weather", "input_schema": WEATHER}]}
    return {"tools": [{"type": "function", "name": "weather", "parameters": WEATHER}]}


def test_message_start_counts_the_prompt(system):
    """A constant 0 there breaks the status line of Claude Code."""
    for _, data in events(streamed(system, "messages", "say yes " + "word " * 200)):
        event = json.loads(data)
        if event["type"] == "message_start":
            assert event["message"]["usage"]["input_tokens"] > 50
        if event["type"] == "message_delta":
            assert event["usage"]["input_tokens"] == 202 and event["usage"]["output_tokens"] == 201
            return
    raise AssertionError("no message_delta")


def test_the_billing_block_does_not_reach_the_prompt(system):
    """It may change with every request, and would lose the model server's prefix cache each time."""
    blocks = [
        {"type": "text", "text": "x-anthropic-billing-header: cc_version=2.1.197; cch=abc"},
        {"type": "text", "text": "Be kind."},
    ]
    answer = whole(system, "messages", "show /messages", system=blocks)
    assert json.loads(said("messages", answer))[0] == {"role": "system", "content": "Be kind."}


def test_a_system_message_between_turns_stays_there(system):
    """Hoisted to the front it would change the start of the prompt with every turn."""
    turns = [*user("one"), {"role": "assistant", "content": "two"}, {"role": "system", "content": "a note"}]
    asked = {"system": "Be kind.", "messages": [*turns, *user("show /messages")]}
    seen = json.loads(said("messages", whole(system, "messages", "", **asked)))
    assert [message["role"] for message in seen[:3]] == ["system", "user", "assistant"]
    assert seen[0]["content"] == "Be kind."
    assert "a note" in json.dumps(seen[3:])


NAMESPACE = {
    "type": "namespace",
    "name": "multi_agent_v1",
    "description": "d",
    "tools": [{"type": "function", "name": "wait_agent", "description": "d", "strict": False, "parameters": WEATHER}],
}


def test_tools_of_a_namespace_come_back_with_it(system):
    """Codex takes `wait_agent` in `multi_agent_v1`, and no flattened name."""
    offered = json.loads(said("responses", whole(system, "responses", "show /tools/0/function/name", tools=[NAMESPACE])))
    assert offered != "wait_agent"
    prompt = f'call {offered} {{"city":"x"}}'
    answer = whole(system, "responses", prompt, tools=[NAMESPACE])
    (call,) = answer["output"]
    assert (call["type"], call["name"], call["namespace"]) == ("function_call", "wait_agent", "multi_agent_v1")
    last = [json.loads(data) for _, data in events(streamed(system, "responses", prompt, tools=[NAMESPACE]))]
    items = [event["item"] for event in last if event["type"].startswith("response.output_item.")]
    assert [(item["name"], item["namespace"]) for item in items] == [("wait_agent", "multi_agent_v1")] * 2
    result = {"type": "function_call_output", "call_id": call["call_id"], "output": "done"}
    again = whole(system, "responses", "", input=[*user(prompt), call, result], tools=[NAMESPACE])
    assert said("responses", again) == "The tool said: done"


# https://platform.openai.com/docs/api-reference/responses-streaming, as far as this proxy has a use for them.
EVENTS = {
    "response.created",
    "response.in_progress",
    "response.completed",
    "response.incomplete",
    "response.failed",
    "response.output_item.added",
    "response.output_item.done",
    "response.content_part.added",
    "response.content_part.done",
    "response.output_text.delta",
    "response.output_text.done",
    "response.reasoning_text.delta",
    "response.reasoning_text.done",
    "response.reasoning_summary_part.added",
    "response.reasoning_summary_part.done",
    "response.reasoning_summary_text.delta",
    "response.reasoning_summary_text.done",
    "response.function_call_arguments.delta",
    "response.function_call_arguments.done",
    "response.custom_tool_call_input.delta",
    "response.custom_tool_call_input.done",
}


@pytest.mark.parametrize("summary", [None, "auto"])
def test_no_event_is_invented(system, summary):
    more = {"reasoning": {"summary": summary}} if summary else {}
    prompt = 'think a ; say b c ; call weather {"city":"x"} ; call patch {"input":"y"}'
    offered = [*tools("responses")["tools"], {"type": "custom", "name": "patch"}]
    seen = {json.loads(data)["type"] for _, data in events(streamed(system, "responses", prompt, tools=offered, **more))}
    assert seen <= EVENTS
    assert "response.custom_tool_call_input.delta" in seen


@pytest.mark.parametrize("style", ["think", "think-field"])
@pytest.mark.parametrize("api", ["responses", "messages"])
def test_reasoning_under_either_name(system, api, style):
    answer = whole(system, api, f"{style} first this ; say then that")
    first = answer["output" if api == "responses" else "content"][0]
    assert first["type"] == {"responses": "reasoning", "messages": "thinking"}[api]
    assert "first this" in json.dumps(first)
    assert said(api, answer) == "then that"


@pytest.mark.parametrize("api", ["responses", "messages"])
def test_reasoning_left_in_the_content(binary, api):
    with rig.running(binary, proxy=["--split-think"]) as splitting:
        answer = whole(splitting, api, "think-tags first this ; say then that")
        first = answer["output" if api == "responses" else "content"][0]
        assert "first this" in json.dumps(first) and "<think>" not in json.dumps(answer)
        assert said(api, answer).strip() == "then that"
        content = streamed(splitting, api, "think-tags first this ; say then that")
        assert said_in_stream(api, content).strip() == "then that" and b"<think>" not in content


def test_a_tool_call_and_stop_are_tool_use(system):
    """Model servers say `stop` when the call was forced."""
    answer = whole(system, "messages", "hello", tool_choice={"type": "tool", "name": "weather"}, **tools("messages"))
    assert answer["stop_reason"] == "tool_use"


def test_length_wins_over_a_tool_call(system):
    answer = whole(system, "messages", 'call weather {"city":"x"}', max_tokens=2, **tools("messages"))
    assert answer["stop_reason"] == "max_tokens"


def test_an_answer_without_content(system):
    answer = whole(system, "messages", "say yes", stop_sequences=["yes"])
    assert answer["content"] == [{"type": "text", "text": ""}]


def test_no_token_at_all(system):
    """Claude Code warms caches so."""
    assert whole(system, "messages", "hello", max_tokens=0)["content"] == []


def test_several_tool_results_keep_their_order_and_come_before_the_turns_text(system):
    calls = [{"type": "tool_use", "id": f"c{n}", "name": "weather", "input": {"city": f"{n}"}} for n in (1, 2)]
    results = [{"type": "tool_result", "tool_use_id": f"c{n}", "content": f"r{n}"} for n in (1, 2)]
    turns = [*user("go"), {"role": "assistant", "content": calls}]
    shown = {"type": "text", "text": "show /messages"}
    asked = {"messages": [*turns, {"role": "user", "content": [*results, shown]}], **tools("messages")}
    seen = json.loads(said("messages", whole(system, "messages", "", **asked)))
    assert [message["role"] for message in seen] == ["user", "assistant", "tool", "tool", "user"]
    assert [message["content"] for message in seen[2:4]] == ["r1", "r2"]
    assert [message["tool_call_id"] for message in seen[2:4]] == ["c1", "c2"]


def test_a_tools_image_reaches_the_model(system):
    """Codex's `view_image` answers with a list that holds one."""
    call = {"type": "function_call", "call_id": "c1", "name": "view_image", "arguments": "{}"}
    image = {"type": "input_image", "image_url": "data:image/png;base64," + rig.PNG}
    result = {"type": "function_call_output", "call_id": "c1", "output": [image]}
    answer = whole(system, "responses", "", input=[*user("look"), call, result])
    assert f"{rig.PNG_BYTES} bytes" in said("responses", answer)
