"""carriage.json"""
from sealwire_ref.wire import lp

from .common import Collector, flip
from .scenes import Scene, signed


def parts(data, *sizes):
    out, at = [], 0
    for n in sizes:
        out.append(data[at:at + n])
        at += n
    return out + [data[at:]]


class Wire:
    """Honest bytes of a scene."""

    def __init__(self, scene, public=None):
        self.scene = scene
        self.first = lp(scene.context) + scene.h1
        c, s = scene.c2s(), scene.s2c()
        self.c2s = [c.data(b"early"), c.switch(), c.data(b"late"), c.final(b"!")]
        self.s2c = [s.data(b"200 OK"), s.public(public or signed(scene, kind=2, flags=3, status=200)), s.final(b"bye")]


def make():
    s = Collector("carriage")
    a, b = Wire(Scene(1)), Wire(Scene(2), b"no receipt")

    def case(name, comment, role, transport, received, wire=a, error=None, flags=(), params=None, context=None, **kw):
        scene = wire.scene if context is None else wire.scene.beside(context)
        s.add(name, "9", comment, scene.given(transport=transport, role=role, received=received, **kw), error=error,
              coins=scene.coins, flags=flags, params=params)

    head, c2s, h2, s2c = a.first, a.c2s, a.scene.h2, a.s2c
    up, down = b"".join(c2s), b"".join(s2c)
    case("instance-stream", "everything at once", "instance", "stream", [head + up])
    case("instance-stream-pieces", "pieces that cut the context's length, the context, H1 and frames", "instance", "stream",
         parts(head + up, 1, 10, 200, 2000, len(head) - 2211 - 1, 3, 40), flags=["fragmentation"])
    case("instance-stream-suite2", "suite 2, H1 and the frames apart", "instance", "stream", [b.first, *b.c2s], wire=b)
    case("instance-message", "a message for each frame", "instance", "message", [head, *c2s])
    case("client-stream", "everything at once", "client", "stream", [h2 + down])
    case("client-stream-pieces", "pieces that cut H2's header, H2 and frames", "client", "stream",
         parts(h2 + down, 1, 1, 1000, len(h2) - 1002 + 2, 30, 200), flags=["fragmentation"])
    case("client-stream-suite2", "suite 2, H2 and the frames apart; a PUBLIC body that is no receipt passes, as this kind does not check them", "client", "stream", [b.scene.h2, *b.s2c], wire=b)
    case("client-message", "a message for each frame", "client", "message", [h2, *s2c])

    def bad(name, flag, comment, role, transport, received, error, **kw):
        case(name, comment, role, transport, received, error=error, flags=flag, **kw)

    # an instance on a byte stream
    def ins(name, flag, comment, received, error, **kw):
        bad("instance-stream-" + name, flag, comment, "instance", "stream", received, error, **kw)

    cut = "truncation"
    ins("nothing", cut, "the transport ends at once", [], "truncated")
    ins("context-length-cut", cut, "the transport ends within the length of the context", [b"\0"], "truncated")
    ins("context-cut", cut, "the context lacks its last byte", [head[:2 + len(a.scene.context) - 1]], "truncated")
    ins("h1-cut", cut, "H1 lacks its last byte", [head[:-1]], "truncated")
    ins("no-frames", cut, "the transport ends after H1", [head], "truncated")
    ins("context-1025", "context-size", "a context length of 1,025 is refused before the rest is there", [b"\x04\x01"], "bad-context")
    ins("http", "context-size", "an HTTP request in the place of a context", [b"POST / HTTP/1.1\r\n"], "bad-context")
    ins("context-empty", "context-missing", "a context of no bytes", [b"\0\0" + a.scene.h1 + up], "bad-context")
    ins("busy", "busy", "no capacity", [head + up], "busy", params={"busy": True})
    ins("frame-tag", "tag", "the third frame is changed", [head + c2s[0] + c2s[1], flip(c2s[2], 7), c2s[3]], "decrypt")
    ins("trailing", "trailing", "one byte after FINAL", [head + up + b"\0"], "trailing-data")

    def inm(name, flag, comment, received, error, **kw):
        bad("instance-message-" + name, flag, comment, "instance", "message", received, error, **kw)

    size = "message-size"
    inm("first-short", cut, "the first message lacks its last byte; the frames follow", [head[:-1], *c2s], "truncated")
    inm("first-in-two", cut, "the first message is one byte, the second has the rest", [head[:1], head[1:], *c2s], "truncated")
    inm("first-empty", cut, "the first message is empty", [b"", head, *c2s], "truncated")
    inm("first-long", "trailing", "one byte after H1", [head + b"\0", *c2s], "trailing-data")
    inm("two-frames", size, "two frames in one message", [head, c2s[0], c2s[1] + c2s[2], c2s[3]], "bad-frame-length")
    inm("empty", size, "an empty message", [head, c2s[0], b"", *c2s[1:]], "bad-frame-length")
    inm("three-bytes", size, "a message of three bytes, whose type would be wrong", [head, c2s[0], b"\x09\0\0"], "bad-frame-length")
    inm("type", "frame-type", "a short message of an unknown type: the type is judged first", [head, c2s[0], b"\x07\0\0\x14\0"], "bad-frame-type")
    inm("public", size, "the header of a PUBLIC frame alone: the message's size is judged before PUBLIC in c2s", [head, c2s[0], b"\x02\0\0\x14"],
        "bad-frame-length")
    inm("whole-public", "public-in-c2s", "PUBLIC in c2s, a whole message", [head, b"\x02\0\0\x14" + bytes(20)], "unexpected-frame")
    inm("short-after-end", "trailing", "two bytes after FINAL: the end comes before the size", [head, *c2s, b"\x01\0"], "trailing-data")
    inm("empty-after-end", size, "an empty message after FINAL", [head, *c2s, b""], "bad-frame-length")

    def cls(name, flag, comment, received, error, **kw):
        bad("client-stream-" + name, flag, comment, "client", "stream", received, error, **kw)

    cls("refused", cut, "the instance refuses by closing the stream", [], "truncated")
    cls("no-final", cut, "the transport ends before FINAL", [h2 + s2c[0] + s2c[1]], "truncated")
    cls("silence", "deadline", "nothing comes", [], "handshake-timeout", then="silence")
    cls("silence-in-h2", "deadline", "H2 stops within its ciphertext", [h2[:600]], "handshake-timeout", then="silence")
    cls("no-duplex", "duplex", "EarlyData::Never on a carriage that is known not to be full duplex", [], "no-duplex", early="never", duplex=False)
    cls("plaintext", "h2-version", "an HTTP answer in the place of H2", [b"HTTP/1.1 200 OK\r\n\r\n{}"], "bad-version")
    cls("confirm", "confirm", "one bit of confirm2 is wrong; good frames follow", [flip(h2, -1) + down], "confirm-failed")
    cls("final-forged", "plaintext", "the relay ends the answer with a FINAL of its own", [h2 + s2c[0] + b"\x01\0\0\x14\x02" + bytes(19)], "decrypt")

    def clm(name, flag, comment, received, error, **kw):
        bad("client-message-" + name, flag, comment, "client", "message", received, error, **kw)

    clm("h2-short", cut, "a first message of H2 without its last byte", [h2[:-1], *s2c], "truncated")
    clm("h2-long", "trailing", "a first message of H2 and a frame", [h2 + s2c[0]], "trailing-data")
    clm("two-frames", size, "two frames in one message", [h2, s2c[0] + s2c[1], s2c[2]], "bad-frame-length")
    return s.cases
