"""The two KEMs (section 2.4).  ML-KEM-768 is kyber-py's, X25519 that of `cryptography`."""
import hashlib
from dataclasses import dataclass

from cryptography.hazmat.primitives.asymmetric.mlkem import MLKEM768PrivateKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from kyber_py.ml_kem import ML_KEM_768

MLKEM768, XWING = 1, 2
XWING_LABEL = bytes([0x5C, 0x2E, 0x2F, 0x2F, 0x5E, 0x5C])
PROBE = bytes([9] * 32)


class BadKey(Exception):
    """An encapsulation key that fails K-1, K-2 or K-3."""


class BadCiphertext(Exception):
    """K-2 or K-3 on decapsulation."""


@dataclass(frozen=True)
class Sizes:
    ek: int
    ct: int
    seed: int
    coins: int


SUITES = {MLKEM768: Sizes(1184, 1088, 64, 32), XWING: Sizes(1216, 1120, 32, 64)}


@dataclass(frozen=True)
class KeyPair:
    suite: int
    ek: bytes
    dk_m: bytes
    sk_x: bytes = b""


def x25519(sk, pk):
    """The shared secret, or None if it is all zero."""
    try:
        return X25519PrivateKey.from_private_bytes(sk).exchange(X25519PublicKey.from_public_bytes(pk))
    except ValueError:
        return None


def x25519_public(sk):
    return X25519PrivateKey.from_private_bytes(sk).public_key().public_bytes_raw()


def keygen(suite, seed):
    assert len(seed) == SUITES[suite].seed
    if suite == MLKEM768:
        ek, dk = ML_KEM_768._keygen_internal(seed[:32], seed[32:])
        return KeyPair(suite, ek, dk)
    wide = hashlib.shake_256(seed).digest(96)
    ek, dk = ML_KEM_768._keygen_internal(wide[:32], wide[32:64])
    return KeyPair(suite, ek + x25519_public(wide[64:]), dk, wide[64:])


def public_key(suite, seed):
    """keygen(suite, seed).ek, by the other library and much faster."""
    if suite == MLKEM768:
        return MLKEM768PrivateKey.from_seed_bytes(seed).public_key().public_bytes_raw()
    wide = hashlib.shake_256(seed).digest(96)
    return public_key(MLKEM768, wide[:64]) + x25519_public(wide[64:])


def combine(ss_m, ss_x, ct_x, pk_x):
    return hashlib.sha3_256(ss_m + ss_x + ct_x + pk_x + XWING_LABEL).digest()


def check_key(suite, ek):
    """K-1, K-2 and K-3 for a received key; raises BadKey."""
    if len(ek) != SUITES[suite].ek:
        raise BadKey
    for i in range(0, 1152, 3):  # two 12-bit coefficients in 3 bytes
        a = ek[i] | (ek[i + 1] & 15) << 8
        b = ek[i + 1] >> 4 | ek[i + 2] << 4
        if a >= 3329 or b >= 3329:
            raise BadKey
    if suite == XWING and x25519(PROBE, ek[1184:]) is None:
        raise BadKey


def encaps(suite, ek, coins):
    """(ciphertext, shared secret)"""
    assert len(coins) == SUITES[suite].coins
    check_key(suite, ek)
    ss_m, ct_m = ML_KEM_768._encaps_internal(ek[:1184], coins[:32])
    if suite == MLKEM768:
        return ct_m, ss_m
    ss_x = x25519(coins[32:], ek[1184:])
    if ss_x is None:
        raise BadKey
    ct_x = x25519_public(coins[32:])
    return ct_m + ct_x, combine(ss_m, ss_x, ct_x, ek[1184:])


def decaps(pair, ct):
    if len(ct) != SUITES[pair.suite].ct:
        raise BadCiphertext
    ss_m = ML_KEM_768._decaps_internal(pair.dk_m, ct[:1088])
    if pair.suite == MLKEM768:
        return ss_m
    ss_x = x25519(pair.sk_x, ct[1088:])
    if ss_x is None:
        raise BadCiphertext
    return combine(ss_m, ss_x, ct[1088:], pair.ek[1184:])
