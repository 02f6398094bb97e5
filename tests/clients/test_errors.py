"""How each API says that something failed: shapes and statuses."""

import json

import pytest

import rig
from rig import MODEL, events, post, request, user

APIS = {
    "chat": ("/v1/chat/completions", lambda prompt: {"model": MODEL, "messages": user(prompt)}),
    "responses": ("/v1/responses", lambda prompt: {"model": MODEL, "input": prompt}),
    "messages": ("/v1/messages", lambda prompt: {"model": MODEL, "max_tokens": 100, "messages": user(prompt)}),
}


def ask(system, api, prompt="say yes", **more):
    path, body = APIS[api]
    status, headers, content = request(system, "POST", path, {**body(prompt), **more})
    return status, headers, json.loads(content)


def check_shape(api, answer):
    if api == "messages":
        assert answer["type"] == "error" and answer["error"].keys() >= {"type", "message"}
    else:
        assert answer["error"].keys() >= {"message", "type", "param", "code"}
        assert answer["error"]["code"] is None or isinstance(answer["error"]["code"], str)
    assert isinstance(answer["error"]["message"], str) and answer["error"]["message"]


# Of the model server, then of the proxy for Messages: its type there.
MESSAGES = {
    400: (400, "invalid_request_error"),
    401: (401, "authentication_error"),
    402: (402, "billing_error"),
    403: (403, "permission_error"),
    404: (404, "not_found_error"),
    413: (413, "request_too_large"),
    422: (422, "invalid_request_error"),
    429: (429, "rate_limit_error"),
    500: (500, "api_error"),
    502: (502, "api_error"),
    503: (529, "overloaded_error"),
    504: (504, "timeout_error"),
}


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "streamed"])
@pytest.mark.parametrize("api", APIS)
@pytest.mark.parametrize("status", MESSAGES)
def test_a_refusal_of_the_model_server(system, status, api, stream):
    seen, _, answer = ask(system, api, f"fail {status} no luck", stream=stream)
    check_shape(api, answer)
    assert answer["error"]["message"] == "no luck"
    if api == "messages":
        assert (seen, answer["error"]["type"]) == MESSAGES[status]
    else:
        assert seen == status


def test_an_error_inside_a_chat_stream_has_the_apis_shape(system):
    """vLLM's has a number for a code, which typed clients cannot read."""
    path, body = APIS["chat"]
    _, _, content = request(system, "POST", path, {**body("say one ; break 500 no luck"), "stream": True})
    last = [json.loads(data) for _, data in events(content) if data.startswith("{")][-1]
    check_shape("chat", last)
    assert last["error"]["message"] == "no luck"


@pytest.mark.parametrize("api", APIS)
def test_retry_after_passes(system, api):
    status, headers, _ = ask(system, api, "fail 429 retry-after=7 slow down")
    assert (status, headers["retry-after"]) == (429, "7")


@pytest.mark.parametrize("api", APIS)
def test_a_page_of_html_is_not_passed_on(system, api):
    status, headers, answer = ask(system, api, "fail 502 <html>a page</html>")
    check_shape(api, answer)
    assert status == 502 and headers["content-type"] == "application/json"
    assert "html" not in json.dumps(answer)


@pytest.mark.parametrize("api", APIS)
def test_an_unknown_model(small, api):
    status, _, answer = ask(small, api, model="no-such-model")
    check_shape(api, answer)
    assert status == 404
    assert api == "messages" or answer["error"]["code"] == "model_not_found"


@pytest.mark.parametrize("api", APIS)
def test_no_model_at_all(small, api):
    status, _, answer = ask(small, api, model=None)
    check_shape(api, answer)
    assert status == 400


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "streamed"])
@pytest.mark.parametrize("api", APIS)
def test_a_prompt_that_is_too_long_in_the_words_of_each_api(small, api, stream):
    status, _, answer = ask(small, api, "word " * 300, stream=stream)
    check_shape(api, answer)
    assert status == 400
    if api == "messages":
        # Claude Code offers to compact at these words.
        assert answer["error"]["message"] == "prompt is too long: 300 tokens > 200 maximum"
    else:
        assert answer["error"]["code"] == "context_length_exceeded"


@pytest.mark.parametrize("api", APIS)
def test_a_prompt_that_turns_out_too_long_after_the_first_sign_of_life(small, api):
    """The status is out by then; the error comes inside the stream."""
    path, body = APIS[api]
    words = "This model's maximum context length is 200 tokens. However, your request has 300 input tokens."
    asked = {**body(f"delay 2.5 ; fail 400 {words} Please reduce the length of the input messages."), "stream": True}
    # What stands for the end in Chat Completions is missing, so that nobody takes the answer for whole.
    status, _, content = request(small, "POST", path, asked, broken=api == "chat")
    assert status == 200 and b"[DONE]" not in content
    last = [json.loads(data) for _, data in events(content) if data.startswith("{")][-1]
    match api:
        case "chat":
            assert last["error"]["code"] == "context_length_exceeded"
        case "responses":
            # Codex ends the turn at this code, and does not try again.
            assert last["type"] == "response.failed"
            assert last["response"]["error"]["code"] == "context_length_exceeded"
        case "messages":
            assert last["type"] == "error"
            assert last["error"]["message"] == "prompt is too long: 300 tokens > 200 maximum"


@pytest.mark.parametrize("api", ["chat", "responses", "messages"])
def test_an_instance_that_is_not_trusted_is_said_once_and_for_all(untrusted, api):
    status, headers, answer = ask(untrusted, api)
    check_shape(api, answer)
    assert headers["x-should-retry"] == "false"
    # The only statuses that Codex neither repeats nor hides are 400 and 404.
    assert status in ([400] if api == "responses" else [403, 502])
    assert untrusted.tally()["begun"] == 0


@pytest.mark.parametrize("api", APIS)
def test_no_evidence_where_a_policy_asks_for_it(demanding, api):
    status, headers, answer = ask(demanding, api)
    check_shape(api, answer)
    assert headers["x-should-retry"] == "false"
    assert status == (400 if api == "responses" else 403)
    assert api != "messages" or answer["error"]["type"] == "permission_error"
    assert demanding.tally()["begun"] == 0


@pytest.fixture(scope="module")
def demanding(binary, tmp_path_factory):
    """A proxy whose policy no instance here can meet."""
    policy = tmp_path_factory.mktemp("policy") / "policy.toml"
    policy.write_text(POLICY)
    with rig.running(binary, policy=policy) as running:
        yield running


POLICY = """\
any_measurement = true
"""


@pytest.mark.parametrize("api", APIS)
def test_no_instance_left(binary, api):
    with rig.running(binary) as broken:
        assert ask(broken, api)[0] == 200
        broken.instance.kill()
        status, _, answer = ask(broken, api)
        check_shape(api, answer)
        assert status in ((502, 529) if api == "messages" else (502, 503))


@pytest.mark.parametrize("api", APIS)
def test_no_relay(binary, api):
    with rig.running(binary) as broken:
        assert ask(broken, api)[0] == 200
        broken.relay.kill()
        broken.before_relay.stop()
        status, _, answer = ask(broken, api)
        check_shape(api, answer)
        assert status == 502


@pytest.mark.parametrize("api", APIS)
def test_no_model_server(binary, api):
    with rig.running(binary) as broken:
        assert ask(broken, api)[0] == 200
        broken.model.kill()
        status, _, answer = ask(broken, api)
        check_shape(api, answer)
        assert status == 502


@pytest.mark.parametrize("api", APIS)
def test_a_whole_answer_that_breaks_off_is_an_error(system, api):
    status, _, answer = ask(system, api, "say one two ; cut")
    check_shape(api, answer)
    assert status == 502


@pytest.mark.parametrize(
    ("api", "body", "param"),
    [
        ("responses", {"model": MODEL, "input": "x", "background": True}, "background"),
        ("responses", {"model": MODEL, "input": "x", "prompt": {"id": "p"}}, "prompt"),
        ("responses", {"model": MODEL, "input": "x", "conversation": "c"}, "conversation"),
    ],
)
def test_what_is_not_supported_is_named(system, api, body, param):
    status, answer = post(system, APIS[api][0], body)
    assert (status, answer["error"]["param"]) == (400, param)
