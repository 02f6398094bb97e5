"""python -m sealwire_ref.client_cli: a client of http.md for interoperability tests.

    --url URL --label NAME --suite N --identity HEX [--early allow|never] [--key KEY] [--path /v1/chat/completions] [--drip N]

The request's content comes from standard input, the answer's goes to standard output as it arrives.  Exit code 0 means
a verified end with its final receipt; otherwise `error CODE: text` stands on standard error.
"""
import argparse
import os
import sys
import threading
import time

from . import bundle as bdl
from . import context as ctx
from . import kem
from .h1 import Broken, Connection, status_of
from .handshake import Client, scan_h2
from .http import bhttp, discovery, outer, strict_json
from .receipt import FINAL, checker_of
from .wire import WireError

H2_DEADLINE, SILENCE, DRIP = 30, 180, 0.02
ERRORS = {1: "internal", 2: "cancelled", 3: "upstream", 4: "upstream-timeout", 5: "too-large", 6: "protocol", 7: "incomplete",
          8: "shutting-down"}


class Failed(Exception):
    def __init__(self, code, text=""):
        super().__init__(text)
        self.code = code


def relay_failure(status, fields, body):
    code, _ = outer.response_failure(status, fields, body)
    try:
        detail = strict_json.parse(body)["detail"]
    except (strict_json.NotJson, TypeError, KeyError):
        detail = ""
    return Failed(code, f"status {status} {detail!r}")


def discover(args):
    """The first bundle that passes every check of P3.1 and P3.2."""
    conn, base = Connection.to(args.url, H2_DEADLINE)
    query = discovery.write_query(discovery.Query(args.label, suite=args.suite))
    auth = [("Authorization", "Bearer " + args.key)] if args.key else []
    conn.send_head(f"GET {base}/sealwire/v1/bundles?{query} HTTP/1.1", [("Host", conn.host), ("Connection", "close"), *auth])
    start, fields = conn.head()
    body = b"".join(conn.body(fields, response=True))
    conn.close()
    if status_of(start) != 200:
        raise relay_failure(status_of(start), fields, body)
    policy = bdl.Policy((args.suite,), args.label.encode(), False, (args.identity,))
    failure = Failed("gone", "discovery gave no bundle")
    for raw in discovery.parse_answer(body):
        try:
            return bdl.accept(bdl.parse(raw), policy, int(time.time()))
        except WireError as e:
            failure = Failed(e.code, "a bundle of discovery was refused")
    raise failure


class Request:
    """The sending side: H1 and c2s, by a thread beside the one that reads the answer."""

    def __init__(self, args, client, content):
        self.args, self.client, self.lock = args, client, threading.Lock()
        self.h2, self.sent, self.failure = threading.Event(), False, None
        self.stopped, self.switched = False, False
        head = bhttp.request_head(b"POST", args.path.encode(), [
            (b"content-type", b"application/json"), (b"sealwire-time", b"%d" % time.time())])
        n = max(1, args.drip or 1)
        size = max(1, -(-len(content) // n))
        cut = [content[i:i + size] for i in range(0, len(content), size)]
        self.pieces = [head, *(bhttp.prefixed(p) for p in cut)]

    def start(self):
        self.conn, base = Connection.to(self.args.url, SILENCE)
        fields = [("Host", self.conn.host), *outer.request_fields(self.client.context.raw, self.args.key)]
        whole = b""
        if self.args.early == "allow" and not self.args.drip:
            whole = self.client.h1 + self.frames(b"".join(self.pieces), True)
            fields.append(("Content-Length", str(len(whole))))
        else:
            fields.append(("Transfer-Encoding", "chunked"))
        self.conn.send_head(f"POST {base}/sealwire/v1/requests HTTP/1.1", fields)
        threading.Thread(target=self._send, args=(whole,), daemon=True).start()
        return self.conn

    def frames(self, piece, last):
        """Seals one piece; SWITCH goes before it if H2 is verified ([S-5])."""
        with self.lock:
            sealer = self.client.sealer
            out = b""
            if self.h2.is_set() and not self.switched:
                out, self.switched = sealer.switch(), True
            out += sealer.data(piece) if not last else sealer.final(piece + bhttp.content_end())
            self.sent = last
            return out

    def _send(self, whole):
        try:
            if whole:
                return self.conn.send(whole)
            self.conn.send_chunk(self.client.h1)
            if self.args.early == "never":
                self.h2.wait()  # [S-4]
            for i, piece in enumerate(self.pieces, 1):
                if self.stopped:
                    return None
                self.conn.send_chunk(self.frames(piece, i == len(self.pieces)))
                if self.args.drip:
                    time.sleep(DRIP)
            return self.conn.end_chunks()
        except OSError:  # the answer says why, or its end does
            return None


class Answer:
    def __init__(self, request, client):
        self.request, self.client = request, client
        self.parser, self.status, self.final, self.receipts = bhttp.Parser(bhttp.RESPONSE), None, None, None

    def read(self, conn):
        conn.timeout, until = H2_DEADLINE, time.monotonic() + H2_DEADLINE
        try:
            start, fields = conn.head(until)
            status, pieces = status_of(start), conn.body(fields, response=True)
            if outer.response_failure(status, fields, b"") is not None:
                raise relay_failure(status, fields, b"".join(pieces)[:65536])
            rest = self.read_h2(pieces, until)
        except TimeoutError:
            raise Failed("handshake-timeout", "no H2 within its deadline") from None
        conn.timeout = SILENCE
        while not self.frames(rest):
            try:
                rest = next(pieces, None)
            except (TimeoutError, OSError, Broken):
                rest = None
            if rest is None:
                raise Failed("truncated", "the answer ended early")

    def read_h2(self, pieces, until):
        buf = b""
        while scan_h2(self.client.bundle.suite, buf, False) is None:
            if time.monotonic() > until:
                raise TimeoutError
            piece = next(pieces, None)
            if piece is None:
                scan_h2(self.client.bundle.suite, buf, True)
            buf += piece or b""
        with self.request.lock:
            rest = self.client.receive_h2(buf)
            self.receipts = checker_of(self.client)
            self.request.h2.set()
        return rest

    def frames(self, data):
        """True at the verified end."""
        opener = self.client.opener
        for event in opener.feed(data):
            if event[0] == "public":
                receipt = self.receipts.check(event[1])
                self.final = receipt if receipt.kind == FINAL else None
            elif event[0] == "error":
                self.request.stopped = True
                raise Failed(ERRORS.get(event[1], "internal"), f"ERROR {event[1]} {event[2]!r}")
            else:
                self.content(event[1])
                if event[0] == "final":
                    self.end()
                    return True
        if opener.error:
            raise Failed(opener.error, "the answer was refused")
        return False

    def content(self, data):
        for event in self.parser.feed(data):
            if event[0] == "head":
                self.status = event[1]
                if self.status >= 400:
                    print(f"status {self.status}", file=sys.stderr)
            else:
                sys.stdout.buffer.write(event[1])
                sys.stdout.buffer.flush()

    def end(self):
        self.parser.end()
        self.request.stopped = True
        if not self.request.sent and self.status < 400:
            raise Failed("early-response", "an answer before the request's end")
        if self.final is None:
            raise Failed("no-receipt", "the answer ended without a final receipt")
        if not self.final.flags & 1 and self.status < 400:
            raise Failed("early-response", "the receipt says that the request was not complete")


def run(args):
    content = sys.stdin.buffer.read()
    bundle = discover(args)
    sizes = kem.SUITES[bundle.suite]
    context = ctx.make(args.label.encode(), os.urandom(16), 1)
    client = Client(bundle, context, os.urandom(sizes.seed), os.urandom(sizes.coins))
    request = Request(args, client, content)
    conn = request.start()
    try:
        Answer(request, client).read(conn)
    finally:
        conn.close()


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--url", required=True)
    p.add_argument("--label", required=True)
    p.add_argument("--suite", type=int, choices=[1, 2], required=True)
    p.add_argument("--identity", type=bytes.fromhex, required=True)
    p.add_argument("--early", choices=["allow", "never"], default="allow")
    p.add_argument("--key")
    p.add_argument("--path", default="/v1/chat/completions")
    p.add_argument("--drip", type=int)
    try:
        run(p.parse_args())
        return 0
    except (Failed, WireError) as e:
        code, text = e.code, str(e)
    except bhttp.Malformed as e:
        code, text = "bad-message", str(e)
    except (bhttp.HeadTooLarge, bhttp.ContentTooLarge):
        code, text = "bad-message", "beyond a bound"
    except (OSError, Broken) as e:
        code, text = "gone", str(e)
    print(f"error {code}: {text}", file=sys.stderr)
    return 1


if __name__ == "__main__":
    sys.exit(main())
