"""frames.json (kind open)"""
from sealwire_ref.wire import DATA, ERROR, FINAL, KEY_UPDATE, PAD, SWITCH

from .common import Collector, Forge, flip, seed

TS, LATE, TS_S2C = seed("ts_c2s_0"), seed("ts_c2s_1"), seed("ts_s2c_0")
AB = [b"alpha", b"beta", b"gamma", b"delta", b"epsilon", b"zeta", b"eta", b"theta", b"iota", b"kappa"]
FOUR = {"epoch_frames": 4}


class Half:
    """Adds cases of one half; every case starts from a fresh Forge."""

    def __init__(self, s, half):
        self.s, self.half, self.ts = s, half, TS if half == "c2s" else TS_S2C

    def forge(self, epoch_frames=65536):
        return Forge(self.ts, epoch_frames)

    def add(self, name, spec, comment, frames, error=None, flags=(), params=None, chunks=None, want=None):
        wire = frames if isinstance(frames, bytes) else b"".join(frames)
        given = {"half": self.half, "ts": self.ts, "wire": wire}
        if self.half == "c2s":
            given["ts_late"] = LATE
        if chunks:
            given["chunks"] = chunks
        self.s.add(name, spec, comment, given, error=error, flags=flags, params=params, want=want)


def datas(f, n, start=0):
    return [f.sealed(DATA, AB[(start + i) % len(AB)]) for i in range(n)]


def end(f):
    return [f.sealed(FINAL)]


def switch(f):
    return f.sealed(SWITCH, switch_to=LATE)


def update(f):
    return f.sealed(KEY_UPDATE, update=True)


def good(c, s):
    f = c.forge()
    c.add("data-final", "6.3", "two DATA and FINAL with content, all early", datas(f, 2) + [f.sealed(FINAL, b"end")])
    f = c.forge()
    frames = b"".join(datas(f, 2) + end(f))
    c.add("fragmented", "6.3", "the bytes in pieces across all boundaries", frames, flags=["fragmentation"],
          chunks=[1, 2, 1, 3, 20, 5, len(frames) - 33, 1])
    c.add("final-empty", "6.3", "an empty request: FINAL alone", end(c.forge()))
    f = c.forge()
    c.add("data-empty", "6.3", "an empty DATA releases nothing", [f.sealed(DATA)] + end(f))
    f = c.forge()
    c.add("switch-first", "6.4", "SWITCH is frame 0", [switch(f)] + datas(f, 1) + end(f))
    f = c.forge()
    c.add("switch-middle", "6.4", "early, SWITCH, late", datas(f, 1) + [switch(f)] + datas(f, 2) + [update(f)] + datas(f, 1)
          + end(f), flags=["ratchet"])
    f = c.forge()
    c.add("switch-padded", "6.1", "SWITCH with zeros", [f.sealed(SWITCH, zeros=bytes(64), switch_to=LATE)] + end(f), flags=["padding"])
    f = c.forge()
    c.add("update-directly-after-switch", "6.3", "KEY_UPDATE as the frame after SWITCH", [switch(f), update(f)] + end(f),
          flags=["ratchet"])
    f = s.forge()
    s.add("s2c-public", "6.3", "PUBLIC between DATA, the shortest and the longest body",
          datas(f, 1) + [f.public(b"\x01"), f.public(bytes(range(256)) * 2)] + end(f), flags=["limits"])
    f = s.forge()
    s.add("update-first", "6.3", "KEY_UPDATE is frame 0 of s2c; again after DATA with content",
          [update(f)] + datas(f, 1) + [update(f)] + end(f), flags=["ratchet"])
    f = s.forge()
    s.add("error", "6.6", "DATA, then ERROR: the end, without FINAL", datas(f, 1) + [f.sealed(ERROR, b"\0\3upstream: \xe2\x9c\x97")])
    f = s.forge()
    s.add("error-unknown-code", "6.6", "ERROR with a code that is not in the table; the event carries it as received",
          [f.sealed(ERROR, b"\x03\xe7")])
    f = s.forge()
    s.add("error-byte-order-mark", "6.6", "ERROR whose message begins with U+FEFF, which stays", [f.sealed(ERROR, b"\0\1\xef\xbb\xbfx")])
    f = s.forge()
    s.add("error-replacement-character", "6.6", "ERROR whose message holds U+FFFD, a character like others", [f.sealed(ERROR, b"\0\1a\xef\xbf\xbdb")])
    f = c.forge()
    c.add("error-c2s", "6.3", "ERROR ends c2s too", datas(f, 1) + [f.sealed(ERROR, b"\0\2")])
    f = c.forge()
    c.add("padded", "6.5", "zeros in DATA, FINAL and an empty DATA", [f.sealed(DATA, b"abc", bytes(61)), f.sealed(DATA, b"", b"\0"),
          f.sealed(FINAL, b"\0\0", bytes(9))], flags=["padding"])
    f = c.forge()
    c.add("content-of-zeros", "6.3", "content that ends in zero bytes is kept", [f.sealed(DATA, b"a\0\0", bytes(3))] + end(f), flags=["padding"])
    f = c.forge()
    c.add("largest", "2.3", "DATA of 16,384 bytes: length 16,404", [f.sealed(DATA, bytes(16384))] + end(f), flags=["limits"])
    f = s.forge()
    s.add("pad", "6.3", "PAD with and without zeros, between DATA", [f.sealed(PAD), f.sealed(PAD, zeros=bytes(100))]
          + datas(f, 1) + [f.sealed(PAD)] + end(f), flags=["padding"])
    f = s.forge()
    s.add("error-padded", "6.5", "KEY_UPDATE, PAD and ERROR with zeros", datas(f, 1) + [
        f.sealed(KEY_UPDATE, zeros=bytes(7), update=True), f.sealed(PAD, zeros=b"\0"), f.sealed(ERROR, b"\0\x01no\0", bytes(20))],
        flags=["padding"])
    f = s.forge()
    s.add("looks-like-frames", "6.3", "content that reads like an inner type and a frame header is content",
          [f.sealed(DATA, b"\x02\0\0\0"), f.sealed(DATA, b"\x01\0\0\x14", bytes(4)), f.sealed(FINAL, b"\x03\0\0\1")], flags=["padding"])
    for size in (2, 3, 7, 23):
        f = s.forge(4)
        frames = b"".join(datas(f, 3) + [f.public(b"\x01" * 9), update(f)] + datas(f, 2) + [f.sealed(ERROR, b"\0\x03late")])
        s.add(f"chunks-of-{size}", "6.3", f"every frame type in pieces of {size}", frames, flags=["fragmentation"], params=FOUR,
              chunks=[size] * (len(frames) // size))


def good_limits(c, s):
    f = s.forge()
    s.add("empty-4-then-content", "6.3", "max_empty 4: four empty frames, content, four empty frames",
          [f.sealed(DATA) for _ in range(4)] + datas(f, 1) + [f.sealed(PAD) for _ in range(4)] + end(f),
          params={"max_empty": 4}, flags=["limits"])
    f = s.forge()
    s.add("empty-32", "6.3", "32 empty DATA frames", [f.sealed(DATA) for _ in range(32)] + end(f), flags=["limits"])
    f = s.forge()
    s.add("empty-reset-by-zeros", "6.3", "max_empty 2: an empty DATA with one zero byte resets the count",
          [f.sealed(DATA), f.sealed(DATA), f.sealed(DATA, b"", b"\0"), f.sealed(DATA), f.sealed(DATA)] + end(f),
          params={"max_empty": 2}, flags=["limits"])
    f = s.forge()
    s.add("pad-budget-exact", "6.3", "PAD of 24 + 34 bytes under a budget of 58; DATA with content, PUBLIC and FINAL without are not counted",
          [f.sealed(PAD)] + datas(f, 1) + [f.public(b"x"), f.sealed(PAD, zeros=bytes(10))] + end(f), params={"pad_budget": 58}, flags=["limits"])
    f = s.forge()
    s.add("padded-pad-uncounted", "6.3", "max_empty 1: many padded PAD frames are not bounded by count (F-15)",
          [f.sealed(PAD, zeros=b"\0") for _ in range(8)] + end(f), params={"max_empty": 1}, flags=["limits"])
    f = c.forge()
    c.add("max-frames-exact", "6.2", "max_frames 3: the third frame is FINAL", datas(f, 2) + end(f), params={"max_frames": 3},
          flags=["limits"])
    f = c.forge()
    c.add("byte-budget-exact", "6.3", "a byte budget of 29 + 24", datas(f, 1) + end(f), params={"byte_budget": 53}, flags=["limits"])


def ratchet(c, s):
    def ok(half, name, comment, frames):
        half.add(name, "6.4", comment, frames, params=FOUR, flags=["ratchet"])

    def bad(half, name, comment, frames, params=FOUR, spec="6.4", flag="epoch"):
        half.add(name, spec, comment, frames, "decrypt", params=params, flags=flag)

    f = c.forge(4)
    ok(c, "epoch-boundary", "ten frames in epochs of 4", datas(f, 9) + end(f))
    f = c.forge(4)
    ok(c, "epoch-final-on-boundary", "FINAL is the 4th frame", datas(f, 3) + end(f))
    f = s.forge(4)
    ok(s, "epoch-update-on-boundary", "KEY_UPDATE is the 4th frame: one step, not two", datas(f, 3) + [update(f)] + datas(f, 5) + end(f))
    f = s.forge(4)
    ok(s, "epoch-update-restarts-count", "KEY_UPDATE as 3rd frame starts a new count of 4",
       datas(f, 2) + [update(f)] + datas(f, 5) + end(f))
    f = s.forge(4)
    ok(s, "epoch-public-on-boundary", "PUBLIC is the 4th frame and counts", datas(f, 3) + [f.public(b"p")] + datas(f, 1) + end(f))
    f = s.forge(4)
    ok(s, "epoch-pad-counts", "PAD frames count in the epoch", [f.sealed(PAD) for _ in range(5)] + end(f))
    f = c.forge(4)
    ok(c, "epoch-switch-on-boundary", "SWITCH is the 4th frame: to ts_c2s_1 itself", datas(f, 3) + [switch(f)] + datas(f, 5) + end(f))
    f = c.forge(4)
    ok(c, "epoch-switch-after-boundary", "SWITCH in the second early epoch", datas(f, 5) + [switch(f)] + datas(f, 4) + end(f))
    f = c.forge(4)
    ok(c, "epoch-switch-restarts-count", "after SWITCH as 2nd frame a new count of 4 begins", datas(f, 1) + [switch(f)] + datas(f, 5) + end(f))
    f = c.forge(1)
    c.add("epochs-of-1", "6.4", "every frame has an epoch of its own, SWITCH and KEY_UPDATE too",
          datas(f, 2) + [switch(f), update(f)] + datas(f, 2) + end(f), params={"epoch_frames": 1}, flags=["ratchet"])

    def restep(f, steps=1):
        """The sender steps once more without a frame."""
        for _ in range(steps):
            f.r.advance(update=True)
            f.r.seq -= 1

    f = s.forge(4)
    frames = datas(f, 3) + [f.sealed(KEY_UPDATE)]
    restep(f)
    s.add("epoch-update-two-steps", "6.4", "a sender that steps twice where KEY_UPDATE ends an epoch", frames + end(f), "decrypt",
          params=FOUR, flags="epoch")
    f = c.forge(65536)
    bad(c, "epoch-not-advanced", "a sender that stays in the first epoch", datas(f, 5) + end(f))
    f = c.forge(4)
    frames = datas(f, 4)
    f.r.seq = 0
    bad(c, "epoch-resets-seq", "a sender that resets seq with the epoch", frames + end(f), spec="6.1")
    f = s.forge(5)
    bad(s, "epoch-one-frame-late", "a sender whose epochs have 5 frames", datas(f, 5) + end(f))
    f = s.forge(3)
    bad(s, "epoch-one-frame-early", "a sender whose epochs have 3 frames", datas(f, 3) + end(f))
    f = s.forge(4)
    frames = [f.public(b"p"), f.public(b"q")] + datas(f, 2)
    f.r._start(TS_S2C)
    bad(s, "epoch-public-not-counted", "a sender that does not count PUBLIC in the epoch", frames + end(f))
    f = s.forge(4)
    frames = datas(f, 2) + [update(f)]
    f.r.n = 3
    bad(s, "epoch-update-keeps-count", "a sender that does not restart n at KEY_UPDATE", frames + datas(f, 2) + end(f))
    f = c.forge(4)
    frames = datas(f, 2) + [switch(f)]
    f.r.n = 3
    bad(c, "epoch-switch-keeps-count", "a sender that does not restart n at SWITCH", frames + datas(f, 2) + end(f))
    f = c.forge(4)
    frames = datas(f, 3) + [switch(f)]
    restep(f)
    bad(c, "epoch-switch-and-step", "SWITCH ends an epoch, and the sender steps from ts_c2s_1", frames + end(f))
    f = c.forge()
    frames = datas(f, 2) + [f.sealed(SWITCH, update=True)]
    bad(c, "switch-steps-early-keys", "a sender that takes SWITCH for a step of the early keys", frames + datas(f, 1) + end(f), params=None)
    f = c.forge()
    frames = datas(f, 1) + [switch(f)]
    f.r.seq = 0
    bad(c, "switch-resets-seq", "a sender that resets seq at SWITCH", frames + datas(f, 1) + end(f), params=None, spec="6.1")
    f = s.forge()
    frames = datas(f, 1) + [update(f)]
    f.r.seq = 0
    bad(s, "update-resets-seq", "a sender that resets seq at KEY_UPDATE", frames + datas(f, 1) + end(f), params=None, spec="6.1")
    f = s.forge(4)
    frames = datas(f, 4)
    f.r._start(TS_S2C)
    bad(s, "epoch-old-key-new-number", "after an epoch's end a frame under the first epoch's key and iv", frames + end(f))
    f = s.forge(4)
    frames = datas(f, 4)
    f.r.iv = Forge(TS_S2C).r.iv
    bad(s, "epoch-old-iv", "a sender that keeps the first epoch's iv", frames + end(f))


def order_faults(c, s):
    def bad(half, name, comment, frames, error, spec="6.3", flag="sequence", **kw):
        half.add(name, spec, comment, frames, error, flags=flag, **kw)

    f = c.forge()
    d = datas(f, 3) + end(f)
    bad(c, "middle-dropped", "the second frame is missing", [d[0], d[2], d[3]], "decrypt")
    bad(c, "first-dropped", "the first frame is missing", d[1:], "decrypt")
    bad(c, "doubled", "the second frame twice", [d[0], d[1], d[1], d[2], d[3]], "decrypt")
    bad(c, "swapped", "second and third frame swapped", [d[0], d[2], d[1], d[3]], "decrypt")
    bad(c, "first-swapped", "FINAL comes first", [d[3]] + d[:3], "decrypt")
    bad(c, "final-early", "FINAL overtakes the last DATA", d[:2] + [d[3], d[2]], "decrypt")
    cut = "truncation"
    bad(c, "cut-at-boundary", "the transport ends after the third frame", d[:3], "truncated", flag=cut)
    bad(c, "cut-empty", "the transport ends before any frame", b"", "truncated", flag=cut)
    bad(c, "cut-inside-tag", "the transport ends inside of FINAL's tag", b"".join(d)[:-7], "truncated", flag=cut)
    bad(c, "cut-last-byte", "the last byte is missing", b"".join(d)[:-1], "truncated", flag=cut)
    for n in (1, 2, 3):
        bad(c, f"cut-header-{n}", f"{n} byte(s) of a header, then the end", [d[0], d[1][:n]], "truncated", flag=cut)
    bad(c, "cut-bad-type", "one byte that can be no type, then the end: nothing is judged before 4 bytes", [d[0], b"\x09"],
        "truncated", flag=cut)
    bad(c, "cut-bad-length", "three bytes that can be no header, then the end", [d[0], b"\x01\xff\xff"], "truncated", flag=cut)
    f = s.forge(4)
    e = datas(f, 4)
    bad(s, "cut-at-epoch", "the transport ends where an epoch ends", e, "truncated", flag=cut, params=FOUR)
    f = c.forge()
    bad(c, "cut-after-switch", "the transport ends after SWITCH", datas(f, 1) + [switch(f)], "truncated", flag=cut)
    f = s.forge()
    bad(s, "cut-after-public", "the transport ends after a PUBLIC frame", datas(f, 2) + [f.public(b"\1\2")], "truncated", flag=cut)
    f = s.forge()
    bad(s, "cut-after-empty", "the transport ends after an empty DATA, which is no end", [f.sealed(DATA)], "truncated", flag=cut)
    tail = "trailing"
    f = c.forge()
    d = datas(f, 1) + end(f)
    bad(c, "final-twice", "a second FINAL", d + end(f), "trailing-data", flag=tail)
    bad(c, "byte-after-final", "one byte after FINAL", d + [b"\0"], "trailing-data", flag=tail)
    bad(c, "byte-after-final-fragmented", "the same, the byte in the chunk of FINAL's last byte", d + [b"\0"], "trailing-data",
        flag=tail, chunks=[len(b"".join(d)) - 1, 2])
    bad(c, "byte-after-final-later", "the same, the byte in a chunk of its own", d + [b"\x01"], "trailing-data", flag=tail,
        chunks=[len(b"".join(d)), 1])
    f = c.forge()
    d = datas(f, 1) + [f.sealed(FINAL, b"the end")]
    bad(c, "data-after-final", "DATA after FINAL", c_data_after_final(c), "trailing-data", flag=tail)
    bad(c, "bad-type-after-final", "bytes that are no frame after FINAL with content", d + [b"\x09\xff\xff\xff\xff"], "trailing-data", flag=tail)
    f = s.forge()
    bad(s, "data-after-error", "DATA after ERROR", [f.sealed(ERROR, b"\0\1")] + datas(f, 1), "trailing-data", flag=tail)
    f = s.forge()
    bad(s, "final-after-error", "FINAL after ERROR", datas(f, 2) + [f.sealed(ERROR, b"\0\1")] + end(f), "trailing-data", flag=tail)
    f = s.forge()
    bad(s, "public-after-final", "PUBLIC after FINAL", datas(f, 1) + end(f) + [f.public(b"\1")], "trailing-data", flag=tail)
    f = s.forge(4)
    bad(s, "final-twice-next-epoch", "FINAL ends an epoch; a second one under the next keys", datas(f, 3) + end(f) + end(f),
        "trailing-data", flag=tail, params=FOUR)
    f = s.forge()
    bad(s, "byte-after-error", "one byte after ERROR, in the same chunk", datas(f, 1) + [f.sealed(ERROR, b"\0\3x"), b"\x01"],
        "trailing-data", flag=tail)
    f = c.forge()
    bad(s, "reflected", "the client's own frames come back as the response", datas(f, 2) + end(f), "decrypt", flag="reflection")
    f = s.forge()
    bad(c, "reflected-to-instance", "the instance's frames come back as the request", datas(f, 2) + end(f), "decrypt", flag="reflection")
    f = s.forge()
    g = c.forge()
    datas(g, 1)
    bad(s, "reflected-later", "after a good frame the client's frame of that number", datas(f, 1) + datas(g, 1) + end(g), "decrypt",
        flag="reflection")
    f = Forge(LATE)
    bad(c, "late-without-switch", "frames under ts_c2s_1 without SWITCH", datas(f, 1) + end(f), "decrypt", flag="epoch")
    f = Forge(LATE)
    bad(c, "switch-under-late-keys", "SWITCH itself under ts_c2s_1", [f.sealed(SWITCH)] + datas(f, 1) + end(f), "decrypt", flag="epoch")
    f = c.forge()
    bad(c, "early-after-switch", "after SWITCH the frames stay under the early keys", [f.sealed(SWITCH)] + datas(f, 1) + end(f),
        "decrypt", flag="epoch")
    f = s.forge()
    bad(s, "update-not-done", "after KEY_UPDATE the frames stay under the old keys", [f.sealed(KEY_UPDATE)] + end(f), "decrypt",
        flag="epoch")
    f = c.forge()
    bad(c, "switch-twice", "a second SWITCH", [switch(f), switch(f)] + end(f), "unexpected-frame", flag="switch-order")
    f = s.forge()
    bad(s, "switch-in-s2c", "SWITCH in s2c", [f.sealed(SWITCH)] + end(f), "unexpected-frame", flag="switch-order")
    f = c.forge()
    bad(c, "update-before-switch", "KEY_UPDATE in c2s before SWITCH", [update(f)] + end(f), "unexpected-frame", flag="key-update-order")
    f = s.forge()
    bad(s, "update-twice", "two KEY_UPDATE with only an empty DATA, PAD and PUBLIC between them",
        [update(f), f.sealed(DATA), f.sealed(PAD, zeros=b"\0"), f.public(b"x"), update(f)] + end(f), "key-update-flood",
        flag="key-update-flood")
    f = c.forge()
    bad(c, "public-in-c2s", "PUBLIC in c2s, with a good tag", [f.public(b"x")] + end(f), "unexpected-frame", flag="public-in-c2s")


def c_data_after_final(c):
    f = c.forge()
    frames = datas(f, 1) + end(f)
    skip(f)
    return frames + datas(f, 1)


def header_faults(c, s):
    def bad(half, name, flag, comment, frames, error, spec="6.3", **kw):
        half.add(name, spec, comment, frames, error, flags=flag, **kw)

    d = c.forge().sealed(DATA, b"alpha")
    for n in (0, 3, 0xFF):
        bad(c, f"type-{n}", "frame-type", f"frame type {n}", [bytes([n]) + d[1:]], "bad-frame-type")
    bad(c, "type-other", "public-in-c2s", "SEALED in c2s marked as PUBLIC", [b"\x02" + d[1:]], "unexpected-frame")
    bad(c, "public-in-c2s-forged", "public-in-c2s", "the header of a PUBLIC frame, and no more", [b"\x02\0\0\x20"], "unexpected-frame")
    f = s.forge()
    sealed = f.sealed(DATA, b"alpha")
    bad(s, "sealed-as-public", "tag", "the type of a SEALED frame in s2c changed to PUBLIC", [b"\x02" + sealed[1:]], "decrypt")
    public = s.forge().public(b"\x01" * 30)
    bad(s, "public-as-sealed", "tag", "the type of a PUBLIC frame changed to SEALED", [b"\x01" + public[1:]], "decrypt")
    bad(s, "public-changed", "tag", "one bit of a PUBLIC body is wrong", [flip(public, 10)], "decrypt")
    length, short = "frame-length", b"\x01\0\0\x13"
    bad(c, "length-ffffff", length, "length 0xFFFFFF and no more: refused on the header", [b"\x01\xff\xff\xff"], "bad-frame-length")
    bad(c, "length-0", length, "length 0", [b"\x01\0\0\0"], "bad-frame-length")
    bad(c, "length-15", length, "shorter than a tag", [b"\x01\0\0\x0f" + bytes(15)], "bad-frame-length")
    bad(c, "length-19", length, "a tag and 3 bytes", [short + c.forge().r.seal(short, b"\0\0\0")], "bad-frame-length")
    f = c.forge()
    bad(c, "length-16405", length, "one byte more than the longest; the first 36 bytes of the body follow",
        [f.sealed(DATA, bytes(16384), b"\0")[:40]], "bad-frame-length")
    bad(s, "length-little-endian", length, "length 64 in the other byte order", [b"\x01\x40\0\0"], "bad-frame-length")
    f = c.forge()
    bad(c, "public-in-c2s-length-16", length, "PUBLIC in c2s, too short: the length comes first", [f.public(b"")], "bad-frame-length")
    f = s.forge()
    bad(s, "public-length-16", length, "PUBLIC with an empty body, with a good tag", [f.public(b"")], "bad-frame-length")
    f = s.forge()
    bad(s, "public-length-529", length, "PUBLIC with a body of 513, with a good tag", [f.public(bytes(513))], "bad-frame-length")
    bad(c, "length-changed", "tag", "the length is one less than sealed", [d[:3] + bytes([d[3] - 1]) + d[4:]], "decrypt")
    bad(c, "ciphertext-flipped", "tag", "one bit of the ciphertext is wrong", [flip(d, 5)], "decrypt")
    bad(c, "tag-flipped", "tag", "one bit of the tag is wrong", [flip(d, -1)], "decrypt")
    bad(c, "wrong-key", "wrong-key", "frames of another handshake", datas(Forge(seed("another ts")), 1), "decrypt")


def inner_faults(c, s):
    def bad(half, name, flag, comment, make, error, params=None):
        f = half.forge()
        half.add(name, "6.3", comment, datas(f, 1) + make(f), error, flags=flag, params=params)

    for n in (0, 7, 0xFF):
        bad(c, f"inner-type-{n}", "inner-type", f"inner type {n}", lambda f: [f.sealed(n, b"x")], "bad-inner-type")
    size, code = "content-length", "bad-content-length"
    bad(c, "content-len-past-end", size, "content_len is one more than there is", lambda f: [f.sealed(DATA, b"abc", size=4)], code)
    bad(c, "content-len-max", size, "content_len 0xFFFFFF", lambda f: [f.sealed(FINAL, b"abc", size=0xFFFFFF)], code)
    bad(c, "content-len-1-of-0", size, "content_len 1 in an empty frame", lambda f: [f.sealed(DATA, b"", size=1)], code)
    bad(c, "content-in-pad", size, "PAD with content", lambda f: [f.sealed(PAD, b"\0")], code)
    bad(c, "content-in-switch", size, "SWITCH with content", lambda f: [f.sealed(SWITCH, b"\0", switch_to=LATE)], code)
    bad(s, "content-in-update", size, "KEY_UPDATE with content", lambda f: [f.sealed(KEY_UPDATE, b"\0", update=True)], code)
    bad(s, "error-content-0", size, "ERROR without a code", lambda f: [f.sealed(ERROR)], code)
    bad(s, "error-content-1", size, "ERROR with one byte", lambda f: [f.sealed(ERROR, b"\0", b"\0")], code)
    pad, code = "padding-zero", "bad-padding"
    bad(c, "padding-first", pad, "the first padding byte is 1", lambda f: [f.sealed(DATA, b"abc", b"\x01\0\0\0")], code)
    bad(c, "padding-last", pad, "the last padding byte is 0x80", lambda f: [f.sealed(DATA, b"abc", b"\0\0\0\x80")], code)
    bad(c, "padding-cancels", pad, "two bytes that cancel under XOR and sum to 0 mod 256", lambda f: [f.sealed(DATA, b"", b"\x80\x80")], code)
    bad(c, "padding-in-pad", pad, "PAD whose zeros are not", lambda f: [f.sealed(PAD, b"", b"junk")], code)
    bad(c, "padding-in-final", pad, "FINAL whose padding is not zero releases nothing", lambda f: [f.sealed(FINAL, b"end", b"\x01")], code)
    bad(s, "padding-in-error", pad, "ERROR whose padding is not zero is no end", lambda f: [f.sealed(ERROR, b"\0\1end", b"\0\x01")], code)
    bad(s, "padding-in-update", pad, "KEY_UPDATE whose padding is not zero", lambda f: [f.sealed(KEY_UPDATE, b"", b"\0\0\xff\0", update=True)], code)
    bad(c, "padding-one-of-300", pad, "one byte in the middle of 300 is not zero",
        lambda f: [f.sealed(DATA, b"abc", bytes(150) + b"\x10" + bytes(149))], code)
    bad(s, "error-not-utf8", "error-text", "ERROR whose message is not UTF-8", lambda f: [f.sealed(ERROR, b"\0\1\xff")], "bad-error")
    bad(s, "error-surrogate", "error-text", "ERROR whose message holds U+D800", lambda f: [f.sealed(ERROR, b"\0\1\xed\xa0\x80")], "bad-error")
    bad(c, "error-cut-sequence", "error-text", "ERROR whose message ends inside of a character, in c2s", lambda f: [f.sealed(ERROR, b"\0\2abc\xe2\x9c")], "bad-error")
    bad(s, "error-overlong", "error-text", "ERROR whose message holds an overlong NUL", lambda f: [f.sealed(ERROR, b"\0\3\xc0\x80", bytes(9))], "bad-error")
    flood = "empty-flood"
    bad(c, "empty-flood", flood, "33 empty DATA frames in a row", lambda f: [f.sealed(DATA) for _ in range(33)], "empty-flood")
    bad(c, "empty-flood-pad", flood, "max_empty 4: three empty DATA and two empty PAD", lambda f: [f.sealed(DATA) for _ in range(3)]
        + [f.sealed(PAD), f.sealed(PAD)], "empty-flood", params={"max_empty": 4})
    bad(s, "empty-flood-public", flood, "max_empty 2: PUBLIC and KEY_UPDATE do not reset the count",
        lambda f: [f.sealed(DATA), f.public(b"x"), f.sealed(DATA), update(f), f.sealed(DATA)], "empty-flood", params={"max_empty": 2})
    bad(c, "empty-flood-switch", flood, "max_empty 2: SWITCH, with zeros too, does not reset the count",
        lambda f: [f.sealed(DATA), f.sealed(PAD), f.sealed(SWITCH, zeros=bytes(9), switch_to=LATE), f.sealed(PAD)], "empty-flood",
        params={"max_empty": 2})
    bad(s, "empty-flood-after-reset", flood, "max_empty 2: content resets the count, and it is reached again",
        lambda f: [f.sealed(PAD), f.sealed(PAD)] + datas(f, 1) + [f.sealed(PAD), f.sealed(DATA), f.sealed(PAD)], "empty-flood",
        params={"max_empty": 2})
    bad(s, "empty-flood-epochs", flood, "max_empty 3: an epoch's end does not reset the count", lambda f: [f.sealed(PAD) for _ in range(4)],
        "empty-flood", params={"max_empty": 3})
    budget = "pad-budget"
    bad(s, "pad-budget", budget, "PAD of 24 + 35 bytes over a budget of 58", lambda f: [f.sealed(PAD), f.sealed(PAD, zeros=bytes(11))],
        "pad-budget", params={"pad_budget": 58})
    bad(c, "pad-budget-data", budget, "DATA without content counts: 25 + 25 bytes over a budget of 49",
        lambda f: [f.sealed(DATA, b"", b"\0"), f.sealed(DATA, b"", b"\0")], "pad-budget", params={"pad_budget": 49})
    bad(s, "pad-budget-not-reset", budget, "content and KEY_UPDATE do not reset the sum: 24 + 24 over 47",
        lambda f: [f.sealed(PAD)] + datas(f, 2) + [update(f), f.sealed(PAD)], "pad-budget", params={"pad_budget": 47})
    bad(c, "pad-budget-late", budget, "the sum goes on over SWITCH: 34 + 34 over 67", lambda f: [f.sealed(PAD, zeros=bytes(10)), switch(f),
        f.sealed(PAD, zeros=bytes(10))], "pad-budget", params={"pad_budget": 67})
    large = "byte-budget"
    bad(c, "byte-budget", large, "the header of a second frame exceeds a byte budget of 52", lambda f: [f.sealed(DATA)[:4]], "too-large",
        params={"byte_budget": 52})
    bad(s, "byte-budget-public", large, "PUBLIC counts: 29 + 24 + 21 over 73", lambda f: [f.sealed(PAD), f.public(b"x")], "too-large",
        params={"byte_budget": 73})
    bad(s, "byte-budget-final", large, "FINAL counts, and does not come out: 29 + 24 + 27 over 79",
        lambda f: [f.sealed(DATA), f.sealed(FINAL, b"end")], "too-large", params={"byte_budget": 79})
    full = "exhausted"
    bad(c, "max-frames", full, "max_frames 3: a fourth frame", lambda f: [f.sealed(DATA), f.sealed(DATA), f.sealed(FINAL)], "exhausted",
        params={"max_frames": 3})
    bad(s, "max-frames-public", full, "max_frames 2: PUBLIC counts", lambda f: [f.public(b"x")] + datas(f, 1), "exhausted",
        params={"max_frames": 2})
    bad(c, "max-frames-switch", full, "max_frames 2: SWITCH does not start the numbers again", lambda f: [switch(f)] + datas(f, 1),
        "exhausted", params={"max_frames": 2})


# faults at many places

def places(half):
    """name -> (comment, frames before, params): where in a half a fault stands."""
    def at(name, comment, make, epoch_frames=65536):
        f = half.forge(epoch_frames)
        return name, comment, make(f), f, FOUR if epoch_frames == 4 else {}

    yield at("start", "as frame 0", lambda f: [])
    yield at("middle", "after two frames", lambda f: datas(f, 2))
    yield at("epoch-last", "as the last frame of an epoch", lambda f: datas(f, 3), 4)
    yield at("epoch-first", "as the first frame of the second epoch", lambda f: datas(f, 4), 4)
    if half.half == "c2s":
        yield at("switched", "after SWITCH", lambda f: datas(f, 1) + [switch(f)])
        yield at("updated", "after KEY_UPDATE", lambda f: [switch(f)] + datas(f, 1) + [update(f)])
    else:
        yield at("updated", "after KEY_UPDATE", lambda f: datas(f, 1) + [update(f)])
        yield at("public", "after PUBLIC", lambda f: datas(f, 1) + [f.public(b"\x01\x02")])


def skip(f, n=1):
    """Numbers that the sender leaves out."""
    for _ in range(n):
        f.r.advance()


def last_twice(f):
    one = f.sealed(DATA, b"again")
    return [one, one]


def next_two_swapped(f):
    one, two = f.sealed(DATA, b"one"), f.sealed(DATA, b"two")
    return [two, one]


def one_missing(f):
    skip(f)
    return [f.sealed(DATA, b"gap")]


def ahead(f, n):
    skip(f, n)
    return [f.sealed(DATA, b"gap")]


def failed_then_good(f):
    mark = (f.r.seq, f.r.n)
    broken = flip(f.sealed(DATA, b"good"), 6)
    f.r.seq, f.r.n = mark
    return [broken] + datas(f, 1) + end(f)


def failed_then_next(f):
    return [flip(f.sealed(DATA, b"good"), -1)] + datas(f, 1) + end(f)


# name: (flag, comment, frames, error, halves, places)
EVERYWHERE = {
    "tag-first-bit": ("tag", "the first bit of the ciphertext is wrong", lambda f: [flip(f.sealed(DATA, b"x"), 4, 0x80)], "decrypt", "both",
                      ("start", "epoch-first", "public")),
    "tag-of-inner-type": ("tag", "the bit that makes DATA of FINAL is wrong", lambda f: [flip(f.sealed(FINAL, b"abc"), -20, 3)], "decrypt", "both",
                          ("middle", "updated")),
    "tag-last-bit": ("tag", "the last bit of the tag is wrong", lambda f: [flip(f.sealed(FINAL, b"end"), -1)], "decrypt", "both",
                     ("epoch-last", "switched")),
    "dropped": ("sequence", "a frame is missing", one_missing, "decrypt", "both", ("start", "epoch-first", "switched", "public")),
    "doubled": ("sequence", "a frame comes twice", last_twice, "decrypt", "both", ("epoch-last", "updated", "switched")),
    "swapped": ("sequence", "two frames are swapped", next_two_swapped, "decrypt", "both", ("middle", "updated", "public")),
    "ahead-256": ("sequence", "256 numbers are left out", lambda f: ahead(f, 256), "decrypt", "both", ("start",)),
    "restarted": ("sequence", "the sender begins at 0 again", lambda f: again_from_zero(f), "decrypt", "both", ("middle", "public")),
    "foreign": ("wrong-key", "a frame under the keys of another stream, with the right number", lambda f: foreign(f), "decrypt", "both",
                ("middle", "epoch-first", "switched", "updated")),
    "plaintext-json": ("plaintext", "JSON in the place of a frame", lambda f: [b'{"choices":[]}'], "bad-frame-type", "both", ("start", "middle")),
    "plaintext-event": ("plaintext", "a server-sent event in the place of a frame", lambda f: [b"data: [DONE]\n\n"], "bad-frame-type", "both",
                        ("middle", "public")),
    "plaintext-final": ("plaintext", "an unencrypted FINAL with a tag of zeros", lambda f: [b"\x01\0\0\x14\x02\0\0\0" + bytes(16)], "decrypt", "both",
                        ("middle", "updated")),
    "plaintext-error": ("plaintext", "an unencrypted ERROR with a tag of zeros", lambda f: [b"\x01\0\0\x16\0\x02\x03\0\0\x02" + bytes(16)], "decrypt",
                        "both", ("middle",)),
    "sticky-same-number": ("sticky", "a broken frame, then good ones that go on with its number", failed_then_good, "decrypt", "both",
                           ("start", "middle", "switched")),
    "sticky-next-number": ("sticky", "a broken frame, then good ones that go on with the next number", failed_then_next, "decrypt", "both",
                           ("middle", "updated")),
    "sticky-after-padding": ("sticky", "a frame with bad padding, then good ones", lambda f: [f.sealed(DATA, b"x", b"\1")] + datas(f, 1) + end(f),
                             "bad-padding", "both", ("middle",)),
    "length-19": ("frame-length", "a length of 19", lambda f: [b"\x01\0\0\x13"], "bad-frame-length", "both", ("middle", "switched")),
    "length-16405": ("frame-length", "a length of 16,405", lambda f: [b"\x01\0\x40\x15"], "bad-frame-length", "both", ("middle", "epoch-first")),
    "length-ffffff": ("frame-length", "a length of 0xFFFFFF", lambda f: [b"\x01\xff\xff\xff"], "bad-frame-length", "both", ("switched", "updated")),
    "inner-0": ("inner-type", "inner type 0, all zeros inside", lambda f: [f.sealed(0)], "bad-inner-type", "both", ("start", "switched")),
    "content-len": ("content-length", "content_len is one more than there is", lambda f: [f.sealed(FINAL, b"abc", bytes(4), size=8)],
                    "bad-content-length", "both", ("start", "epoch-last", "switched", "public")),
    "content-len-65536": ("content-length", "content_len whose low 16 bits are right", lambda f: [f.sealed(DATA, b"abc", bytes(4), size=65536 + 3)],
                          "bad-content-length", "both", ("middle",)),
    "padding": ("padding-zero", "the last padding byte is 1", lambda f: [f.sealed(DATA, b"abc", bytes(20) + b"\1")], "bad-padding", "both",
                ("start", "epoch-first", "switched", "public")),
    "update-twice": ("key-update-flood", "KEY_UPDATE twice", lambda f: datas(f, 1) + [update(f), update(f)] + end(f), "key-update-flood", "s2c",
                     ("start", "epoch-last", "public")),
    "update-again": ("key-update-flood", "KEY_UPDATE directly after the one before", lambda f: [update(f)] + end(f), "key-update-flood", "both",
                     ("updated",)),
    "update-early": ("key-update-order", "KEY_UPDATE in c2s before SWITCH", lambda f: [update(f), switch(f)] + end(f), "unexpected-frame", "c2s",
                     ("middle", "epoch-last")),
    "switch-again": ("switch-order", "a second SWITCH", lambda f: datas(f, 1) + [f.sealed(SWITCH, switch_to=LATE)] + end(f), "unexpected-frame", "c2s",
                     ("switched", "updated")),
    "switch-wrong-half": ("switch-order", "SWITCH in s2c", lambda f: [f.sealed(SWITCH, zeros=bytes(30))] + end(f), "unexpected-frame", "s2c",
                          ("epoch-last", "updated")),
    "public-c2s": ("public-in-c2s", "PUBLIC in c2s, with a good tag", lambda f: [f.public(b"\x01" * 20)] + end(f), "unexpected-frame", "c2s",
                   ("switched", "updated")),
    "public-tag": ("tag", "PUBLIC with a wrong tag", lambda f: [flip(f.public(b"receipt"), -9)], "decrypt", "s2c", ("start", "epoch-first", "updated")),
}


def again_from_zero(f):
    f.r.seq = 0
    return [f.sealed(DATA, b"alpha")]


def foreign(f):
    g = Forge(seed("another ts"))
    g.r.seq = f.r.seq
    return [g.sealed(DATA, b"foreign")]


def everywhere(c, s):
    for n, (name, (flag, comment, make, error, halves, where)) in enumerate(EVERYWHERE.items()):
        for i, place in enumerate(where):
            able = [h for h in (c, s) if halves in ("both", h.half) and place in [p[0] for p in places(h)]]
            half = able[(n + i) % len(able)]
            _, at, frames, f, params = next(p for p in places(half) if p[0] == place)
            half.add(f"{half.half}-{place}-{name}", "6.3", f"{comment}, {at}", frames + make(f), error, flags=flag, params=params)


def make():
    suite = Collector("open", "frames")
    c, s = Half(suite, "c2s"), Half(suite, "s2c")
    for part in (good, good_limits, ratchet, order_faults, header_faults, inner_faults, everywhere):
        part(c, s)
    return suite.cases
