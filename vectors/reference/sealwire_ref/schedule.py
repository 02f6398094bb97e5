"""Key schedule and exporter (sections 5.2 and 5.6)."""
from dataclasses import dataclass

from .wire import hkdf_expand, hkdf_extract, lp, sha256, u


@dataclass(frozen=True)
class First:
    th0: bytes
    th1: bytes
    prk1: bytes
    confirm1: bytes
    ts_c2s_0: bytes
    derived: bytes


@dataclass(frozen=True)
class Second:
    th2: bytes
    prk2: bytes
    confirm2: bytes
    ts_s2c_0: bytes
    ts_c2s_1: bytes
    exporter: bytes


def transcript0(suite, bundle_hash, context):
    return sha256(b"sealwire/1", u(suite, 2), bundle_hash, lp(context))


def transcript1(th0, h1_head):
    return sha256(th0, h1_head)


def transcript2(th1, confirm1, h2_head):
    return sha256(th1, confirm1, h2_head)


def first(suite, bundle_hash, context, h1_head, ss_s):
    th0 = transcript0(suite, bundle_hash, context)
    th1 = transcript1(th0, h1_head)
    prk1 = hkdf_extract(th0, ss_s)
    key = lambda label: hkdf_expand(prk1, label + th1, 32)
    return First(th0, th1, prk1, key(b"sealwire/1 confirm1"), key(b"sealwire/1 c2s 0"), key(b"sealwire/1 derived"))


def second(one, h2_head, ss_c):
    th2 = transcript2(one.th1, one.confirm1, h2_head)
    prk2 = hkdf_extract(one.derived, ss_c)
    key = lambda label: hkdf_expand(prk2, label + th2, 32)
    return Second(th2, prk2, key(b"sealwire/1 confirm2"), key(b"sealwire/1 s2c 0"), key(b"sealwire/1 c2s 1"),
                  key(b"sealwire/1 exporter"))


def export(exporter, label, context, n):
    if not 1 <= n <= 8160:
        raise ValueError("export length")
    return hkdf_expand(exporter, lp(b"sealwire/1 exp") + lp(label) + sha256(context), n)
