"""A relay and instance of chutes-v1 assembled from the published client's own crypto: what the deployed network does, as far as a client sees it."""

import base64
import gzip
import http.server
import json
import os
import secrets
import threading
import time
import urllib.request

from chutes_e2ee.crypto import INFO_REQ, INFO_RESP, INFO_STREAM, chacha_decrypt, chacha_encrypt, derive_key
from pqcrypto.kem.ml_kem_768 import decrypt, encrypt, generate_keypair

CHUTE = "2f6a2a3e-8f3a-5c0e-9b1d-0d6b1f1c2a01"
CIPHERTEXT = 1088


class ChutesServer:
    """Answers from a model server at `upstream`. `seen` keeps what each request looked like once opened."""

    def __init__(self, upstream, model, confidential=True):
        self.upstream, self.model, self.confidential = upstream, model, confidential
        self.public, self.secret = generate_keypair()
        self.instance = "5b0d7a52-7a0e-4d0b-a2a5-3f8c2f0f7e11"
        self.nonces = set()
        self.seen = []
        self.blobs = []
        owner = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def log_message(self, *_):
                pass

            def do_GET(self):
                owner.get(self)

            def do_POST(self):
                owner.invoke(self)

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def stop(self):
        self.server.shutdown()
        self.server.server_close()

    def json(self, handler, status, value):
        body = json.dumps(value).encode()
        handler.send_response(status)
        handler.send_header("Content-Type", "application/json")
        handler.send_header("Content-Length", str(len(body)))
        handler.end_headers()
        handler.wfile.write(body)

    def get(self, handler):
        if handler.path == "/v1/models":
            entry = {
                "id": self.model,
                "root": self.model,
                "chute_id": CHUTE,
                "confidential_compute": self.confidential,
            }
            return self.json(handler, 200, {"object": "list", "data": [entry]})
        if handler.path == "/model_aliases/":
            return self.json(handler, 200, [])
        if handler.path == f"/e2e/instances/{CHUTE}":
            fresh = [secrets.token_hex(16) for _ in range(10)]
            self.nonces |= set(fresh)
            key = base64.b64encode(self.public).decode()
            instance = {"instance_id": self.instance, "e2e_pubkey": key, "nonces": fresh}
            expires = {"nonce_expires_in": 60, "nonce_expires_at": int(time.time()) + 60}
            return self.json(handler, 200, {"instances": [instance], **expires})
        return self.json(handler, 404, {"detail": "Not Found"})

    def invoke(self, handler):
        blob = self.read_body(handler)
        nonce = handler.headers.get("X-E2E-Nonce")
        if nonce not in self.nonces:
            return self.json(handler, 403, {"detail": "Invalid, expired, or already-used nonce"})
        self.nonces.remove(nonce)
        self.blobs.append(blob)
        body = self.open(blob)
        client_key = base64.b64decode(body.pop("e2e_response_pk"))
        path = handler.headers["X-E2E-Path"]
        streamed = handler.headers["X-E2E-Stream"] == "true"
        self.seen.append({"path": path, "streamed": streamed, "body": body})
        if streamed:
            body["stream_options"] = {"include_usage": True, "continuous_usage_stats": True}
        request = urllib.request.Request(
            self.upstream + path,
            data=json.dumps(body).encode(),
            headers={"Content-Type": "application/json"},
        )
        with urllib.request.urlopen(request) as answer:
            if streamed:
                self.stream(handler, client_key, answer)
            else:
                self.whole(handler, client_key, answer.read())

    def read_body(self, handler):
        if "Content-Length" in handler.headers:
            return handler.rfile.read(int(handler.headers["Content-Length"]))
        body = b""
        while size := int(handler.rfile.readline(), 16):
            body += handler.rfile.read(size)
            handler.rfile.readline()
        handler.rfile.readline()
        return body

    def open(self, blob):
        ciphertext, rest = blob[:CIPHERTEXT], blob[CIPHERTEXT:]
        key = derive_key(decrypt(self.secret, ciphertext), ciphertext, INFO_REQ)
        return json.loads(gzip.decompress(chacha_decrypt(key, rest[:12], rest[12:-16], rest[-16:])))

    def whole(self, handler, client_key, answer):
        ciphertext, shared = encrypt(client_key)
        nonce = os.urandom(12)
        sealed, tag = chacha_encrypt(derive_key(shared, ciphertext, INFO_RESP), nonce, gzip.compress(answer))
        blob = ciphertext + nonce + sealed + tag
        handler.send_response(200)
        handler.send_header("Content-Type", "application/octet-stream")
        handler.send_header("Content-Length", str(len(blob)))
        handler.end_headers()
        handler.wfile.write(blob)

    def stream(self, handler, client_key, lines):
        ciphertext, shared = encrypt(client_key)
        key = derive_key(shared, ciphertext, INFO_STREAM)
        handler.send_response(200)
        handler.send_header("Content-Type", "text/event-stream")
        handler.send_header("Connection", "close")
        handler.end_headers()

        def event(value):
            handler.wfile.write(b"data: " + json.dumps(value, separators=(",", ":")).encode() + b"\n\n")
            handler.wfile.flush()

        event({"e2e_init": base64.b64encode(ciphertext).decode()})
        for line in lines:
            nonce = os.urandom(12)
            sealed, tag = chacha_encrypt(key, nonce, line)
            event({"e2e": base64.b64encode(nonce + sealed + tag).decode()})
            if line.startswith(b"data: {"):
                if usage := json.loads(line[6:]).get("usage"):
                    event({"usage": usage})
        handler.close_connection = True
