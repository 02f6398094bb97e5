"""Bundles (section 3)."""
import hashlib
from dataclasses import dataclass, field

from . import ed25519, kem
from .wire import (FLAG_SINGLE_USE, MAX_WINDOW, SKEW, VERSION, Reader, Short, WireError, check_label, lp, sha256, u)

SIGN_LABEL = b"sealwire/1 bundle\x00"


@dataclass(frozen=True)
class Bundle:
    """A bundle that passed section 3.1."""
    raw: bytes
    suite: int
    flags: int
    not_before: int
    not_after: int
    label: bytes
    kem_pk: bytes
    identity: bytes
    signature: bytes

    @property
    def single_use(self):
        return bool(self.flags & FLAG_SINGLE_USE)

    @property
    def bundle_id(self):
        return sha256(self.raw)[:16]

    @property
    def hash(self):
        return sha256(self.raw)


@dataclass(frozen=True)
class Policy:
    suites: tuple = (kem.MLKEM768, kem.XWING)
    label: bytes = b""
    single_use_required: bool = False
    trusted_identities: tuple = field(default_factory=tuple)


def unsigned(suite, flags, not_before, not_after, label, kem_pk, identity, version=VERSION):
    return (u(version, 1) + u(suite, 2) + u(flags, 1) + u(not_before, 8) + u(not_after, 8)
            + lp(label) + lp(kem_pk) + identity)


def make(identity_seed, suite, flags, not_before, not_after, label, kem_pk):
    body = unsigned(suite, flags, not_before, not_after, label, kem_pk, ed25519.public(identity_seed))
    return body + ed25519.sign(identity_seed, SIGN_LABEL + body)


def parse(raw):
    """The checks of section 3.1, in its order."""
    r = Reader(raw)
    try:
        if r.num(1) != VERSION:
            raise WireError("bundle-version")
        suite = r.num(2)
        if suite not in kem.SUITES:
            raise WireError("bundle-suite")
        flags = r.num(1)
        if flags & ~FLAG_SINGLE_USE:
            raise WireError("bundle-flags")
        not_before, not_after = r.num(8), r.num(8)
        label = r.take(r.num(2))
        pk_len = r.num(2)
        if pk_len != kem.SUITES[suite].ek:
            raise WireError("bundle-length")
        kem_pk, identity, signature = r.take(pk_len), r.take(32), r.take(64)
    except Short:
        raise WireError("bundle-length") from None
    if r.left():
        raise WireError("bundle-length")
    if not (not_before < not_after and not_after - not_before <= MAX_WINDOW):
        raise WireError("bundle-window")
    if not check_label(label):
        raise WireError("bundle-label")
    if not ed25519.verify(identity, SIGN_LABEL + raw[:-64], signature):
        raise WireError("bundle-signature")
    try:
        kem.check_key(suite, kem_pk)
    except kem.BadKey:
        raise WireError("bundle-kem-key") from None
    return Bundle(raw, suite, flags, not_before, not_after, label, kem_pk, identity, signature)


def accept(bundle, policy, now):
    """The checks of section 3.2, in its order."""
    if bundle.suite not in policy.suites:
        raise WireError("policy-suite")
    if bundle.label != policy.label:
        raise WireError("label-mismatch")
    if policy.single_use_required and not bundle.single_use:
        raise WireError("policy-single-use")
    if now < bundle.not_before - SKEW or now > bundle.not_after + SKEW:
        raise WireError("clock-skew")
    if bundle.identity not in policy.trusted_identities:
        raise WireError("identity-untrusted")
    return bundle


def report_data(identity, verifier_nonce, statement):
    """Section 3.4."""
    return hashlib.sha512(b"sealwire/1 evidence" + identity + verifier_nonce + sha256(statement)).digest()
