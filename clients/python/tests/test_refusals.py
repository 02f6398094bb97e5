"""What cannot be sealed is not sent, and says so; what is secret is not shown."""

import gzip
import logging

import httpx
import pytest
from rig import CHAT, KEY, QUESTION, URL, question

import sealwire

RELAY = "http://127.0.0.1:9"


class Nothing(httpx.BaseTransport):
    """A network that nothing may reach."""

    def handle_request(self, request):
        raise AssertionError(f"{request.method} {request.url} left")


def client(**options):
    return httpx.Client(transport=sealwire.Transport(RELAY, pins=bytes(32), transport=Nothing(), **options))


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (b"", "bad_json"),
        (b"not JSON", "bad_json"),
        (b"[]", "bad_json"),
        (b'{"model":"a","model":"b"}', "bad_json"),
        (b"{}", "no_model"),
        (b'{"model":7}', "no_model"),
        (b'{"model":""}', "bad_model"),
        (b'{"model":"a\\nb"}', "bad_model"),
    ],
)
def test_a_body_that_cannot_be_sealed(body, code):
    with pytest.raises(sealwire.RequestError) as caught:
        client().post(CHAT, content=body, headers={"content-type": "application/json"})
    assert caught.value.code == code


@pytest.mark.parametrize(
    ("method", "url"),
    [
        ("POST", URL + "/files"),
        ("POST", URL + "/audio/transcriptions"),
        ("GET", CHAT),
        ("DELETE", URL + "/models/x"),
        ("POST", "http://sealed.invalid/chat/completions"),
        ("POST", CHAT + "/"),
    ],
)
def test_a_path_that_is_not_served(method, url):
    with pytest.raises(sealwire.RequestError) as caught:
        client().request(method, url, json=question())
    assert caught.value.code == "unknown_url"


def test_a_content_coding(tmp_path):
    with pytest.raises(sealwire.RequestError):
        client().post(CHAT, content=gzip.compress(b"{}"), headers={"content-encoding": "gzip"})


def test_a_request_that_is_too_large():
    with pytest.raises(sealwire.RequestError) as caught:
        client(max_request_bytes=10).post(CHAT, json=question())
    assert caught.value.code == "request_too_large"


@pytest.mark.parametrize(
    ("options", "code"),
    [
        ({}, "trust"),
        ({"pins": bytes(32), "insecure_trust_relay": True}, "trust"),
        ({"pins": "short"}, "pins"),
        ({"policy": "no-such-file.toml"}, "policy"),
        ({"pins": bytes(32), "profile": "chutes-v1"}, "other_profile"),
        ({"insecure_trust_relay": True, "every_token": True}, "other_profile"),
        ({"insecure_trust_relay": True, "profile": "chutes-v1", "single_use": True}, "other_profile"),
        ({"insecure_trust_relay": True, "profile": "other"}, "profile"),
        ({"pins": bytes(32), "early_data": "never"}, "no_duplex"),
        ({"pins": bytes(32), "key": "a\nb"}, "key"),
        ({"pins": bytes(32), "padding": "some"}, "padding"),
        ({"pins": bytes(32), "suites": [3]}, "suite"),
        ({"pins": bytes(32), "collateral": "no-such-file.json"}, "collateral"),
    ],
    ids=str,
)
def test_settings_that_cannot_be_used(options, code):
    with pytest.raises(sealwire.ConfigError) as caught:
        sealwire.Transport(RELAY, **options)
    assert caught.value.code == code
    assert isinstance(caught.value, ValueError)


def test_a_policy_must_be_one(tmp_path):
    path = tmp_path / "policy.toml"
    path.write_text('gpu = "ignore"\n')
    with pytest.raises(sealwire.ConfigError) as caught:
        sealwire.Transport(RELAY, policy=path)
    assert "lists no measurements" in str(caught.value)


def test_nothing_secret_is_shown(own, caplog):
    caplog.set_level(logging.DEBUG)
    transport = sealwire.Transport(own.url, pins=own.identity, key="relay-key-secret")
    answer = httpx.Client(transport=transport).post(CHAT, json=question(), headers={"Authorization": f"Bearer {KEY}"})
    assert answer.status_code == 200
    shown = repr(transport) + str(transport.attestation()) + caplog.text
    for secret in ("relay-key-secret", KEY, QUESTION, "one two three"):
        assert secret not in shown
