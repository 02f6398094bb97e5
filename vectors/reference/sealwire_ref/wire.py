"""Constants, errors and small functions (section 2)."""
import hashlib
import hmac

MAGIC, VERSION = b"SW", 1
FLAG_SINGLE_USE = 1
FRAME_SEALED, FRAME_PUBLIC = 1, 2
DATA, FINAL, ERROR, KEY_UPDATE, SWITCH, PAD = 1, 2, 3, 4, 5, 6
INNER_TYPES = (DATA, FINAL, ERROR, KEY_UPDATE, SWITCH, PAD)
MAX_CONTENT = 16384
SEALED_MIN, SEALED_MAX = 20, 16404
PUBLIC_MIN, PUBLIC_MAX = 17, 528
EPOCH_FRAMES, MAX_FRAMES, MAX_EMPTY = 65536, 2**48, 32
MAX_LABEL, MAX_CONTEXT, MAX_BILLING, MAX_ATTEMPTS = 255, 1024, 128, 8
MAX_WINDOW, SKEW = 1200, 120
FILTER_CAPACITY = 65536
PAD_BUDGET = 64 * 2**20
TAG = 16


class WireError(Exception):
    """A failure with a code of section 8."""

    def __init__(self, code):
        super().__init__(code)
        self.code = code


class Misuse(Exception):
    """The local caller did what section 6.2 forbids; no code of section 8 exists for it."""


def u(n, size):
    return n.to_bytes(size, "big")


def num(b):
    return int.from_bytes(b, "big")


def lp(x):
    return u(len(x), 2) + x


def sha256(*parts):
    return hashlib.sha256(b"".join(parts)).digest()


def hkdf_extract(salt, ikm):
    return hmac.new(salt, ikm, hashlib.sha256).digest()


def hkdf_expand(prk, info, length):
    out, block, i = b"", b"", 1
    while len(out) < length:
        block = hmac.new(prk, block + info + bytes([i]), hashlib.sha256).digest()
        out, i = out + block, i + 1
    return out[:length]


def same(a, b):
    return hmac.compare_digest(a, b)


def check_label(raw):
    """True if `raw` is a label that section 3.1 takes."""
    if not 1 <= len(raw) <= MAX_LABEL:
        return False
    try:
        text = raw.decode("utf-8", "strict")
    except UnicodeDecodeError:
        return False
    return all(ord(c) >= 0x20 and ord(c) != 0x7F for c in text)


class Short(Exception):
    """A Reader ran out of bytes."""


class Reader:
    def __init__(self, data):
        self.data, self.at = data, 0

    def take(self, n):
        if len(self.data) - self.at < n:
            raise Short
        self.at += n
        return self.data[self.at - n:self.at]

    def num(self, n):
        return num(self.take(n))

    def left(self):
        return len(self.data) - self.at
