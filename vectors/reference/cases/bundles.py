"""bundle.json"""
from sealwire_ref import bundle as bdl
from sealwire_ref import ed25519, kem

from .common import (CANONICAL_ONE, LABEL, NONCANONICAL_ONE, NOW, SIGNED_ONE, Collector, add_l, both_zero_mod_8, craft,
                     flip, make_bundle, none_zero_mod_8, seed, torsion8)

P25519 = 2**255 - 19
X_LOW = {"zero": bytes(32), "one": (1).to_bytes(32, "little"), "p": P25519.to_bytes(32, "little"),
         "order8": bytes.fromhex("e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800")}
X_LOW_MORE = {
    "order8-other": bytes.fromhex("5f9c95bca3508c24b1d0b1559c83ef5b04445cc4581c8e86d8224eddd09f1157"),
    "p-minus-1": (P25519 - 1).to_bytes(32, "little"), "p-plus-1": (P25519 + 1).to_bytes(32, "little"),
    "zero-top-bit": (1 << 255).to_bytes(32, "little"), "one-top-bit": (1 << 255 | 1).to_bytes(32, "little")}
IDENT = ed25519.public(seed("identity"))


def policy(identity, **kw):
    return {"suites": [1, 2], "label": LABEL.hex(), "single_use_required": False,
            "trusted_identities": [identity.hex()], **kw}


def resign(body, name="identity"):
    return body + ed25519.sign(seed(name), bdl.SIGN_LABEL + body)


def coefficient(ek, index, value):
    """The ML-KEM key with another coefficient (two in three bytes)."""
    at, n = index // 2 * 3, int.from_bytes(ek[index // 2 * 3:index // 2 * 3 + 3], "little")
    shift = 12 * (index % 2)
    n = n & ~(0xFFF << shift) | value << shift
    return ek[:at] + n.to_bytes(3, "little") + ek[at + 3:]


def positives(s):
    def ok(name, comment, spec="3.1", flags=(), given=None, **kw):
        raw, coins = make_bundle(**kw)
        s.add(name, spec, comment, {"bundle": raw, **(given or {})}, coins=coins, flags=flags)

    ok("suite1", "ML-KEM-768, multi-use")
    ok("suite2", "X-Wing, multi-use", suite=2)
    s.add("single-use", "3.1", "FLAG_SINGLE_USE set", {"bundle": make_bundle(flags=1)[0]}, coins=make_bundle()[1])
    ok("label-utf8", "a label beyond ASCII, with U+0085, which the rule does not forbid",
       label="mod\u00e8le\u0085\u6a21\u578b".encode())
    ok("label-255", "the longest label", flags=["limits"], label=b"L" * 255)
    ok("label-1", "the shortest label: one space", flags=["limits"], label=b" ")
    ok("label-utf8-edges", "U+0080, U+07FF, U+0800, U+D7FF, U+E000, U+FEFF, U+FFFE, U+FFFF, U+10000, U+10FFFF",
       flags=["limits"], label="\u0080\u07ff\u0800\ud7ff\ue000\ufeff\ufffe\uffff\U00010000\U0010ffff".encode())
    ok("window-1", "the shortest window, at time 0", flags=["limits"], not_before=0, not_after=1)
    ok("window-over-i64", "the window crosses 2^63", flags=["overflow"], not_before=2**63 - 600, not_after=2**63 + 600)
    for name, now in (("clock-early-edge", NOW - 120), ("clock-late-edge", NOW + 1320)):
        ok(name, "the clock is exactly at the edge of SKEW", "3.2", ["limits"], {"now": now, "policy": policy(IDENT)})
    s.add("policy-single-use-met", "3.2", "single-use wanted and given",
          {"bundle": make_bundle(2, flags=1)[0], "now": NOW, "policy": policy(IDENT, suites=[2], single_use_required=True)},
          coins=make_bundle(2)[1])
    s.add("policy-single-use-not-asked", "3.2", "a single-use bundle where none is required",
          {"bundle": make_bundle(flags=1)[0], "now": NOW, "policy": policy(IDENT)}, coins=make_bundle()[1])
    ok("window-u64-max", "not_after + 120 is beyond u64; it must neither wrap nor crash", "3.2", ["overflow"],
       {"now": 2**64 - 1100, "policy": policy(IDENT)}, not_before=2**64 - 1000, not_after=2**64 - 1)
    ok("window-near-zero", "not_before - 120 is below 0; it must neither wrap nor crash", "3.2", ["overflow"],
       {"now": 0, "policy": policy(IDENT)}, not_before=5, not_after=1000)
    pk1, pk2 = make_bundle()[1]["kem_seed"], kem.public_key(2, make_bundle(2)[1]["kem_seed"])
    pk1 = kem.public_key(1, pk1)
    edge = coefficient(coefficient(pk1, 0, 3328), 767, 3328)
    ok("kem-key-coefficients-3328", "first and last coefficient are q - 1", "2.4", ["limits"], kem_pk=edge)
    ok("xwing-key-top-bit", "X25519 key with the top bit set: taken as RFC 7748 takes it", "2.4", suite=2,
       kem_pk=flip(pk2, -1, 0x80))
    ok("xwing-key-noncanonical", "X25519 key 9 + p: not canonical, not of small order", "2.4", suite=2,
       kem_pk=pk2[:1184] + (P25519 + 9).to_bytes(32, "little"))


def signatures(s):
    """[K-4]"""
    a = ed25519.expand(seed("identity"))[0]
    good, coins = make_bundle()
    body = good[:-64]
    msg = bdl.SIGN_LABEL + body

    def case(name, flag, comment, raw, error="bundle-signature"):
        s.add(name, "2.5", comment, {"bundle": raw}, error=error, coins=coins, flags=flag)

    def with_identity(enc):
        b = body[:-32] + enc
        return b, bdl.SIGN_LABEL + b

    t8 = torsion8()
    big_a = ed25519.mul(a, ed25519.BASE)
    case("signature-s-plus-l", "signature-s", "S + L, else valid", body + add_l(good[-64:]))
    case("signature-s-is-l", "signature-s", "S = L, which is 0 mod L", good[:-32] + ed25519.L.to_bytes(32, "little"))
    case("signature-r-small-order", "signature-r", "R is the identity element, canonical, S = k*a",
         body + craft(IDENT, a, msg, r_bytes=CANONICAL_ONE))
    case("signature-r-noncanonical", "signature-r", "R is the identity element with y = p + 1, S = k*a",
         body + craft(IDENT, a, msg, r_bytes=NONCANONICAL_ONE))
    case("signature-r-sign-of-zero", "signature-r", "R is the identity element with the sign bit set, S = k*a",
         body + craft(IDENT, a, msg, r_bytes=SIGNED_ONE))
    t8_bytes = ed25519.encode(t8)
    no_point = next(e for e in (n.to_bytes(32, "little") for n in range(2, 99)) if ed25519.decode(e) is None)
    case("signature-r-no-point", "signature-r", "R is no point of the curve", body + no_point + good[-32:])
    case("signature-cofactored-only-r", "signature-cofactor", "R has a part of order 8: only a cofactored verifier takes it",
         body + craft(IDENT, a, msg, r_torsion=t8))
    for name, enc, comment in (("identity-small-order-1", CANONICAL_ONE, "the identity element"),
                               ("identity-noncanonical", NONCANONICAL_ONE, "the identity element with y = p + 1"),
                               ("identity-sign-of-zero", SIGNED_ONE, "the identity element with the sign bit set")):
        b, m = with_identity(enc)
        case(name, "signature-key", f"the identity key is {comment}; S*B = R", b + craft(enc, 0, m))
    b, m = with_identity(t8_bytes)
    case("identity-small-order-8", "signature-key", "the identity key has order 8; k = 0 mod 8, so the equation holds",
         b + craft(t8_bytes, 0, m, wanted=both_zero_mod_8))
    enc = ed25519.encode(ed25519.add(big_a, t8))
    b, m = with_identity(enc)
    case("identity-mixed-order-cofactored-only", "signature-cofactor",
         "identity = a*B + T8, k is not 0 mod 8: only a cofactored verifier takes it",
         b + craft(enc, a, m, wanted=none_zero_mod_8))
    case("identity-mixed-order", (), "identity = a*B + T8, k = 0 mod 8: the cofactorless equation holds, and T8 is no reason to refuse",
         b + craft(enc, a, m, wanted=both_zero_mod_8), error=None)
    b, m = with_identity(no_point)
    case("identity-no-point", "signature-key", "the identity key is no point of the curve", b + bytes(64))
    forged = "signature-forged"
    case("signature-flipped", forged, "one bit of S is wrong", flip(good, -20))
    case("signature-r-flipped", forged, "one bit of R is wrong, which is still a point", r_flipped(good))
    case("signature-other-key", forged, "signed by another identity", resign(body, "other identity"))
    domain = "signature-domain"
    case("signature-without-label", domain, "signed without the label \"sealwire/1 bundle\" 0x00",
         body + ed25519.sign(seed("identity"), body))
    for name, label in (("receipt-label", b"sealwire/1 receipt\x00"), ("registration-label", b"sealwire/1 registration\x00"),
                        ("label-without-zero", b"sealwire/1 bundle")):
        case(f"signature-{name}", domain, f"signed under {label!r}".replace("b'", "'"),
             body + ed25519.sign(seed("identity"), label + body))
    case("body-flipped", forged, "one bit of not_before is wrong", flip(good, 11))
    label_at, pk_at = 22, 24 + len(LABEL)
    for name, at, what in (("not-after", 19, "not_after"), ("label", label_at, "the label"), ("kem-pk", pk_at + 1152, "rho in kem_pk"),
                           ("identity", len(body) - 17, "the identity key")):
        case(f"changed-{name}", "signature-forged" if name != "identity" else flag_of_identity(good, at),
             f"one bit of {what} changed on the way", flip(good, at, 0x10))
    case("changed-single-use", forged, "FLAG_SINGLE_USE added on the way", good[:3] + b"\x01" + good[4:])
    single = make_bundle(flags=1)[0]
    case("changed-multi-use", forged, "FLAG_SINGLE_USE taken away on the way", single[:3] + b"\x00" + single[4:])


def r_flipped(good):
    """The bundle with a bit of R flipped such that R stays a point of large order."""
    for at in range(-64, -33):
        bad = flip(good, at)
        point = ed25519.decode(bad[-64:-32])
        if point and not ed25519.small_order(point):
            return bad
    raise AssertionError


def flag_of_identity(good, at):
    return "signature-forged" if ed25519.decode(flip(good, at, 0x10)[-96:-64]) else "signature-key"


def negatives(s):
    good, coins = make_bundle()
    body = good[:-64]
    two, coins2 = make_bundle(2)
    body2 = two[:-64]

    def bad(name, flag, comment, raw, error, spec="3.1", **given):
        c = coins2 if name.startswith("suite2") else coins
        s.add(name, spec, comment, {"bundle": raw, **given}, error=error, coins=c, flags=flag)

    def head(name, flag, comment, raw, error):
        bad(name, "bundle-" + flag, comment, raw, error)

    head("version-2", "version", "version 2", resign(b"\x02" + body[1:]), "bundle-version")
    head("version-255", "version", "version 255, suite 2", resign(b"\xff" + body2[1:]), "bundle-version")
    head("version-alone", "version", "one byte, and it is no version: judged as soon as it is there", b"\x02", "bundle-version")
    head("suite-0", "suite", "suite 0", resign(body[:1] + b"\0\0" + body[3:]), "bundle-suite")
    head("suite-3", "suite", "suite 3", resign(body[:1] + b"\0\3" + body[3:]), "bundle-suite")
    head("suite-256", "suite", "the bytes of suite 1 swapped", resign(body[:1] + b"\1\0" + body[3:]), "bundle-suite")
    head("suite-alone", "suite", "three bytes with an unknown suite", b"\1\0\3", "bundle-suite")
    head("flag-bit1", "flags", "an unknown flag", resign(body[:3] + b"\x02" + body[4:]), "bundle-flags")
    head("flag-bit7", "flags", "an unknown flag beside single_use", resign(body[:3] + b"\x81" + body[4:]), "bundle-flags")
    head("flag-alone", "flags", "four bytes with an unknown flag", b"\1\0\1\x04", "bundle-flags")
    cut = "truncation"
    bad("empty", cut, "no bytes", b"", "bundle-length")
    bad("truncated-header", cut, "ends inside of not_before", good[:9], "bundle-length")
    bad("truncated-signature", cut, "the last byte is missing", good[:-1], "bundle-length")
    n, k = len(LABEL), 1184
    for name, size in (("version", 1), ("suite-byte-1", 2), ("suite", 3), ("flags", 4), ("not-after", 20),
                       ("label-length-byte-1", 21), ("label-length", 22), ("label-last-byte", 22 + n - 1), ("label", 22 + n),
                       ("kem-pk-length", 24 + n), ("kem-pk", 24 + n + k),
                       ("identity", 56 + n + k)):
        bad(f"ends-after-{name}", cut, f"the bytes end after {size}", good[:size], "bundle-length")
    bad("trailing-byte", "trailing", "one byte after the signature", good + b"\0", "bundle-length")
    length = "bundle-field-length"
    bad("label-past-end", length, "the label's length runs past the end", body[:20] + b"\xff\xff" + good[22:], "bundle-length")
    other = kem.public_key(2, seed("bundle key 2"))
    pk1 = kem.public_key(1, coins["kem_seed"])
    bad("kem-pk-other-suite", length, "a kem_pk of suite 2's length in suite 1", make_bundle(kem_pk=other)[0], "bundle-length")
    bad("suite2-kem-pk-other-suite", length, "a kem_pk of suite 1's length in suite 2", make_bundle(2, kem_pk=pk1)[0], "bundle-length")
    bad("kem-pk-short", length, "a kem_pk of 1,183 bytes", make_bundle(kem_pk=pk1[:-1])[0], "bundle-length")
    for name, comment, nb, na in (
            ("zero", "not_after = not_before", NOW, NOW), ("reversed", "not_after < not_before", NOW, NOW - 1),
            ("1201", "a window of 1,201 s", NOW, NOW + 1201), ("zero-at-max", "both are 2^64 - 1", 2**64 - 1, 2**64 - 1),
            ("wraps", "not_after - not_before is 1 modulo 2^64", 2**64 - 1, 0),
            ("low-32-bits", "only the low 32 bits of the difference are short", NOW, NOW + 2**32 + 600),
            ("whole-u64", "from 0 to 2^64 - 1", 0, 2**64 - 1)):
        bad(f"window-{name}", "bundle-window", comment, make_bundle(not_before=nb, not_after=na)[0], "bundle-window")
    for name, comment, label in (
            ("empty", "an empty label", b""), ("256", "a label of 256 bytes", b"L" * 256),
            ("control", "U+001F in the label", b"a\x1fb"), ("del", "U+007F in the label", b"a\x7fb"),
            ("overlong", "an overlong encoding of '/'", b"a\xc0\xafb"), ("surrogate", "U+D800 in the label", b"a\xed\xa0\x80b"),
            ("nul", "U+0000 at the end", b"ab\0"),
            ("overlong-3", "an overlong encoding of U+07FF in three bytes", b"\xe0\x9f\xbf"),
            ("overlong-4", "an overlong encoding of U+FFFF in four bytes", b"\xf0\x8f\xbf\xbf"),
            ("beyond-unicode", "U+110000", b"\xf4\x90\x80\x80"), ("surrogate-pair", "U+10000 as two surrogates (CESU-8)", b"\xed\xa0\x80\xed\xb0\x80"),
            ("lone-continuation", "a continuation byte alone", b"a\x80"), ("cut-sequence", "a sequence that ends early", b"ab\xe6\xa8"),
            ("modified-nul", "U+0000 as 0xC0 0x80", b"a\xc0\x80")):
        bad(f"label-{name}", "bundle-label", comment, make_bundle(label=label)[0], "bundle-label")
    pk2 = other
    modulus = "kem-modulus"
    q = bytes([0x01, 0x0D])  # 3329 = 0xd01 as the first coefficient
    first_q = q[:1] + bytes([q[1] | pk1[1] & 0xF0]) + pk1[2:]
    last_max = pk1[:1150] + bytes([pk1[1150] | 0xF0, 0xFF]) + pk1[1152:]
    for name, pk, comment in (("kem-key-coefficient-q", first_q, "the first coefficient is q = 3329"),
                              ("kem-key-last-coefficient-4095", last_max, "the last coefficient is 4095"),
                              ("kem-key-second-coefficient-q", coefficient(pk1, 1, 3329), "the second coefficient is q"),
                              ("kem-key-coefficient-255-q", coefficient(pk1, 255, 3329), "the last coefficient of the first polynomial is q"),
                              ("kem-key-last-coefficient-q", coefficient(pk1, 767, 3329), "the last coefficient is q")):
        bad(name, modulus, comment, make_bundle(kem_pk=pk)[0], "bundle-kem-key", spec="2.4")
    bad("xwing-key-coefficient-q", modulus, "suite 2, the first coefficient is q = 3329",
        make_bundle(2, kem_pk=q[:1] + bytes([q[1] | pk2[1] & 0xF0]) + pk2[2:])[0], "bundle-kem-key", spec="2.4")
    bad("xwing-key-last-coefficient-q", modulus, "suite 2, the last coefficient of the ML-KEM part is q",
        make_bundle(2, kem_pk=coefficient(pk2, 767, 3329))[0], "bundle-kem-key", spec="2.4")
    for name, x in {**X_LOW, **X_LOW_MORE}.items():
        bad(f"xwing-key-x25519-{name}", "x25519-zero", "suite 2, the X25519 key gives the all-zero output",
            make_bundle(2, kem_pk=pk2[:1184] + x)[0], "bundle-kem-key", spec="2.4")


def policies(s):
    def bad(name, comment, error, now=NOW + 10, flag=None, bundle=(), **kw):
        raw, coins = make_bundle(**dict(bundle))
        s.add(name, "3.2", comment, {"bundle": raw, "now": now, "policy": policy(IDENT, **kw)}, error=error, coins=coins,
              flags=flag or error)

    bad("policy-suite", "suite 1, policy lists only suite 2", "policy-suite", suites=[2])
    bad("policy-suite-2", "suite 2, policy lists only suite 1", "policy-suite", suites=[1], bundle={"suite": 2})
    bad("policy-label", "another label wanted", "label-mismatch", label=b"demo/model-2".hex())
    bad("policy-label-case", "the label wanted differs in case: bytes are compared", "label-mismatch", label=LABEL.upper().hex())
    bad("policy-label-prefix", "the label wanted is longer by a byte", "label-mismatch", label=(LABEL + b" ").hex())
    bad("policy-label-normal-form", "composed label, decomposed label wanted: bytes are compared", "label-mismatch",
        label="mode\u0300le".encode().hex(), bundle={"label": "mod\u00e8le".encode()})
    bad("policy-single-use", "single-use wanted, multi-use given", "policy-single-use", single_use_required=True)
    bad("clock-too-early", "121 s before not_before", "clock-skew", now=NOW - 121)
    bad("clock-too-late", "expired: 121 s after not_after", "clock-skew", now=NOW + 1321)
    bad("clock-early-near-zero", "121 s before a not_before of 200", "clock-skew", now=79,
        bundle={"not_before": 200, "not_after": 300})
    bad("identity-untrusted", "a valid bundle of an identity that is not trusted", "identity-untrusted",
        trusted_identities=[ed25519.public(seed("other identity")).hex()])


def make():
    s = Collector("bundle")
    positives(s)
    negatives(s)
    signatures(s)
    policies(s)
    return s.cases
