"""gzip (RFC 1952): bounded unpacking, and packing without compression (C3, C6)."""
import zlib

from ..wire import WireError

FTEXT, FHCRC, FEXTRA, FNAME, FCOMMENT, RESERVED = 1, 2, 4, 8, 16, 0xE0
MAGIC = b"\x1f\x8b"
OURS = b"SW"


class _Input:
    def __init__(self, data):
        self.data, self.at = data, 0

    def take(self, n):
        if len(self.data) - self.at < n:
            raise WireError("gzip-truncated")
        self.at += n
        return self.data[self.at - n:self.at]

    def text(self):
        end = self.data.find(b"\0", self.at)
        if end < 0:
            raise WireError("gzip-truncated")
        self.at = end + 1


def _header(inp):
    """Reads one header; its extra field or None."""
    start, extra = inp.at, None
    if inp.data[start:start + 2] != MAGIC:
        raise WireError("gzip-header")
    _, _, method, flags, *_ = inp.take(10)
    if method != 8 or flags & RESERVED:
        raise WireError("gzip-header")
    if flags & FEXTRA:
        extra = inp.take(int.from_bytes(inp.take(2), "little"))
    if flags & FNAME:
        inp.text()
    if flags & FCOMMENT:
        inp.text()
    if flags & FHCRC:
        wanted = zlib.crc32(inp.data[start:inp.at]) & 0xFFFF
        if int.from_bytes(inp.take(2), "little") != wanted:
            raise WireError("gzip-checksum")
    return extra


def subfield(extra, name=OURS):
    """The content of the first subfield `name`, or None."""
    at = 0
    while extra is not None and at + 4 <= len(extra):
        size = int.from_bytes(extra[at + 2:at + 4], "little")
        if at + 4 + size > len(extra):
            return None
        if extra[at:at + 2] == name:
            return extra[at + 4:at + 4 + size]
        at += 4 + size
    return None


def gunzip(data, limit):
    """(content, our subfield of the first header or None)"""
    inp, out, ours = _Input(data), b"", None
    while True:
        first = inp.at == 0
        extra = _header(inp)
        if first:
            ours = subfield(extra)
        inflate, before = zlib.decompressobj(-15), len(out)
        try:
            out += inflate.decompress(data[inp.at:], limit + 1 - len(out))
        except zlib.error:
            raise WireError("gzip-data") from None
        if len(out) > limit:
            raise WireError("too-large")
        if not inflate.eof:
            raise WireError("gzip-truncated")
        inp.at = len(data) - len(inflate.unused_data)
        crc, size = inp.take(4), inp.take(4)
        content = out[before:]
        if crc != zlib.crc32(content).to_bytes(4, "little") or size != (len(content) & 0xFFFFFFFF).to_bytes(4, "little"):
            raise WireError("gzip-checksum")
        if inp.at == len(data):
            return out, ours
        if data[inp.at:inp.at + 2] != MAGIC:
            raise WireError("gzip-trailing")


def stored(data):
    """A deflate stream of stored blocks."""
    pieces = [data[i:i + 65535] for i in range(0, len(data), 65535)] or [b""]
    out = b""
    for n, piece in enumerate(pieces):
        size = len(piece)
        out += bytes([n == len(pieces) - 1]) + size.to_bytes(2, "little") + (size ^ 0xFFFF).to_bytes(2, "little") + piece
    return out


def extra_field(*subfields):
    return b"".join(name + len(content).to_bytes(2, "little") + content for name, content in subfields)


def pack(data, ours=None, deflated=None):
    """One member, with our subfield if there is one."""
    extra = None if ours is None else extra_field((OURS, ours))
    return member(data, extra, deflated)


def member(data, extra=None, deflated=None, name=None, comment=None, header_crc=False, flags=0):
    flags |= (FEXTRA if extra is not None else 0) | (FNAME if name is not None else 0)
    flags |= (FCOMMENT if comment is not None else 0) | (FHCRC if header_crc else 0)
    head = MAGIC + bytes([8, flags]) + bytes(4) + b"\0\xff"
    if extra is not None:
        head += len(extra).to_bytes(2, "little") + extra
    for text in (name, comment):
        head += b"" if text is None else text + b"\0"
    if header_crc:
        head += (zlib.crc32(head) & 0xFFFF).to_bytes(2, "little")
    body = stored(data) if deflated is None else deflated
    return head + body + zlib.crc32(data).to_bytes(4, "little") + (len(data) & 0xFFFFFFFF).to_bytes(4, "little")
