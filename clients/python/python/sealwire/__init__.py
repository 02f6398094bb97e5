"""End-to-end sealed streaming for confidential AI inference: a transport for httpx.

```python
client = OpenAI(
    base_url="http://sealed.invalid/v1",
    http_client=httpx.Client(transport=sealwire.Transport("https://relay.example", policy="policy.toml")),
)
```

Every request is sealed on this machine to a key that exists only inside an attested enclave; the answer is opened as it streams back. What cannot be
sealed is not sent. `sealwire.httpx2` is the same for the library `httpx2`, `sealwire.chutes_e2ee` for programs that used `chutes-e2ee`.
"""

from __future__ import annotations

import httpx

from . import _transport
from ._core import (
    Awaiting,
    Bundle,
    ChutesAwait,
    ChutesStream,
    Opener,
    Policy,
    Sealer,
    SwitchKey,
    VerifiedBundle,
    seal_request,
    start,
)
from ._evidence import load_policy
from .errors import (
    AnswerError,
    ConfigError,
    Error,
    EvidenceError,
    InstanceError,
    MisuseError,
    RelayError,
    RequestError,
)

__all__ = [
    "AnswerError",
    "AsyncTransport",
    "Awaiting",
    "Bundle",
    "ChutesAwait",
    "ChutesStream",
    "ConfigError",
    "Error",
    "EvidenceError",
    "InstanceError",
    "MisuseError",
    "Opener",
    "Policy",
    "RelayError",
    "RequestError",
    "Sealer",
    "SwitchKey",
    "Transport",
    "VerifiedBundle",
    "load_policy",
    "seal_request",
    "start",
]


class _Stream(_transport.SyncBody, httpx.SyncByteStream):
    pass


class _AsyncStream(_transport.AsyncBody, httpx.AsyncByteStream):
    pass


class Transport(_transport.Sync, httpx.BaseTransport):
    """A transport for `httpx.Client` that seals what goes through it. `relay` is a relay's address; the README's table has the other options."""

    _library, _stream = httpx, _Stream


class AsyncTransport(_transport.Async, httpx.AsyncBaseTransport):
    """A transport for `httpx.AsyncClient` that seals what goes through it. `relay` is a relay's address; the README's table has the other options."""

    _library, _stream = httpx, _AsyncStream
