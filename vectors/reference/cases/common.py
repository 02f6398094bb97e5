"""What the generators share: coins, the collector of cases, hand-made signatures and frames."""
import hashlib

from sealwire_ref import bundle as bdl
from sealwire_ref import context as ctx
from sealwire_ref import ed25519, kem, kinds
from sealwire_ref.ratchet import Ratchet
from sealwire_ref.wire import TAG, u

from .flags import CHECKS, FLAGS

NOW = 1_800_000_000
LABEL = b"demo/model-1"
REQUEST_ID = bytes(range(0xA0, 0xB0))


def seed(name, size=32):
    return hashlib.shake_256(b"sealwire draft vector " + name.encode()).digest(size)


def kem_coins(suite, name):
    s = kem.SUITES[suite]
    return seed(name, s.seed), seed(name + " encaps", s.coins)


def hexed(given):
    """The same with every byte string as hex."""
    if isinstance(given, bytes):
        return given.hex()
    if isinstance(given, dict):
        return {k: hexed(v) for k, v in given.items()}
    return [hexed(x) for x in given] if isinstance(given, (list, tuple)) else given


def needs(case):
    """Capabilities without which a case cannot be run."""
    given, out = case["in"], []
    if given.get("bundle", "")[2:6] == "0002" or given.get("h1", "")[6:10] == "0002":
        out.append("suite-2")
    if case["kind"] in ("handshake", "stream", "carriage"):
        out += ["kem-coins", *([given["role"]] if "role" in given else ["client", "instance"])]
    if case["kind"].startswith("chutes-"):
        return ["chutes-v1"] + (["kem-coins"] if case["kind"] not in ("chutes-key", "chutes-gunzip") else [])
    return [] if case["kind"] == "schedule" else out


class Collector:
    """Cases of one file.  Each is run as it is added, and refused if it does not do what is stated."""

    def __init__(self, kind, prefix=None):
        self.kind, self.prefix, self.cases = kind, prefix or kind, []

    def add(self, name, spec, comment, given, error=None, coins=None, params=None, flags=(), want=None):
        flags = [flags] if isinstance(flags, str) else list(flags)
        assert set(flags) <= FLAGS.keys(), (name, flags)
        assert error is None or (len(flags) == 1 and flags[0] in CHECKS), (name, flags)
        case = {"id": f"{self.prefix}-{name}", "kind": self.kind, "spec": spec, "comment": comment, "flags": flags,
                "params": params or {}, "coins": hexed(coins or {}), "in": hexed(given)}
        if needs(case):
            case["needs"] = needs(case)
        mid, expect = kinds.run(case)
        assert expect.get("error") == error, (case["id"], expect.get("error"), error)
        for k, v in (want or {}).items():
            assert expect.get(k) == v, (case["id"], k, expect.get(k), v)
        case["mid"], case["expect"] = mid, expect
        self.cases.append(case)
        return case


def make_context(**kw):
    kw = {"label": LABEL, "request_id": REQUEST_ID, "attempt": 1, **kw}
    return ctx.make(**kw)


def make_bundle(suite=1, name="bundle key", identity="identity", flags=0, not_before=NOW, not_after=NOW + 1200,
                label=LABEL, kem_pk=None):
    kem_seed = seed(f"{name} {suite}", kem.SUITES[suite].seed)
    pk = kem.public_key(suite, kem_seed) if kem_pk is None else kem_pk
    return (bdl.make(seed(identity), suite, flags, not_before, not_after, label, pk),
            {"identity_seed": seed(identity), "kem_seed": kem_seed})


# hand-made Ed25519 (section 2.5)

def torsion8():
    n = 2
    while True:
        p = ed25519.decode(n.to_bytes(32, "little"))
        n += 1
        if p:
            t = ed25519.mul(ed25519.L, p)
            if not ed25519.equal(ed25519.mul(4, t), ed25519.IDENTITY):
                return t


def hashes(big_r, pk, message):
    """k as the full hash and modulo L."""
    full = int.from_bytes(hashlib.sha512(big_r + pk + message).digest(), "little")
    return full, full % ed25519.L


def craft(pk, a, message, r_torsion=None, r_bytes=None, wanted=lambda full, k: True):
    """A signature with S = r + k*a, over the given encoding of A, with a chosen R.  Tries r until wanted(k)."""
    for r in range(1, 10000):
        if r_bytes is not None:
            big_r, r = r_bytes, 0
        else:
            point = ed25519.mul(r, ed25519.BASE)
            big_r = ed25519.encode(ed25519.add(point, r_torsion) if r_torsion else point)
        full, k = hashes(big_r, pk, message)
        if wanted(full, k):
            return big_r + ((r + k * a) % ed25519.L).to_bytes(32, "little")
    raise AssertionError


def both_zero_mod_8(full, k):
    return full % 8 == 0 and k % 8 == 0


def none_zero_mod_8(full, k):
    return full % 8 != 0 and k % 8 != 0


NONCANONICAL_ONE = (ed25519.P + 1).to_bytes(32, "little")  # the identity element with y = p + 1
CANONICAL_ONE = (1).to_bytes(32, "little")
SIGNED_ONE = (1 | 1 << 255).to_bytes(32, "little")  # x = 0 with the sign bit


def add_l(signature):
    s = int.from_bytes(signature[32:], "little") + ed25519.L
    return signature[:32] + s.to_bytes(32, "little")


def flip(data, at, bit=1):
    out = bytearray(data)
    out[at] ^= bit
    return bytes(out)


# hand-made frames (section 6.1)

class Forge:
    """A sender without rules."""

    def __init__(self, ts, epoch_frames=65536):
        self.r = Ratchet(ts, epoch_frames)

    def sealed(self, inner, content=b"", zeros=b"", size=None, kind=1, length=None, **advance):
        plaintext = content + zeros + u(inner, 1) + u(len(content) if size is None else size, 3)
        header = u(kind, 1) + u(len(plaintext) + TAG if length is None else length, 3)
        frame = header + self.r.seal(header, plaintext)
        self.r.advance(**advance)
        return frame

    def public(self, body, **advance):
        header = b"\x02" + u(len(body) + TAG, 3)
        frame = header + body + self.r.seal(header + body, b"")
        self.r.advance(**advance)
        return frame
