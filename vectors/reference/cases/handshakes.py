"""handshake.json"""
import hashlib

from kyber_py.ml_kem import ML_KEM_768
from sealwire_ref import kem, schedule
from sealwire_ref.handshake import Client
from sealwire_ref.wire import hkdf_expand, hkdf_extract, lp, sha256, u

from .bundles import X_LOW
from .common import LABEL, REQUEST_ID, Collector, flip, make_context, seed
from .scenes import Scene


def zero_x_secret(kem_pk, ct_m, m, ct_x):
    """The shared secret of someone who takes the all-zero X25519 output."""
    ss_m, ct = ML_KEM_768._encaps_internal(kem_pk[:1184], m)
    assert ct == ct_m
    return kem.combine(ss_m, bytes(32), ct_x, kem_pk[1184:])


def first_q(ek):
    return b"\x01" + bytes([0x0D | ek[1] & 0xF0]) + ek[2:]


def positives(s, a, b):
    s.add("suite1", "5.2", "ML-KEM-768", a.given(), coins=a.coins)
    s.add("suite2", "5.2", "X-Wing", b.given(), coins=b.coins)
    model = "模型".encode()
    c = Scene(1, context=make_context(label=model, attempt=8, billing=b"acct-7"), flags=1, label=model, name="single")
    s.add("single-use", "5.2", "a single-use key, a label beyond ASCII, billing, attempt 8", c.given(), coins=c.coins)
    d = Scene(2, context=make_context(label=b"L" * 255, billing=bytes(128)), label=b"L" * 255)
    s.add("suite2-largest", "5.2", "suite 2, the longest label and billing handle", d.given(), coins=d.coins, flags=["limits"])

    def ok(name, comment, scene, spec="5.4", params=None, **kw):
        s.add(name, spec, comment, scene.given(role="instance", **kw), coins=scene.coins, params=params)

    other = Scene(1, client="other client")
    ok("bad-confirm-seen", "the same H1 with a wrong confirm1 came before: it leaves no entry in the filter", a, h1=a.h1,
       seen=[flip(a.h1, -1)])
    ok("filter-fills", "the H1 whose entry fills a filter of 2 is still accepted", a, h1=a.h1, seen=[other.h1],
       params={"filter_capacity": 2})
    twin = Client(a.bundle, a.context, other.coins["client_seed"], a.coins["encaps_s"])
    ok("same-ct-s-seen", "another H1 with the same ct_s came before: the filter is over all of H1", a, h1=a.h1, seen=[twin.h1])
    single = Scene(1, flags=1, name="single")
    ok("single-use-bad-confirm-seen", "an H1 with a wrong confirm1 does not take a single-use key", single, h1=single.h1,
       seen=[flip(Scene(1, flags=1, name="single", client="other client").h1, -1)])


def wrong_confirm1(a):
    """name -> (comment, confirm1 of a client that derives it in another way)"""
    head, ss, c, b = a.h1[:-32], a.client.ss_s, a.context, a.bundle
    th0 = schedule.transcript0(a.suite, b.hash, c)

    def confirm(th0=th0, th1=None, prk=None, label=b"sealwire/1 confirm1"):
        th1 = sha256(th0, head) if th1 is None else th1
        return hkdf_expand(hkdf_extract(th0, ss) if prk is None else prk, label + th1, 32)

    pre = b"sealwire/1" + u(a.suite, 2)
    return {
        "bundle-unsigned": ("th0 over the bundle without its signature", confirm(sha256(pre, sha256(a.raw[:-64]), lp(c)))),
        "context-no-length": ("th0 over the context without its length", confirm(sha256(pre, b.hash, c))),
        "salt-ikm": ("salt and ikm of prk1 exchanged", confirm(prk=hkdf_extract(ss, th0))),
        "confirm2-label": ("the label of confirm2", confirm(label=b"sealwire/1 confirm2")),
    }


def wrong_confirm2(a):
    one, ss, head = a.done.one, a.done.ss_c, a.h2[:-32]

    def confirm(th2=None, salt=None, label=b"sealwire/1 confirm2"):
        th2 = schedule.transcript2(one.th1, one.confirm1, head) if th2 is None else th2
        return hkdf_expand(hkdf_extract(one.derived if salt is None else salt, ss), label + th2, 32)

    return {
        "no-confirm1": ("th2 without confirm1", confirm(th2=sha256(one.th1, head))),
        "salt-prk1": ("prk1 in the place of derived", confirm(salt=one.prk1)),
        "salt-zero": ("a salt of zeros: ss_s is not in the keys", confirm(salt=bytes(32))),
        "th1": ("th1 in the place of th2", confirm(th2=one.th1)),
    }


def xwing_variants(ek, ct, coins):
    """name -> (comment, the shared secret of another X-Wing)"""
    m, x = coins[:32], coins[32:]
    ss_m, _ = ML_KEM_768._encaps_internal(ek[:1184], m)
    ss_x, ct_x, pk_x, label = kem.x25519(x, ek[1184:]), ct[1088:], ek[1184:], kem.XWING_LABEL
    h = lambda *parts: hashlib.sha3_256(b"".join(parts)).digest()
    return {"label-first": ("the combiner's label first", h(label, ss_m, ss_x, ct_x, pk_x)),
            "pk-before-ct": ("pk_X before ct_X", h(ss_m, ss_x, pk_x, ct_x, label))}


def instance_faults(s, a, b):
    def bad(name, flag, comment, h1, error, spec="5.4", scene=a, params=None, **kw):
        s.add(name, spec, comment, scene.given(h1=h1, role="instance", **kw), error=error, coins=scene.coins, flags=flag,
              params=params)

    h1, at = a.h1, 22 + a.ct
    other = Scene(1, client="other client")
    bad("h1-magic", "h1-magic", "another magic", b"sw" + h1[2:], "bad-magic")
    bad("h1-magic-first", "h1-magic", "the first byte of the magic is another", b"s" + h1[1:], "bad-magic")
    bad("h1-magic-second", "h1-magic", "the second byte of the magic is another", b"Sw" + h1[2:], "bad-magic")
    bad("h1-version", "h1-version", "version 2", h1[:2] + b"\x02" + h1[3:], "bad-version")
    bad("h1-suite-unknown", "h1-suite", "suite 3", h1[:3] + b"\0\3" + h1[5:], "bad-suite")
    bad("h1-suite-0", "h1-suite", "five bytes with suite 0", b"SW\1\0\0", "bad-suite")
    bad("h1-flag", "h1-flags", "a flag in H1", h1[:5] + b"\x01" + h1[6:], "bad-flags")
    cut = "truncation"
    bad("h1-truncated", cut, "the last byte of confirm1 is missing", h1[:-1], "truncated")
    bad("h1-empty", cut, "the transport ends before H1", b"", "truncated")
    for name, size in (("magic-byte-1", 1), ("magic", 2), ("suite-byte-1", 4), ("flags", 6), ("bundle-id", 22),
                       ("ct-s", at), ("ek-c", len(h1) - 32)):
        bad(f"h1-ends-after-{name}", cut, f"the transport ends after {size} bytes", h1[:size], "truncated")
    bad("h1-suite2-as-long-as-suite1", cut, "suite 2, but only the 2,326 bytes of suite 1", b.h1[:2326], "truncated", scene=b)
    bad("h1-is-h2", "reflection", "H2 reflected to the instance", a.h2, "bad-magic")
    unknown = "key-unknown"
    bad("h1-bundle-id", unknown, "a bundle_id that the instance does not hold", flip(h1, 6), "key-unknown")
    bad("h1-bundle-id-end-of-hash", unknown, "the last 16 bytes of the bundle's hash as bundle_id", h1[:6] + a.bundle.hash[16:] + h1[22:], "key-unknown")
    bound = "transcript"
    bad("h1-other-bundle", bound, "H1 made for another bundle of this instance, readdressed to this one",
        h1[:6] + a.bundle.bundle_id + Scene(1, name="second key").h1[22:], "confirm-failed")
    bad("h1-suite-of-other", "suite-mismatch", "bundle_id names a suite 1 bundle, H1 says suite 2 and is as long",
        h1[:3] + b"\0\2" + h1[5:22] + b.h1[22:], "suite-mismatch")
    bad("h1-suite-1-for-2", "suite-mismatch", "bundle_id names a suite 2 bundle, H1 says suite 1 and is as long",
        b.h1[:3] + b"\0\1" + b.h1[5:22] + h1[22:], "suite-mismatch", scene=b)
    contexts(bad, a, b, h1)
    bad("busy", "busy", "no capacity", h1, "busy", params={"busy": True})
    confirms(bad, a, b, h1, at, other)
    replays(bad, a, b, h1, other)
    client_keys(bad, a, b, h1[at:-32])


def contexts(bad, a, b, h1):
    """The context changed in each item."""
    bad("context-malformed", "truncation", "the context beside a good H1 lacks its last byte", h1, "bad-context", context=a.context[:-1])
    wrong = a.beside(make_context(label=b"demo/model-2"))
    upper = Scene(1).beside(make_context(label=LABEL.upper()))
    bad("context-label-case", "label-mismatch", "the context's label differs from the bundle's in case", upper.h1, "label-mismatch", scene=upper)
    bad("context-label", "label-mismatch", "the context's label is not the bundle's; confirm1 fits it", wrong.rebuild_h1(), "label-mismatch", scene=wrong)
    wrong = b.beside(make_context(label=LABEL + b"/"))
    bad("suite2-context-label", "label-mismatch", "suite 2, the context's label is longer than the bundle's by a byte", wrong.rebuild_h1(),
        "label-mismatch", scene=wrong)
    for name, context in (("request-id", make_context(request_id=flip(REQUEST_ID, 3))), ("attempt", make_context(attempt=2)),
                          ("billing", make_context(billing=b"x"))):
        bad(f"context-{name}", "transcript", f"the context was changed on the way ({name})", h1, "confirm-failed", context=context)


def confirms(bad, a, b, h1, at, other):
    fail, bound = "confirm-failed", "transcript"
    bad("ct-s-wrong", "confirm", "one bit of ct_s is wrong: implicit rejection", flip(h1, 40), fail)
    bad("suite2-ct-m-wrong", "confirm", "suite 2, one bit of ct_M is wrong; confirm1 is for the honest secret", 
        b.rebuild_h1(ct_s=flip(b.h1[22:22 + b.ct], 500)), fail, scene=b)
    bad("suite2-ct-x-top-bit", "confirm", "suite 2, the unused top bit of ct_X is set: the combiner hashes it", flip(b.h1, 22 + 1120 - 1, 0x80), fail, scene=b)
    bad("confirm1-wrong", "confirm", "one bit of confirm1 is wrong", flip(h1, -1, 0x80), fail)
    for n in (0, 15, 30):
        bad(f"confirm1-byte-{n}", "confirm", f"one bit of byte {n} of confirm1 is wrong", flip(h1, n - 32), fail)
        bad(f"suite2-confirm1-byte-{n}", "confirm", f"suite 2, one bit of byte {n} of confirm1 is wrong", flip(b.h1, n - 32), fail, scene=b)
    bad("client-key-swapped", bound, "ek_c is another client's", h1[:at] + other.h1[at:-32] + h1[-32:], fail)
    bad("ct-s-swapped", bound, "ct_s is another client's", h1[:22] + other.h1[22:at] + h1[at:], fail)
    bad("suite2-client-key-pk-x", bound, "suite 2, the X25519 key in ek_c was changed on the way", flip(b.h1, -40), fail, scene=b)
    for name, (comment, value) in wrong_confirm1(a).items():
        bad(f"schedule-{name}", "key-schedule", f"a client with {comment}", h1[:-32] + value, fail, spec="5.2")
    for name, (comment, ss) in xwing_variants(b.bundle.kem_pk, b.h1[22:22 + b.ct], b.coins["encaps_s"]).items():
        bad(f"xwing-{name}", "key-schedule", f"a client with {comment}", b.rebuild_h1(ss_s=ss), fail, spec="2.4", scene=b)
    for name in ("zero", "one"):
        ct_m = b.h1[22:22 + 1088]
        ss = zero_x_secret(b.bundle.kem_pk, ct_m, b.coins["encaps_s"][:32], X_LOW[name])
        bad(f"ct-s-x25519-{name}", "x25519-zero", "suite 2, ct_X gives the all-zero output; confirm1 fits the secret made with it",
            b.rebuild_h1(ct_s=ct_m + X_LOW[name], ss_s=ss), fail, spec="2.4", scene=b)


def replays(bad, a, b, h1, other):
    bad("replayed", "replay", "the same H1 a second time", h1, "replayed", seen=[h1])
    bad("suite2-replayed", "replay", "suite 2, the same H1 a second time", b.h1, "replayed", scene=b, seen=[b.h1])
    poor = a.rebuild_h1(ek_c=first_q(h1[22 + a.ct:-32]))
    bad("replayed-bad-client-key", "replay", "an H1 with a bad ek_c spends its entry: the second time it is replayed", poor, "replayed", seen=[poor])
    single = Scene(1, flags=1, name="single")
    second = Scene(1, flags=1, name="single", client="other client")
    bad("single-use-taken", "single-use", "a second H1 under a single-use key", second.h1, "key-unknown", scene=single, seen=[single.h1])
    bad("single-use-race", "single-use", "another handshake takes the key between steps 4 and 6", single.h1, "replayed", scene=single, taken=True)
    bad("filter-full", "filter-full", "the filter of capacity 1 was filled by another H1; the key is gone", h1, "key-unknown",
        seen=[other.h1], params={"filter_capacity": 1})


def client_keys(bad, a, b, ek):
    fail, modulus = "bad-client-key", "kem-modulus"
    bad("client-key-coefficient-q", modulus, "the first coefficient of ek_c is q = 3329; confirm1 fits", a.rebuild_h1(ek_c=first_q(ek)), fail, spec="2.4")
    ek = b.h1[22 + b.ct:-32]
    bad("client-key-xwing-coefficient-q", modulus, "suite 2, the first coefficient of ek_c is q = 3329; confirm1 fits",
        b.rebuild_h1(ek_c=first_q(ek)), fail, spec="2.4", scene=b)
    for name in ("zero", "order8"):
        bad(f"client-key-x25519-{name}", "x25519-zero", "suite 2, the X25519 key in ek_c gives the all-zero output; confirm1 fits",
            b.rebuild_h1(ek_c=ek[:1184] + X_LOW[name]), fail, spec="2.4", scene=b)


def client_faults(s, a, b):
    def bad(name, flag, comment, h2, error, spec="5.3", scene=a):
        s.add(name, spec, comment, scene.given(h2=h2, role="client"), error=error, coins=scene.coins, flags=flag)

    h2 = a.h2
    bad("client-context-label", "label-mismatch", "the client's context has another label than the bundle: no H1 is made", h2, "label-mismatch",
        spec="4", scene=a.beside(make_context(label=b"demo/model-2")))
    other = Scene(1, client="other client")
    bad("h2-version", "h2-version", "version 2", b"\x02" + h2[1:], "bad-version")
    bad("h2-version-0", "h2-version", "one byte: version 0", b"\0", "bad-version")
    bad("h2-flag", "h2-flags", "a flag in H2", h2[:1] + b"\x80" + h2[2:], "bad-flags")
    bad("h2-truncated", "truncation", "the last byte of confirm2 is missing", h2[:-1], "truncated")
    bad("h2-empty", "truncation", "the transport ends before H2", b"", "truncated")
    for name, size in (("flags", 2), ("ct-c", len(h2) - 32)):
        bad(f"h2-ends-after-{name}", "truncation", f"the transport ends after {size} bytes", h2[:size], "truncated")
    bad("h2-is-h1", "reflection", "H1 reflected to the client", a.h1, "bad-version")
    fail = "confirm-failed"
    bad("ct-c-wrong", "confirm", "one bit of ct_c is wrong: implicit rejection", flip(h2, 700), fail)
    bad("confirm2-wrong", "confirm", "one bit of confirm2 is wrong", flip(h2, -32), fail)
    for n in (1, 16, 31):
        bad(f"confirm2-byte-{n}", "confirm", f"one bit of byte {n} of confirm2 is wrong", flip(h2, n - 32), fail)
        bad(f"suite2-confirm2-byte-{n}", "confirm", f"suite 2, one bit of byte {n} of confirm2 is wrong", flip(b.h2, n - 32), fail, scene=b)
    bad("suite2-ct-c-x-wrong", "confirm", "suite 2, one bit of ct_X is wrong", flip(b.h2, 2 + 1100), fail, scene=b)
    bad("confirm2-is-confirm1", "reflection", "confirm1 sent back as confirm2", h2[:-32] + a.h1[-32:], fail)
    bad("h2-of-other-handshake", "transcript", "H2 of another client's handshake with this key", other.h2, fail)
    bad("h2-of-other-attempt", "transcript", "H2 of the same client coins beside the context of attempt 2", Scene(1, context=make_context(attempt=2)).h2, fail)
    bad("h2-encaps-by-relay", "key-schedule", "the relay encapsulates to ek_c itself and guesses ss_s", relay_h2(a), fail)
    for name, (comment, value) in wrong_confirm2(a).items():
        bad(f"schedule2-{name}", "key-schedule", f"an instance with {comment}", h2[:-32] + value, fail, spec="5.2")
    for name in ("zero", "p"):
        ct_m = b.h2[2:2 + 1088]
        ss = zero_x_secret(b.h1[22 + b.ct:-32], ct_m, b.coins["encaps_c"][:32], X_LOW[name])
        head = b.h2[:2] + ct_m + X_LOW[name]
        bad(f"ct-c-x25519-{name}", "x25519-zero", "suite 2, ct_X of ct_c gives the all-zero output; confirm2 fits the secret made with it",
            head + schedule.second(b.done.one, head, ss).confirm2, fail, spec="2.4", scene=b)


def relay_h2(a):
    """H2 of someone who holds no bundle key: ss_s is taken as zero."""
    one = schedule.first(1, a.bundle.hash, a.context, a.h1[:-32], bytes(32))
    ct_c, ss_c = kem.encaps(1, a.h1[22 + a.ct:-32], seed("relay"))
    head = b"\x01\0" + ct_c
    return head + schedule.second(one, head, ss_c).confirm2


def make():
    s = Collector("handshake")
    a, b = Scene(1), Scene(2)
    positives(s, a, b)
    instance_faults(s, a, b)
    client_faults(s, a, b)
    return s.cases
