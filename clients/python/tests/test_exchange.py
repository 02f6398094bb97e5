"""What a caller relies on: cancelling, timeouts, proxies, keys, and errors that say whose they are."""

import asyncio
import base64

import httpx
import pytest
from rig import CHAT, KEY, QUESTION, ForwardProxy, Middle, question

import sealwire

LEAVES = 10


def transport(rig, **options):
    return sealwire.Transport(rig.url, **{"pins": rig.identity, **options})


def client(rig, timeout=30, **options):
    return httpx.Client(transport=transport(rig, **options), timeout=timeout)


# Cancelling.


def test_closing_a_stream_ends_the_instances_work(library, own, upstream):
    upstream.endless = True
    with library.client(own.url, pins=own.identity) as http:
        with http.stream("POST", CHAT, json=question(stream=True)) as response:
            pieces = response.iter_bytes()
            next(pieces)
            assert not upstream.gone.is_set()
        assert upstream.gone.wait(LEAVES)


@pytest.mark.parametrize("stream", [True, False], ids=["streamed", "whole"])
def test_cancelling_a_task_ends_the_instances_work(library, own, upstream, stream):
    upstream.endless, upstream.hangs = stream, not stream

    async def ask(http):
        async with http.stream("POST", CHAT, json=question(stream=stream)) as response:
            async for _ in response.aiter_bytes():
                pass

    async def main():
        async with library.async_client(own.url, pins=own.identity) as http:
            task = asyncio.create_task(ask(http))
            assert await asyncio.to_thread(upstream.began.wait, LEAVES)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            assert await asyncio.to_thread(upstream.gone.wait, LEAVES)

    asyncio.run(main())


def test_breaking_out_of_an_async_stream_ends_the_instances_work(library, own, upstream):
    upstream.endless = True

    async def main():
        async with library.async_client(own.url, pins=own.identity) as http:
            async with http.stream("POST", CHAT, json=question(stream=True)) as response:
                async for _ in response.aiter_bytes():
                    break
            assert await asyncio.to_thread(upstream.gone.wait, LEAVES)

    asyncio.run(main())


# Timeouts and proxies.


def test_the_callers_timeout_counts(library, own, upstream):
    upstream.hangs = True
    timeout = library.http.Timeout(30, read=0.5)
    with library.client(own.url, pins=own.identity, timeout=timeout) as http:
        with pytest.raises(library.http.ReadTimeout):
            http.post(CHAT, json=question())
    assert upstream.gone.wait(LEAVES)


def test_the_callers_timeout_counts_within_a_stream(library, own, upstream):
    upstream.endless = True

    async def main():
        timeout = library.http.Timeout(30, read=0.5)
        async with library.async_client(own.url, pins=own.identity, timeout=timeout) as http:
            async with http.stream("POST", CHAT, json=question(stream=True)) as response:
                async for _ in response.aiter_bytes():
                    pass

    with pytest.raises(library.http.ReadTimeout):
        asyncio.run(main())


def test_a_relay_that_never_answers_is_given_up(own):
    class Silent(httpx.BaseTransport):
        def __init__(self):
            self.inner = httpx.HTTPTransport()
            self.read = []

        def handle_request(self, request):
            if request.method == "GET":
                return self.inner.handle_request(request)
            read = request.extensions["timeout"]["read"]
            self.read.append(read)
            import time

            time.sleep(read)
            raise httpx.ReadTimeout("nothing came")

    silent = Silent()
    http = client(own, timeout=600, transport=silent, handshake_timeout=0.3)
    with pytest.raises(sealwire.RelayError) as caught:
        http.post(CHAT, json=question())
    assert caught.value.code == "handshake_timeout"
    assert isinstance(caught.value, httpx.TransportError)
    assert max(silent.read) <= 0.3


@pytest.fixture
def forward_proxy():
    proxy = ForwardProxy()
    yield proxy
    proxy.stop()


def test_a_proxy_of_the_environment_is_used(library, own, forward_proxy, monkeypatch):
    monkeypatch.setenv("HTTP_PROXY", forward_proxy.url)
    monkeypatch.delenv("NO_PROXY")
    monkeypatch.delenv("no_proxy")
    with library.client(own.url, pins=own.identity) as http:
        assert http.post(CHAT, json=question()).status_code == 200
    assert forward_proxy.lines
    assert all(own.url in line for line in forward_proxy.lines)


def test_no_proxy_is_honoured(library, own, forward_proxy, monkeypatch):
    monkeypatch.setenv("HTTP_PROXY", forward_proxy.url)
    with library.client(own.url, pins=own.identity) as http:
        assert http.post(CHAT, json=question()).status_code == 200
    assert not forward_proxy.lines


def test_a_transport_of_the_callers_is_used(own, forward_proxy):
    http = client(own, transport=httpx.HTTPTransport(proxy=forward_proxy.url))
    assert http.post(CHAT, json=question()).status_code == 200
    assert forward_proxy.lines


# Keys.


def test_the_relays_key(binary, upstream):
    from rig import Rig

    rig = Rig(binary, upstream=upstream.url, relay_key="relay-key-1")
    try:
        assert client(rig, key="relay-key-1").post(CHAT, json=question()).status_code == 200
        own_key = {"Authorization": "Bearer relay-key-1"}
        assert client(rig, forward_key=True).post(CHAT, json=question(), headers=own_key).status_code == 200
        for http in (client(rig), client(rig, key="wrong")):
            with pytest.raises(sealwire.RelayError) as caught:
                http.post(CHAT, json=question(), headers=own_key)
            assert (caught.value.code, caught.value.status) == ("relay_auth", 401)
            assert not isinstance(caught.value, httpx.TransportError)
    finally:
        rig.stop()


def test_the_applications_key_stays_unless_it_is_to_be_forwarded(own):
    client(own).post(CHAT, json=question(), headers={"Authorization": f"Bearer {KEY}", "X-Api-Key": KEY})
    assert KEY.encode() not in own.tap.seen()


# Trust.


def test_an_identity_that_is_not_pinned_gets_nothing(library, own, upstream):
    other = base64.urlsafe_b64encode(bytes(range(32))).decode()
    with library.client(own.url, pins=other) as http, pytest.raises(sealwire.EvidenceError):
        http.post(CHAT, json=question())
    assert not upstream.seen
    assert b"POST" not in own.tap.seen()


def test_trusting_the_relay_must_be_said_by_name(own):
    with pytest.raises(sealwire.ConfigError) as caught:
        sealwire.Transport(own.url)
    assert "policy" in str(caught.value)
    assert client(own, pins=(), insecure_trust_relay=True).post(CHAT, json=question()).status_code == 200


@pytest.mark.parametrize("options", [{"suites": [2]}, {"single_use": True}, {"padding": "buckets"}, {"billing": b"tenant"}], ids=str)
def test_options_of_the_protocol(own, options):
    http = client(own, **options)
    for _ in range(2):
        assert http.post(CHAT, json=question()).status_code == 200


# A relay in the middle.


def changed(change):
    """A relay that changes the answers to sealed requests."""

    def at(path, response, body):
        if path == "/sealwire/v1/requests":
            return change(response, body)

    return Middle(at)


def answer(response, body):
    return httpx.Response(200, headers=response.headers, content=body)


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "streamed"])
@pytest.mark.parametrize(
    ("change", "code"),
    [
        (lambda response, body: answer(response, body[:-200] + bytes([body[-200] ^ 1]) + body[-199:]), "decrypt"),
        (lambda response, body: answer(response, body[:10] + bytes([body[10] ^ 1]) + body[11:]), "confirm_failed"),
        (lambda response, body: answer(response, body[:-1]), "truncated"),
        (lambda response, body: answer(response, body[:1200]), "truncated"),
        (lambda response, body: httpx.Response(200, json={"choices": [{"message": {"content": "forged"}}]}), "relay_not_sealed"),
        (lambda response, body: httpx.Response(200, html="<p>log in"), "relay_not_sealed"),
        (lambda response, body: httpx.Response(502, html="<p>sorry"), "relay_not_sealwire"),
    ],
    ids=["a frame", "the handshake", "the end cut", "cut early", "forged", "a login page", "a load balancer"],
)
def test_a_relay_that_changes_answers(own, stream, change, code):
    http = client(own, transport=changed(change))
    with pytest.raises(sealwire.Error) as caught:
        http.post(CHAT, json=question(stream=stream))
    assert caught.value.code == code
    assert QUESTION not in str(caught.value)


def test_done_is_held_back_until_the_answer_is_known_to_be_whole(own):
    http = client(own, transport=changed(lambda response, body: answer(response, body[:-1])))
    got = []
    with pytest.raises(sealwire.AnswerError) as caught:
        with http.stream("POST", CHAT, json=question(stream=True)) as response:
            got.extend(response.iter_bytes())
    assert b"three" in b"".join(got)
    assert b"[DONE]" not in b"".join(got)
    # A connection that breaks off is one: who retries those may.
    assert isinstance(caught.value, httpx.TransportError)


def problems(*codes):
    """A relay that answers the first sealed requests with these codes, and the next as it should."""
    left = list(codes)

    def change(response, body):
        if left:
            code = left.pop(0)
            headers = {"content-type": "application/problem+json"}
            return httpx.Response(503, headers=headers, json={"code": code, "detail": "of the test"})

    return changed(change)


def test_a_busy_relay_is_asked_again(own, upstream):
    relay = problems("busy", "gone")
    assert client(own, transport=relay).post(CHAT, json=question()).status_code == 200
    assert len([request for request in relay.requests if request.method == "POST"]) == 3


@pytest.mark.parametrize(
    ("code", "attempts", "retryable"), [("busy", 3, True), ("quota", 1, False), ("replayed", 1, False)]
)
def test_the_relays_errors_have_a_type_of_their_own(own, code, attempts, retryable):
    relay = problems(*[code] * 5)
    with pytest.raises(sealwire.RelayError) as caught:
        client(own, transport=relay).post(CHAT, json=question())
    assert caught.value.code == f"relay_{code}"
    assert caught.value.type == "sealwire_relay_error"
    assert isinstance(caught.value, httpx.TransportError) == retryable
    assert len([request for request in relay.requests if request.method == "POST"]) == attempts


def test_each_attempt_is_sealed_anew(own):
    relay = problems("busy")
    client(own, transport=relay).post(CHAT, json=question())
    first, second = (request.read() for request in relay.requests if request.method == "POST")
    assert first[:64] != second[:64]
    assert first[-64:] != second[-64:]


class Endless(httpx.SyncByteStream):
    """A body, and then nothing, not even its end."""

    def __init__(self, body):
        self.body = body

    def __iter__(self):
        yield self.body
        raise httpx.ReadTimeout("nothing more")


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "streamed"])
def test_an_answer_is_whole_whatever_follows_it(own, stream):
    relay = changed(lambda response, body: httpx.Response(200, headers=response.headers, stream=Endless(body)))
    answer = client(own, transport=relay).post(CHAT, json=question(stream=stream))
    assert b"three" in answer.content
    assert (b"[DONE]" in answer.content) == stream
