"""The sealers and openers by themselves, for programs with a transport of their own."""

import base64
import json
import os
import time

import httpx
import pytest
from chutes_server import ChutesServer
from rig import MODEL, QUESTION, question

import sealwire


def varint(number):
    return number.to_bytes(1, "big") if number < 64 else (number | 0x4000).to_bytes(2, "big")


def part(data):
    return varint(len(data)) + data


def message(content):
    """A POST as RFC 9292 binary HTTP of indeterminate length (spec/http.md section 7)."""
    fields = [(b"content-type", b"application/json"), (b"sealwire-time", str(int(time.time())).encode())]
    head = b"\x02" + part(b"POST") + part(b"https") + part(b"") + part(b"/v1/chat/completions")
    return head + b"".join(part(name) + part(value) for name, value in fields) + b"\0" + part(content) + b"\0\0"


def verified(own):
    listed = httpx.get(own.relay.url() + "/sealwire/v1/bundles", params={"label": MODEL}).json()
    encoded = listed["bundles"][0]["bundle"]
    bundle = sealwire.Bundle(base64.urlsafe_b64decode(encoded + "=="))
    return bundle.verify(MODEL, [base64.urlsafe_b64decode(own.identity + "==")])


def post(own, context, body):
    headers = {
        "content-type": "application/vnd.sealwire.request",
        "sealwire-context": base64.urlsafe_b64encode(context).rstrip(b"=").decode(),
        "cache-control": "no-store, no-transform",
    }
    return httpx.post(own.relay.url() + "/sealwire/v1/requests", headers=headers, content=body).content


def test_a_whole_exchange_frame_by_frame(own):
    context, h1, sealer, waiting = sealwire.start(verified(own), os.urandom(16), padding="padme")
    sealed = message(json.dumps(question()).encode())
    body = h1 + sealer.seal(sealed[:50]) + sealer.pad(10) + sealer.finish(sealed[50:])
    answer = post(own, context, body)
    assert waiting.read(answer[:10]) is None
    consumed, opener, _ = waiting.read(answer)
    events = [event for at in range(consumed, len(answer), 7) for event in opener.push(answer[at : at + 7])]
    opener.end()
    kinds = [kind for kind, _ in events]
    assert kinds[-1] == "final" and "public" in kinds
    assert b"one two three" in b"".join(content for kind, content in events if kind in ("data", "final"))
    assert QUESTION.encode() not in body


def test_a_half_ends_once(own):
    _, _, sealer, _ = sealwire.start(verified(own), bytes(16))
    sealer.finish(b"all")
    with pytest.raises(sealwire.MisuseError):
        sealer.seal(b"more")


def test_nothing_is_sealed_early_if_that_is_forbidden(own):
    _, _, sealer, _ = sealwire.start(verified(own), bytes(16), early_data=False)
    with pytest.raises(sealwire.MisuseError):
        sealer.seal(b"early")


def test_what_an_answer_cannot_be(own):
    context, h1, sealer, waiting = sealwire.start(verified(own), os.urandom(16))
    answer = bytearray(post(own, context, h1 + sealer.finish(message(json.dumps(question()).encode()))))
    consumed, opener, _ = waiting.read(bytes(answer))
    with pytest.raises(sealwire.MisuseError):
        waiting.read(bytes(answer))
    answer[-1] ^= 1
    opener.push(bytes(answer[consumed:]))
    for _ in range(2):
        with pytest.raises(sealwire.AnswerError) as caught:
            opener.push(b"")
        assert caught.value.code == "decrypt"


def test_a_bundle_that_is_not_trusted(own):
    bundle = verified(own).bundle
    assert bundle.label == MODEL and not bundle.single_use and bundle.suite in (1, 2)
    for label, identities in ((MODEL, [bytes(32)]), ("other", [bundle.identity]), (MODEL, [])):
        with pytest.raises(sealwire.EvidenceError):
            bundle.verify(label, identities)
    with pytest.raises(sealwire.EvidenceError):
        sealwire.Bundle(b"\x01" + bytes(100))


def test_chutes_request_and_answers(upstream):
    server = ChutesServer(upstream.url, MODEL)
    try:
        key = base64.b64encode(server.public).decode()
        blob, _ = sealwire.seal_request(key, "/v1/chat/completions", b'{"model":"demo"}')
        opened = server.open(blob)
        assert opened["model"] == "demo" and len(opened["e2e_response_pk"]) > 1000
        for path, body in (("no", b"{}"), ("/v1/x", b"[]"), ("/v1/x", b'{"e2e_response_pk":1}')):
            with pytest.raises(sealwire.RequestError):
                sealwire.seal_request(key, path, body)
        with pytest.raises(sealwire.RequestError):
            sealwire.seal_request("AAAA", "/v1/x", b"{}")
    finally:
        server.stop()


def test_a_chutes_answer_is_opened_once():
    from pqcrypto.kem.ml_kem_768 import generate_keypair

    key = base64.b64encode(generate_keypair()[0]).decode()
    _, waiting = sealwire.seal_request(key, "/v1/x", b"{}")
    with pytest.raises(sealwire.AnswerError):
        waiting.open(b"short")
    with pytest.raises(sealwire.MisuseError):
        waiting.stream()
    _, waiting = sealwire.seal_request(key, "/v1/x", b"{}")
    stream = waiting.stream()
    assert stream.push(b": a comment\n") == b""
    with pytest.raises(sealwire.AnswerError) as caught:
        stream.end()
    assert caught.value.code == "truncated"
