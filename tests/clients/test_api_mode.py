"""Responses and Messages asked in their own words, of model servers that know them and of others that do not."""

import http.client
import http.server
import json
import threading
import time

import anthropic
import openai
import pytest

from rig import MODEL, anthropic_client, openai_client, running, user

RESPONSE = {
    "id": "resp_native",
    "object": "response",
    "created_at": 1_800_000_000,
    "model": MODEL,
    "status": "completed",
    "output": [
        {
            "id": "msg_native",
            "type": "message",
            "role": "assistant",
            "status": "completed",
            "content": [{"type": "output_text", "text": "native", "annotations": []}],
        }
    ],
    "parallel_tool_calls": True,
    "tool_choice": "auto",
    "tools": [],
}
MESSAGE = {
    "id": "msg_native",
    "type": "message",
    "role": "assistant",
    "model": MODEL,
    "content": [{"type": "text", "text": "native"}],
    "stop_reason": "end_turn",
    "stop_sequence": None,
    "usage": {"input_tokens": 1, "output_tokens": 1},
}


def response_events():
    begun = {**RESPONSE, "status": "in_progress", "output": []}
    yield {"type": "response.created", "response": begun, "sequence_number": 0}
    yield {"type": "response.completed", "response": RESPONSE, "sequence_number": 1}


def message_events():
    yield {"type": "message_start", "message": {**MESSAGE, "content": [], "stop_reason": None}}
    yield {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}}
    yield {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": "native"}}
    yield {"type": "content_block_stop", "index": 0}
    yield {"type": "message_delta", "delta": {"stop_reason": "end_turn", "stop_sequence": None}, "usage": {"output_tokens": 1}}
    yield {"type": "message_stop"}


NATIVE = {"/v1/responses": (RESPONSE, response_events), "/v1/messages": (MESSAGE, message_events)}


class Front:
    """Before a model server that knows Chat Completions alone: knows the other two, or refuses them after a while."""

    def __init__(self, target, knows=True, delay=0.0):
        self.asked = []
        front, host = self, target.removeprefix("http://")

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.0"

            def log_message(self, *_):
                pass

            def do_GET(self):
                self.forward(None)

            def do_POST(self):
                body = self.rfile.read(int(self.headers["Content-Length"]))
                front.asked.append((self.path, json.loads(body)))
                if self.path not in NATIVE:
                    return self.forward(body)
                time.sleep(delay)
                if not knows:
                    return self.answer(404, "application/json", b'{"detail":"Not Found"}')
                whole, events = NATIVE[self.path]
                if not json.loads(body).get("stream"):
                    return self.answer(200, "application/json", json.dumps(whole).encode())
                stream = "".join(f"event: {event['type']}\ndata: {json.dumps(event)}\n\n" for event in events())
                self.answer(200, "text/event-stream", stream.encode())

            def forward(self, body):
                connection = http.client.HTTPConnection(host)
                connection.request(self.command, self.path, body, {"Content-Type": "application/json"})
                answer = connection.getresponse()
                self.answer(answer.status, answer.headers["Content-Type"], answer.read())

            def answer(self, status, kind, content):
                self.send_response(status)
                self.send_header("Content-Type", kind)
                self.send_header("Content-Length", str(len(content)))
                self.end_headers()
                self.wfile.write(content)

        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def paths(self):
        return [path for path, _ in self.asked]

    def stop(self):
        self._server.shutdown()
        self._server.server_close()


def say(system, word, streamed, **settings):
    """What the model says through Responses, and through Messages."""
    client, other = openai_client(system, **settings), anthropic_client(system, **settings)
    asked = {"model": MODEL, "max_tokens": 100, "messages": user(f"say {word}")}
    if not streamed:
        yield client.responses.create(model=MODEL, input=f"say {word}").output_text
        yield other.messages.create(**asked).content[0].text
        return
    last = None
    for last in client.responses.create(model=MODEL, input=f"say {word}", stream=True):
        pass
    yield last.response.output_text
    with other.messages.stream(**asked) as stream:
        yield stream.get_final_message().content[0].text


@pytest.mark.parametrize("streamed", [False, True])
@pytest.mark.parametrize("mode", ["native", "auto"])
def test_a_model_server_that_knows_the_api_is_asked_in_it(binary, mode, streamed):
    with running(binary, proxy=["--api-mode", mode], front=Front) as system:
        assert list(say(system, "chat", streamed)) == ["native", "native"]
        assert system.front.paths() == ["/v1/responses", "/v1/messages"]


@pytest.mark.parametrize("streamed", [False, True])
def test_auto_translates_where_the_api_is_not_known_and_remembers_it(binary, streamed):
    with running(binary, proxy=["--api-mode", "auto"], front=lambda url: Front(url, knows=False)) as system:
        assert list(say(system, "one", streamed)) == ["one", "one"]
        assert list(say(system, "two", streamed)) == ["two", "two"]
        chat = "/v1/chat/completions"
        assert system.front.paths() == ["/v1/responses", chat, "/v1/messages", chat, chat, chat]


def test_a_refusal_that_comes_after_signs_of_life_is_translated_too(binary):
    slow = {"proxy": ["--api-mode", "auto", "--keep-alive", "1"], "front": lambda url: Front(url, knows=False, delay=2.5)}
    with running(binary, **slow) as system:
        # The event that keeps Codex waiting is none that the package knows, and it passes it on like any other.
        assert list(say(system, "late", True, _strict_response_validation=False)) == ["late", "late"]


def test_native_without_another_way_says_what_the_model_server_said(binary):
    with running(binary, proxy=["--api-mode", "native"], front=lambda url: Front(url, knows=False)) as system:
        with pytest.raises(openai.NotFoundError):
            openai_client(system).responses.create(model=MODEL, input="say one")
        with pytest.raises(anthropic.NotFoundError):
            anthropic_client(system).messages.create(model=MODEL, max_tokens=9, messages=user("say one"))
        assert system.front.paths() == ["/v1/responses", "/v1/messages"]
