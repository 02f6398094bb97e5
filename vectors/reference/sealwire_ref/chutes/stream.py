"""Streamed responses (C5, C6.2, C6.3)."""
import json
import re

from .. import kem
from ..wire import WireError, hkdf_expand, u
from . import keys
from .members import NotAnObject, split
from .response import status_and_type

EVENTS = ("e2e_init", "e2e", "usage", "e2e_error")
HEAD = re.compile(rb": sealwire ([0-9]{3}) ([^\n]*)\n")
DONE = b"[DONE]"


def event(name, value):
    return b"data: " + json.dumps({name: value}, separators=(",", ":")).encode() + b"\n\n"


class Sealer:
    """The instance.  `numbered` as ours do it; otherwise each chunk has a nonce of the caller's."""

    def __init__(self, ek, coins):
        self.ct, secret = kem.encaps(kem.MLKEM768, ek, coins)
        prk = keys.prk_of(secret, self.ct)
        self.key = hkdf_expand(prk, keys.STREAM, 32)
        self.prefix = hkdf_expand(prk, keys.SEQUENCE, 8)
        self.next = 0

    def init(self):
        return event("e2e_init", keys.b64encode(self.ct))

    def chunk(self, line, nonce):
        return event("e2e", keys.b64encode(keys.seal(self.key, nonce, line)))

    def number(self, n):
        return self.prefix + u(n, 4)

    def numbered(self, line):
        self.next += 1
        return self.chunk(line, self.number(self.next - 1))


def head_line(status, media):
    return f": sealwire {status} {media}\n".encode()


class Opener:
    """The client.  Feed it the bytes of the response; `events` and `error` are what came of them."""

    def __init__(self, pair, max_line, max_chunks, max_bytes):
        self.pair, self.max_line, self.max_chunks, self.max_bytes = pair, max_line, max_chunks, max_bytes
        self.rest, self.events, self.error, self.message = b"", [], None, None
        self.key = self.prefix = None
        self.nonces, self.bytes, self.numbered = set(), 0, False
        self.held, self.done, self.counters = [], False, {}

    def feed(self, data):
        if self.error:
            return
        try:
            self.rest += data
            while b"\n" in self.rest:
                line, self.rest = self.rest.split(b"\n", 1)
                self.line(line)
            self.bounded(self.rest)
        except WireError as e:
            self.error = e.code

    def finish(self):
        if self.error is None and (not self.done or self.rest):
            self.error = "truncated"
        if self.error is None:
            self.events += [("content", line) for line in self.held]

    def bounded(self, line):
        if len(line) > self.max_line:
            raise WireError("event-too-long")

    def line(self, line):
        self.bounded(line)
        line = line.removesuffix(b"\r")
        try:
            line.decode("utf-8")
        except UnicodeDecodeError:
            raise WireError("event-not-text") from None
        if line == b"" or line.startswith(b":"):
            return
        if not line.startswith(b"data:"):
            raise WireError("event-not-data")
        value = line[5:].removeprefix(b" ")
        if value.strip(b" \t") == DONE:
            raise WireError("event-plaintext-done")
        try:
            members = split(value)
        except NotAnObject:
            raise WireError("event-not-json") from None
        if len(members) != 1 or members[0][0] not in EVENTS:
            raise WireError("event-members")
        name, value, raw = members[0]
        getattr(self, "on_" + name)(value, raw)

    def on_e2e_init(self, value, _):
        if self.key is not None:
            raise WireError("event-second-init")
        ct = keys.b64decode(value)
        if ct is None or len(ct) != keys.CT:
            raise WireError("event-init")
        prk = keys.prk_of(kem.decaps(self.pair, ct), ct)
        self.key, self.prefix = hkdf_expand(prk, keys.STREAM, 32), hkdf_expand(prk, keys.SEQUENCE, 8)

    def on_usage(self, value, raw):
        if not raw.startswith("{"):
            raise WireError("event-usage")
        self.events.append(("usage", raw))

    def on_e2e_error(self, value, _):
        raise WireError("relay-failed")

    def on_e2e(self, value, _):
        if self.key is None:
            raise WireError("event-before-init")
        sealed = keys.b64decode(value)
        if sealed is None or len(sealed) < keys.NONCE + keys.TAG:
            raise WireError("event-chunk")
        nonce, number = sealed[:keys.NONCE], len(self.nonces)
        if nonce in self.nonces:
            raise WireError("event-nonce-repeated")
        if number == 0:
            self.numbered = nonce.startswith(self.prefix)
        if number == self.max_chunks:
            raise WireError("event-too-many")
        if self.numbered and nonce != self.prefix + u(number, 4):
            raise WireError("sequence")
        self.nonces.add(nonce)
        line = keys.unseal(self.key, sealed)
        self.bytes += len(line)
        if self.bytes > self.max_bytes:
            raise WireError("event-too-many")
        self.sealed_line(line, number)

    def sealed_line(self, line, number):
        if number == 0:
            head = HEAD.fullmatch(line)
            if head and status_and_type(int(head[1]), head[2]):
                self.events.append(("head", int(head[1]), head[2].decode()))
                return
            if self.numbered:
                raise WireError("sequence")
        blank = line.strip(b" \t\r\n") == b""
        if self.done and not blank:
            raise WireError("event-after-done")
        data = line[5:].strip(b" \t\r\n") if line.startswith(b"data:") else None
        if data == DONE:
            self.done = True
        elif data is not None:
            self.count(data)
        if self.done:
            self.held.append(line)
        else:
            self.events.append(("content", line))

    def count(self, data):
        """X-13"""
        try:
            inner = json.loads(data)
        except ValueError:
            return
        if not isinstance(inner, dict) or not isinstance(inner.get("usage"), dict):
            return
        count = inner["usage"].get("completion_tokens")
        if type(count) is not int:
            return
        choices = inner.get("choices") or [{}]
        which = choices[0].get("index")
        if count < self.counters.get(which, 0):
            raise WireError("counter")
        self.counters[which] = count
