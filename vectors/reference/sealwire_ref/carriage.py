"""The byte-stream and message carriage (section 9), sans-IO: one peer fed with what its transport delivers."""
from .handshake import scan_h1, scan_h2
from .wire import MAX_CONTEXT, WireError, lp, num


def split_stream(buf, ended):
    """Section 9: (context, H1, rest) from the head of a client's byte stream, or None if more is needed."""
    if len(buf) >= 2 and num(buf[:2]) > MAX_CONTEXT:
        raise WireError("bad-context")
    if len(buf) < 2 or len(buf) < 2 + num(buf[:2]):
        if ended:
            raise WireError("truncated")
        return None
    at = 2 + num(buf[:2])
    size = scan_h1(buf[at:], ended)
    return None if size is None else (buf[2:at], buf[at:at + size], buf[at + size:])


def split_message(message):
    """Section 9: (context, H1) from a client's first message."""
    context, h1, rest = split_stream(message, True)
    if rest:
        raise WireError("trailing-data")
    return context, h1


class Peer:
    """receive() each piece or message, then end() or silence().  `events` and `error` tell the outcome."""

    def __init__(self, transport):
        self.messages = transport == "message"
        self.opener, self.buf, self.events, self.sent, self.error = None, b"", [], [], None

    def receive(self, data):
        try:
            if self.error is None:
                self._receive(data)
        except WireError as e:
            self.error = e.code

    def end(self):
        """The transport has ended."""
        try:
            if self.error is None:
                if self.opener is None:
                    self._head(b"" if self.messages else self.buf, True)
                self.opener.finish()
                self._note([])
        except WireError as e:
            self.error = e.code

    def silence(self):
        """Nothing comes until every deadline has passed."""

    def _receive(self, data):
        if self.opener is not None:
            self._note(self.opener.feed_message(data) if self.messages else self.opener.feed(data))
        elif self.messages:
            self._head(data, True)
        else:
            self.buf += data
            rest = self._head(self.buf, False)
            if rest:
                self._note(self.opener.feed(rest))

    def _note(self, events):
        self.events += events
        if self.opener.error:
            raise WireError(self.opener.error)


class InstancePeer(Peer):
    """Receives context, H1 and c2s; sends H2 as soon as H1 is accepted."""

    def __init__(self, transport, instance, encaps_coins, **limits):
        super().__init__(transport)
        self.instance, self.coins, self.limits = instance, encaps_coins, limits

    def _head(self, buf, whole):
        parts = (*split_message(buf), b"") if self.messages else split_stream(buf, whole)
        if parts is None:
            return None
        context, h1, rest = parts
        done = self.instance.receive_h1(h1, context, self.coins, **self.limits)
        self.sent.append(done.h2)
        self.opener = done.opener
        return rest


class ClientPeer(Peer):
    """Sends lp(context) | H1; receives H2 and s2c.  What is inside, receipts too, is not its business."""

    def __init__(self, transport, client, early="allow", duplex=True):
        super().__init__(transport)
        self.client = client
        if early == "never" and not duplex:  # [S-7], known beforehand
            self.error = "no-duplex"
        else:
            self.sent.append(lp(client.context.raw) + client.h1)

    def silence(self):
        if self.error is None and self.opener is None:
            self.error = "handshake-timeout"

    def _head(self, buf, whole):
        size = scan_h2(self.client.bundle.suite, buf, whole)
        if size is None:
            return None
        if self.messages and len(buf) > size:
            raise WireError("trailing-data")
        rest = self.client.receive_h2(buf)
        self.opener = self.client.opener
        return rest
