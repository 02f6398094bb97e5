"""receipt.json"""
from sealwire_ref import bundle as bdl
from sealwire_ref import ed25519, receipt
from sealwire_ref.wire import sha256

from .common import CANONICAL_ONE, NONCANONICAL_ONE, REQUEST_ID, Collector, add_l, craft, flip, make_context, seed, torsion8
from .scenes import IDENT, IDENT_PK, Scene, receipt_fields


def fields_of(r):
    return dict(vars(r))


def make():
    s = Collector("receipt")
    a = Scene(1)
    base = receipt_fields(a)
    expected = {k: fields_of(base)[k] for k in ("th2", "bundle_hash", "context_hash", "request_id", "attempt")}
    final = receipt_fields(a, kind=2, flags=3, status=200, index=1, tokens_in=500, tokens_out=77, tokens_cached=0)
    raw = base.sign(IDENT)
    for name, r in (("make-interim", base), ("make-final", final)):
        s.add(name, "7", "fields to bytes", {"fields": fields_of(r)}, coins={"identity_seed": IDENT})

    def check(name, comment, raw, error=None, previous=None, flags=(), identity=IDENT_PK, expected=expected):
        given = {"receipt": raw, "identity": identity, "expected": expected}
        if previous:
            given["previous"] = previous
        s.add(name, "7", comment, given, error=error, coins={"identity_seed": IDENT}, flags=flags)

    def forged(**kw):
        return receipt_fields(a, **kw).sign(IDENT)

    def patched(at, value):
        body = raw[:at] + value + raw[at + len(value):154]
        return body + ed25519.sign(IDENT, receipt.SIGN_LABEL + body)

    check("first", "the first receipt of a stream", raw)
    check("final-after-interim", "a final receipt after one interim; its counts are lower than the rounded ones",
          final.sign(IDENT), previous={"index": 0, "kind": 1})
    check("final-only", "a final receipt alone", forged(kind=2, flags=1, status=499))
    check("largest", "every number at its maximum, but the index", forged(
        status=65535, tokens_in=2**64 - 1, tokens_out=2**64 - 1, tokens_cached=2**64 - 1, time=2**64 - 1), flags=["limits"])
    check("index-largest", "the last index there is", forged(index=2**32 - 1), previous={"index": 2**32 - 2, "kind": 1}, flags=["limits"])
    check("claims", "claims that a client does not check: cached above in, time 0, request not complete at status 200",
          forged(kind=2, flags=2, status=200, tokens_in=1, tokens_cached=9, time=0))
    form = {"error": "bad-receipt", "flags": "receipt-form"}
    check("short", "217 bytes", raw[:-1], "bad-receipt", flags="truncation")
    check("long", "219 bytes", raw + b"\0", "bad-receipt", flags="trailing")
    check("without-signature", "154 bytes", raw[:154], "bad-receipt", flags="truncation")
    check("type-2", "an unknown type, well signed", patched(0, b"\x02"), **form)
    check("type-0", "type 0, well signed", patched(0, b"\0"), **form)
    check("kind-0", "kind 0, well signed", patched(1, b"\0"), **form)
    check("kind-3", "kind 3, well signed", patched(1, b"\x03"), **form)
    check("flag-bit2", "an unknown flag, well signed", patched(2, b"\x04"), **form)
    check("flag-bit7", "an unknown flag beside the others, well signed", patched(2, b"\x83"), **form)
    sig = {"error": "receipt-signature"}
    forge = {**sig, "flags": "signature-forged"}
    check("tokens-changed", "tokens out changed by the relay", flip(raw, 24), **forge)
    check("kind-changed", "interim made final by the relay", raw[:1] + b"\x02" + raw[2:], **forge)
    for name, at, what in (("complete", 2, "the flag 'request complete'"), ("status", 4, "the status"), ("index", 8, "the index"),
                           ("tokens-in", 9, "tokens in"), ("cached", 32, "tokens cached"), ("time", 40, "the time")):
        check(f"{name}-changed", f"one bit of {what} changed by the relay", flip(raw, at), **forge)
    check("other-identity", "signed by another identity", base.sign(seed("other identity")), **forge)
    check("signature-zero", "no signature: 64 zero bytes", raw[:154] + bytes(64), **sig, flags="signature-r")
    check("signature-r-flipped", "one bit of S is wrong", flip(raw, 200), **forge)
    check("signature-s-plus-l", "S + L, else valid", raw[:154] + add_l(raw[154:]), **sig, flags="signature-s")
    key, msg = ed25519.expand(IDENT)[0], receipt.SIGN_LABEL + raw[:154]
    check("signature-r-small-order", "R is the identity element, S = k*a", raw[:154] + craft(IDENT_PK, key, msg, r_bytes=CANONICAL_ONE),
          **sig, flags="signature-r")
    check("signature-r-noncanonical", "R is the identity element with y = p + 1, S = k*a",
          raw[:154] + craft(IDENT_PK, key, msg, r_bytes=NONCANONICAL_ONE), **sig, flags="signature-r")
    check("signature-cofactored-only-r", "R has a part of order 8", raw[:154] + craft(IDENT_PK, key, msg, r_torsion=torsion8()),
          **sig, flags="signature-cofactor")
    check("bundle-label", "signed under the label of bundles", raw[:154] + ed25519.sign(IDENT, bdl.SIGN_LABEL + raw[:154]),
          **sig, flags="signature-domain")
    wrong = {"error": "receipt-mismatch", "flags": "receipt-mismatch"}
    other = Scene(1, client="other client")
    check("other-stream", "a receipt of another stream of this bundle and context", receipt_fields(other).sign(IDENT), **wrong)
    check("own-stream-elsewhere", "a receipt of this stream, offered to the other one", raw,
          expected={**expected, "th2": other.done.two.th2}, **wrong)
    for name, kw in (("bundle-hash", {"bundle_hash": bytes(32)}), ("context-hash", {"context_hash": bytes(32)}),
                     ("request-id", {"request_id": flip(REQUEST_ID, 0)}), ("attempt", {"attempt": 2})):
        check(f"other-{name}", f"another {name}, well signed", forged(**kw), **wrong)
    check("context-of-attempt-2", "the hash of the context of attempt 2", forged(context_hash=context_hash(2)), **wrong)
    check("th1-for-th2", "th1 in the place of th2", forged(th2=a.done.one.th1), **wrong)
    order = {"error": "receipt-order", "flags": "receipt-order"}
    check("first-index-1", "the first receipt has index 1", forged(index=1), **order)
    check("index-twice", "index 0 again", raw, previous={"index": 0, "kind": 1}, **order)
    check("index-gap", "index 2 after 0", forged(index=2), previous={"index": 0, "kind": 1}, **order)
    check("index-wraps", "index 0 after 2^32 - 1", raw, previous={"index": 2**32 - 1, "kind": 1}, **order)
    check("after-final", "an interim receipt after the final one", forged(index=2), previous={"index": 1, "kind": 2}, **order)
    check("final-twice", "a second final receipt", forged(kind=2, index=2), previous={"index": 1, "kind": 2}, **order)
    return s.cases


def context_hash(attempt):
    return sha256(make_context(attempt=attempt))
