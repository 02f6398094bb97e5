"""Accumulated mode: section 4 of conformance.md.

`rounds()` makes every choice from one SHAKE-128 stream, `play()` turns a round into the bytes that the digest absorbs.
Encapsulation gives both shared secrets, so no round needs a decapsulation.
"""
import hashlib
import os
import pathlib
from collections import deque
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass

from . import bundle, context, kem, schedule
from .handshake import h1_head, h2_head
from .sealing import Sealer
from .wire import sha256, u

SEED = b"sealwire/1 accumulated"
MILESTONES = (100, 1_000, 10_000, 100_000)
PADDING = ("none", "buckets", "padme", {"fixed": 256})
SEGMENT = 50  # rounds that one process works on at a time


class Stream:
    """G: the output of SHAKE-128 over SEED."""

    def __init__(self):
        self.at, self.data = 0, b""

    def take(self, n: int) -> bytes:
        if self.at + n > len(self.data):
            self.data = hashlib.shake_128(SEED).digest(2 * (self.at + n) + 65536)
        self.at += n
        return self.data[self.at - n:self.at]

    def pick(self, n: int) -> int:
        return int.from_bytes(self.take(4), "big") % n


@dataclass(frozen=True)
class Round:
    number: int
    suite: int
    identity_seed: bytes
    kem_seed: bytes
    client_seed: bytes
    encaps_s: bytes
    encaps_c: bytes
    label: bytes
    request_id: bytes
    attempt: int
    billing: bytes
    flags: int
    epoch_frames: int
    padding: object
    early: tuple
    late: tuple
    answer: tuple


def next_round(g: Stream, number: int) -> Round:
    suite = 1 if number % 2 else 2
    sizes = kem.SUITES[suite]
    coins = {"identity_seed": g.take(32), "kem_seed": g.take(sizes.seed), "client_seed": g.take(sizes.seed),
             "encaps_s": g.take(sizes.coins), "encaps_c": g.take(sizes.coins)}
    label = b"m%d" % g.pick(1000)
    request_id = g.take(16)
    attempt = 1 + g.pick(8)
    billing = g.take(g.pick(17))
    flags = g.pick(2)
    epoch_frames = 2 + g.pick(7)
    early, late, answer = g.pick(4), g.pick(4), g.pick(8)
    padding = PADDING[g.pick(4)]
    early, late, answer = (tuple(g.take(g.pick(200)) for _ in range(n)) for n in (early, late, answer))
    return Round(number, suite, **coins, label=label, request_id=request_id, attempt=attempt, billing=billing,
                 flags=flags, epoch_frames=epoch_frames, padding=padding, early=early, late=late, answer=answer)


def play(r: Round) -> bytes:
    """The bytes of one round, in the order in which A absorbs them."""
    not_before = 1_800_000_000 + r.number
    kem_pk = kem.public_key(r.suite, r.kem_seed)
    raw = bundle.make(r.identity_seed, r.suite, r.flags, not_before, not_before + 1200, r.label, kem_pk)
    ctx = context.make(r.label, r.request_id, r.attempt, r.billing or None)
    ct_s, ss_s = kem.encaps(r.suite, kem_pk, r.encaps_s)
    ek_c = kem.public_key(r.suite, r.client_seed)
    head1 = h1_head(r.suite, sha256(raw)[:16], ct_s, ek_c)
    one = schedule.first(r.suite, sha256(raw), ctx, head1, ss_s)
    ct_c, ss_c = kem.encaps(r.suite, ek_c, r.encaps_c)
    two = schedule.second(one, h2_head(ct_c), ss_c)

    c2s = Sealer("c2s", one.ts_c2s_0, two.ts_c2s_1, r.padding, r.epoch_frames)
    frames = [c2s.data(content) for content in r.early]
    frames.append(c2s.switch())
    frames += [c2s.data(content) for content in r.late]
    frames.append(c2s.final())
    s2c = Sealer("s2c", two.ts_s2c_0, None, r.padding, r.epoch_frames)
    for content in r.answer:
        frames.append(s2c.data(content))
        if len(content) % 2:
            frames.append(s2c.key_update())
    frames.append(s2c.final(b"done"))
    out = schedule.export(two.exporter, b"accumulated", u(r.number, 4), 32)
    return b"".join([raw, ctx, head1, one.confirm1, h2_head(ct_c), two.confirm2, *frames, out])


def _segment(rounds) -> bytes:
    return b"".join(play(r) for r in rounds)


def _segments(rounds_wanted, processes, store):
    """The bytes of all rounds in order, in pieces of SEGMENT rounds; pieces already in `store` are not made again."""
    g, waiting = Stream(), deque()
    pool = ProcessPoolExecutor(processes) if processes > 1 else None

    def finish(path, job):
        if job is None:
            return path.read_bytes()
        data = job.result() if pool else _segment(job)
        if path:
            part = path.with_suffix(".part")
            part.write_bytes(data)
            os.replace(part, path)
        return data

    try:
        for start in range(1, rounds_wanted + 1, SEGMENT):
            rounds = [next_round(g, n) for n in range(start, min(start + SEGMENT, rounds_wanted + 1))]
            path = store / f"{start}-{rounds[-1].number}" if store else None
            if path and path.exists():
                waiting.append((path, None))
            else:
                waiting.append((path, pool.submit(_segment, rounds) if pool else rounds))
            if len(waiting) >= 2 * processes:
                yield finish(*waiting.popleft())
        while waiting:
            yield finish(*waiting.popleft())
    finally:
        if pool:
            pool.shutdown(cancel_futures=True)


def digests(rounds_wanted: int, processes: int = 1, store: pathlib.Path | None = None, found=None) -> dict[str, str]:
    """Milestone -> digest, for every milestone up to `rounds_wanted`.

    `store` is a directory that keeps finished pieces (about 7 kB for a round), so that a stopped run goes on where it was.
    `found(rounds, digest)` is called for each milestone as soon as it is known.
    """
    last = max((m for m in MILESTONES if m <= rounds_wanted), default=0)
    if store:
        store.mkdir(parents=True, exist_ok=True)
    a, done, out = hashlib.sha256(), 0, {}
    for data in _segments(last, processes, store):
        a.update(data)
        done = min(done + SEGMENT, last)
        if done in MILESTONES:
            out[str(done)] = a.hexdigest()
            if found:
                found(done, a.hexdigest())
    return out
