"""What went over the wire of one sealed request, from a tap's log."""

H1_LEN = {1: 2326, 2: 2390}
SEALED, PUBLIC = 1, 2


class SealedRequest:
    """The request's body as it went up; `before_answer` is how much of it came before the first byte of an answer."""

    def __init__(self, tap):
        found = [log for log in tap.connections if b"POST /sealwire/v1/requests " in up(log)]
        assert len(found) == 1, f"{len(found)} connections carry a sealed request"
        log = found[0]
        seen, first = bytearray(), None
        for way, data in log:
            if way == "up":
                seen += data
            elif (body := body_of(seen)) is not None and first is None:
                first = len(body)
        self.body, self.before_answer = body_of(seen), first

    def frames(self, suite):
        """Type and length of each whole frame behind H1."""
        rest, frames = self.body[H1_LEN[suite]:], []
        while len(rest) >= 4:
            length = int.from_bytes(rest[1:4], "big")
            frames.append((rest[0], length))
            rest = rest[4 + length:]
        return frames


def up(log):
    return b"".join(data for way, data in log if way == "up")


def body_of(bytes_up):
    """The body so far of the sealed request in what went up on a connection; None before its head is whole."""
    start = bytes_up.find(b"POST /sealwire/v1/requests ")
    end = bytes_up.find(b"\r\n\r\n", start) if start >= 0 else -1
    if end < 0:
        return None
    head, rest = bytes(bytes_up[start:end]).lower(), bytes(bytes_up[end + 4:])
    if b"transfer-encoding: chunked" not in head:
        return rest
    body = b""
    while (line := rest.find(b"\r\n")) >= 0:
        size = int(rest[:line].split(b";")[0], 16)
        if size == 0:
            break
        body += rest[line + 2:line + 2 + size]
        rest = rest[line + 2 + size + 2:]
    return body
