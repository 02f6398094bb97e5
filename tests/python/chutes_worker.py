"""The published chutes-e2ee client, timed: reads one JSON command a line, answers one JSON line. Driven by crates/cli/benches/chutes.rs."""

import base64
import json
import os
import sys
import time

from chutes_e2ee import crypto, transport
from pqcrypto.kem.ml_kem_768 import encrypt, generate_keypair


def timed(function, times):
    start = time.perf_counter()
    for _ in range(times):
        result = function()
    return (time.perf_counter() - start) / times, result


class Request:
    """Builds a request of a given body."""

    def __init__(self, body):
        self.payload = json.loads(body)
        public, _ = generate_keypair()
        self.key = base64.b64encode(public).decode()

    def run(self, times):
        seconds, result = timed(lambda: crypto.build_e2ee_request(self.key, self.payload), times)
        return seconds, len(result.blob)


class Stream:
    """Reads a stream of chunks through its iterator of server-sent events; the time is that of one chunk."""

    def __init__(self, line, chunks):
        public, self.secret = generate_keypair()
        ciphertext, shared = encrypt(public)
        key = crypto.derive_key(shared, ciphertext, crypto.INFO_STREAM)
        init = base64.b64encode(ciphertext).decode()
        self.wire = [b'data: {"e2e_init":"%s"}\n\n' % init.encode()]
        for _ in range(chunks):
            nonce = os.urandom(12)
            sealed, tag = crypto.chacha_encrypt(key, nonce, line.encode())
            self.wire.append(b'data: {"e2e":"%s"}\n\n' % base64.b64encode(nonce + sealed + tag))
        self.chunks = chunks

    def read(self):
        return sum(len(part) for part in transport._iter_sse_from_e2ee(iter(self.wire), self.secret))

    def run(self, times):
        seconds, length = timed(self.read, times)
        return seconds / self.chunks, length


def main():
    subject = None
    for line in sys.stdin:
        command = json.loads(line)
        if command["op"] == "request":
            subject = Request(command["body"])
        elif command["op"] == "stream":
            subject = Stream(command["line"], command["chunks"])
        seconds, size = subject.run(command["times"])
        print(json.dumps({"seconds": seconds, "size": size}), flush=True)


main()
