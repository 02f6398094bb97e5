"""Receipts (section 7)."""
from dataclasses import asdict, dataclass

from . import ed25519
from .wire import Reader, WireError, sha256, u

SIGN_LABEL = b"sealwire/1 receipt\x00"
SIZE = 218
LAYOUT = (("kind", 1), ("flags", 1), ("status", 2), ("index", 4), ("tokens_in", 8), ("tokens_out", 8),
          ("tokens_cached", 8), ("time", 8))
INTERIM, FINAL = 1, 2


@dataclass(frozen=True)
class Receipt:
    kind: int
    flags: int
    status: int
    index: int
    tokens_in: int
    tokens_out: int
    tokens_cached: int
    time: int
    request_id: bytes
    attempt: int
    th2: bytes
    bundle_hash: bytes
    context_hash: bytes

    def body(self):
        fields = asdict(self)
        return (b"\x01" + b"".join(u(fields[name], size) for name, size in LAYOUT) + self.request_id
                + u(self.attempt, 1) + self.th2 + self.bundle_hash + self.context_hash)

    def sign(self, identity_seed):
        return self.body() + ed25519.sign(identity_seed, SIGN_LABEL + self.body())


@dataclass(frozen=True)
class Expected:
    """What a receipt of this stream must hold."""
    th2: bytes
    bundle_hash: bytes
    context_hash: bytes
    request_id: bytes
    attempt: int


def parse(raw):
    if len(raw) != SIZE or raw[0] != 1:
        raise WireError("bad-receipt")
    r = Reader(raw)
    r.take(1)
    fields = {name: r.num(size) for name, size in LAYOUT}
    if fields["kind"] not in (INTERIM, FINAL) or fields["flags"] & ~3:
        raise WireError("bad-receipt")
    return Receipt(**fields, request_id=r.take(16), attempt=r.num(1), th2=r.take(32), bundle_hash=r.take(32),
                   context_hash=r.take(32))


class Checker:
    """A client's or relay's check of the receipts of one stream, in their order."""

    def __init__(self, identity, expected, last_index=None, last_kind=None):
        self.identity, self.expected, self.last_index, self.last_kind = identity, expected, last_index, last_kind

    def check(self, raw):
        receipt = parse(raw)
        if not ed25519.verify(self.identity, SIGN_LABEL + raw[:154], raw[154:]):
            raise WireError("receipt-signature")
        if any(getattr(receipt, name) != value for name, value in asdict(self.expected).items()):
            raise WireError("receipt-mismatch")
        wanted = 0 if self.last_index is None else self.last_index + 1
        if receipt.index != wanted or self.last_kind == FINAL:
            raise WireError("receipt-order")
        self.last_index, self.last_kind = receipt.index, receipt.kind
        return receipt


def checker_of(client):
    """What a client that has verified H2 checks receipts with."""
    context = client.context
    return Checker(client.bundle.identity, Expected(client.two.th2, client.bundle.hash, sha256(context.raw),
                                                    context.request_id, context.attempt))
