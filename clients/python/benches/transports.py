"""Our transport beside that of the published client, `chutes-e2ee`, over the same relay of chutes-v1 without a network: what a streamed chunk costs, and
what a request costs.

`cargo xtask bench python` runs it; `--json FILE` is where the figures go. Each figure is the median of the rounds; each round times both once, in turns,
and it is the processor's time that counts, so that a noisy machine is noisy for both.
"""

import argparse
import base64
import gzip
import json
import os
import pathlib
import platform
import statistics
import time

import httpx
from chutes_e2ee import ChutesE2EETransport
from chutes_e2ee.crypto import INFO_REQ, INFO_RESP, INFO_STREAM, chacha_decrypt, chacha_encrypt, derive_key
from pqcrypto.kem.ml_kem_768 import decrypt, encrypt, generate_keypair

import sealwire

ROUNDS = 25
CHUNKS = 500
REQUESTS = 20
#: The most that a chunk may take of the published client's time.
GOAL = 0.20
CHUTE = "2f6a2a3e-8f3a-5c0e-9b1d-0d6b1f1c2a01"
URL = "http://sealed.invalid/v1/chat/completions"
#: A line as model servers send it, about 200 bytes.
LINE = (
    'data: {"id":"chatcmpl-1","object":"chat.completion.chunk","created":1800000000,"model":"m",'
    '"choices":[{"index":0,"delta":{"content":" word"}}],"usage":{"prompt_tokens":9,"completion_tokens":3}}\n'
).encode()


class Pieces(httpx.SyncByteStream):
    def __init__(self, pieces):
        self.pieces = pieces

    def __iter__(self):
        return iter(self.pieces)


class Relay(httpx.BaseTransport):
    """A relay and an instance, made of the published client's own crypto. Streams are sealed before they are read, so no time of a reader is its."""

    def __init__(self):
        self.public, self.secret = generate_keypair()
        self.count = 0
        #: Seconds that are this relay's own.
        self.spent = 0.0

    def handle_request(self, request):
        start = time.process_time()
        response = self.answer(request)
        self.spent += time.process_time() - start
        return response

    def answer(self, request):
        if request.method == "POST":
            return self.invoke(request)
        entry = {"id": "m", "root": "m", "chute_id": CHUTE, "confidential_compute": True}
        nonces = [f"nonce-{self.count}-{n}" for n in range(64)]
        self.count += 1
        key = base64.b64encode(self.public).decode()
        instance = {"instance_id": "5b0d7a52-7a0e-4d0b-a2a5-3f8c2f0f7e11", "e2e_pubkey": key, "nonces": nonces}
        answers = {
            "/v1/models": {"data": [entry]},
            "/model_aliases/": [],
            f"/e2e/instances/{CHUTE}": {"instances": [instance], "nonce_expires_in": 60},
        }
        return httpx.Response(200, json=answers[request.url.path])

    def invoke(self, request):
        blob = request.read()
        key = derive_key(decrypt(self.secret, blob[:1088]), blob[:1088], INFO_REQ)
        body = json.loads(gzip.decompress(chacha_decrypt(key, blob[1088:1100], blob[1100:-16], blob[-16:])))
        ciphertext, shared = encrypt(base64.b64decode(body["e2e_response_pk"]))
        if request.headers["x-e2e-stream"] != "true":
            sealed = self.seal(derive_key(shared, ciphertext, INFO_RESP), gzip.compress(b'{"choices":[]}', 1))
            return httpx.Response(
                200, headers={"content-type": "application/octet-stream"}, stream=Pieces([ciphertext + sealed])
            )
        key = derive_key(shared, ciphertext, INFO_STREAM)
        pieces = [b'data: {"e2e_init":"%s"}\n\n' % base64.b64encode(ciphertext)]
        for line in [LINE] * CHUNKS + [b"data: [DONE]\n"]:
            pieces.append(b'data: {"e2e":"%s"}\n\n' % base64.b64encode(self.seal(key, line)))
        return httpx.Response(200, headers={"content-type": "text/event-stream"}, stream=Pieces(pieces))

    @staticmethod
    def seal(key, content):
        nonce = os.urandom(12)
        sealed, tag = chacha_encrypt(key, nonce, content)
        return nonce + sealed + tag


def stream(transport, relay, body):
    """Seconds for a chunk: from the open response to its end, read as an SDK reads it."""
    response = transport.handle_request(httpx.Request("POST", URL, json=body))
    start = time.process_time()
    size = sum(len(piece) for piece in response.stream)
    seconds = time.process_time() - start
    assert size > CHUNKS * len(LINE), "every chunk came out"
    response.close()
    return seconds / CHUNKS


def request(transport, relay, body):
    """Seconds for a whole exchange without what the relay does."""
    start, spent = time.process_time(), relay.spent
    for _ in range(REQUESTS):
        response = transport.handle_request(httpx.Request("POST", URL, json=body))
        assert b"choices" in response.read()
    return (time.process_time() - start - (relay.spent - spent)) / REQUESTS


def compare(what, measure, body, goal):
    """A row in the form that xtask draws (xtask/src/bench/figures.rs)."""
    relay = Relay()
    theirs = ChutesE2EETransport("key", "http://relay.invalid", relay)
    ours = sealwire.Transport(
        "http://relay.invalid", profile="chutes-v1", insecure_trust_relay=True, key="key", transport=relay
    )
    times = {"theirs": [], "ours": []}
    for contestant in (theirs, ours):
        measure(contestant, relay, body)
    for _ in range(ROUNDS):
        times["theirs"].append(measure(theirs, relay, body))
        times["ours"].append(measure(ours, relay, body))
    published, own = statistics.median(times["theirs"]), statistics.median(times["ours"])
    ratio = own / published
    met = None if goal is None else ratio <= goal
    verdict = "" if goal is None else f" (goal {goal:.2f})  {'met' if met else 'NOT MET'}"
    print(f"{what:<34} {own * 1e6:>9.2f} us, published {published * 1e6:>9.2f} us, {ratio:.3f} of it{verdict}")
    return {
        "figure": what,
        "unit": "x",
        "other": published * 1e6,
        "ours": own * 1e6,
        "pair_unit": "us",
        "result": ratio,
        "goal": None if goal is None else {"at_most": goal},
        "met": met,
    }


def load():
    return f"{os.getloadavg()[0]:.2f}"


def machine():
    cpuinfo = pathlib.Path("/proc/cpuinfo")
    lines = cpuinfo.read_text().splitlines() if cpuinfo.exists() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return f"{os.cpu_count()} x {names[0] if names else platform.machine()}"


def main():
    arguments = argparse.ArgumentParser(description="Our transport beside that of chutes-e2ee.")
    arguments.add_argument("--json", type=pathlib.Path, metavar="FILE", help="where the figures go")
    file = arguments.parse_args().json
    before = load()
    print(f"medians of {ROUNDS} rounds in turns; sealwire {sealwire.__file__}; Python {platform.python_version()}")
    asked = {"model": "m", "messages": [{"role": "user", "content": "hello"}]}
    long = {"model": "m", "messages": [{"role": "user", "content": " ".join(str(n * n) for n in range(15_000))}]}
    rows = [
        compare("exchange of a short request", request, asked, None),
        compare("exchange of a request of 130 KB", request, long, None),
        compare(f"stream chunk of {len(LINE)} bytes", stream, {**asked, "stream": True}, GOAL),
    ]
    after = load()
    print(f"machine: {machine()}; load before: {before}, after: {after}")
    if file:
        file.parent.mkdir(parents=True, exist_ok=True)
        found = {"machine": machine(), "load_before": before, "load_after": after, "rows": rows}
        file.write_text(json.dumps(found, indent=2) + "\n")


main()
