"""What the proxy takes from any client of the three APIs, and what it never lets through."""

import gzip
import json

import brotli
import pytest
import zstandard

import rig
from rig import KEY, MODEL, openai_client, post, request, user

ASKED = {
    "/v1/chat/completions": {"model": MODEL, "messages": user("say yes")},
    "/v1/completions": {"model": MODEL, "prompt": "say yes"},
    "/v1/embeddings": {"model": MODEL, "input": "yes"},
    "/v1/responses": {"model": MODEL, "input": "say yes"},
    "/v1/responses/input_tokens": {"model": MODEL, "input": "say yes"},
    "/v1/messages": {"model": MODEL, "max_tokens": 100, "messages": user("say yes")},
    "/v1/messages/count_tokens": {"model": MODEL, "messages": user("say yes")},
}
CODINGS = {"gzip": gzip.compress, "zstd": zstandard.compress, "br": brotli.compress, "identity": bytes}


@pytest.mark.parametrize("method", ["HEAD", "GET"])
def test_the_root_answers_probes(system, method):
    status, _, content = request(system, method, "/")
    assert status == 200 and bool(content) == (method == "GET")


@pytest.mark.parametrize("path", ASKED)
def test_a_query_changes_nothing(system, path):
    status, answer = post(system, path + "?beta=true", ASKED[path])
    assert status == 200 and not answer.get("error")


@pytest.mark.parametrize("coding", CODINGS)
@pytest.mark.parametrize("path", ASKED)
def test_packed_requests(system, path, coding):
    packed = CODINGS[coding](json.dumps(ASKED[path]).encode())
    status, answer = post(system, path, packed, Content_Encoding=coding)
    assert status == 200, answer
    assert answer.keys() == post(system, path, ASKED[path])[1].keys()


def test_a_request_packed_twice(system):
    packed = brotli.compress(gzip.compress(json.dumps(ASKED["/v1/responses"]).encode()))
    assert post(system, "/v1/responses", packed, Content_Encoding="gzip, br")[0] == 200


@pytest.mark.parametrize("coding", ["deflate", "gzip, gzip, gzip"])
def test_other_codings_are_refused(system, coding):
    status, answer = post(system, "/v1/chat/completions", b"x", Content_Encoding=coding)
    assert status == 415 and answer["error"]["code"] == "bad_content_encoding"


@pytest.mark.parametrize("coding", ["gzip", "zstd", "br"])
def test_a_request_that_unpacks_without_end_is_refused(binary, coding):
    body = json.dumps({"model": MODEL, "messages": user("a" * 1_000_000)}).encode()
    with rig.running(binary, proxy=["--max-request-bytes", "10000"]) as bounded:
        packed = CODINGS[coding](body)
        assert len(packed) < 10_000
        status, answer = post(bounded, "/v1/chat/completions", packed, Content_Encoding=coding)
        assert status == 413, answer
        assert bounded.tally()["begun"] == 0


@pytest.mark.parametrize("path", ASKED)
def test_answers_are_never_packed(system, path):
    for stream in (False, True):
        _, headers, content = request(
            system, "POST", path, {**ASKED[path], "stream": stream}, Accept_Encoding="gzip, br, zstd"
        )
        assert "content-encoding" not in headers
        content.decode()


def test_a_websocket_probe_is_told_to_upgrade_to_what_is_served(system):
    """Codex goes on with POST at once after a 426, and tries seven times after any other status."""
    fields = {"Connection": "Upgrade", "Upgrade": "websocket", "Sec_WebSocket_Version": "13"}
    fields["Sec_WebSocket_Key"] = "AAAAAAAAAAAAAAAAAAAAAA=="
    status, headers, content = request(system, "GET", "/v1/responses", **fields)
    assert status == 426 and "upgrade" in {name.lower() for name in headers}
    assert json.loads(content)["error"]["message"]


@pytest.mark.parametrize(
    "shown",
    [{"Authorization": f"Bearer {KEY}"}, {"x-api-key": KEY}, {"api-key": KEY}],
    ids=["bearer", "x-api-key", "api-key"],
)
@pytest.mark.parametrize("path", ASKED)
def test_ways_to_show_a_key(locked, path, shown):
    assert post(locked, path, ASKED[path], **shown)[0] == 200
    wrong = {name: value.replace(KEY, "wrong") for name, value in shown.items()}
    status, headers, content = request(locked, "POST", path, ASKED[path], **wrong)
    # Codex repeats a 401.
    assert status == (400 if path.startswith("/v1/responses") else 401)
    assert headers["x-should-retry"] == "false"
    assert KEY.encode() not in content


@pytest.fixture(scope="module")
def locked(binary):
    with rig.running(binary, proxy=["--app-key", KEY]) as running:
        yield running


@pytest.mark.parametrize("version", ["2023-06-01", "2026-10-21", "none that there ever was"])
def test_any_version_of_anthropics_api(system, version):
    fields = {"anthropic-version": version, "anthropic-beta": "context-management-2025-06-27,unheard-of"}
    assert post(system, "/v1/messages", ASKED["/v1/messages"], **fields)[0] == 200


# What clients send of themselves, and what nobody behind the proxy needs to know.
TELLTALES = {
    "x-stainless-lang": "python",
    "x-stainless-arch": "x64",
    "x-codex-turn-metadata": "{}",
    "session-id": "s",
    "thread-id": "t",
    "x-client-request-id": "r",
    "x-claude-code-session-id": "c",
    "openai-organization": "org",
    "openai-project": "p",
    "cookie": "a=b",
    "referer": "http://localhost/secret",
    "x-forwarded-for": "10.0.0.1",
    "traceparent": "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
}
PASSED = {"accept", "accept-encoding", "accept-language", "content-length", "content-type", "host", "user-agent"}


@pytest.mark.parametrize("api", ["chat", "responses", "messages"])
def test_the_model_server_sees_the_allowed_fields_only(system, api):
    path, body, read = {
        "chat": (
            "/v1/chat/completions",
            {"messages": user("show headers")},
            lambda answer: answer["choices"][0]["message"]["content"],
        ),
        "responses": ("/v1/responses", {"input": "show headers"}, lambda answer: answer["output"][0]["content"][0]["text"]),
        "messages": (
            "/v1/messages",
            {"messages": user("show headers"), "max_tokens": 100},
            lambda answer: answer["content"][0]["text"],
        ),
    }[api]
    status, answer = post(
        system, path, {"model": MODEL, **body}, Authorization=f"Bearer {KEY}", x_api_key=KEY, **TELLTALES
    )
    assert status == 200
    seen = json.loads(read(answer))
    assert seen.keys() <= PASSED
    assert "openai" not in json.dumps(seen)
    assert "content-type" in seen, "the model server is asked with a content type"


def test_the_packages_own_fields_stay_here(system):
    answer = openai_client(system).chat.completions.create(model=MODEL, messages=user("show headers"))
    assert json.loads(answer.choices[0].message.content).keys() <= PASSED


def test_what_a_client_says_of_itself_in_the_body_stays_here(system):
    said = {
        "metadata": {"user": "u"},
        "client_metadata": {"workspace": "w"},
        "prompt_cache_key": "k",
        "safety_identifier": "i",
        "user": "u",
        "service_tier": "auto",
    }
    for name in said:
        body = {"model": MODEL, "input": f"show /{name}", **said}
        status, answer = post(system, "/v1/responses", body)
        assert (status, answer["output"][0]["content"][0]["text"]) == (200, "null"), name
    body = {"model": MODEL, "max_tokens": 10, "metadata": {"user_id": "{}"}, "messages": user("show /metadata")}
    status, answer = post(system, "/v1/messages", body)
    assert (status, answer["content"][0]["text"]) == (200, "null")


def bytes_before_relay(system):
    return len(system.before_relay.seen())


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("POST", "/v1/audio/speech"),
        ("POST", "/v1/files"),
        ("POST", "/v1/images/generations"),
        ("POST", "/v1/moderations"),
        ("POST", "/v1/messages/batches"),
        ("POST", "/v1/responses/compact"),
        ("POST", "/v1/chat/completions/"),
        ("POST", "/V1/chat/completions"),
        ("POST", "/chat/completions"),
        ("POST", "/v1/../v1/chat/completions"),
        ("POST", "/v1/chat%2fcompletions"),
        ("PUT", "/v1/chat/completions"),
        ("GET", "/v1/chat/completions"),
        ("GET", "/v1/responses/resp_1"),
        ("DELETE", "/v1/responses/resp_1"),
        ("POST", "/tokenize"),
        ("POST", "/e2e/invoke"),
        ("GET", "/usage"),
    ],
)
def test_a_path_that_is_not_served_is_never_forwarded(own, method, path):
    before, word = bytes_before_relay(own), rig.canary("prompt")
    status, _, content = request(own, method, path, {"model": MODEL, "messages": user(word), "input": word})
    assert status == 404
    assert json.loads(content)["error"].keys() >= {"message", "type"}
    assert bytes_before_relay(own) == before
    assert own.tally()["begun"] == 0


@pytest.fixture(scope="module")
def own(binary):
    with rig.running(binary) as running:
        # Known by now, so that nothing else is asked of the relay meanwhile.
        request(running, "GET", "/v1/models")
        yield running


@pytest.mark.parametrize(
    "body",
    [b"not JSON", b"[]", b'"text"', b"{", b'{"model":"demo","model":"x"}', b"{}", b'{"model":7}', b""],
    ids=repr,
)
@pytest.mark.parametrize("path", ASKED)
def test_what_is_no_request_is_never_forwarded(own, path, body):
    """Not in clear, and not sealed either."""
    before = bytes_before_relay(own)
    status, _, content = request(own, "POST", path, body)
    assert status == 400
    assert json.loads(content)["error"]["message"]
    assert bytes_before_relay(own) == before


def test_another_content_type_is_refused(own):
    status, _, _ = request(own, "POST", "/v1/chat/completions", b"{}", Content_Type="text/plain")
    assert status == 415


def test_a_web_page_under_another_name_is_refused(own):
    status, _, _ = request(own, "POST", "/v1/chat/completions", ASKED["/v1/chat/completions"], Host="evil.example")
    assert status == 403


def test_the_model_list_serves_every_client(system):
    _, _, content = request(system, "GET", "/v1/models?limit=1000")
    listed = json.loads(content)
    assert (listed["object"], listed["has_more"], listed["first_id"], listed["last_id"]) == ("list", False, MODEL, MODEL)
    (model,) = listed["data"]
    assert model.items() >= {"id": MODEL, "object": "model", "type": "model", "display_name": MODEL, "lifecycle": "active"}.items()
    assert isinstance(model["created"], int) and model["created_at"].endswith("Z") and model["owned_by"]


def test_each_answer_has_an_id_of_its_own(system):
    seen = set()
    for path in [*ASKED, "/v1/models", "/v1/nothing"]:
        method, body = ("POST", ASKED[path]) if path in ASKED else ("GET", None)
        _, headers, _ = request(system, method, path, body)
        assert headers["x-request-id"] == headers["request-id"]
        seen.add(headers["request-id"])
    assert len(seen) == len(ASKED) + 2
