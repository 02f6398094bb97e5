"""Padding and rhythm of s2c (H7.2)."""
import time

GATHER, PIECES, BYTES = 0.05, 5, 12288
TICK, CONSTANT = 0.05, 1024
POLICIES = {"none": "none", "padme": "padme", "buckets": "buckets", "constant": {"fixed": CONSTANT}}


class Pacer:
    """put() what is to be said; tick() when wait() seconds are over; drain() before the end.  `send` takes frames."""

    def __init__(self, sealer, policy, send):
        self.sealer, self.policy, self.send = sealer, policy, send
        sealer.policy = POLICIES[policy]
        self.held, self.pieces, self.due = b"", 0, None

    def put(self, data):
        if self.policy == "none":
            return self.send(self.sealer.data(data))
        if self.due is None:
            self.due = time.monotonic() + (TICK if self.policy == "constant" else GATHER)
        self.held, self.pieces = self.held + data, self.pieces + 1
        if self.policy != "constant" and (self.pieces >= PIECES or len(self.held) >= BYTES):
            self._flush()
        return None

    def wait(self, most):
        return most if self.due is None else max(0.0, min(most, self.due - time.monotonic()))

    def tick(self):
        if self.due is None or time.monotonic() < self.due:
            return
        if self.policy != "constant":
            return self._flush()
        piece, self.held = self.held[:CONSTANT], self.held[CONSTANT:]
        self.send(self.sealer.data(piece) if piece else self.sealer.pad(0))
        self.due = time.monotonic() + TICK
        return None

    def _flush(self):
        data, self.held, self.pieces, self.due = self.held, b"", 0, None
        if data:
            self.send(self.sealer.data(data))

    def drain(self):
        """Everything that is held goes out, at the policy's pace."""
        while self.held and self.policy == "constant":
            time.sleep(self.wait(TICK))
            self.tick()
        self._flush()
