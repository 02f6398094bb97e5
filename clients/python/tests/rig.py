"""Instance and relay from the built binaries, a model server that does as it is told, and relays and proxies in between."""

import http.server
import json
import socket
import threading
import time
import urllib.error

import httpx
from system import MODEL, START_TIME, Process, Tap, fetch_json

URL = "http://sealed.invalid/v1"
CHAT = URL + "/chat/completions"
QUESTION = "Why is the sky blue? My secret word is xylograph."
ASKED = [{"role": "user", "content": QUESTION}]
KEY = "sk-this-key-stays-on-the-machine"


def question(**more):
    return {"model": MODEL, "messages": ASKED, **more}


class Rig:
    """A model server, an instance, a relay. What passes before the relay is seen."""

    def __init__(self, binary, *, upstream=None, evidence="none", profile="native", relay_key=None):
        self._parts = []
        self._binary = binary
        self.key = relay_key
        try:
            self.upstream = upstream or self._run("demo-model", "--model", MODEL, "--token-delay-ms", "5").url()
            common = ["--profile", profile]
            self.instance = self._run(
                "instance", "--upstream", self.upstream, "--model", MODEL, "--evidence", evidence, *common
            )
            self.identity = self.instance.value("identity") if profile == "native" else None
            keys = ["--api-key", relay_key] if relay_key else []
            self.relay = self._run("relay", "--instance", self.instance.url(), *common, *keys)
            self.tap = Tap(self.relay.url())
            self._parts.append(self.tap)
            self.url = self.tap.url
            self._wait()
        except BaseException:
            self.stop()
            raise

    def _run(self, command, *args):
        process = Process(self._binary, command, "--listen", "127.0.0.1:0", *args)
        self._parts.append(process)
        return process

    def _wait(self):
        deadline = time.monotonic() + START_TIME
        while time.monotonic() < deadline:
            try:
                if fetch_json(self.relay.url() + "/v1/models", self.key)["data"]:
                    return
            except (urllib.error.URLError, OSError):
                pass
            time.sleep(0.05)
        raise AssertionError(f"the model is not listed after {START_TIME} s: {self.relay.lines}")

    def stop(self):
        for part in reversed(self._parts):
            part.stop()


class Upstream:
    """A model server. `tokens` go out one after the other, each when `go` is set; what was asked is in `seen`, and `gone` is set when a client has left."""

    def __init__(self):
        self.tokens = ["one", " two", " three"]
        self.go = threading.Event()
        self.go.set()
        self.gone = threading.Event()
        self.began = threading.Event()
        self.endless = False
        self.hangs = False
        self.refusal = None
        self.seen = []
        owner = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def log_message(self, *_):
                pass

            def do_POST(self):
                owner.answer(self)

        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()

    def answer(self, handler):
        body = json.loads(handler.rfile.read(int(handler.headers["Content-Length"])))
        self.seen.append((handler.path, dict(handler.headers), body))
        self.began.set()
        if self.hangs:
            self._wait_for_leave(handler)
        elif self.refusal:
            self._json(handler, {"error": {"message": self.refusal, "type": "BadRequestError", "code": 400}}, 400)
        elif body.get("stream"):
            self._stream(handler)
        else:
            choice = {"index": 0, "message": {"role": "assistant", "content": "".join(self.tokens)}, "finish_reason": "stop"}
            self._json(handler, {"id": "1", "object": "chat.completion", "created": 1, "model": MODEL, "choices": [choice]})

    def _json(self, handler, value, status=200):
        body = json.dumps(value).encode()
        handler.send_response(status)
        handler.send_header("Content-Type", "application/json")
        handler.send_header("Content-Length", str(len(body)))
        handler.end_headers()
        handler.wfile.write(body)

    def _stream(self, handler):
        handler.send_response(200)
        handler.send_header("Content-Type", "text/event-stream")
        handler.send_header("Transfer-Encoding", "chunked")
        handler.end_headers()

        def chunk(data):
            handler.wfile.write(b"%x\r\n%s\r\n" % (len(data), data))
            handler.wfile.flush()

        base = {"id": "1", "object": "chat.completion.chunk", "created": 1, "model": MODEL}
        try:
            for token in self.tokens:
                event = {**base, "choices": [{"index": 0, "delta": {"content": token}, "finish_reason": None}]}
                chunk(b"data: %s\n\n" % json.dumps(event).encode())
            if self.endless:
                self._wait_for_leave(handler)
                return
            chunk(b"data: [DONE]\n\n")
            chunk(b"")
        except OSError:
            self.gone.set()

    def _wait_for_leave(self, handler):
        handler.connection.settimeout(30)
        try:
            if handler.connection.recv(1) == b"":
                self.gone.set()
        except OSError:
            self.gone.set()
        handler.close_connection = True

    def stop(self):
        self._server.shutdown()
        self._server.server_close()


class Middle(httpx.BaseTransport):
    """A relay that changes answers: `change(path, response, body)` gives another response, or none to leave it."""

    def __init__(self, change):
        self._inner = httpx.HTTPTransport()
        self._change = change
        self.requests = []

    def handle_request(self, request):
        self.requests.append(request)
        response = self._inner.handle_request(request)
        body = response.read()
        response.close()
        changed = self._change(request.url.path, response, body)
        return changed or httpx.Response(response.status_code, headers=response.headers, content=body)

    def close(self):
        self._inner.close()


class ForwardProxy:
    """An HTTP proxy that forwards `CONNECT` and absolute-form requests, and notes each first line."""

    def __init__(self):
        self.lines = []
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}"
        self._accepting = threading.Thread(target=self._accept, daemon=True)
        self._accepting.start()

    def _accept(self):
        while True:
            try:
                near, _ = self._listener.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(near,), daemon=True).start()

    def _serve(self, near):
        head = b""
        while b"\r\n\r\n" not in head:
            if not (data := near.recv(65536)):
                return
            head += data
        line = head.split(b"\r\n", 1)[0].decode()
        self.lines.append(line)
        method, target, _ = line.split(" ")
        authority = target if method == "CONNECT" else target.split("/")[2]
        host, port = authority.split(":")
        far = socket.create_connection((host, int(port)))
        if method == "CONNECT":
            near.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
        else:
            far.sendall(head)
        for source, sink in ((near, far), (far, near)):
            threading.Thread(target=self._pump, args=(source, sink), daemon=True).start()

    @staticmethod
    def _pump(source, sink):
        try:
            while data := source.recv(65536):
                sink.sendall(data)
            sink.shutdown(socket.SHUT_WR)
        except OSError:
            pass

    def stop(self):
        # As `Tap.stop`.
        try:
            self._listener.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass
        self._accepting.join(timeout=5)
        self._listener.close()
