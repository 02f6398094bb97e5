"""stream.json"""
from .common import Collector
from .scenes import IDENT, Scene, receipt_fields, signed


def text(op, t):
    return {"op": op, "content": (t if isinstance(t, bytes) else t.encode()).hex()}


def pub(r):
    return {"op": "public", "bytes": r.sign(IDENT).hex()}


SWITCH, UPDATE, END = {"op": "switch"}, {"op": "key_update"}, text("final", "")


def make():
    s = Collector("stream")

    def run(name, comment, scene, c2s, s2c, early, params=None, flags=(), error=None, spec="6", **kw):
        given = scene.given(ops_c2s=c2s, ops_s2c=s2c, early=early, **kw)
        given["exporter"] = {"label": b"app", "context": b"demo", "length": 32}
        s.add(name, spec, comment, given, coins=scene.coins, params=params, flags=flags, error=error)

    a, b = Scene(1), Scene(2)
    last = pub(receipt_fields(a, kind=2, flags=3, status=200))
    answer = [text("data", "200 OK"), text("data", "hello"), last, END]
    run("suite1-never", "no early data: SWITCH is frame 0", a, [SWITCH, text("data", "question"), END], answer, "never")
    run("suite1-early-all", "the whole request is early, FINAL included: no SWITCH", a,
        [text("data", "question"), text("final", "!")], answer, "allow", flags=["early-data"])
    run("suite2-early-part", "early data, SWITCH, late data, KEY_UPDATE in both halves", b,
        [text("data", "ques"), SWITCH, text("data", "ti"), UPDATE, text("final", "on")],
        [pub(receipt_fields(b)), UPDATE, text("data", "200 OK"), UPDATE, {"op": "pad", "zeros": 40},
         pub(receipt_fields(b, kind=2, flags=3, status=200, index=1)), text("final", "bye")], "allow", flags=["early-data"])
    run("suite1-padded", "c2s with buckets, s2c with padme", a, [text("data", "q" * 30), SWITCH, END],
        [text("data", "a" * 57), text("final", "b" * 9)], "allow", padding_c2s="buckets", padding_s2c="padme", flags=["padding"])
    run("suite1-epochs", "epochs of 4 frames", a, [text("data", str(n)) for n in range(6)] + [SWITCH]
        + [text("data", str(n)) for n in range(5)] + [END],
        [text("data", str(n)) for n in range(9)] + [END], "allow", params={"epoch_frames": 4}, flags=["ratchet"])
    run("suite1-cancelled", "the client ends c2s with ERROR; the instance answers with the final receipt and ERROR", a,
        [text("data", "quest"), SWITCH, {"op": "error", "code": 2, "message": ""}],
        [pub(receipt_fields(a, kind=2, flags=0)), {"op": "error", "code": 2, "message": "request cancelled"}], "allow",
        flags=["early-data"])

    run("suite1-chunkings", "the same bytes byte by byte, in primes, cut inside of headers and tags", a,
        [text("data", "early"), SWITCH, text("data", "late data"), text("final", "end")],
        [text("data", "200 OK"), UPDATE, text("data", "hello"), last, text("final", "bye")], "allow", flags=["fragmentation"],
        chunks_c2s=[[1] * 110, [2, 3, 5, 7, 11, 13, 17, 19, 23], [1, 28, 3, 21, 3, 30], [29, 24], [4, 25, 4, 20, 4]],
        chunks_s2c=[[1] * 340, [3, 7, 31, 101, 151], [2, 28, 2, 22, 4], [300], [30, 24, 29, 4, 1, 1]])
    run("suite2-chunkings", "suite 2, every frame in two pieces, and everything at once", b,
        [SWITCH, text("data", "late data"), UPDATE, text("final", "end")],
        [pub(receipt_fields(b, kind=2, flags=3, status=200)), text("final", "bye")], "never", flags=["fragmentation"],
        chunks_c2s=[[3, 21, 1, 32, 23, 1], [108], [5] * 21], chunks_s2c=[[237, 1, 2, 24], [265], [64] * 4])
    for policy, name in (("buckets", "buckets"), ({"fixed": 48}, "fixed")):
        scene = b if name in ("buckets", "fixed") else a
        run(f"padding-{name}", f"every operation of both halves under {name}", scene,
            [text("data", "q" * 70), {"op": "pad", "zeros": 5}, SWITCH, text("data", ""), text("data", "q" * 41), UPDATE, text("final", "q" * 9)],
            [text("data", "a" * 33), UPDATE, {"op": "pad", "zeros": 0}, pub(receipt_fields(scene, kind=2, flags=3, status=200)), text("final", "a" * 47)],
            "allow", padding_c2s=policy, padding_s2c=policy, flags=["padding"])
    run("longer-than-a-frame", "contents that take several frames each: 150 bytes under fixed 64, FINAL too", a,
        [text("data", "q" * 150), SWITCH, text("final", "q" * 150)], [text("data", "a" * 128), last, text("final", "a" * 65)], "allow",
        padding_c2s={"fixed": 64}, padding_s2c={"fixed": 64}, flags=["padding"])
    run("suite2-epochs-updates", "epochs of 3 frames, KEY_UPDATE before, on and after an end", b,
        [SWITCH, UPDATE, text("data", "a"), text("data", "b"), UPDATE, text("data", "c"), text("data", "d"), text("data", "e"), UPDATE, END],
        [text("data", "a"), text("data", "b"), UPDATE, text("data", "c"), UPDATE, text("data", "d"), text("data", "e"),
         text("data", "f"), UPDATE, END], "never", params={"epoch_frames": 3}, flags=["ratchet"])
    run("suite2-early-all", "suite 2, the whole request is early", b, [text("final", "question")], [text("data", "a"), END], "allow",
        flags=["early-data"])
    run("error-upstream", "an answer that breaks off: ERROR (upstream) after two pieces", a, [text("final", "question")],
        [text("data", "200 OK"), text("data", "hel"), pub(receipt_fields(a, kind=2, flags=3, status=200)),
         {"op": "error", "code": 3, "message": "the model server went away"}], "allow", flags=["early-data"])
    run("error-first", "ERROR (too-large) is the first frame of the answer", b, [SWITCH, text("final", "question")],
        [{"op": "error", "code": 5, "message": "große Frage"}], "never")
    many = [pub(receipt_fields(a, index=n, tokens_in=256 * (n + 1))) for n in range(3)]
    run("interim-receipts", "three interim receipts, then the final one", a, [text("final", "question")],
        [many[0], text("data", "200 OK"), many[1], {"op": "pad", "zeros": 100}, many[2], text("data", "hello"),
         pub(receipt_fields(a, kind=2, flags=3, status=200, index=3)), text("final", "")], "allow", flags=["receipts"])
    run("data-after-final-receipt", "DATA after the final receipt, which a client does not check", a, [text("final", "question")],
        [text("data", "hel"), last, text("data", "lo"), END], "allow", flags=["receipts"])

    def bad(name, comment, flag, error, s2c, scene=a):
        run(name, comment, scene, [text("final", "question")], s2c, "allow", flags=flag, error=error, spec="7")

    other = Scene(1, client="other client")
    mismatch = "receipt-mismatch"
    bad("receipt-of-other-stream", "a receipt of another stream after two pieces", mismatch, mismatch,
        [text("data", "200 OK"), text("data", "hello"), pub(receipt_fields(other, kind=2, flags=3, status=200)), END])
    bad("receipt-twice", "the final receipt twice", "receipt-order", "receipt-order", [text("data", "hello"), last, last, END])
    bad("receipt-dropped", "the first receipt is missing", "receipt-order", "receipt-order",
        [text("data", "hello"), pub(receipt_fields(a, kind=2, flags=3, status=200, index=1)), END])
    raw = signed(a, kind=2, flags=3, status=200)
    bad("receipt-changed", "one token more than was signed", "signature-forged", "receipt-signature",
        [text("data", "hello"), {"op": "public", "bytes": (raw[:24] + bytes([raw[24] ^ 1]) + raw[25:]).hex()}, END])
    bad("public-no-receipt", "a PUBLIC body that is no receipt", "receipt-form", "bad-receipt",
        [text("data", "hello"), {"op": "public", "bytes": b"usage: 12".hex()}, END])
    return s.cases
