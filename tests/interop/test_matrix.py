"""Every client against every instance: both suites, with and without early data, through a relay and directly."""

import json
import re
import socket
import urllib.request

import pytest

from peers import LABEL, NAMES, SEED
from wire import H1_LEN, SEALED, SealedRequest

# The public key of a well-known test seed (RFC 8032, section 7.1, test 1): an identity, but none of ours.
ANOTHER_IDENTITY = "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a"
SECRET = "xylograph"
PIECES = 5
# Short and long, with characters of one to four bytes; the long one needs several frames.
TEXTS = ["alpha-0 ", "βήτα-1 ", "gamma-2 " + "long " * 9000 + "end-2 ", "дельта-3 ", "𝛆-4 "]

suites = pytest.mark.parametrize("suite", [1, 2], ids=["suite1", "suite2"])
early_data = pytest.mark.parametrize("early", ["allow", "never"])
routes = pytest.mark.parametrize("route", ["relay", "direct"])
instances = pytest.mark.parametrize("instance_name", NAMES, ids=[f"{name}_instance" for name in NAMES])
clients = pytest.mark.parametrize("client_name", NAMES, ids=[f"{name}_client" for name in NAMES])


@pytest.fixture
def cell(client_name, instance_name, suite, record_property):
    record_property("cell", f"{client_name} {instance_name} {suite}")


def question(stream=True, **more):
    body = {"model": LABEL, "stream": stream, "messages": [{"role": "user", "content": "Why is the sky blue? " + SECRET}]}
    return json.dumps({**body, **more}, ensure_ascii=False).encode()


def gated(gate):
    """A question that the upstream answers step by step; its bytes must arrive as they are, so nothing is left to be set."""
    filler = "ключ " * 8000
    return question(gate=gate, stream_options={"include_usage": True}, filler=filler)


def events(answer):
    """The events of a streamed answer, the time of their making left out."""
    text = answer.decode()
    assert text.endswith("\n\n"), text[-200:]
    found = []
    for block in text.removesuffix("\n\n").split("\n\n"):
        assert block.startswith("data: "), block[:200]
        data = block.removeprefix("data: ")
        if data != "[DONE]":
            data = json.loads(data)
            data.pop("created", None)
        found.append(data)
    return found


def text_of(answer):
    return "".join(
        choice["delta"].get("content") or "" for event in events(answer) if event != "[DONE]" for choice in event["choices"]
    )


def direct(world, body):
    """What the model says without anything between."""
    request = urllib.request.Request(
        world.model.url() + "/v1/chat/completions", data=body, headers={"content-type": "application/json"}
    )
    with urllib.request.urlopen(request, timeout=30) as answer:
        return answer.read()


def succeeded(client):
    code, out, errors = client.end()
    assert code == 0, f"exit code {code}; {client.said()}"
    assert not errors.startswith("error "), errors
    return out


def failed(client):
    """Exit code 1 and `error CODE: text`; gives the code and the output so far."""
    code, out, errors = client.end()
    assert code == 1, f"exit code {code}; {client.said()}"
    line = re.search(r"^error ([a-z0-9-]+): \S.*$", errors, re.MULTILINE)
    assert line, errors
    return line[1], out


@routes
@early_data
@suites
@instances
@clients
def test_cell(world, cell, client_name, instance_name, suite, early, route):
    instance = world.instance(instance_name)

    # Step by step: the upstream goes on only when the last text is out of the client. Whoever holds anything back stops it all.
    name = world.fresh_name()
    gate = world.upstream.gate(name, TEXTS)
    body = gated(name)
    client = world.ask(client_name, instance, route, suite, body, early=early, drip=PIECES)
    for step in TEXTS:
        client.wait_for(step)
        gate.open()
    out = succeeded(client)
    assert text_of(out) == "".join(TEXTS)
    assert events(out)[-1] == "[DONE]"
    assert client.reads >= len(TEXTS)
    assert gate.bodies == [body], "the request arrives once, and whole"

    # What someone between sees.
    seen = client.tap.seen()
    assert SECRET.encode() not in seen and TEXTS[0].encode() not in seen
    request = SealedRequest(client.tap)
    if early == "never":
        assert request.before_answer == H1_LEN[suite], "nothing but H1 before H2"
    sealed = [length for kind, length in request.frames(suite) if kind == SEALED]
    assert len(sealed) == len(request.frames(suite)) >= PIECES

    # What the demo model says, streamed and whole, the request in one piece.
    for stream in (True, False):
        asked = question(stream)
        client = world.ask(client_name, instance, route, suite, asked, early=early)
        out, expected = succeeded(client), direct(world, asked)
        if stream:
            assert events(out) == events(expected)
            assert len(events(out)) > 20
        else:
            message = json.loads(out)["choices"][0]["message"]
            assert message == json.loads(expected)["choices"][0]["message"]
            assert len(message["content"]) > 50


@instances
@clients
def test_an_identity_that_is_not_pinned_gets_nothing(world, client_name, instance_name):
    instance = world.instance(instance_name)
    for suite, route in ((1, "relay"), (2, "direct")):
        name = world.fresh_name()
        gate = world.upstream.gate(name, TEXTS)
        client = world.ask(client_name, instance, route, suite, gated(name), identity=ANOTHER_IDENTITY)
        assert failed(client) == ("identity-untrusted", b"")
        assert gate.bodies == []
        assert b"/sealwire/v1/requests" not in client.tap.seen()


@instances
@clients
def test_a_dead_upstream_is_an_error(world, dead, client_name, instance_name):
    instance = world.instance(instance_name, dead)
    for suite, route in ((1, "direct"), (2, "relay")):
        client = world.ask(client_name, instance, route, suite, question())
        code, out, errors = client.end()
        # A sealed 502 is an answer with a verified end: a client may print it and say so, or fail.
        assert code in (0, 1), client.said()
        assert (code == 1) == errors.startswith("error "), client.said()
        assert "error" in json.loads(out) if out else code == 1, client.said()


@pytest.fixture(scope="session")
def dead():
    """An address where nobody listens, and nobody else will: the port stays taken."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        yield f"http://127.0.0.1:{taken.getsockname()[1]}"


@instances
@clients
def test_an_upstream_that_breaks_off_is_an_error(world, client_name, instance_name):
    instance = world.instance(instance_name)
    for suite, early, route in ((1, "never", "relay"), (2, "allow", "direct")):
        name = world.fresh_name()
        gate = world.upstream.gate(name, TEXTS, breaks_off=True)
        client = world.ask(client_name, instance, route, suite, gated(name), early=early)
        for step in TEXTS[:2]:
            client.wait_for(step)
            gate.open()
        _, out = failed(client)
        assert b"[DONE]" not in out


@instances
@clients
def test_an_instance_that_dies_within_an_answer_is_no_success(world, client_name, instance_name):
    for suite, early, route in ((1, "allow", "relay"), (2, "never", "direct")):
        instance = world.own_instance(instance_name)
        name = world.fresh_name()
        gate = world.upstream.gate(name, TEXTS)
        client = world.ask(client_name, instance, route, suite, gated(name), early=early)
        for step in TEXTS[:2]:
            client.wait_for(step)
            gate.open()
        client.wait_for(TEXTS[2])
        instance.kill()
        _, out = failed(client)
        assert b"[DONE]" not in out and TEXTS[3].encode() not in out


@instances
def test_one_seed_gives_one_identity(world, instance_name):
    """The same seed is the same identity everywhere; the value is that of the RFC 8032 key derivation."""
    assert SEED == bytes(range(32))
    expected = "03a107bff3ce10be1d70dd18e74bc09967e4d6309ba50d5f1ddc8664125531b8"
    assert world.instance(instance_name).identity == expected
