"""Trust by evidence: quotes of a test rig, a policy, and what happens to whoever does not prove itself."""

import asyncio
import json
import os
import subprocess
from pathlib import Path

import httpx
import pytest
from rig import CHAT, QUESTION, Middle, Rig, question

import sealwire


@pytest.fixture(scope="module")
def maker():
    path = os.environ.get("QUOTE_MAKER")
    assert path, "set QUOTE_MAKER to the built example quote_maker, or run `cargo xtask python`"
    return path


@pytest.fixture(scope="module")
def policies(maker, tmp_path_factory):
    folder = tmp_path_factory.mktemp("policies")
    root = subprocess.run([maker, "root"], capture_output=True, text=True, check=True).stdout
    (folder / "root.der").write_bytes(bytes.fromhex(root.strip()))
    made = subprocess.run([maker, "00" * 64], capture_output=True, text=True, check=True).stdout
    (folder / "collateral.json").write_text(json.dumps(json.loads(made)["collateral"]))
    for name, measured in (("good", "a1"), ("other", "a2")):
        (folder / f"{name}.toml").write_text(
            'gpu = "ignore"\n[roots]\nintel = { name = "rig", file = "root.der" }\n'
            f'[[measurements]]\nname = "rig"\nmrtd = "{measured * 48}"\n'
        )
    return folder


@pytest.fixture(scope="module")
def proven(binary, maker):
    rig = Rig(binary, evidence=f"command={maker}")
    yield rig
    rig.stop()


@pytest.fixture(scope="module")
def proven_chutes(binary, maker):
    rig = Rig(binary, evidence=f"command={maker}", profile="chutes-v1")
    yield rig
    rig.stop()


def posts(rig):
    return rig.tap.seen().count(b"POST ")


def fetches(rig, path):
    return rig.tap.seen().count(f"GET {path}".encode())


def test_an_instance_that_proves_itself(library, proven, policies):
    before = fetches(proven, "/sealwire/v1/evidence")
    with library.client(proven.url, policy=policies / "good.toml") as http:
        for _ in range(3):
            assert http.post(CHAT, json=question()).status_code == 200
        assert fetches(proven, "/sealwire/v1/evidence") == before + 1
        (identity,) = http._transport.attestation()["identities"]
        assert identity["identity"] == proven.identity
        assert identity["accepted"]
        assert {"name", "outcome", "expected", "got"} <= set(identity["checks"][0])
        assert all(check["outcome"] in ("passed", "noted") for check in identity["checks"])


def test_an_instance_that_does_not_gets_nothing(library, proven, policies):
    before = posts(proven), fetches(proven, "/sealwire/v1/evidence")
    with library.client(proven.url, policy=policies / "other.toml") as http:
        for _ in range(2):
            with pytest.raises(sealwire.EvidenceError) as caught:
                http.post(CHAT, json=question())
            assert caught.value.code == "evidence_rejected"
            assert "measurement-unknown" in str(caught.value)
        # A refusal stands for a while.
        assert (posts(proven), fetches(proven, "/sealwire/v1/evidence")) == (before[0], before[1] + 1)
        (identity,) = http._transport.attestation()["identities"]
        assert not identity["accepted"]


def test_many_at_once_share_one_check(library, proven, policies):
    async def main():
        async with library.async_client(proven.url, policy=policies / "good.toml") as http:
            answers = await asyncio.gather(*(http.post(CHAT, json=question(max_tokens=1)) for _ in range(8)))
            assert {answer.status_code for answer in answers} == {200}

    before = fetches(proven, "/sealwire/v1/evidence")
    asyncio.run(main())
    assert fetches(proven, "/sealwire/v1/evidence") == before + 1


def test_evidence_of_another_nonce_is_refused(proven, policies):
    first = []

    def replay(path, response, body):
        if path == "/sealwire/v1/evidence":
            first.append(body)
            return httpx.Response(200, headers=response.headers, content=first[0])

    def ask():
        transport = sealwire.Transport(proven.url, policy=policies / "good.toml", transport=middle)
        return httpx.Client(transport=transport).post(CHAT, json=question())

    middle = Middle(replay)
    assert ask().status_code == 200
    with pytest.raises(sealwire.EvidenceError):
        ask()


def test_no_evidence_is_no_weaker_trust(own, policies):
    with pytest.raises(sealwire.EvidenceError) as caught:
        httpx.Client(transport=sealwire.Transport(own.url, policy=policies / "good.toml")).post(CHAT, json=question())
    assert "no-evidence" in str(caught.value)
    assert posts(own) == 0


def test_collateral_of_ones_own(proven, policies, tmp_path):
    """The evidence comes without any; the file or a service has it."""
    kept = {}

    def strip(path, response, body):
        if path == "/sealwire/v1/evidence":
            document = json.loads(body)
            kept["collateral"] = document.pop("collateral")
            headers = {"content-type": "application/json"}
            return httpx.Response(200, headers=headers, content=json.dumps(document).encode())

    def ask(**options):
        options = {"policy": policies / "good.toml", "transport": Middle(strip), **options}
        return httpx.Client(transport=sealwire.Transport(proven.url, **options)).post(CHAT, json=question())

    with pytest.raises(sealwire.EvidenceError) as caught:
        ask()
    assert "collateral" in str(caught.value)
    path = Path(tmp_path) / "collateral.json"
    path.write_text(json.dumps(kept["collateral"]))
    assert ask(collateral=path).status_code == 200
    with pytest.raises(sealwire.EvidenceError) as caught:
        ask(collateral="http://127.0.0.1:1")
    assert caught.value.code == "no_collateral"


def test_pins_in_a_policy(own, tmp_path):
    path = tmp_path / "pins.toml"
    path.write_text(f'identity_pins = ["{own.identity}"]\n')
    transport = sealwire.Transport(own.url, policy=sealwire.load_policy(path))
    assert httpx.Client(transport=transport).post(CHAT, json=question()).status_code == 200


def test_chutes_instances_prove_themselves(library, proven_chutes, policies):
    rig, before = proven_chutes, posts(proven_chutes)
    options = {"profile": "chutes-v1", "collateral": policies / "collateral.json"}
    with library.client(rig.url, policy=policies / "other.toml", **options) as http:
        with pytest.raises(sealwire.EvidenceError) as caught:
            http.post(CHAT, json=question())
        assert caught.value.code == "not_attested"
        assert posts(rig) == before
    with library.client(rig.url, policy=policies / "good.toml", **options) as http:
        for stream in (False, True):
            assert http.post(CHAT, json=question(stream=stream)).status_code == 200
        (model,) = http._transport.attestation()["models"]
        assert model["instances"][0]["accepted"]
    assert QUESTION.encode() not in rig.tap.seen()
