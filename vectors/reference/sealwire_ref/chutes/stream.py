"""Streamed responses (C5, C6.2, C6.3)."""
import json
import re
import unicodedata

from .. import kem
from ..wire import WireError, hkdf_expand, u
from . import keys
from .members import NotAnObject, split, unique
from .response import status_and_type

EVENTS = ("e2e_init", "e2e", "usage", "e2e_error")
HEAD = re.compile(rb": sealwire ([0-9]{3}) ([^\n]*?) *\n")
DONE = b"[DONE]"
LINE_END = re.compile(rb"[\r\n]")
BLANKS = b" \t\r\n\x0c"
TEXT = 256


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


def count(value):
    """A count of tokens, or None."""
    return value if type(value) is int and 0 <= value < 2**64 else None


def usage(raw):
    """(prompt, completion, cached) of a usage event (C5.1)."""
    object_ = json.loads(raw)
    if not isinstance(object_, dict):
        raise WireError("event-usage")
    details = object_.get("prompt_tokens_details")
    if details is not None and not isinstance(details, dict):
        raise WireError("event-usage")
    found = [object_.get("prompt_tokens"), object_.get("completion_tokens"), (details or {}).get("cached_tokens")]
    if any(value is not None and count(value) is None for value in found):
        raise WireError("event-usage")
    return tuple(value or 0 for value in found)


def relay_text(raw):
    """What a relay says of its failure."""
    value = json.loads(raw)
    if isinstance(value, dict):
        value = next((value[name] for name in ("message", "detail") if isinstance(value.get(name), str)), "")
    return "".join(c for c in value if unicodedata.category(c) != "Cc")[:TEXT] if isinstance(value, str) else ""


class Opener:
    """The client.  Feed it the bytes of the response; `events` and `error` are what came of them."""

    def __init__(self, pair, max_line, max_chunks, max_bytes, every_token=False):
        self.pair, self.max_line, self.max_chunks, self.max_bytes = pair, max_line, max_chunks, max_bytes
        self.rest, self.events, self.error, self.relay = b"", [], None, None
        self.key = self.prefix = None
        self.nonces, self.chunks, self.bytes, self.numbered = set(), 0, 0, False
        self.held, self.done, self.counters, self.total, self.every_token = [], False, {}, 0, every_token

    def feed(self, data):
        if self.error:
            return
        try:
            # CR LF ends a line and then a blank one, which is nothing.
            *lines, self.rest = LINE_END.split(self.rest + data)
            for line in lines:
                self.bytes += len(line) + 1
                self.bounded(line, self.bytes)
                self.line(line)
            self.bounded(self.rest, self.bytes + len(self.rest))
        except WireError as e:
            self.error = e.code

    def finish(self):
        if self.error is None and (not self.done or self.rest):
            self.error = "truncated"
        if self.error is None:
            self.events += [("content", line) for line in self.held]

    def bounded(self, line, total):
        if len(line) > self.max_line:
            raise WireError("event-too-long")
        if total > self.max_bytes:
            raise WireError("event-too-many")

    def line(self, line):
        if line == b"" or line.startswith(b":"):
            return
        if not line.startswith(b"data:"):
            raise WireError("event-not-data")
        value = line[5:].strip(BLANKS)
        if value == DONE:
            raise WireError("event-plaintext-done")
        try:
            members = split(value)
        except NotAnObject:
            raise WireError("event-not-json") from None
        if not unique(members):
            raise WireError("event-not-json")
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

    def on_usage(self, _, raw):
        self.events.append(("usage", usage(raw)))

    def on_e2e_error(self, _, raw):
        self.relay = relay_text(raw)
        raise WireError("relay-failed")

    def on_e2e(self, value, _):
        if self.key is None:
            raise WireError("event-before-init")
        if self.chunks == self.max_chunks:
            raise WireError("event-too-many")
        sealed = keys.b64decode(value)
        if sealed is None or len(sealed) < keys.NONCE + keys.TAG:
            raise WireError("event-chunk")
        text, nonce, number = keys.unseal(self.key, sealed), sealed[:keys.NONCE], self.chunks
        if number == 0:
            self.numbered = nonce.startswith(self.prefix)
        if self.numbered and nonce != self.prefix + u(number, 4):
            raise WireError("sequence")
        if nonce in self.nonces:
            raise WireError("event-nonce-repeated")
        self.nonces.add(nonce)
        self.chunks += 1
        self.content(text if text.endswith(b"\n") else text + b"\n", number)

    def content(self, text, number):
        if self.numbered and number == 0:
            head = HEAD.fullmatch(text)
            if not head or not status_and_type(int(head[1]), head[2]):
                raise WireError("sequence")
            self.events.append(("head", int(head[1]), head[2].decode()))
            return
        for line in LINE_END.split(text):
            if self.done and line.strip(BLANKS):
                raise WireError("event-after-done")
            if line.startswith(b"data:"):
                data = line[5:].strip(BLANKS)
                if data == DONE:
                    self.done = True
                else:
                    self.count(data)
        if self.done:
            self.held.append(text)
        else:
            self.events.append(("content", text))

    def count(self, data):
        """X-13"""
        try:
            inner = json.loads(data.decode(errors="replace"))
        except ValueError:
            return
        if not isinstance(inner, dict) or not isinstance(inner.get("usage"), dict):
            return
        now = count(inner["usage"].get("completion_tokens"))
        if now is None:
            return
        counted = self.counters.values()
        if not inner.get("choices"):
            if now < max([self.total, *counted]) or self.every_token and now != sum(counted):
                raise WireError("counter")
            self.total = now
            return
        which = inner["choices"][0].get("index", 0)
        before = self.counters.get(which, 0)
        if now < before or self.every_token and now > before + 1:
            raise WireError("counter")
        self.counters[which] = now
