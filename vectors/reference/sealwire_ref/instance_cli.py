"""python -m sealwire_ref.instance_cli: an instance of http.md for interoperability tests.

    --listen 127.0.0.1:PORT --label NAME --upstream URL --identity-seed HEX [--suites 1,2]

Prints `listening http://127.0.0.1:PORT identity HEX` when ready.  Plain HTTP/1.1, one request for each connection.
"""
import argparse
import json
import os
import queue
import select
import socket
import threading
import time

from . import bundle as bdl
from . import ed25519, kem
from .handshake import Instance, scan_h1
from .http import b64, bhttp, discovery, inner, outer
from .h1 import Broken, Connection
from .pacing import Pacer
from .receipt import FINAL, INTERIM, Receipt
from .upstream import Call
from .wire import MAX_WINDOW, WireError, num, sha256

ROTATION, MAX_SINGLE = 600, 1024
H1_TIMEOUT, C2S_IDLE, C2S_TOTAL, INTERIM_EVERY = 10, 30, 600, 10
BOUNDS = {"max_head": 65536, "max_fields": 128, "max_content": 16 << 20}
CANCELLED, TOO_LARGE, PROTOCOL, INCOMPLETE = 2, 5, 6, 7


class Keys:
    """The bundle keys of one instance (P3.3), behind one lock."""

    def __init__(self, seed, label, suites):
        self.seed, self.label, self.suites = seed, label, suites
        self.identity = ed25519.public(seed)
        self.lock, self.instance, self.born, self.current, self.single = threading.Lock(), Instance(), {}, {}, set()
        for suite in suites:
            self.multi_use(suite)

    def _make(self, suite, flags):
        now, kem_seed = int(time.time()), os.urandom(kem.SUITES[suite].seed)
        raw = bdl.make(self.seed, suite, flags, now, now + MAX_WINDOW, self.label.encode(), kem.public_key(suite, kem_seed))
        bundle = bdl.parse(raw)
        self.instance.hold(bundle, kem_seed)
        self.born[bundle.bundle_id] = time.monotonic()
        return bundle

    def _expire(self):
        for name, born in list(self.born.items()):
            if time.monotonic() - born >= MAX_WINDOW or name not in self.instance.keys:  # [B-13]
                self.instance.keys.pop(name, None)
                del self.born[name]
                self.single.discard(name)

    def multi_use(self, suite):
        with self.lock:
            self._expire()
            bundle = self.current.get(suite)
            if bundle is None or time.monotonic() - self.born.get(bundle.bundle_id, -ROTATION) >= ROTATION:
                bundle = self.current[suite] = self._make(suite, 0)
            return bundle.raw

    def single_use(self, suite):
        with self.lock:
            self._expire()
            if len(self.single) >= MAX_SINGLE:
                raise WireError("busy")
            bundle = self._make(suite, bdl.FLAG_SINGLE_USE)
            self.single.add(bundle.bundle_id)
            return bundle.raw

    def accept(self, h1, context):
        with self.lock:
            self._expire()
            return self.instance.receive_h1(h1, context, os.urandom(kem.SUITES[num(h1[3:5])].coins))


class Ended(Exception):
    """c2s has ended without FINAL; `code` is the ERROR that answers it (P6.6)."""

    def __init__(self, code, text):
        super().__init__(text)
        self.code = code


class Exchange:
    """One accepted handshake and its two halves."""

    def __init__(self, conn, body, done, keys, upstream):
        self.conn, self.body, self.done, self.keys, self.upstream = conn, body, done, keys, upstream
        self.complete, self.status, self.index, self.call = False, 0, 0, None

    # c2s

    def content(self):
        """The content of c2s as it is opened; Ended if it does not come to FINAL."""
        opener, piece, until = self.done.opener, self.done.rest, time.monotonic() + C2S_TOTAL
        while True:
            for event in opener.feed(piece):
                if event[0] == "error":
                    raise Ended(CANCELLED, "the client ended the request")
                yield event[1]
                if event[0] == "final":
                    self.complete = True
                    return
            if opener.error:
                raise Ended(PROTOCOL, opener.error)
            try:
                piece = next(self.body, None)
            except (OSError, Broken):
                piece = None
            if piece is None or time.monotonic() > until:
                raise Ended(INCOMPLETE, "the request ended early")

    # s2c

    def send(self, frames):
        self.conn.send_chunk(frames)

    def receipt(self, kind):
        usage = self.call.usage if self.call else None
        known = bool(usage and usage.known)
        counts = (usage.tokens_in, usage.tokens_out, usage.tokens_cached) if known else (0, 0, 0)
        if kind == INTERIM:
            counts = tuple(-(-n // 256) * 256 for n in counts)
        context, done = self.done.context, self.done
        body = Receipt(kind, self.complete | known << 1, self.status, self.index, *counts, int(time.time()), context.request_id,
                       context.attempt, done.two.th2, done.bundle.hash, sha256(context.raw)).sign(self.keys.seed)
        self.index += 1
        return self.done.sealer.public(body)

    def finish(self):
        self.send(self.receipt(FINAL) + self.done.sealer.final())
        self.conn.end_chunks()

    def fail(self, code, text):
        self.send(self.receipt(FINAL) + self.done.sealer.error(code, text))
        self.conn.end_chunks()

    def refuse(self, status, text, pacer):
        """A sealed answer of the instance itself, in the shape of the API's errors."""
        self.status = status
        body = json.dumps({"error": {"message": text, "type": "sealwire_instance", "param": None, "code": str(status)}}).encode()
        pacer.put(bhttp.response_head(status, [(b"content-type", b"application/json")]) + bhttp.prefixed(body) + bhttp.content_end())
        pacer.drain()
        self.finish()

    def run(self):
        try:
            request = inner.judge_request(self.content(), int(time.time()), self.keys.label, **BOUNDS)
        except Ended as e:
            return self.fail(e.code, str(e))
        except WireError as e:
            status = int(e.code.removeprefix("sealed-"))
            return self.refuse(status, "the request was refused; check its clock, path, JSON and model",
                               Pacer(self.done.sealer, "none", self.send))
        events = queue.Queue()
        self.call = Call(events, self.upstream, request)
        threading.Thread(target=self.watch, args=(events,), daemon=True).start()
        try:
            return self.answer(events, Pacer(self.done.sealer, request.padding, self.send), request.padding != "constant")
        finally:
            self.call.close()

    def watch(self, events):
        """[H-17]: reads on after FINAL, to see the exchange closed; what comes is of no interest."""
        try:
            while self.idle() or self.conn.sock.recv(65536):
                pass
        except OSError:
            pass
        self.call.close()
        events.put(("cancel",))

    def idle(self):
        """True if nothing has come for a second."""
        return not select.select([self.conn.sock], [], [], 1)[0]

    def answer(self, events, pacer, interim):
        beat, started = time.monotonic() + INTERIM_EVERY, False
        while True:
            try:
                event = events.get(timeout=pacer.wait(max(0.01, beat - time.monotonic())))
            except queue.Empty:
                event = ("tick",)
            pacer.tick()
            if time.monotonic() >= beat:
                beat += INTERIM_EVERY
                if interim:
                    self.send(self.receipt(INTERIM))
            if event[0] == "head":
                self.status, started = event[1], True
                pacer.put(bhttp.response_head(event[1], event[2]))
            elif event[0] == "piece" and event[1]:
                pacer.put(bhttp.prefixed(event[1]))
            elif event[0] == "refused":
                return self.refuse(event[1], "the model server did not answer", pacer)
            elif event[0] == "cancel":
                return self.fail(CANCELLED, "cancelled")
            elif event[0] == "broken":
                pacer.drain()
                return self.fail(event[1], "the model server broke off")
            elif event[0] == "end" and started:
                pacer.put(bhttp.content_end())
                pacer.drain()
                return self.finish()


class Server:
    def __init__(self, keys, upstream):
        self.keys, self.upstream = keys, upstream

    def reply(self, conn, status, fields, body):
        fields = [*fields, ("Content-Length", str(len(body))), ("Connection", "close")]
        conn.send_head(f"HTTP/1.1 {status} -", fields)
        conn.send(body)

    def handle(self, sock):
        conn = Connection(sock, C2S_IDLE)
        try:
            start, fields = conn.head()
            method, target, _ = start.split(" ")
            path, _, query = target.partition("?")
            if (method, path) == ("POST", "/sealwire/v1/requests"):
                self.requests(conn, fields)
            else:
                self.reply(conn, *self.resource(method, path, query))
            linger(conn)
        except (OSError, Broken, ValueError):
            pass
        finally:
            conn.close()

    def resource(self, method, path, query):
        try:
            if (method, path) == ("GET", "/healthz"):
                return 200, [("Content-Type", "text/plain")], b"ok\n"
            if (method, path) == ("GET", "/sealwire/v1/instance"):
                return json_reply({"identity": b64.encode(self.keys.identity), "labels": [self.keys.label], "suites": self.keys.suites})
            if (method, path) == ("GET", "/sealwire/v1/bundles"):
                return self.bundles(discovery.parse_query(query))
        except WireError as e:
            return outer.problem(e.code)
        return outer.problem("refused", "no such resource", status=404)

    def bundles(self, query):
        if query.label != self.keys.label:
            return outer.problem("key-unknown", "the label is not served here", status=404)
        suites = [s for s in self.keys.suites if query.suite in (None, s)]
        make = self.keys.single_use if query.single_use else self.keys.multi_use
        return json_reply({"bundles": [{"bundle": b64.encode(make(s))} for s in suites]})

    def requests(self, conn, fields):
        suite = None
        try:
            context = outer.request_context(fields)
            if any(v.lower() == "100-continue" for v in outer.values(fields, "expect")):
                conn.send(b"HTTP/1.1 100 Continue\r\n\r\n")
            body = conn.body(fields)
            h1 = self.read_h1(conn, body)
            suite = num(h1[3:5])
            done = self.keys.accept(h1, context)
        except WireError as e:
            return self.reply(conn, *self.problem(e.code, suite))
        conn.send_head("HTTP/1.1 200 OK", [*outer.RESPONSE_FIELDS, ("Transfer-Encoding", "chunked"), ("Connection", "close")])
        conn.send_chunk(done.h2)  # [H-11]
        return Exchange(conn, body, done, self.keys, self.upstream).run()

    @staticmethod
    def read_h1(conn, body):
        buf, conn.timeout = b"", H1_TIMEOUT
        while scan_h1(buf, False) is None:
            try:
                piece = next(body, None)
            except (Broken, TimeoutError):
                piece = None
            if piece is None:
                scan_h1(buf, True)
            buf += piece or b""
        conn.timeout = C2S_IDLE
        return buf

    def problem(self, code, suite):
        if code in ("busy", "replayed"):
            return outer.problem(code)
        if code == "key-unknown":
            fresh = self.keys.multi_use(suite) if suite in self.keys.suites else None
            return outer.problem(code, "the bundle's key is not held", fresh)
        return outer.problem("refused", "the handshake was refused")  # [H-29]


def json_reply(document):
    return 200, [("Content-Type", "application/json"), ("Cache-Control", "no-store")], json.dumps(document).encode()


def linger(conn):
    """Reads what is left for a moment, so that an answer is not lost with the connection."""
    conn.sock.shutdown(socket.SHUT_WR)
    conn.timeout, until = 1, time.monotonic() + 1
    while conn.more(until) and time.monotonic() < until:
        conn.buf = b""


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--listen", required=True)
    p.add_argument("--label", required=True)
    p.add_argument("--upstream", required=True)
    p.add_argument("--identity-seed", type=bytes.fromhex, required=True)
    p.add_argument("--suites", type=lambda text: [int(x) for x in text.split(",")], default=[1, 2])
    args = p.parse_args()
    keys = Keys(args.identity_seed, args.label, args.suites)
    host, _, port = args.listen.rpartition(":")
    listener = socket.create_server((host, int(port)), backlog=128)
    server = Server(keys, args.upstream)
    print(f"listening http://{host}:{listener.getsockname()[1]} identity {keys.identity.hex()}", flush=True)
    while True:
        sock, _ = listener.accept()
        threading.Thread(target=server.handle, args=(sock,), daemon=True).start()


if __name__ == "__main__":
    try:
        main()
    except KeyboardInterrupt:
        pass
