"""Traffic keys of one half: nonces (section 6.1) and epochs (section 6.4)."""
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305

from .wire import WireError, hkdf_expand, u


class Ratchet:
    """Sections 6.1 (nonce) and 6.4 (epochs)."""

    def __init__(self, ts, epoch_frames):
        self.epoch_frames, self.seq, self.epoch = epoch_frames, 0, -1
        self._start(ts)

    def _start(self, ts):
        self.ts, self.n, self.epoch = ts, 0, self.epoch + 1
        self.key = hkdf_expand(ts, b"sealwire/1 key", 32)
        self.iv = hkdf_expand(ts, b"sealwire/1 iv", 12)

    def nonce(self):
        return bytes(a ^ b for a, b in zip(self.iv, u(self.seq, 12)))

    def seal(self, aad, plaintext):
        return ChaCha20Poly1305(self.key).encrypt(self.nonce(), plaintext, aad)

    def open(self, aad, ciphertext):
        try:
            return ChaCha20Poly1305(self.key).decrypt(self.nonce(), ciphertext, aad)
        except InvalidTag:
            raise WireError("decrypt") from None

    def advance(self, update=False, switch_to=None):
        self.seq, self.n = self.seq + 1, self.n + 1
        if switch_to is not None:
            self._start(switch_to)
        elif update or self.n == self.epoch_frames:
            self._start(hkdf_expand(self.ts, b"sealwire/1 next", 32))
