"""seal.json"""
from .common import Collector
from .halves import LATE, TS, TS_S2C


def make():
    suite = Collector("seal")

    def data(t):
        return {"op": "data", "content": t.encode().hex()}

    final, switch, update = {"op": "final", "content": ""}, {"op": "switch"}, {"op": "key_update"}

    def public(body):
        return {"op": "public", "bytes": body}

    def case(name, spec, comment, half, ops, padding="none", error=None, flags=(), **params):
        given = {"half": half, "ts": TS if half == "c2s" else TS_S2C, "padding": padding, "ops": ops}
        if half == "c2s":
            given["ts_late"] = LATE
        suite.add(name, spec, comment, given, error=error, flags=flags, params=params)

    case("data-final", "6.1", "DATA and FINAL", "c2s", [data("alpha"), final])
    case("empty-reset", "6.3", "max_empty 2: content between starts a new count of empty frames", "c2s",
         [data(""), data(""), data("x"), data(""), data(""), final], max_empty=2)
    case("every-op-c2s", "6.1", "every inner type of c2s but ERROR", "c2s", [data("early"), {"op": "pad", "zeros": 3}, switch, data("late"), update,
         {"op": "final", "content": b"end".hex()}])
    case("every-op-s2c", "6.1", "every frame of s2c", "s2c", [public("01ff"), update, data("a"), {"op": "pad", "zeros": 0},
         update, {"op": "error", "code": 3, "message": "nicht verfügbar"}])
    for policy in ("buckets", "padme", {"fixed": 96}):
        name = policy if isinstance(policy, str) else "fixed"
        case(f"padding-{name}", "6.5", "the policy holds for every inner type", "c2s",
             [data("x" * 73), switch, data(""), update, final], padding=policy, flags=["padding"])
    fixed, pad = {"fixed": 4}, ["padding"]
    case("split-data", "6.5", "10 bytes under fixed 4: three DATA", "s2c", [data("0123456789"), final], padding=fixed, flags=pad)
    case("split-final", "6.5", "10 bytes of FINAL under fixed 4: two DATA, and FINAL with the rest", "c2s",
         [{"op": "final", "content": b"0123456789".hex()}], padding=fixed, flags=pad)
    case("split-final-multiple", "6.5", "8 bytes of FINAL under fixed 4: FINAL carries the last full piece", "c2s",
         [{"op": "final", "content": b"01234567".hex()}], padding=fixed, flags=pad)
    case("split-error", "6.5", "a message that does not fit is cut at a character's boundary: 6 bytes of room, 5 are used", "s2c",
         [{"op": "error", "code": 1, "message": "abcdeüf"}], padding={"fixed": 8}, flags=pad)
    case("padding-fixed-2-error", "6.5", "the smallest fixed n: ERROR has no message", "s2c",
         [{"op": "error", "code": 8, "message": "stop"}], padding={"fixed": 2}, flags=pad)
    case("padding-fixed-pad", "6.5", "under fixed n also PAD has n", "s2c", [{"op": "pad", "zeros": 4}, final], padding=fixed, flags=pad)
    case("padding-buckets-pad", "6.5", "buckets are not applied to PAD", "s2c", [{"op": "pad", "zeros": 3}, final],
         padding="buckets", flags=pad)
    case("padding-public", "6.5", "PUBLIC is never padded, ERROR is", "s2c",
         [public("01"), {"op": "error", "code": 1, "message": ""}], padding="buckets", flags=pad)
    case("split-16385", "6.5", "one byte more than a frame takes", "s2c", [{"op": "final", "content": (bytes(16384) + b"x").hex()}], flags=["limits"])
    ep = {"epoch_frames": 4, "flags": ["ratchet"]}
    many = [data(str(n)) for n in range(9)]
    case("epochs", "6.4", "ten frames in epochs of 4", "c2s", many + [final], **ep)
    case("epoch-update-on-boundary", "6.4", "KEY_UPDATE is the 4th frame", "s2c", many[:3] + [update] + many[:5] + [final], **ep)
    case("epoch-switch-on-boundary", "6.4", "SWITCH is the 4th frame", "c2s", many[:3] + [switch] + many[:5] + [final], **ep)
    case("epoch-public-on-boundary", "6.4", "PUBLIC is the 4th frame", "s2c", many[:3] + [public("01")] + many[:1] + [final], **ep)
    case("split-over-epochs", "6.5", "a content whose pieces lie in two epochs", "s2c", [data("0"), data("abcdefghijkl"), final],
         padding=fixed, epoch_frames=3, flags=["ratchet"])

    full = {"error": "exhausted", "flags": "exhausted"}
    case("exhausted", "6.2", "max_frames 2: the third frame fails; `wire` holds the two before it", "c2s", [data("a"), data("b"), final],
         max_frames=2, **full)
    case("exhausted-within-split", "6.5", "max_frames 3: the fourth piece fails, the frames made before stand", "s2c",
         [data("0"), data("abcdefghijkl")], padding=fixed, max_frames=3, **full)
    case("exhausted-within-final", "6.5", "max_frames 2: FINAL's last piece fails, so there is no FINAL", "c2s",
         [{"op": "final", "content": b"abcdefghijkl".hex()}], padding=fixed, max_frames=2, **full)
    case("exhausted-error", "6.2", "max_frames 1: no number is kept back for ERROR", "s2c",
         [data("a"), {"op": "error", "code": 1, "message": ""}], max_frames=1, **full)
    case("exhausted-public", "6.2", "max_frames 2: PUBLIC takes numbers too", "s2c", [data("a"), public("01"), public("02")],
         max_frames=2, **full)
    case("exhausted-switch", "6.2", "max_frames 2: SWITCH does not start the numbers again", "c2s", [data("a"), switch, data("b")],
         max_frames=2, **full)
    case("exhausted-epochs", "6.2", "max_frames 3 in epochs of 2", "s2c", [data("a"), update, data("b"), update],
         max_frames=3, epoch_frames=2, **full)
    return suite.cases
