"""What the profiles ask of the network. A profile is written once, as generators ("plans") that yield these steps; a driver takes them, blocking or not,
and sends back what came."""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass, field
from typing import Any, Generator, Protocol

Headers = list[tuple[str, str]]
Timeout = dict[str, "float | None"]


#: How long the end of an HTTP message is waited for when the answer in it is whole, seconds.
PATIENCE = 1.0


class Deadline(Exception):
    """A step did not end in time. Only plans see it."""


@dataclass
class Fetch:
    """GETs a document of at most `limit` bytes; gives a `Document`."""

    url: str
    timeout: Timeout
    key: str | None = None
    limit: int = 64 * 1024


@dataclass
class Document:
    status: int
    headers: Any
    body: bytes

    def only(self, name: str) -> str | None:
        """A header's value, if it stands once."""
        return only(self.headers, name)


@dataclass
class Send:
    """POSTs; gives the response, open, as the HTTP library has it. With a deadline, that long for its head."""

    url: str
    headers: Headers
    body: bytes
    timeout: Timeout
    deadline: float | None = None


@dataclass
class Read:
    """Reads a response's next bytes; gives `None` at its end."""

    response: Any
    deadline: float | None = None


@dataclass
class Close:
    """Closes a response that was not read to its end."""

    response: Any


@dataclass
class Acquire:
    """Takes a lock of the driver's kind; the plan releases it."""

    lock: Any


@dataclass
class Sleep:
    seconds: float


Step = Fetch | Send | Read | Close | Acquire | Sleep
Plan = Generator[Step, Any, Any]


class Feed(Protocol):
    """Opens an answer piece by piece."""

    def push(self, data: bytes, /) -> bytes: ...

    def end(self) -> bytes: ...

    @property
    def finished(self) -> bool: ...

    @property
    def ended(self) -> bool: ...


@dataclass
class Question:
    """An application's request, as far as sealing needs it."""

    path: str
    fields: list[tuple[str, bytes]]
    content: bytes
    model: str
    stream: bool
    asks_usage: bool
    thinking: bool
    key: str | None
    timeout: Timeout


@dataclass
class Answered:
    """An answer up to its head. `content` is what is there of it already; if there is more, `feed` opens what `response` gives."""

    status: int
    headers: list[tuple[str, bytes]]
    content: bytes = b""
    feed: Feed | None = None
    response: Any = None
    #: What the response gives from here on; the driver's to set.
    pieces: Any = None


def only(headers: Any, name: str) -> str | None:
    values = headers.get_list(name)
    return str(values[0]).strip() if len(values) == 1 else None


def bearer(key: str | None) -> Headers:
    return [("authorization", f"Bearer {key}")] if key else []


def gather(response: Any, limit: int, deadline: float | None = None) -> Generator[Step, Any, bytes | None]:
    """The rest of a response; `None` if it has more than `limit` bytes. The response is done with either way."""
    body = bytearray()
    while (data := (yield Read(response, deadline))) is not None:
        body += data
        if len(body) > limit:
            yield Close(response)
            return None
    yield Close(response)
    return bytes(body)


def unix_now() -> int:
    return int(time.time())


@dataclass
class Locks:
    """Locks by name, made when they are needed."""

    make: Any
    _made: dict[Any, Any] = field(default_factory=dict)
    _guard: threading.Lock = field(default_factory=threading.Lock)

    def __getitem__(self, name: Any) -> Any:
        with self._guard:
            if len(self._made) > 4096:
                self._made = {name: lock for name, lock in self._made.items() if lock.locked()}
            if name not in self._made:
                self._made[name] = self.make()
            return self._made[name]
