"""The instance's call to its model server (H7.3), read by a thread of its own into a queue."""
import json
import re
import threading

from .h1 import Broken, Connection, get, status_of

PASSED_ON = ("content-type", "cache-control", "retry-after", "x-request-id", "openai-processing-ms")
HEAD_TIMEOUT, IDLE_TIMEOUT, MAX_JSON = 60, 120, 16 << 20
EVENT_END = re.compile(rb"\r\n\r\n|\n\n|\r\r")


class Usage:
    """H7.4: the last `usage` whose prompt_tokens is a non-negative integer counts."""

    def __init__(self):
        self.known, self.tokens_in, self.tokens_out, self.tokens_cached = False, 0, 0, 0

    def look(self, text):
        try:
            usage = json.loads(text)["usage"]
            tokens_in = count(usage, "prompt_tokens")
            if tokens_in is None:
                return
            self.tokens_out = count(usage, "completion_tokens") or 0
            self.tokens_cached = count(usage.get("prompt_tokens_details") or {}, "cached_tokens") or 0
            self.known, self.tokens_in = True, tokens_in
        except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
            pass


def count(found, name):
    value = found.get(name)
    return value if type(value) is int and 0 <= value < 1 << 64 else None


class Call:
    """Puts ("head", status, fields), ("piece", bytes) .. and ("end",) into `queue`, or ("refused", status) before a
    head, or ("broken", ERROR code) after it."""

    def __init__(self, queue, url, request):
        self.queue, self.url, self.request, self.conn, self.closed = queue, url, request, None, False
        self.usage = Usage()
        threading.Thread(target=self._run, daemon=True).start()

    def close(self):
        self.closed = True
        if self.conn:
            self.conn.close()

    def _run(self):
        try:
            fields, framed = self._head()
        except TimeoutError:
            return self.queue.put(("refused", 504))
        except (OSError, Broken, ValueError):
            return self.queue.put(("refused", 502))
        try:
            self._body(fields, framed)
            self.queue.put(("end",))
        except TimeoutError:
            self.queue.put(("broken", 4))
        except (OSError, Broken, ValueError):
            self.queue.put(("broken", 3))
        return self.conn.close()

    def _head(self):
        r = self.request
        self.conn, base = Connection.to(self.url, HEAD_TIMEOUT)
        if self.closed:
            raise Broken("cancelled")
        fields = [(k.decode(), v.decode("latin-1")) for k, v in r.fields]
        fields += [("Host", self.conn.host), ("Accept-Encoding", "identity"), ("Connection", "close")]
        if r.method == b"POST":
            fields.append(("Content-Length", str(len(r.content))))
        self.conn.send_head(f"{r.method.decode()} {base}{r.path.decode('latin-1')} HTTP/1.1", fields)
        self.conn.send(r.content)
        status = 100
        while status < 200:
            start, fields = self.conn.head()
            status = status_of(start)
        coding = [v.lower() for v in get(fields, "content-encoding")]
        if not 200 <= status <= 599 or 300 <= status <= 399 or coding not in ([], ["identity"]):
            raise Broken("not to be passed on")
        kept = [(k.lower().encode(), v.encode("latin-1")) for k, v in fields if k.lower() in PASSED_ON]
        self.queue.put(("head", status, kept))
        self.conn.timeout = IDLE_TIMEOUT
        return fields, bool(get(fields, "transfer-encoding") or get(fields, "content-length")) or status == 204

    def _body(self, fields, framed):
        events = [v for v in get(fields, "content-type") if v.lower().startswith("text/event-stream")]
        pieces = self.conn.body(fields, response=True) if framed or not get(fields, "content-length") else ()
        (self._events if events else self._whole)(pieces, framed)

    def _whole(self, pieces, framed):
        seen = b""
        for piece in pieces:
            self.queue.put(("piece", piece))
            if len(seen) <= MAX_JSON:
                seen += piece
        if len(seen) <= MAX_JSON:
            self.usage.look(seen)
        if not framed:
            json.loads(seen)  # only the close has ended it: whole only if it is JSON that parses

    def _events(self, pieces, framed):
        rest, last = b"", b""
        for piece in pieces:
            rest += piece
            while match := EVENT_END.search(rest):
                event, rest = rest[:match.end()], rest[match.end():]
                last = b"\n".join(x[5:].strip() for x in event.splitlines() if x.startswith(b"data:"))
                self.usage.look(last)
                self.queue.put(("piece", event))
            if len(rest) > MAX_JSON:
                raise Broken("an event beyond the bound")
        if rest or (not framed and last != b"[DONE]"):
            raise Broken("ends inside an event")
