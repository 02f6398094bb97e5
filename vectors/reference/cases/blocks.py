"""padding.json, exporter.json, schedule.json, ratchet.json"""
from .common import Collector, seed
from .scenes import Scene


def padding():
    s = Collector("padding")

    def case(policy, length, padded):
        name = policy if isinstance(policy, str) else f"fixed-{policy['fixed']}"
        s.add(f"{name}-{length}", "6.5", f"{name}: {length} to {padded}", {"policy": policy, "length": length},
              want={"padded": padded})

    for length, padded in ((0, 0), (16384, 16384)):
        case("none", length, padded)
    for length, padded in ((0, 64), (64, 64), (65, 128), (8193, 16384), (16384, 16384)):
        case("buckets", length, padded)
    for length, padded in ((0, 0), (1, 1), (2, 2), (3, 3), (7, 7), (8, 8), (9, 10), (17, 18), (100, 104), (1000, 1024),
                           (4097, 4352), (16383, 16384), (16384, 16384)):
        case("padme", length, padded)
    for n, length in ((512, 0), (512, 512), (16384, 1)):
        case({"fixed": n}, length, n)
    case({"fixed": 2}, 2, 2)
    return s.cases


def exporter():
    s = Collector("exporter")
    secret = seed("exporter")
    for name, label, context, n, comment in (
            ("short", b"app", b"ctx", 1, "one byte"), ("block", b"app", b"ctx", 32, "one block"),
            ("two-blocks", b"app", b"ctx", 33, "a byte more than a block"),
            ("empty", b"", b"", 32, "empty label and context"),
            ("label-context-moved", b"appc", b"tx", 32, "the bytes of label and context split elsewhere give another output"),
            ("context-64", b"app", bytes(64), 32, "a context as long as a block of SHA-256"),
            ("longest", b"app", b"ctx", 8160, "the longest output")):
        s.add(name, "5.6", comment, {"exporter": secret, "label": label, "context": context, "length": n},
              flags=["limits"] if n in (1, 8160) else [])
    return s.cases


def schedule():
    s = Collector("schedule")
    for suite in (1, 2):
        a = Scene(suite)
        s.add(f"suite{suite}", "5.2", f"the secrets of handshake-suite{suite}, without a KEM",
              {"suite": suite, **a.given(h1=a.h1[:-32], h2=a.h2[:-32]), "ss_s": a.client.ss_s, "ss_c": a.done.ss_c})
    return s.cases


def ratchet():
    s = Collector("ratchet")
    s.add("four", "6.4", "four epochs; nonces of the first numbers", {"ts": seed("ts_c2s_0"), "epochs": 4, "seqs": [0, 1, 2, 65535]})
    s.add("numbers", "6.1", "nonces of numbers of every length up to the last one of a half",
          {"ts": seed("ts_s2c_0"), "epochs": 1, "seqs": [255, 256, 65536, 2**32 - 1, 2**32, 2**40 + 3, 2**48 - 1]}, flags=["limits"])
    s.add("zero-secret", "6.4", "a traffic secret of zeros", {"ts": bytes(32), "epochs": 2, "seqs": [0]})
    return s.cases


FILES = {"padding": padding, "exporter": exporter, "schedule": schedule, "ratchet": ratchet}
