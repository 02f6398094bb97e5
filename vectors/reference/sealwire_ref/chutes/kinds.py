"""One function for each kind of case of the profile chutes-v1 (conformance.md section 2.6)."""
from .. import kem
from ..wire import sha256
from . import gz, keys, request, response, stream

H = bytes.fromhex


def text_or_hex(content):
    """Text as it is, other bytes as an object."""
    try:
        return content.decode()
    except UnicodeDecodeError:
        return {"hex": content.hex()}


def run_chutes_key(case):
    return {}, {"key_sha256": sha256(keys.read_key(case["in"]["key"], "instance-key")).hex()}


def run_chutes_gunzip(case):
    content, ours = gz.gunzip(H(case["in"]["packed"]), case["in"]["limit"])
    return {}, {"length": len(content), "sha256": sha256(content).hex(), "subfield": None if ours is None else ours.hex()}


def run_chutes_request_open(case):
    given = case["in"]
    instance = request.Instance([keys.held(H(k)) for k in given["held"]])
    for blob in given.get("before", []):
        instance.open(H(blob), given["path"], given["limit"])
    index, members, ek = instance.open(H(given["blob"]), given["path"], given["limit"])
    return {}, {"key": index, "members": [list(m) for m in members], "response_key_sha256": sha256(ek).hex()}


def run_chutes_request_seal(case):
    given = case["in"]
    instance = keys.held(H(given["held"]))
    client = kem.keygen(kem.MLKEM768, bytes(64))
    key = keys.b64encode(instance.ek)
    blob = request.seal(key, client.ek, given["body"].encode(), given["path"], bytes(32), bytes(keys.NONCE))
    _, members, ek = request.Instance([instance]).open(blob, given["path"], 1 << 20)
    assert ek == client.ek
    return {}, {"members": [list(m) for m in members]}


def run_chutes_response_open(case):
    given = case["in"]
    head, body = response.open_(keys.held(H(given["seed"])), H(given["blob"]), given["limit"])
    status, media = head or (None, None)
    return {}, {"status": status, "media_type": media, "body": body.hex()}


def run_chutes_stream_open(case):
    given = case["in"]
    wire, pair = given["wire"].encode("latin-1"), keys.held(H(given["seed"]))

    def outcome(sizes):
        bounds = {name: given[name] for name in ("max_line", "max_chunks", "max_bytes", "every_token") if name in given}
        opener, at = stream.Opener(pair, **bounds), 0
        for size in [*sizes, len(wire)]:
            opener.feed(wire[at:at + size])
            at += size
        opener.finish()
        return opener.events, opener.error, opener.relay

    result = outcome([])
    assert result == outcome(given.get("chunks", []))
    if len(wire) < 4000:
        assert result == outcome([1] * len(wire))
    events, error, relay = result
    content = b"".join(e[1] for e in events if e[0] == "content")
    if error:
        said = {} if relay is None else {"relay": relay}
        return {}, {"error": error, **said, "released": len(content), "released_sha256": sha256(content).hex()}
    heads = [{"status": e[1], "media_type": e[2]} for e in events if e[0] == "head"]
    counts = [dict(zip(("prompt", "completion", "cached"), e[1])) for e in events if e[0] == "usage"]
    return {}, {"head": heads[0] if heads else None, "usage": counts, "content": text_or_hex(content)}


def run_chutes_stream_seal(case):
    given = case["in"]
    sealer = stream.Sealer(keys.read_key(given["response_key"], "response-key"), H(case["coins"]["encaps_c"]))
    wire = sealer.init() + sealer.numbered(stream.head_line(given["status"], given["media_type"]))
    for line in given["lines"]:
        wire += sealer.numbered(line.encode())
    return {}, {"wire": wire.decode()}


KINDS = {name[4:].replace("_", "-"): f for name, f in list(globals().items()) if name.startswith("run_")}
