"""The receiver of a half (section 6.3)."""
from . import wire
from .ratchet import Ratchet
from .wire import (DATA, ERROR, FINAL, FRAME_PUBLIC, FRAME_SEALED, KEY_UPDATE, PAD, SWITCH, TAG, WireError, num)


class Opener:
    """Receiving side of a half (section 6.3).

    feed() and finish() return the events that the bytes release; after a failure `error` holds the code.
    Events: ("data", bytes) ("final", bytes) ("error", code, message) ("public", bytes)
    """

    def __init__(self, half, ts, ts_late=None, epoch_frames=wire.EPOCH_FRAMES, max_frames=wire.MAX_FRAMES,
                 max_empty=wire.MAX_EMPTY, pad_budget=wire.PAD_BUDGET, byte_budget=None, **_):
        self.half, self.ts_late = half, ts_late
        self.ratchet = Ratchet(ts, epoch_frames)
        self.max_frames, self.max_empty = max_frames, max_empty
        self.pad_budget, self.byte_budget = pad_budget, byte_budget
        self.empty = self.pad_bytes = self.total = 0
        self.updated = self.switched = self.ended = False
        self.error, self.buf = None, b""

    def feed(self, data):
        events = []
        if self.error is None:
            self.buf += data
            try:
                while self._frame(events):
                    pass
            except WireError as e:
                self._fail(e.code)
        return events

    def feed_message(self, message):
        """Section 9: a message that must be exactly one frame; its size is judged directly after type and length."""
        if self.error is not None:
            return []
        try:
            if self.ended and message:
                raise WireError("trailing-data")
            if len(message) >= 4:
                self._check_type(message[0], num(message[1:4]))
            if len(message) < 4 or len(message) != 4 + num(message[1:4]):
                raise WireError("bad-frame-length")
        except WireError as e:
            self._fail(e.code)
            return []
        return self.feed(message)

    def finish(self):
        """The transport has ended."""
        if self.error is None and not self.ended:
            self._fail("truncated")

    def _fail(self, code):
        self.error, self.ratchet, self.ts_late, self.buf = code, None, None, b""

    def _frame(self, events):
        """One frame out of the buffer; False if it is not all there."""
        if self.ended and self.buf:
            raise WireError("trailing-data")
        if self.ended or len(self.buf) < 4:
            return False
        header, kind, length = self.buf[:4], self.buf[0], num(self.buf[1:4])
        self._check_header(kind, length)
        if len(self.buf) < 4 + length:
            return False
        body = self.buf[4:4 + length]
        update, switch_to = False, None
        if kind == FRAME_PUBLIC:
            self.ratchet.open(header + body[:-TAG], body[-TAG:])
            events.append(("public", body[:-TAG]))
        else:
            inner, content = self._unpad(self.ratchet.open(header, body))
            self._check_inner(inner, content, length)
            self._release(inner, content, events)
            update = inner == KEY_UPDATE
            switch_to = self.ts_late if inner == SWITCH else None
        self.total += 4 + length
        self.buf = self.buf[4 + length:]
        self.ratchet.advance(update, switch_to)
        return True

    @staticmethod
    def _check_type(kind, length):
        if kind not in (FRAME_SEALED, FRAME_PUBLIC):
            raise WireError("bad-frame-type")
        low, high = ((wire.SEALED_MIN, wire.SEALED_MAX) if kind == FRAME_SEALED
                     else (wire.PUBLIC_MIN, wire.PUBLIC_MAX))
        if not low <= length <= high:
            raise WireError("bad-frame-length")

    def _check_header(self, kind, length):
        """Step 1."""
        self._check_type(kind, length)
        if kind == FRAME_PUBLIC and self.half == "c2s":
            raise WireError("unexpected-frame")
        if self.ratchet.seq >= self.max_frames:
            raise WireError("exhausted")
        if self.byte_budget is not None and self.total + 4 + length > self.byte_budget:
            raise WireError("too-large")

    @staticmethod
    def _unpad(plaintext):
        """Step 4."""
        region, inner, size = plaintext[:-4], plaintext[-4], num(plaintext[-3:])
        if inner not in wire.INNER_TYPES:
            raise WireError("bad-inner-type")
        if (size > len(region) or (inner in (KEY_UPDATE, SWITCH, PAD) and size)
                or (inner == ERROR and size < 2)):
            raise WireError("bad-content-length")
        if any(region[size:]):
            raise WireError("bad-padding")
        return inner, region[:size]

    def _check_inner(self, inner, content, length):
        """Step 5."""
        if inner == SWITCH and (self.half == "s2c" or self.switched):
            raise WireError("unexpected-frame")
        if inner == KEY_UPDATE and self.half == "c2s" and not self.switched:
            raise WireError("unexpected-frame")
        if inner == KEY_UPDATE and self.updated:
            raise WireError("key-update-flood")
        if inner in (DATA, PAD):
            self.empty = self.empty + 1 if length == wire.SEALED_MIN else 0
            if self.empty > self.max_empty:
                raise WireError("empty-flood")
        if inner == PAD or (inner == DATA and not content):
            self.pad_bytes += 4 + length
            if self.pad_bytes > self.pad_budget:
                raise WireError("pad-budget")
        if inner == ERROR:
            try:
                content[2:].decode("utf-8", "strict")
            except UnicodeDecodeError:
                raise WireError("bad-error") from None

    def _release(self, inner, content, events):
        """Step 6."""
        if inner == KEY_UPDATE:
            self.updated = True
        elif inner == SWITCH:
            self.switched = True
        elif inner == DATA:
            if content:
                self.updated = False
                events.append(("data", content))
        elif inner == FINAL:
            events.append(("final", content))
            self.ended = True
        elif inner == ERROR:
            events.append(("error", num(content[:2]), content[2:].decode()))
            self.ended = True
