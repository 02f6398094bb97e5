"""The two roles of the handshake (sections 5.1 to 5.4)."""
from . import context as ctx
from . import kem, schedule
from .opening import Opener
from .sealing import Sealer
from .wire import FILTER_CAPACITY, MAGIC, VERSION, WireError, num, same, sha256, u


def h1_size(suite):
    return 22 + kem.SUITES[suite].ct + kem.SUITES[suite].ek + 32


def h2_size(suite):
    return 2 + kem.SUITES[suite].ct + 32


def h1_head(suite, bundle_id, ct_s, ek_c):
    """H1 without confirm1."""
    return MAGIC + u(VERSION, 1) + u(suite, 2) + b"\x00" + bundle_id + ct_s + ek_c


def h2_head(ct_c):
    """H2 without confirm2."""
    return u(VERSION, 1) + b"\x00" + ct_c


def scan_h1(buf, ended):
    """Step 1 of section 5.4 over a prefix.  Length of H1, or None if more bytes are needed."""
    if len(buf) >= 2 and buf[:2] != MAGIC:
        raise WireError("bad-magic")
    if len(buf) >= 3 and buf[2] != VERSION:
        raise WireError("bad-version")
    if len(buf) >= 5 and num(buf[3:5]) not in kem.SUITES:
        raise WireError("bad-suite")
    if len(buf) >= 6 and buf[5] != 0:
        raise WireError("bad-flags")
    if len(buf) >= 6 and len(buf) >= h1_size(num(buf[3:5])):
        return h1_size(num(buf[3:5]))
    if ended:
        raise WireError("truncated")
    return None


def scan_h2(suite, buf, ended):
    if len(buf) >= 1 and buf[0] != VERSION:
        raise WireError("bad-version")
    if len(buf) >= 2 and buf[1] != 0:
        raise WireError("bad-flags")
    if len(buf) >= h2_size(suite):
        return h2_size(suite)
    if ended:
        raise WireError("truncated")
    return None


class Client:
    """`bundle` must have passed bundle.parse and bundle.accept."""

    def __init__(self, bundle, context, client_seed, encaps_coins, **limits):
        parsed = ctx.parse(context)
        if parsed.label != bundle.label:
            raise WireError("label-mismatch")
        self.bundle, self.context, self.limits = bundle, parsed, limits
        self.pair = kem.keygen(bundle.suite, client_seed)
        try:
            ct_s, self.ss_s = kem.encaps(bundle.suite, bundle.kem_pk, encaps_coins)
        except kem.BadKey:
            raise WireError("bundle-kem-key") from None
        head = h1_head(bundle.suite, bundle.bundle_id, ct_s, self.pair.ek)
        self.one = schedule.first(bundle.suite, bundle.hash, context, head, self.ss_s)
        self.h1 = head + self.one.confirm1
        self.sealer = Sealer("c2s", self.one.ts_c2s_0, **limits)

    def receive_h2(self, buf):
        """All bytes of the transport from H2 on; the rest after H2 is returned."""
        size = scan_h2(self.bundle.suite, buf, True)
        head, confirm2 = buf[:size - 32], buf[size - 32:size]
        try:
            self.ss_c = kem.decaps(self.pair, head[2:])
        except kem.BadCiphertext:
            raise WireError("confirm-failed") from None
        two = schedule.second(self.one, head, self.ss_c)
        if not same(two.confirm2, confirm2):
            raise WireError("confirm-failed")
        self.two = two
        self.opener = Opener("s2c", two.ts_s2c_0, **self.limits)
        self.sealer.ts_late = two.ts_c2s_1
        return buf[size:]


class Held:
    """A bundle key with its replay filter."""

    def __init__(self, bundle, pair, capacity):
        self.bundle, self.pair, self.capacity, self.filter, self.taken = bundle, pair, capacity, set(), False

    def accept(self, h1):
        """Step 6 of section 5.4.  True if the key is to be erased now ([B-14], [B-16])."""
        entry = sha256(h1)[:16]
        if self.taken or entry in self.filter:
            raise WireError("replayed")
        self.filter.add(entry)
        self.taken = self.bundle.single_use
        return self.taken or len(self.filter) >= self.capacity


class Instance:
    def __init__(self, filter_capacity=FILTER_CAPACITY):
        self.keys, self.capacity, self.busy = {}, filter_capacity, False

    def hold(self, bundle, kem_seed):
        self.keys[bundle.bundle_id] = Held(bundle, kem.keygen(bundle.suite, kem_seed), self.capacity)

    def receive_h1(self, buf, context, encaps_coins, meanwhile=lambda held: None, **limits):
        """Section 5.4, steps 1 to 8.  Returns an Accepted.  `meanwhile` is called between steps 4 and 6."""
        size = scan_h1(buf, True)                                                       # 1
        h1, rest = buf[:size], buf[size:]
        suite = num(h1[3:5])
        held = self.keys.get(h1[6:22])                                                  # 2
        if held is None:
            raise WireError("key-unknown")
        bundle = held.bundle
        if bundle.suite != suite:                                                       # 3
            raise WireError("suite-mismatch")
        parsed = ctx.parse(context)
        if parsed.label != bundle.label:
            raise WireError("label-mismatch")
        if self.busy:                                                                   # 4
            raise WireError("busy")
        ct = kem.SUITES[suite].ct
        head, ct_s, ek_c, confirm1 = h1[:-32], h1[22:22 + ct], h1[22 + ct:-32], h1[-32:]
        try:                                                                            # 5
            ss_s = kem.decaps(held.pair, ct_s)
        except kem.BadCiphertext:
            raise WireError("confirm-failed") from None
        one = schedule.first(suite, bundle.hash, context, head, ss_s)
        if not same(one.confirm1, confirm1):
            raise WireError("confirm-failed")
        meanwhile(held)
        if held.accept(h1):                                                             # 6
            self.keys.pop(bundle.bundle_id, None)
        try:                                                                            # 7, 8
            ct_c, ss_c = kem.encaps(suite, ek_c, encaps_coins)
        except kem.BadKey:
            raise WireError("bad-client-key") from None
        return Accepted(bundle, parsed, ss_s, one, ct_c, ss_c, rest, limits)


class Accepted:
    """An instance's side of one handshake."""

    def __init__(self, bundle, context, ss_s, one, ct_c, ss_c, rest, limits):
        self.bundle, self.context, self.ss_s, self.ss_c, self.one, self.rest = bundle, context, ss_s, ss_c, one, rest
        head = h2_head(ct_c)
        self.two = schedule.second(one, head, ss_c)
        self.h2 = head + self.two.confirm2
        self.opener = Opener("c2s", one.ts_c2s_0, self.two.ts_c2s_1, **limits)
        self.sealer = Sealer("s2c", self.two.ts_s2c_0, **limits)
