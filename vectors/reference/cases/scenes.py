"""A bundle, a context and an honest handshake over them."""
import copy

from sealwire_ref import bundle as bdl
from sealwire_ref import ed25519, kem, receipt, schedule
from sealwire_ref.handshake import Client, Instance
from sealwire_ref.sealing import Sealer
from sealwire_ref.wire import sha256

from .common import NOW, REQUEST_ID, kem_coins, make_bundle, make_context, seed

IDENT = seed("identity")
IDENT_PK = ed25519.public(IDENT)


def all_coins(suite, bundle_coins, client="client"):
    client_seed, encaps_s = kem_coins(suite, client)
    return {**bundle_coins, "client_seed": client_seed, "encaps_s": encaps_s, "encaps_c": kem_coins(suite, "instance")[1]}


class Scene:
    def __init__(self, suite, context=None, client="client", **kw):
        self.suite, self.context = suite, make_context() if context is None else context
        self.raw, bundle_coins = make_bundle(suite, **kw)
        self.coins = all_coins(suite, bundle_coins, client)
        self.bundle = bdl.parse(self.raw)
        self.client = Client(self.bundle, self.context, self.coins["client_seed"], self.coins["encaps_s"])
        self.h1 = self.client.h1
        instance = Instance()
        instance.hold(self.bundle, self.coins["kem_seed"])
        self.done = instance.receive_h1(self.h1, self.context, self.coins["encaps_c"])
        self.h2 = self.done.h2
        self.ct = kem.SUITES[suite].ct

    def given(self, **kw):
        return {"bundle": self.raw, "context": self.context, **kw}

    def beside(self, context):
        """The same messages beside another context."""
        other = copy.copy(self)
        other.context = context
        return other

    def rebuild_h1(self, ct_s=None, ek_c=None, ss_s=None):
        """H1 with other parts and a confirm1 that fits them."""
        at = 22 + self.ct
        head = self.h1[:22] + (ct_s or self.h1[22:at]) + (ek_c or self.h1[at:-32])
        one = schedule.first(self.suite, self.bundle.hash, self.context, head, ss_s or self.client.ss_s)
        return head + one.confirm1

    def c2s(self, **limits):
        """A fresh sender of c2s, both secrets known."""
        return Sealer("c2s", self.done.one.ts_c2s_0, self.done.two.ts_c2s_1, **limits)

    def s2c(self, **limits):
        return Sealer("s2c", self.done.two.ts_s2c_0, **limits)


def receipt_fields(scene, **kw):
    return receipt.Receipt(**{**dict(
        kind=1, flags=0, status=0, index=0, tokens_in=512, tokens_out=0, tokens_cached=256, time=NOW + 5,
        request_id=REQUEST_ID, attempt=1, th2=scene.done.two.th2, bundle_hash=scene.bundle.hash,
        context_hash=sha256(scene.context)), **kw})


def signed(scene, **kw):
    return receipt_fields(scene, **kw).sign(IDENT)
