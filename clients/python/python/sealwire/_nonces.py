"""A user's unused nonces for one chutes-v1 deployment, spread over its instances. No I/O; time is an argument."""

from __future__ import annotations

import threading
from collections import deque
from dataclasses import dataclass, field
from typing import Callable

#: A nonce is not used in its last seconds: the request has to arrive too.
MARGIN = 5.0
#: How long a nonce that came is remembered, so that it never comes in again, and how many are.
REMEMBERED = 600.0
MAX_REMEMBERED = 262_144
#: Nonces of one instance.
MAX_NONCES = 128


@dataclass
class Offer:
    """One instance as discovery lists it."""

    instance: str
    key: str
    nonces: list[str] = field(repr=False)


@dataclass
class Ticket:
    """Leave to send one request to one instance; used up by sending."""

    instance: str
    key: str
    nonce: str = field(repr=False)
    #: Which discovery it came with.
    batch: int


@dataclass
class _Slot:
    instance: str
    key: str
    #: Token, when it is no longer used, which discovery.
    nonces: deque[tuple[str, float, int]] = field(repr=False)


class Seen:
    """Every nonce that came lately, for whichever user: one that comes again is not taken in."""

    def __init__(self) -> None:
        self._came: dict[str, float] = {}
        self._guard = threading.Lock()

    def is_new(self, token: str, now: float) -> bool:
        with self._guard:
            if len(self._came) >= MAX_REMEMBERED:
                self._came = {nonce: came for nonce, came in self._came.items() if now - came < REMEMBERED}
            if len(self._came) >= MAX_REMEMBERED or token in self._came:
                return False
            self._came[token] = now
            return True


class Pool:
    """The nonces of one user and one deployment."""

    def __init__(self) -> None:
        self._slots: list[_Slot] = []
        self._turn = 0
        self._guard = threading.Lock()
        #: The count of discoveries.
        self.batch = 0

    def merge(self, offers: list[Offer], expires: float, start: int, seen: Seen, now: float) -> None:
        """Takes a discovery's answer: its instances replace the ones before, what is left of their nonces stays. The turns begin at `start`."""
        with self._guard:
            self.batch += 1
            before = {slot.instance: slot for slot in self._slots}
            self._slots = []
            for offer in offers:
                if any(slot.instance == offer.instance for slot in self._slots):
                    continue
                old = before.get(offer.instance)
                nonces = deque(nonce for nonce in old.nonces if nonce[1] > now) if old else deque()
                for token in offer.nonces:
                    if len(nonces) < MAX_NONCES and seen.is_new(token, now):
                        nonces.append((token, expires - MARGIN, self.batch))
                self._slots.append(_Slot(offer.instance, offer.key, nonces))
            self._turn = start

    def take(self, now: float, accept: Callable[[str, str], bool]) -> Ticket | None:
        """A nonce of the next instance in turn that has one and is accepted."""
        with self._guard:
            for step in range(len(self._slots)):
                at = (self._turn + step) % len(self._slots)
                slot = self._slots[at]
                if not accept(slot.instance, slot.key):
                    continue
                while slot.nonces:
                    token, until, batch = slot.nonces.popleft()
                    if until > now:
                        self._turn = at + 1
                        return Ticket(slot.instance, slot.key, token, batch)
        return None

    def instances(self, now: float) -> list[tuple[str, str]]:
        """The instances that a nonce is left for, with their keys."""
        with self._guard:
            left = [slot for slot in self._slots if any(until > now for _, until, _ in slot.nonces)]
            return [(slot.instance, slot.key) for slot in left]

    def drop_batch(self, batch: int) -> None:
        """Drops what came with one discovery."""
        with self._guard:
            for slot in self._slots:
                slot.nonces = deque(nonce for nonce in slot.nonces if nonce[2] != batch)

    def drop_instance(self, instance: str) -> None:
        """Drops an instance that does not work; the next discovery may bring it back."""
        with self._guard:
            self._slots = [slot for slot in self._slots if slot.instance != instance]
