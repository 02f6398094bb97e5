"""The compiled core. What `sealwire` itself names is public; the rest may change."""

from typing import Callable, Literal, final

__all__ = [
    "Answer",
    "Awaiting",
    "Bundle",
    "ChutesAwait",
    "ChutesEvidence",
    "ChutesStream",
    "Collateral",
    "EventWriter",
    "Evidence",
    "Opener",
    "Policy",
    "Question",
    "Report",
    "Sealer",
    "SwitchKey",
    "Translator",
    "VerifiedBundle",
    "count_tokens",
    "discovery_target",
    "error_body",
    "evidence_target",
    "instance_key",
    "offered",
    "prepare",
    "problem",
    "random",
    "read_question",
    "seal",
    "seal_request",
    "start",
    "translate",
]

_Padding = Literal["none", "padme", "buckets", "constant"]
_Fields = list[tuple[str, bytes]]

@final
class Bundle:
    """A bundle whose encoding and signature are right; nothing says yet that its identity deserves trust."""

    def __new__(cls, data: bytes) -> Bundle:
        """Parses a bundle and verifies its signature. Raises `EvidenceError`."""

    @property
    def id(self) -> bytes:
        """First 16 bytes of the SHA-256 of its encoding."""

    @property
    def identity(self) -> bytes:
        """The instance's Ed25519 public key, 32 bytes."""

    @property
    def label(self) -> str:
        """What is served."""

    @property
    def suite(self) -> int:
        """Number of the suite."""

    @property
    def window(self) -> tuple[int, int]:
        """Start and end of its validity, unix seconds."""

    @property
    def single_use(self) -> bool:
        """Whether it serves one handshake only."""

    def verify(
        self,
        label: str,
        identities: list[bytes],
        *,
        suites: list[int] | None = None,
        single_use: bool = False,
        insecure_trust_relay: bool = False,
    ) -> VerifiedBundle:
        """Checks it for `label` and one of `identities`. With `insecure_trust_relay` any identity is trusted. Raises `EvidenceError`."""

@final
class VerifiedBundle:
    """A bundle that passed every check: requests may be sealed to it."""

    @property
    def bundle(self) -> Bundle: ...

def start(
    bundle: VerifiedBundle,
    request_id: bytes,
    *,
    attempt: int = 1,
    billing: bytes | None = None,
    early_data: bool = True,
    padding: _Padding = "none",
) -> tuple[bytes, bytes, Sealer, Awaiting]:
    """Begins a handshake. Gives the context's encoding and H1, to be sent both, the sealer of the request, and what waits for H2. `request_id` is 16 bytes,
    the same in every attempt of one request. Without early data nothing is sealed before `Sealer.switch`."""

@final
class Sealer:
    """Seals one half into frames. Each method gives bytes to be sent, in order."""

    def seal(self, content: bytes) -> bytes:
        """DATA frames; nothing for empty content."""

    def pad(self, length: int) -> bytes:
        """A PAD frame that shows `length` bytes of content."""

    def switch(self, key: SwitchKey) -> bytes:
        """SWITCH: the first frame after H2 was verified, unless the half has ended."""

    def finish(self, content: bytes | None = None) -> bytes:
        """The last content and FINAL. Nothing else ends the half: one that is only dropped is cut."""

@final
class SwitchKey:
    """For `Sealer.switch`, once."""

@final
class Awaiting:
    """Waits for H2. Drop it at the deadline, at most 30 s: that erases the ephemeral key."""

    def read(self, data: bytes) -> tuple[int, Opener, SwitchKey] | None:
        """Reads H2 from the start of `data`. `None` if more is needed: call again with all of it, from the same start. Otherwise how many bytes H2 had, what
        opens the frames behind it, and the key to switch with. Raises `AnswerError`, which ends the handshake."""

@final
class Opener:
    """Opens the frames of one half."""

    def push(self, data: bytes) -> list[tuple[str, bytes]]:
        """Takes bytes from the transport and gives the events that are whole: pairs of `"data"`, `"public"`, `"final"` or `"error"` and bytes. What came
        before a fault is given first; the fault, an `AnswerError`, is raised by the next call. Only a half that gave `"final"` or `"error"` was whole."""

    def end(self) -> None:
        """The transport has ended. Raises `AnswerError` unless the half has."""

def seal_request(key: str, path: str, body: bytes) -> tuple[bytes, ChutesAwait]:
    """Seals one JSON object for chutes-v1 to an instance's key, which is base64 as in discovery; whose key it is, evidence says. `path` is that of
    `X-E2E-Path`. Raises `RequestError`."""

@final
class ChutesAwait:
    """The key for one answer of chutes-v1: `open` or `stream`, once."""

    def open(self, blob: bytes, limit: int = 67108864) -> tuple[tuple[int, str] | None, bytes]:
        """Opens an answer that is not streamed, and unpacks it to at most `limit` bytes. Gives status and media type, if the instance carries them, and the
        body. Raises `AnswerError`."""

    def stream(self, *, usage: bool = True, every_token: bool = False) -> ChutesStream:
        """What opens a streamed answer. `usage` leaves the event with counts and no choice in; `every_token` says that the model server is known to count
        each token in a chunk of its own, so that a missing one shows."""

@final
class ChutesStream:
    """Opens one streamed answer of chutes-v1."""

    def push(self, data: bytes) -> bytes:
        """Takes bytes of the body; gives content for the application, its end held back. What came before a fault is given before the fault is raised, an
        `AnswerError` or `RelayError`."""

    def end(self) -> bytes:
        """The transport has ended: the rest of the answer. Raises `AnswerError` unless it is whole."""

    @property
    def head(self) -> tuple[int, str] | None:
        """Status and media type, once they are there."""

    @property
    def streamed(self) -> bool:
        """Whether it is a stream of events."""

    @property
    def finished(self) -> bool:
        """Never: only the end of the transport shows that the answer is whole."""

    @property
    def ended(self) -> bool:
        """Whether nothing more comes out: the next `push` raises."""

@final
class Policy:
    """A policy: what instances must prove (spec/evidence.md)."""

    def __new__(cls, toml: str, load: Callable[[str], bytes]) -> Policy:
        """Parses TOML; `load` gives the content of a file that it names. Raises `ConfigError`."""

    @property
    def allows_stapled(self) -> bool:
        """Whether evidence that answers no nonce is taken."""

    @property
    def pins(self) -> list[bytes]:
        """The pinned identities."""

    def pinned(self, identity: bytes) -> Report | None: ...
    def native(
        self, evidence: Evidence, identity: bytes, nonce: bytes | None, sent: int, collateral: Collateral | None = None
    ) -> Report: ...
    def chutes(
        self,
        evidence: Evidence,
        key: str,
        others: list[str],
        nonce: bytes,
        sent: int,
        collateral: Collateral | None = None,
    ) -> Report: ...

@final
class Evidence:
    def __new__(cls, json: bytes) -> Evidence: ...
    def collateral_requests(self, base: str) -> list[tuple[str, str | None]]: ...
    @property
    def needs_collateral(self) -> bool: ...

@final
class ChutesEvidence:
    def __new__(cls, json: bytes) -> ChutesEvidence: ...
    def of(self, instance: str) -> Evidence: ...

@final
class Collateral:
    def __new__(cls, json: bytes) -> Collateral: ...
    @staticmethod
    def assemble(answers: list[tuple[bytes, str | None]]) -> Collateral: ...
    @property
    def valid_until(self) -> int: ...

@final
class Report:
    @property
    def accepted(self) -> bool: ...
    @property
    def valid_until(self) -> int: ...
    @property
    def chutes_key(self) -> str | None: ...
    @property
    def checks(self) -> list[tuple[str, str, str | None, str, str]]: ...
    def serves(self, label: str) -> bool: ...
    def verify(
        self, bundle: Bundle, label: str, *, suites: list[int] | None = None, single_use: bool = False
    ) -> VerifiedBundle: ...

@final
class Answer:
    def push(self, data: bytes) -> bytes: ...
    def end(self) -> bytes: ...
    @property
    def connected(self) -> bool: ...
    @property
    def finished(self) -> bool: ...
    @property
    def ended(self) -> bool: ...
    @property
    def streamed(self) -> bool: ...
    @property
    def head(self) -> tuple[int, _Fields] | None: ...

@final
class Question:
    @property
    def model(self) -> str: ...
    @property
    def stream(self) -> bool: ...
    @property
    def asks_usage(self) -> bool: ...

def translate(path: str, body: bytes) -> tuple[bytes, Translator]: ...
def count_tokens(path: str, body: bytes) -> bytes: ...
def error_body(path: str, status: int, kind: str, code: str, message: str, retry: bool) -> tuple[int, bytes]: ...

@final
class Translator:
    def whole(self, status: int, body: bytes) -> tuple[int, bytes]: ...
    def stream(self) -> EventWriter: ...

@final
class EventWriter:
    def push(self, events: bytes) -> bytes: ...
    def end(self) -> bytes: ...

def seal(
    bundle: VerifiedBundle,
    request_id: bytes,
    attempt: int,
    path: str,
    fields: _Fields,
    content: bytes,
    *,
    padding: str = "none",
    billing: bytes | None = None,
) -> tuple[_Fields, bytes, Answer]: ...
def discovery_target(label: str, single_use: bool = False, suite: int | None = None) -> str: ...
def evidence_target(identity: bytes, nonce: bytes | None = None) -> str: ...
def offered(json: bytes) -> list[bytes] | None: ...
def problem(json: bytes) -> tuple[str, str, bytes | None] | None: ...
def instance_key(text: str) -> bool: ...
def read_question(body: bytes) -> Question: ...
def prepare(body: bytes, model: str, thinking: bool) -> bytes: ...
def random(len: int) -> bytes: ...
