"""Primitives (C2): base64, keys, sealed blobs."""
import base64
import re

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305

from .. import kem
from ..wire import WireError, hkdf_expand, hkdf_extract

CT, NONCE, TAG = 1088, 12, 16
REQUEST, RESPONSE, STREAM = b"e2e-req-v1", b"e2e-resp-v1", b"e2e-stream-v1"
SEQUENCE = b"sealwire chutes-v1 sequence"
SHORTEST = CT + NONCE + TAG


def b64encode(data):
    return base64.b64encode(data).decode()


def b64decode(text):
    """The bytes, or None: one spelling for each byte string."""
    if not isinstance(text, str) or not re.fullmatch(r"[A-Za-z0-9+/]*={0,2}", text) or len(text) % 4:
        return None
    try:
        data = base64.b64decode(text, validate=True)
    except ValueError:
        return None
    return data if b64encode(data) == text else None


def read_key(text, code):
    """An encapsulation key as discovery or a request gives it [X-2]."""
    key = b64decode(text)
    if key is None:
        raise WireError(code)
    try:
        kem.check_key(kem.MLKEM768, key)
    except kem.BadKey:
        raise WireError(code) from None
    return key


def held(key):
    """A decapsulation key from a seed of 64 bytes or as FIPS 203 expands it."""
    if len(key) == 64:
        return kem.keygen(kem.MLKEM768, key)
    assert len(key) == 2400
    return kem.KeyPair(kem.MLKEM768, key[1152:2336], key)


def prk_of(secret, ct):
    return hkdf_extract(ct[:16], secret)


def seal(key, nonce, plaintext):
    return nonce + ChaCha20Poly1305(key).encrypt(nonce, plaintext, None)


def unseal(key, sealed):
    """The plaintext of nonce | ciphertext | tag."""
    try:
        return ChaCha20Poly1305(key).decrypt(sealed[:NONCE], sealed[NONCE:], None)
    except InvalidTag:
        raise WireError("decrypt") from None


def seal_blob(ek, coins, nonce, info, plaintext):
    """ct | nonce | ciphertext | tag (C3, C4)"""
    ct, secret = kem.encaps(kem.MLKEM768, ek, coins)
    return ct + seal(hkdf_expand(prk_of(secret, ct), info, 32), nonce, plaintext)


def open_blob(pair, info, blob):
    if len(blob) < SHORTEST:
        raise WireError("too-short")
    ct = blob[:CT]
    return unseal(hkdf_expand(prk_of(kem.decaps(pair, ct), ct), info, 32), blob[CT:])
