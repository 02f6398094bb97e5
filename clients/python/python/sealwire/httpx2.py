"""The transports for the library `httpx2`, which the SDKs of OpenAI (from version 3) and Anthropic (from version 2) use."""

from __future__ import annotations

import httpx2

from . import _transport

__all__ = ["AsyncTransport", "Transport"]


class _Stream(_transport.SyncBody, httpx2.SyncByteStream):
    pass


class _AsyncStream(_transport.AsyncBody, httpx2.AsyncByteStream):
    pass


class Transport(_transport.Sync, httpx2.BaseTransport):
    """A transport for `httpx2.Client` that seals what goes through it; as `sealwire.Transport`."""

    _library, _stream = httpx2, _Stream


class AsyncTransport(_transport.Async, httpx2.AsyncBaseTransport):
    """A transport for `httpx2.AsyncClient` that seals what goes through it; as `sealwire.AsyncTransport`."""

    _library, _stream = httpx2, _AsyncStream
