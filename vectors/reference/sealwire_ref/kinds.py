"""One function for each kind of case (section 2 of conformance.md): run(case) -> (mid, expect).

Only `kind`, `params`, `coins` and `in` of a case are read.
"""
import hashlib

from . import bundle as bdl
from . import context as ctx
from . import padding, receipt, schedule
from .carriage import ClientPeer, InstancePeer
from .chutes import kinds as chutes
from .handshake import Client, Instance
from .http import discovery, inner, outer
from .opening import Opener
from .ratchet import Ratchet
from .sealing import Sealer
from .wire import FILTER_CAPACITY, WireError, sha256

H = bytes.fromhex
LIMITS = ("epoch_frames", "max_frames", "max_empty", "pad_budget", "byte_budget")
BOUNDS = ("max_head", "max_fields", "max_content")


def limits(case, names=LIMITS):
    return {k: v for k, v in case["params"].items() if k in names}


def coins(case):
    return {k: H(v) for k, v in case["coins"].items()}


def late(given):
    return H(given["ts_late"]) if "ts_late" in given else None


# 2.1 building blocks

def run_bundle(case):
    given, b = case["in"], bdl.parse(H(case["in"]["bundle"]))
    if "policy" in given:
        p = given["policy"]
        policy = bdl.Policy(tuple(p["suites"]), H(p["label"]), p["single_use_required"],
                            tuple(H(x) for x in p["trusted_identities"]))
        bdl.accept(b, policy, given["now"])
    return {}, {"suite": b.suite, "flags": b.flags, "single_use": b.single_use, "not_before": b.not_before,
                "not_after": b.not_after, "label": b.label.hex(), "kem_pk": b.kem_pk.hex(),
                "identity": b.identity.hex(), "signature": b.signature.hex(), "bundle_id": b.bundle_id.hex()}


def run_context(case):
    c = ctx.parse(H(case["in"]["context"]))
    return {}, {"label": c.label.hex(), "request_id": c.request_id.hex(), "attempt": c.attempt,
                "billing": None if c.billing is None else c.billing.hex()}


def run_schedule(case):
    g = {k: H(v) if isinstance(v, str) else v for k, v in case["in"].items()}
    one = schedule.first(g["suite"], sha256(g["bundle"]), g["context"], g["h1"], g["ss_s"])
    two = schedule.second(one, g["h2"], g["ss_c"])
    return {}, {k: v.hex() for k, v in {**vars(one), **vars(two)}.items()}


def run_ratchet(case):
    given = case["in"]
    r = Ratchet(H(given["ts"]), 1)
    first, epochs = Ratchet(H(given["ts"]), 2), []
    nonces = []
    for seq in given["seqs"]:
        first.seq = seq
        nonces.append(first.nonce().hex())
    for _ in range(given["epochs"]):
        epochs.append((r.ts.hex(), r.key.hex(), r.iv.hex()))
        r.advance()
    secrets, keys, ivs = (list(x) for x in zip(*epochs))
    return {}, {"secrets": secrets, "keys": keys, "ivs": ivs, "nonces": nonces}


def run_padding(case):
    return {}, {"padded": padding.padded(case["in"]["policy"], case["in"]["length"])}


def run_exporter(case):
    given = case["in"]
    return {}, {"output": schedule.export(H(given["exporter"]), H(given["label"]), H(given["context"]),
                                          given["length"]).hex()}


HEX_FIELDS = ("request_id", "th2", "bundle_hash", "context_hash")


def unhex(fields):
    return {k: H(v) if k in HEX_FIELDS else v for k, v in fields.items()}


def run_receipt(case):
    given = case["in"]
    if "fields" in given:
        return {}, {"receipt": receipt.Receipt(**unhex(given["fields"])).sign(coins(case)["identity_seed"]).hex()}
    last = given.get("previous", {})
    checker = receipt.Checker(H(given["identity"]), receipt.Expected(**unhex(given["expected"])), last.get("index"),
                              last.get("kind"))
    fields = vars(checker.check(H(given["receipt"])))
    return {}, {k: v.hex() if k in HEX_FIELDS else v for k, v in fields.items()}


# 2.2 handshake

def schedule_mid(ss_s, one, ss_c, two):
    return {k: v.hex() for k, v in {"ss_s": ss_s, "ss_c": ss_c, **vars(one), **vars(two)}.items()}


def make_client(case, **kw):
    c = coins(case)
    return Client(bdl.parse(H(case["in"]["bundle"])), H(case["in"]["context"]), c["client_seed"], c["encaps_s"], **kw)


def make_instance(case):
    instance = Instance(case["params"].get("filter_capacity", FILTER_CAPACITY))
    instance.hold(bdl.parse(H(case["in"]["bundle"])), coins(case)["kem_seed"])
    return instance


def take(held):
    held.taken = True


def run_handshake(case):
    given, c = case["in"], coins(case)
    role, context = given.get("role"), H(given["context"])
    if role == "instance":
        instance = make_instance(case)
        for earlier in given.get("seen", []):
            try:
                instance.receive_h1(H(earlier), context, c["encaps_c"])
            except WireError:
                pass
        instance.busy = case["params"].get("busy", False)
        meanwhile = {"meanwhile": take} if given.get("taken") else {}
        done = instance.receive_h1(H(given["h1"]), context, c["encaps_c"], **meanwhile)
        return schedule_mid(done.ss_s, done.one, done.ss_c, done.two), {"h1": given["h1"], "h2": done.h2.hex()}
    client = make_client(case)
    if role == "client":
        client.receive_h2(H(given["h2"]))
        return schedule_mid(client.ss_s, client.one, client.ss_c, client.two), {"h1": client.h1.hex(), "h2": given["h2"]}
    done = make_instance(case).receive_h1(client.h1, context, c["encaps_c"])
    client.receive_h2(done.h2)
    mid = schedule_mid(client.ss_s, client.one, client.ss_c, client.two)
    assert mid == schedule_mid(done.ss_s, done.one, done.ss_c, done.two)
    return mid, {"h1": client.h1.hex(), "h2": done.h2.hex()}


# 2.3 halves

def event_json(e):
    if e[0] == "error":
        return {"type": "error", "code": e[1], "message": e[2]}
    return {"type": e[0], "bytes": e[1].hex()}


def released(events, error):
    text = b"".join(e[1] for e in events if e[0] in ("data", "final"))
    out = {"events": [event_json(e) for e in events], "released": len(text),
           "released_sha256": hashlib.sha256(text).hexdigest()}
    return {**out, "error": error} if error else out


def chunked(wire, sizes):
    at = 0
    for n in sizes:
        yield wire[at:at + n]
        at += n
    if at < len(wire):
        yield wire[at:]


def run_open(case):
    given, wire = case["in"], H(case["in"]["wire"])

    def outcome(sizes):
        o, events = Opener(given["half"], H(given["ts"]), late(given), **limits(case)), []
        for part in chunked(wire, sizes):
            events += o.feed(part)
        o.finish()
        error = o.error
        assert o.feed(b"\x01") == [] and o.error == (error or "trailing-data")  # [F-11], [F-13]
        return events, error

    result = outcome(given.get("chunks", [len(wire)]))
    assert result == outcome([len(wire)])  # [F-14]
    if len(wire) < 3000:
        assert result == outcome([1] * len(wire))
    return {}, released(*result)


def seal_op(sealer, op):
    name = op["op"]
    if name in ("data", "final"):
        return getattr(sealer, name)(H(op["content"]))
    if name == "error":
        return sealer.error(op["code"], op["message"])
    if name == "public":
        return sealer.public(H(op["bytes"]))
    if name == "pad":
        return sealer.pad(op["zeros"])
    return {"key_update": sealer.key_update, "switch": sealer.switch}[name]()


def run_seal(case):
    given = case["in"]
    sealer = Sealer(given["half"], H(given["ts"]), late(given), given["padding"], **limits(case))
    wire, error = b"", None
    for op in given["ops"]:
        try:
            wire += seal_op(sealer, op)
        except WireError as e:
            wire, error = wire + sealer.partial, e.code
            break
    keys = [{"epoch": k["epoch"], "key": k["key"].hex(), "iv": k["iv"].hex()} for k in sealer.keys_used]
    return {"keys": keys}, {"wire": wire.hex(), **({"error": error} if error else {})}


# 2.4 whole runs

def play(sealer, ops, policy):
    sealer.policy = policy
    return b"".join(seal_op(sealer, op) for op in ops)


def opened(opener, wire, sizes):
    """The events of a fresh copy of `opener` for one chunking."""
    o = opener()
    events = [e for part in chunked(wire, sizes) for e in o.feed(part)]
    o.finish()
    if o.error:
        raise WireError(o.error)
    return events


def run_stream(case):
    given, c, lim = case["in"], coins(case), limits(case)
    client = make_client(case, **lim)
    ops = given["ops_c2s"]
    at = next((n for n, op in enumerate(ops) if op["op"] == "switch"), len(ops))
    assert given["early"] == "allow" or at == 0
    pad_c2s, pad_s2c = given.get("padding_c2s", "none"), given.get("padding_s2c", "none")
    early = play(client.sealer, ops[:at], pad_c2s)
    done = make_instance(case).receive_h1(client.h1, H(given["context"]), c["encaps_c"], **lim)
    client.receive_h2(done.h2)
    c2s = early + play(client.sealer, ops[at:], pad_c2s)
    s2c = play(done.sealer, given["ops_s2c"], pad_s2c)
    one, two = done.one, done.two
    halves = {"c2s": (lambda: Opener("c2s", one.ts_c2s_0, two.ts_c2s_1, **lim), c2s),
              "s2c": (lambda: Opener("s2c", client.two.ts_s2c_0, **lim), s2c)}
    events = {}
    for half, (opener, wire) in halves.items():
        events[half] = opened(opener, wire, [])
        assert all(opened(opener, wire, sizes) == events[half] for sizes in given.get("chunks_" + half, []))
    checker, text = receipt.checker_of(client), b""
    for e in events["s2c"]:
        if e[0] == "public":
            try:
                checker.check(e[1])
            except WireError as failure:
                return {}, {"error": failure.code, "released": len(text), "released_sha256": sha256(text).hex()}
        elif e[0] != "error":
            text += e[1]
    x = given["exporter"]
    outs = [schedule.export(t.exporter, H(x["label"]), H(x["context"]), x["length"]) for t in (client.two, two)]
    assert outs[0] == outs[1]
    mid = schedule_mid(client.ss_s, client.one, client.ss_c, client.two)
    return mid, {"h1": client.h1.hex(), "h2": done.h2.hex(), "c2s": c2s.hex(), "s2c": s2c.hex(),
                 "events_c2s": [event_json(e) for e in events["c2s"]],
                 "events_s2c": [event_json(e) for e in events["s2c"]], "exporter": outs[0].hex()}


def run_carriage(case):
    given, lim = case["in"], limits(case)
    if given["role"] == "instance":
        peer = InstancePeer(given["transport"], make_instance(case), coins(case)["encaps_c"], **lim)
        peer.instance.busy = case["params"].get("busy", False)
    else:
        peer = ClientPeer(given["transport"], make_client(case, **lim), given.get("early", "allow"),
                          given.get("duplex", True))
    for piece in given["received"]:
        peer.receive(H(piece))
    if given.get("then") == "silence":
        peer.silence()
    else:
        peer.end()
    return {}, {"sent": [x.hex() for x in peer.sent], **released(peer.events, peer.error)}


# 2.5 HTTP

def run_http_request(case):
    return {}, {"context": outer.request_context(case["in"]["fields"]).hex()}


def run_http_response(case):
    given = case["in"]
    failure = outer.response_failure(given["status"], given["fields"], H(given["body"]))
    if failure is None:
        return {}, {"sealed": True}
    code, fresh = failure
    return {}, {"error": code, **({"bundle": fresh.hex()} if fresh is not None else {})}


def run_discovery_query(case):
    q = discovery.parse_query(case["in"]["query"])
    return {}, {"label": q.label, "single_use": q.single_use, "suite": q.suite}


def run_discovery_answer(case):
    return {}, {"bundles": [b.hex() for b in discovery.parse_answer(case["in"]["body"].encode())]}


def text_fields(fields):
    return [[k.decode("latin-1"), v.decode("latin-1")] for k, v in fields]


def run_inner_request(case):
    given = case["in"]
    wire = H(given["content"])
    got = [inner.judge_request([wire], given["now"], given["label"], **limits(case, BOUNDS))]
    pieces = [wire[i:i + 1] for i in range(len(wire))]
    got.append(inner.judge_request(pieces, given["now"], given["label"], **limits(case, BOUNDS)))
    assert got[0] == got[1]
    r = got[0]
    return {}, {"method": r.method.decode(), "path": r.path.decode(), "fields": text_fields(r.fields),
                "padding": r.padding, "content": r.content.hex()}


def run_inner_response(case):
    given = case["in"]
    r = inner.judge_response(H(given["content"]), given["request_sent"], **limits(case, BOUNDS))
    return {}, {"status": r.status, "fields": text_fields(r.fields), "content": r.content.hex()}


KINDS = {name[4:].replace("_", "-"): f for name, f in list(globals().items()) if name.startswith("run_")} | chutes.KINDS
NOTHING = {"released": 0, "released_sha256": hashlib.sha256(b"").hexdigest()}


def run(case):
    """(mid, expect)"""
    try:
        mid, expect = KINDS[case["kind"]](case)
    except WireError as e:
        mid, expect = {}, {"error": e.code}
    return mid, {**NOTHING, **expect} if "error" in expect else expect
