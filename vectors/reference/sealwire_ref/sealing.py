"""The sender of a half (section 6.2) with its padding (section 6.5)."""
from . import wire
from .padding import padded
from .ratchet import Ratchet
from .wire import (DATA, ERROR, FINAL, FRAME_PUBLIC, FRAME_SEALED, KEY_UPDATE, MAX_CONTENT, PAD, SWITCH, TAG, Misuse,
                   WireError, u)


def cut_text(message, limit):
    """The UTF-8 of `message`, cut at a character's boundary to at most `limit` bytes."""
    return message.encode()[:limit].decode("utf-8", "ignore").encode()


class Sealer:
    """Sending side of a half.  A method returns the bytes of one frame, or of several if content is split."""

    def __init__(self, half, ts, ts_late=None, padding="none", epoch_frames=wire.EPOCH_FRAMES,
                 max_frames=wire.MAX_FRAMES, **_):
        self.half, self.ts_late, self.policy, self.max_frames = half, ts_late, padding, max_frames
        self.ratchet = Ratchet(ts, epoch_frames)
        self.ended = self.updated = self.switched = False
        self.keys_used, self.partial = [], b""

    def _room(self):
        """The longest content of one frame under the policy."""
        return self.policy["fixed"] if isinstance(self.policy, dict) else MAX_CONTENT

    def _pieces(self, content):
        """Section 6.5: full pieces first, the rest last; one empty piece for no content."""
        room = self._room()
        return [content[i:i + room] for i in range(0, len(content), room)] or [b""]

    def _ready(self):
        if self.ended:
            raise Misuse("half has ended")
        if self.ratchet.seq >= self.max_frames:
            raise WireError("exhausted")
        mark = {"epoch": self.ratchet.epoch, "key": self.ratchet.key, "iv": self.ratchet.iv}
        if mark not in self.keys_used:
            self.keys_used.append(mark)

    def _sealed(self, inner, content, zeros=None, update=False, switch_to=None):
        self._ready()
        if zeros is None:
            zeros = padded(self.policy, len(content)) - len(content)
        if len(content) + zeros > MAX_CONTENT:
            raise Misuse("content too long")
        plaintext = content + bytes(zeros) + u(inner, 1) + u(len(content), 3)
        header = u(FRAME_SEALED, 1) + u(len(plaintext) + TAG, 3)
        frame = header + self.ratchet.seal(header, plaintext)
        self.ratchet.advance(update, switch_to)
        return frame

    def _split(self, content, last):
        """DATA frames, of which the last one has type `last`.  If the half is exhausted on the way, `partial` has
        the frames that stand."""
        pieces, self.partial = self._pieces(content), b""
        for i, piece in enumerate(pieces, 1):
            self.partial += self._sealed(last if i == len(pieces) else DATA, piece)
            self.updated = self.updated and not piece
        frames, self.partial = self.partial, b""
        return frames

    def data(self, content):
        return self._split(content, DATA)

    def final(self, content=b""):
        frames = self._split(content, FINAL)
        self.ended = True
        return frames

    def error(self, code, message):
        frame = self._sealed(ERROR, u(code, 2) + cut_text(message, self._room() - 2))
        self.ended = True
        return frame

    def pad(self, zeros):
        """The caller's choice of zeros, except under fixed n."""
        return self._sealed(PAD, b"", None if isinstance(self.policy, dict) else zeros)

    def key_update(self):
        if self.updated or (self.half == "c2s" and not self.switched):
            raise Misuse("KEY_UPDATE not allowed here")
        self.updated = True
        return self._sealed(KEY_UPDATE, b"", update=True)

    def switch(self):
        if self.half != "c2s" or self.switched or self.ts_late is None:
            raise Misuse("SWITCH not allowed here")
        self.switched = True
        return self._sealed(SWITCH, b"", switch_to=self.ts_late)

    def public(self, body):
        self._ready()
        if self.half != "s2c" or not 1 <= len(body) <= 512:
            raise Misuse("PUBLIC not allowed here")
        header = u(FRAME_PUBLIC, 1) + u(len(body) + TAG, 3)
        frame = header + body + self.ratchet.seal(header + body, b"")
        self.ratchet.advance()
        return frame
