"""A model server that goes one step at a time: it sends the next event only when it is told that the last one has arrived.

A question without a member "gate" goes on to the demo model. So an instance needs one upstream for all tests, and what arrives is kept.
"""

import http.client
import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

PATIENCE = 60.0
USAGE = {"prompt_tokens": 11, "completion_tokens": 7, "total_tokens": 18}


class Gate:
    """One question: the texts of its answer, the bytes of the request, and how far it may go."""

    def __init__(self, texts, breaks_off=False):
        self.texts = texts
        self.breaks_off = breaks_off
        self.bodies = []
        self._next = threading.Semaphore(0)

    def open(self):
        self._next.release()

    def wait(self):
        return self._next.acquire(timeout=PATIENCE)


class Upstream:
    def __init__(self, demo_model):
        self.demo = demo_model.removeprefix("http://")
        self.gates = {}
        owner = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def log_message(self, *args):
                pass

            def do_POST(self):
                owner._answer(self)

        class Server(ThreadingHTTPServer):
            daemon_threads = True

            def handle_error(self, request, client_address):
                """An instance that goes away is part of the tests."""

        self._server = Server(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def gate(self, name, texts, **how):
        self.gates[name] = Gate(texts, **how)
        return self.gates[name]

    def _answer(self, handler):
        body = read_body(handler)
        question = json.loads(body)
        if "gate" in question:
            self._gated(handler, question, body)
        else:
            self._demo(handler, body)

    def _gated(self, handler, question, body):
        gate = self.gates[question["gate"]]
        gate.bodies.append(body)
        begin(handler, 200, "text/event-stream")
        for index, text in enumerate(gate.texts):
            choices = [{"index": 0, "delta": {"content": text}, "finish_reason": None}]
            send(handler, event(question["model"], choices))
            if not gate.wait():
                handler.close_connection = True
                return
            if gate.breaks_off and index == 1:
                # No last chunk.
                handler.close_connection = True
                return
        if question.get("stream_options", {}).get("include_usage"):
            send(handler, event(question["model"], [], usage=USAGE))
        send(handler, b"data: [DONE]\n\n")
        send(handler, b"")

    def _demo(self, handler, body):
        connection = http.client.HTTPConnection(self.demo, timeout=PATIENCE)
        connection.request("POST", handler.path, body, {"content-type": "application/json"})
        answer = connection.getresponse()
        begin(handler, answer.status, answer.getheader("content-type"))
        while data := answer.read1():
            send(handler, data)
        send(handler, b"")
        connection.close()

    def stop(self):
        self._server.shutdown()
        self._server.server_close()


def event(model, choices, **more):
    chunk = {"id": "gate", "object": "chat.completion.chunk", "created": 1, "model": model, "choices": choices, **more}
    return b"data: " + json.dumps(chunk, ensure_ascii=False).encode() + b"\n\n"


def read_body(handler):
    if "chunked" not in handler.headers.get("transfer-encoding", "").lower():
        return handler.rfile.read(int(handler.headers.get("content-length", "0")))
    body = b""
    while size := int(handler.rfile.readline().split(b";")[0], 16):
        body += handler.rfile.read(size)
        handler.rfile.readline()
    while handler.rfile.readline().strip():
        pass
    return body


def begin(handler, status, media_type):
    handler.send_response(status)
    handler.send_header("content-type", media_type)
    handler.send_header("transfer-encoding", "chunked")
    handler.end_headers()


def send(handler, data):
    """One chunk; the last one if there is no data."""
    handler.wfile.write(b"%x\r\n%s\r\n" % (len(data), data))
    handler.wfile.flush()
