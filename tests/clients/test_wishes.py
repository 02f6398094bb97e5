"""What users of such proxies ask for most, each by name."""

import json

import pytest

import rig
from rig import MODEL, WEATHER, events, post, request, user
from test_translators import APIS, said, said_in_stream, streamed, tools, whole


def test_1_unknown_and_beta_fields_are_ignored(system):
    more = {
        "context_management": {"edits": [{"type": "clear_tool_uses_20250919"}]},
        "thinking": {"type": "adaptive"},
        "output_config": {"effort": "high"},
        "metadata": {"user_id": '{"device_id":"x"}'},
        "betas": ["x"],
        "mcp_servers": [],
        "container": None,
        "speed": "fast",
        "never_heard_of": {"a": [1]},
    }
    assert said("messages", whole(system, "messages", "say yes", **more)) == "yes"
    more = {
        "client_metadata": {"a": "b"},
        "prompt_cache_key": "k",
        "safety_identifier": "s",
        "store": False,
        "include": ["reasoning.encrypted_content", "never.heard.of"],
        "text": {"verbosity": "low"},
        "truncation": "auto",
        "never_heard_of": {"a": [1]},
    }
    assert said("responses", whole(system, "responses", "say yes", **more)) == "yes"
    assert said("chat", whole(system, "chat", "say yes", never_heard_of={"a": [1]})) == "yes"


def test_1_unknown_items_of_the_history_do_not_fail_the_turn(system):
    items = [
        *user("one"),
        {"type": "web_search_call", "id": "ws_1", "status": "completed", "action": {"type": "search", "query": "q"}},
        {"type": "compaction", "encrypted_content": "blob"},
        {"type": "never_heard_of", "x": 1},
        *user("say yes"),
    ]
    assert said("responses", whole(system, "responses", "", input=items)) == "yes"
    blocks = [
        {"type": "redacted_thinking", "data": "x"},
        {"type": "server_tool_use", "id": "s1", "name": "web_search", "input": {"query": "q"}},
        {"type": "web_search_tool_result", "tool_use_id": "s1", "content": []},
        {"type": "never_heard_of", "x": 1},
        {"type": "text", "text": "two"},
    ]
    turns = [*user("one"), {"role": "assistant", "content": blocks}, *user("say yes")]
    assert said("messages", whole(system, "messages", "", messages=turns)) == "yes"


def test_2_reasoning_goes_back_to_the_model_server(system):
    """DeepSeek refuses a turn with tools whose reasoning is missing."""
    call = 'think it may rain ; call weather {"city":"x"}'
    answer = whole(system, "messages", call, **tools("messages"))
    use = answer["content"][-1]
    turns = [
        *user(call),
        {"role": "assistant", "content": answer["content"]},
        *user([{"type": "tool_result", "tool_use_id": use["id"], "content": "dry"}]),
    ]
    again = whole(system, "messages", "", messages=turns, **tools("messages"))
    assert said("messages", again) == "The tool said: dry (I had thought: it may rain)"

    answer = whole(system, "responses", call, **tools("responses"))
    result = {"type": "function_call_output", "call_id": answer["output"][-1]["call_id"], "output": "dry"}
    again = whole(system, "responses", "", input=[*user(call), *answer["output"], result], **tools("responses"))
    assert said("responses", again) == "The tool said: dry (I had thought: it may rain)"


@pytest.mark.parametrize(
    ("prompt", "last"),
    [
        ("say yes", "response.completed"),
        ('call weather {"city":"x"}', "response.completed"),
        ("say one ; break 500 no", "response.failed"),
        ("say one ; cut", "response.failed"),
        ("say one ; end", "response.failed"),
        ("delay 2.5 ; fail 500 no", "response.failed"),
    ],
)
def test_3_a_stream_of_responses_always_says_how_it_ends(system, prompt, last):
    kinds = [json.loads(data)["type"] for _, data in events(streamed(system, "responses", prompt, **tools("responses")))]
    ends = [kind for kind in kinds if kind in ("response.completed", "response.incomplete", "response.failed")]
    assert ends == [last] and kinds[-1] == last


@pytest.mark.parametrize("silence", ["wait", "delay"])
@pytest.mark.parametrize("api", APIS)
def test_4_a_long_prefill_is_bridged(system, api, silence):
    """`wait` is silence after the answer's head, `delay` before it."""
    content = streamed(system, api, f"{silence} 3.5 ; say yes")
    before = content[: content.rindex(b"\n\n", 0, content.index(b'"yes"')) + 2]
    match api:
        case "chat":
            assert before.count(b": keep-alive\n\n") >= 2
        case "responses":
            # Codex takes no comment for a sign of life.
            kinds = [json.loads(data)["type"] for _, data in events(before)]
            extra = [kind for kind in kinds if "keepalive" in kind or kind == "response.in_progress"]
            assert len(extra) >= 3
        case "messages":
            assert before.count(b"event: ping") >= 2
    assert said_in_stream(api, content) == "yes"


def test_4_signs_of_life_do_not_disturb_the_packages(system):
    prompt = "delay 2.5 ; say one ; wait 2.5 ; say two"
    with rig.openai_client(system).responses.stream(model=MODEL, input=prompt) as stream:
        assert stream.get_final_response().output_text == "onetwo"
    with rig.openai_client(system).chat.completions.stream(model=MODEL, messages=user(prompt)) as stream:
        assert stream.get_final_completion().choices[0].message.content == "onetwo"
    with rig.anthropic_client(system).messages.stream(model=MODEL, max_tokens=99, messages=user(prompt)) as stream:
        assert stream.get_final_text() == "onetwo"


def prompt_of(system, api, body):
    """The messages that the model server got."""
    return json.loads(said(api, whole(system, api, "", **body)))


def test_5_the_start_of_the_prompt_stays_from_turn_to_turn(system):
    """Else the model server reads the whole conversation again."""
    shown, reminder = "show /messages", {"role": "system", "content": "<system-reminder>"}
    blocks = [{"type": "text", "text": f"x-anthropic-billing-header: cch={n}"} for n in (1, 2)]
    kind = {"type": "text", "text": "Be kind."}
    first = {"system": [blocks[0], kind], "messages": user("one")}
    first["messages"] = [*user("one"), reminder, *user(shown)]
    second = {"system": [blocks[1], kind]}
    second["messages"] = [*first["messages"], {"role": "assistant", "content": "two"}, reminder, *user(shown)]
    before, after = prompt_of(system, "messages", first), prompt_of(system, "messages", second)
    assert after[: len(before)] == before

    first = {"instructions": "Be kind.", "input": [{"role": "developer", "content": "d"}, *user(shown)]}
    second = {**first, "input": [*first["input"], {"role": "assistant", "content": "two"}, *user(shown)]}
    before, after = prompt_of(system, "responses", first), prompt_of(system, "responses", second)
    assert after[: len(before)] == before


def test_5_the_prefix_cache_is_nobody_elses(binary, system):
    """Every API asks with the same salt, which is this installation's own; unless that is not wanted."""
    (salt,) = {said(api, whole(system, api, "show /cache_salt")) for api in APIS}
    assert len(json.loads(salt)) > 20
    with rig.running(binary, proxy=["--shared-prompt-cache"]) as shared:
        assert {said(api, whole(shared, api, "show /cache_salt")) for api in APIS} == {"null"}


@pytest.mark.parametrize("arguments", ['{"city":"x"}', "{}", '{"city":"日本 \\"q\\" \\\\ 🦭"}'])
@pytest.mark.parametrize("api", ["responses", "messages"])
def test_6_arguments_of_calls_arrive_in_pieces_and_whole(system, api, arguments):
    pieces = ""
    for _, data in events(streamed(system, api, f"call weather {arguments}", **tools(api))):
        event = json.loads(data)
        if event["type"] == "response.function_call_arguments.delta":
            pieces += event["delta"]
        if event["type"] == "content_block_delta":
            pieces += event["delta"]["partial_json"]
    assert json.loads(pieces) == json.loads(arguments)


def test_7_the_tools_that_codex_sends(system):
    """A namespace, a tool of free text with a grammar, and hosted ones that nobody here can run."""
    offered = [
        {"type": "function", "name": "exec_command", "strict": False, "parameters": WEATHER},
        {"type": "namespace", "name": "agents", "description": "d", "tools": [{"type": "function", "name": "wait"}]},
        {"type": "custom", "name": "apply_patch", "format": {"type": "grammar", "syntax": "lark", "definition": "x"}},
        {"type": "web_search", "external_web_access": False},
        {"type": "tool_search"},
        {"type": "image_generation"},
    ]
    answer = whole(system, "responses", "show /tools", tools=offered, parallel_tool_calls=False)
    seen = json.loads(said("responses", answer))
    names = [tool["function"]["name"] for tool in seen]
    assert len(names) == 3 and {"exec_command", "apply_patch"} < set(names)
    assert all(tool["type"] == "function" for tool in seen)
    assert len(answer["tools"]) == len(offered), "the answer echoes what was asked with"


@pytest.mark.parametrize("api", ["responses", "messages"])
def test_8_usage_is_that_of_the_model_server(system, api):
    prompt = "think a b ; say " + "word " * 50
    body = {"model": MODEL, "messages": user(prompt)}
    _, direct = post(system, "/v1/chat/completions", body)
    counted = direct["usage"]
    final = [json.loads(data) for _, data in events(streamed(system, api, prompt))]
    usage = {
        "responses": lambda: final[-1]["response"]["usage"],
        "messages": lambda: next(event["usage"] for event in final if event["type"] == "message_delta"),
    }[api]()
    assert (usage["input_tokens"], usage["output_tokens"]) == (counted["prompt_tokens"], counted["completion_tokens"])
    assert whole(system, api, prompt)["usage"]["output_tokens"] == counted["completion_tokens"]


@pytest.mark.parametrize("words", [1, 100, 3000])
def test_8_count_tokens_grows_with_the_prompt(system, words):
    body = {"model": MODEL, "messages": user("word " * words), "system": "Be kind."}
    status, answer = post(system, "/v1/messages/count_tokens?beta=true", body)
    assert status == 200 and words <= answer["input_tokens"] <= 2 * words + 40


def test_8_count_tokens_is_exact_if_asked_to(binary):
    with rig.running(binary, proxy=["--exact-counts"]) as exact:
        body = {"model": MODEL, "messages": user("word " * 99 + "word"), "system": "Be kind."}
        status, answer = post(exact, "/v1/messages/count_tokens", body)
        assert (status, answer) == (200, {"input_tokens": 102})


def test_8_input_tokens_are_exact_if_asked_to(binary):
    with rig.running(binary, proxy=["--exact-counts"]) as exact:
        body = {"model": MODEL, "input": "word " * 99 + "word", "instructions": "Be kind."}
        status, answer = post(exact, "/v1/responses/input_tokens", body)
        assert (status, answer) == (200, {"object": "response.input_tokens", "input_tokens": 102})


def test_9_a_name_that_nobody_lists_reaches_the_default_model(system):
    for name in ("claude-haiku-9-20990101", "gpt-99", "anything"):
        answer = whole(system, "messages", "show /model", model=name)
        assert said("messages", answer) == f'"{MODEL}"'
        # Clients compare it with what they asked for.
        assert answer["model"] == name


def test_9_names_of_families_reach_their_models(binary):
    """Also those of models that do not exist yet."""
    aliases = ["--alias", f"haiku={MODEL}", "--alias", f"opus={MODEL}", "--alias", f"gpt-99={MODEL}"]
    with rig.running(binary, proxy=aliases) as named:
        for name in ("haiku", "claude-haiku-9-20990101", "claude-9-opus[1m]", "gpt-99"):
            for api in APIS:
                assert said(api, whole(named, api, "show /model", model=name)) == f'"{MODEL}"', name
        body = {"max_tokens": 10, "messages": user("hello")}
        assert post(named, "/v1/messages", {"model": "claude-sonnet-9", **body})[0] == 404


@pytest.mark.parametrize("api", APIS)
def test_10_another_instance_takes_over(binary, api):
    with rig.running(binary, instances=2) as twins:
        for _ in range(4):
            whole(twins, api, "say yes")
        assert all(b"sealwire" in tap.seen() or tap.seen() for tap in rig.Tap.all[-3:-1]), "both are there"
        twins.instances[0].kill()
        for _ in range(6):
            assert said(api, whole(twins, api, "say yes")) == "yes"


def test_11_a_search_that_nobody_can_make_is_refused_in_words(system):
    """Claude Code asks for it in a request of its own; silence would look like a search without results."""
    search = {"type": "web_search_20250305", "name": "web_search", "max_uses": 8}
    body = {"model": MODEL, "max_tokens": 100, "messages": user("search for x"), "tools": [search]}
    status, answer = post(system, "/v1/messages", {**body, "tool_choice": {"type": "tool", "name": "web_search"}})
    assert status == 400 and "web_search" in answer["error"]["message"]


def test_11_beside_other_tools_it_is_left_out(system):
    search = {"type": "web_search_20250305", "name": "web_search"}
    answer = whole(system, "messages", "show /tools", tools=[search, *tools("messages")["tools"]])
    assert [tool["function"]["name"] for tool in json.loads(said("messages", answer))] == ["weather"]


@pytest.mark.parametrize("api", APIS)
def test_12_more_tokens_than_the_model_has_are_asked_for_once_more_with_fewer(small, api):
    """Claude Code asks for 32,000 or 64,000 whatever the model."""
    limit = {"responses": "max_output_tokens"}.get(api, "max_tokens")
    before = small.tally()["begun"]
    answer = whole(small, api, "show /max_tokens", **{limit: 64_000})
    assert 0 < int(said(api, answer)) <= 200
    assert small.tally()["begun"] - before <= 2
    assert said_in_stream(api, streamed(small, api, "say yes", **{limit: 64_000})) == "yes"


def test_13_developer_messages_become_system_messages(system):
    """Most templates know no other role."""
    items = [
        {"role": "developer", "content": [{"type": "input_text", "text": "Be kind."}]},
        {"type": "message", "role": "developer", "content": "Be brief."},
        *user("show /messages"),
    ]
    seen = json.loads(said("responses", whole(system, "responses", "", input=items)))
    assert [message["role"] for message in seen] == ["system", "user"]
    assert "Be kind." in seen[0]["content"] and "Be brief." in seen[0]["content"]


def test_14_models_have_what_clients_look_for(system):
    _, _, content = request(system, "GET", f"/v1/models/{MODEL}")
    model = json.loads(content)
    assert model.keys() >= {"id", "object", "created", "owned_by", "type", "display_name", "created_at"}


def test_15_a_websocket_probe_is_answered_once(system):
    fields = {"Connection": "Upgrade", "Upgrade": "websocket", "Sec_WebSocket_Version": "13"}
    status, _, content = request(system, "GET", "/v1/responses", Sec_WebSocket_Key="AAAAAAAAAAAAAAAAAAAAAA==", **fields)
    assert status == 426 and json.loads(content)["error"]["code"]
