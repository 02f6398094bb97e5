"""Binary HTTP messages (RFC 9292) of indeterminate length, as H7 takes them."""
TOKEN = frozenset(b"!#$%&'*+-.^_`|~0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ")
LOWER = TOKEN - frozenset(b"ABCDEFGHIJKLMNOPQRSTUVWXYZ")
REQUEST, RESPONSE = 2, 3


class Malformed(Exception):
    pass


class HeadTooLarge(Exception):
    pass


class ContentTooLarge(Exception):
    pass


def varint(n):
    """The shortest form of RFC 9000 section 16."""
    for power, mark in ((0, 0x00), (1, 0x40), (2, 0x80), (3, 0xC0)):
        size = 1 << power
        if n < 1 << (8 * size - 2):
            return (n | mark << (8 * size - 8)).to_bytes(size, "big")
    raise ValueError(n)


def prefixed(data):
    return varint(len(data)) + data


def field_section(fields):
    return b"".join(prefixed(k) + prefixed(v) for k, v in fields) + b"\x00"


def content_end(trailers=()):
    return b"\x00" + field_section(trailers)


def request_head(method, path, fields):
    return bytes([REQUEST]) + prefixed(method) + prefixed(b"https") + prefixed(b"") + prefixed(path) + field_section(fields)


def response_head(status, fields):
    return bytes([RESPONSE]) + varint(status) + field_section(fields)


def request(method, path, fields, content=b""):
    return request_head(method, path, fields) + (prefixed(content) if content else b"") + content_end()


class NeedMore(Exception):
    pass


class Cursor:
    """Reads from the front of a buffer that may still grow."""

    def __init__(self, buf):
        self.buf, self.at = buf, 0

    def take(self, n):
        if self.at + n > len(self.buf):
            raise NeedMore
        self.at += n
        return self.buf[self.at - n:self.at]

    def varint(self):
        first = self.take(1)[0]
        rest = self.take((1 << (first >> 6)) - 1)
        return int.from_bytes(bytes([first & 0x3F]) + rest, "big")


class Parser:
    """feed() gives ("head", control, fields) and ("content", bytes); end() says that the half's FINAL has come.

    control is (method, path) or a status.
    """

    def __init__(self, kind, max_head=65536, max_fields=128, max_content=1 << 30):
        self.kind, self.max_head, self.max_fields, self.max_content = kind, max_head, max_fields, max_content
        self.buf, self.state, self.total, self.left = b"", "head", 0, 0

    def feed(self, data):
        self.buf += data
        events = []
        try:
            while self.buf or self.state == "head":
                getattr(self, "_" + self.state)(events)
        except NeedMore:
            pass
        return events

    def end(self):
        """The message ends here: whole, or before an empty content or trailer section."""
        if self.state == "head" or self.buf or self.left or (self.state == "content" and self.total):
            raise Malformed("ends inside")

    def _cut(self, cursor, state):
        self.buf, self.state = self.buf[cursor.at:], state

    def _string(self, cursor):
        size = cursor.varint()
        if cursor.at + size > self.max_head:
            raise HeadTooLarge
        return cursor.take(size)

    def _fields(self, cursor):
        fields = []
        while True:
            at = cursor.at
            if cursor.varint() == 0:
                return fields
            cursor.at = at
            if len(fields) == self.max_fields:
                raise HeadTooLarge
            name = self._string(cursor)
            if not set(name) <= LOWER:
                raise Malformed("field name")
            value = self._string(cursor)
            if any((c < 32 and c != 9) or c == 127 for c in value):
                raise Malformed("field value")
            fields.append((name, value))

    def _head(self, events):
        c = Cursor(self.buf)
        try:
            if c.take(1)[0] != self.kind:
                raise Malformed("framing indicator")
            control = self._request_control(c) if self.kind == REQUEST else self._status(c)
            fields = self._fields(c)
        except NeedMore:
            self._bound()
            raise
        events.append(("head", control, fields))
        self._cut(c, "content")

    def _bound(self):
        """A section that is not whole yet is not kept beyond max_head."""
        if len(self.buf) > self.max_head:
            raise HeadTooLarge

    def _request_control(self, c):
        method = self._string(c)
        if not method or not set(method) <= TOKEN:
            raise Malformed("method")
        self._string(c), self._string(c)  # scheme and authority are not looked at
        path = self._string(c)
        if path[:1] != b"/" or any(not 32 < b < 127 for b in path):
            raise Malformed("path")
        return method, path

    @staticmethod
    def _status(c):
        status = c.varint()
        if not 200 <= status <= 599:
            raise Malformed("status")
        return status

    def _content(self, events):
        c = Cursor(self.buf)
        if not self.left:
            self.left = c.varint()
            if not self.left:
                return self._cut(c, "trailers")
            self.total += self.left
            if self.total > self.max_content:
                raise ContentTooLarge
            self._cut(c, "content")
        piece, self.buf = self.buf[:self.left], self.buf[self.left:]
        self.left -= len(piece)
        if piece:
            events.append(("content", piece))
        return None

    def _trailers(self, events):
        c = Cursor(self.buf)
        try:
            self._fields(c)
        except NeedMore:
            self._bound()
            raise
        self._cut(c, "padding")

    def _padding(self, events):
        if any(self.buf):
            raise Malformed("bytes after the end")
        self.buf = b""
