"""HTTP/1.1 over a socket, as much as the two programs need: heads, lengths, chunks."""
import re
import socket
import time
import urllib.parse

MAX_HEAD = 65536


class Broken(Exception):
    """The other side ended early, or sent what is not HTTP."""


class Connection:
    """Buffered reading with a deadline for each read; writing of heads and chunks."""

    def __init__(self, sock, timeout):
        self.sock, self.timeout, self.buf = sock, timeout, b""
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    @classmethod
    def to(cls, url, timeout):
        """(connection, the URL's path without a slash at its end)"""
        parts = urllib.parse.urlsplit(url)
        if parts.scheme != "http" or not parts.hostname:
            raise OSError(f"not a plain http URL: {url}")
        sock = socket.create_connection((parts.hostname, parts.port or 80), timeout)
        conn = cls(sock, timeout)
        conn.host = parts.netloc.rpartition("@")[2]
        return conn, parts.path.rstrip("/")

    def more(self, until=None):
        """False at the end of the incoming direction."""
        left = self.timeout if until is None else min(self.timeout, until - time.monotonic())
        self.sock.settimeout(max(left, 0.001))
        data = self.sock.recv(65536)
        self.buf += data
        return bool(data)

    def _line(self, until=None):
        while b"\n" not in self.buf:
            if len(self.buf) > MAX_HEAD:
                raise Broken("line too long")
            if not self.more(until):
                raise Broken("ended within a line")
        line, self.buf = self.buf.split(b"\n", 1)
        return line.removesuffix(b"\r")

    def head(self, until=None):
        """(start line, fields)"""
        start, fields, size = self._line(until), [], 0
        while line := self._line(until):
            size += len(line)
            name, colon, value = line.partition(b":")
            if not colon or not re.fullmatch(rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]+", name) or size > MAX_HEAD:
                raise Broken("bad head")
            fields.append((name.decode(), value.strip(b" \t").decode("latin-1")))
        return start.decode("latin-1"), fields

    def body(self, fields, response=False):
        """The pieces of a body as they come; Broken if it does not end properly."""
        coding = [v.lower() for v in get(fields, "transfer-encoding")]
        lengths = set(get(fields, "content-length"))
        if coding:
            if coding != ["chunked"]:
                raise Broken("transfer coding")
            yield from self._chunks()
        elif lengths:
            if len(lengths) > 1 or not re.fullmatch("[0-9]{1,18}", *lengths):
                raise Broken("content length")
            yield from self._counted(int(*lengths))
        elif response:
            while self.buf or self.more():
                piece, self.buf = self.buf, b""
                yield piece

    def _counted(self, left):
        while left:
            if not self.buf and not self.more():
                raise Broken("ended within the body")
            piece, self.buf = self.buf[:left], self.buf[left:]
            left -= len(piece)
            yield piece

    def _chunks(self):
        while True:
            size = self._line().partition(b";")[0].strip()
            if not re.fullmatch(rb"[0-9A-Fa-f]{1,15}", size):
                raise Broken("chunk size")
            if not int(size, 16):
                while self._line():
                    pass
                return
            yield from self._counted(int(size, 16))
            if self._line():
                raise Broken("chunk end")

    def send(self, data):
        self.sock.settimeout(self.timeout)
        self.sock.sendall(data)

    def send_head(self, start, fields):
        lines = [start, *(f"{k}: {v}" for k, v in fields)]
        self.send(("\r\n".join(lines) + "\r\n\r\n").encode("latin-1"))

    def send_chunk(self, data):
        if data:
            self.send(b"%x\r\n" % len(data) + data + b"\r\n")

    def end_chunks(self):
        self.send(b"0\r\n\r\n")

    def close(self):
        """Ends both directions, also under a thread that waits in more()."""
        try:
            self.sock.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass
        self.sock.close()


def get(fields, name):
    return [v for k, v in fields if k.lower() == name]


def status_of(start):
    match = re.fullmatch(r"HTTP/1\.[01] ([0-9]{3})( .*)?", start)
    if not match:
        raise Broken("not HTTP")
    return int(match[1])
