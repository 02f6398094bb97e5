"""The transports, for either HTTP library: what a request becomes, and how its answer comes back."""

from __future__ import annotations

import os
import threading
from base64 import urlsafe_b64decode
from typing import Any, AsyncIterator, Collection, Iterable, Iterator, Literal

import anyio

from . import _core
from ._chutes import Chutes, ChutesOptions
from ._dialects import CHAT, COUNTS, MESSAGES, RESPONSES, written
from ._drive import AsyncDrive, Drive
from ._evidence import INTEL_PCS, Collaterals, load_policy
from ._native import Native, NativeOptions
from ._plan import PATIENCE, Answered, Locks, Plan, Question
from ._routes import AsyncRoutes, Routes
from .errors import ConfigError, Error, RequestError, as_transport_error

#: What is sealed. Only the end of a URL's path counts.
POSTS = ("/v1/chat/completions", "/v1/completions", "/v1/embeddings", RESPONSES, MESSAGES)
MODELS = "/v1/models"
#: Fields of the application's request that are sealed with it; no other leaves.
FIELDS = ("accept", "accept-language", "content-type", "user-agent")

Profile = Literal["native", "chutes-v1"]
Padding = Literal["none", "padme", "buckets", "constant"]


class Base:
    """What both transports do before and after the network."""

    # Set by the modules of the two HTTP libraries.
    _library: Any
    _stream: Any
    _drive: Any
    _routes: Any
    _lock: Any

    def __init__(
        self,
        relay: str,
        *,
        profile: Profile = "native",
        policy: str | os.PathLike[str] | _core.Policy | None = None,
        pins: str | bytes | Iterable[str | bytes] = (),
        insecure_trust_relay: bool = False,
        key: str | None = None,
        forward_key: bool = False,
        collateral: str | os.PathLike[str] | None = None,
        e2e_base: str | None = None,
        allow_non_confidential: Collection[str] = (),
        usage_passthrough: bool = False,
        every_token: bool = False,
        early_data: Literal["allow", "never"] = "allow",
        single_use: bool = False,
        suites: Collection[int] | None = None,
        padding: Padding = "none",
        billing: bytes | None = None,
        attempts: int | None = None,
        handshake_timeout: float = 30.0,
        max_request_bytes: int = 32 * 1024 * 1024,
        max_answer_bytes: int = 64 * 1024 * 1024,
        errors: Literal["raise", "response"] = "raise",
        transport: Any = None,
        verify: Any = True,
        trust_env: bool = True,
    ) -> None:
        native = profile == "native"
        if not native and profile != "chutes-v1":
            raise ConfigError(f"there is no profile {profile!r}; it is native or chutes-v1", "profile")
        others: dict[str, object] = {"e2e_base": e2e_base, "allow_non_confidential": allow_non_confidential}
        others |= {"usage_passthrough": usage_passthrough, "every_token": every_token}
        if not native:
            others = {"single_use": single_use, "suites": suites, "billing": billing}
            others |= {"padding": padding != "none", "early_data": early_data != "allow"}
        if strange := [name for name, value in others.items() if value]:
            raise ConfigError(f"{strange[0]} does not go with the profile {profile}", "other_profile")
        if early_data != "allow":
            # httpx sends a request's body before it reads the answer, over HTTP/1.1 and HTTP/2 (spec/http.md section 4).
            text = "httpx cannot wait for the instance before it sends the request; use `sealwire proxy --early-data never`"
            raise ConfigError(text, "no_duplex")
        if padding not in ("none", "padme", "buckets", "constant"):
            raise ConfigError(f"there is no padding {padding!r}", "padding")
        if unknown := [suite for suite in suites or () if suite not in (1, 2)]:
            raise ConfigError(f"there is no suite {unknown[0]!r}", "suite")
        if key is not None and not (key and key.isascii() and key.isprintable() and " " not in key):
            raise ConfigError("the relay's key must be printable ASCII without blanks", "key")
        if errors not in ("raise", "response"):
            raise ConfigError("errors is 'raise' or 'response'", "errors")
        identities = _identities(pins)
        _one_trust(native, policy, identities, insecure_trust_relay)
        self._key, self._forward_key, self._errors = key, forward_key, errors
        self._max_request_bytes = max_request_bytes
        self._relay = _base(relay, "relay")
        self._inner = transport or self._routes(self._library, verify, trust_env)
        self._driver = self._drive(self._library, self._inner)
        source = collateral or ("stapled" if native else INTEL_PCS)
        collaterals = Collaterals(source, self._library.TransportError)
        locks = Locks(self._lock)
        loaded = None if policy is None else load_policy(policy)
        self._client: Native | Chutes
        if native:
            options = NativeOptions(
                relay=self._relay,
                identities=identities,
                insecure=insecure_trust_relay,
                policy=loaded,
                suites=None if suites is None else list(suites),
                single_use=single_use,
                padding=padding,
                billing=billing,
                attempts=max(1, min(attempts or 3, 255)),
                handshake_timeout=min(handshake_timeout, 30.0),
                max_answer_bytes=max_answer_bytes,
            )
            self._client = Native(options, collaterals, locks, self._library)
        else:
            if isinstance(allow_non_confidential, str):
                allow_non_confidential = [allow_non_confidential]
            chutes = ChutesOptions(
                relay=self._relay,
                e2e_base=_base(e2e_base, "e2e_base") if e2e_base else self._relay,
                policy=loaded,
                waived=frozenset(allow_non_confidential),
                usage_passthrough=usage_passthrough,
                every_token=every_token,
                attempts=max(1, attempts or 4),
                max_answer_bytes=max_answer_bytes,
            )
            self._client = Chutes(chutes, collaterals, locks, self._library)

    def attestation(self) -> dict[str, Any]:
        """What was verified: every check with its name, what was expected and what was got, as `GET /attestation` of the proxy shows it."""
        return self._client.attestation()

    def __repr__(self) -> str:
        # Nothing of the key.
        return f"<{type(self).__module__}.{type(self).__name__} {self._client.profile} {self._relay}>"

    def _plan(self, request: Any, content: bytes) -> Plan:
        """The plan behind a request. Raises `RequestError` for what cannot be sealed."""
        path = _path(request.url.path)
        timeout = dict(request.extensions.get("timeout", {}))
        key = self._relay_key(request.headers)
        if request.method == "GET" and path == MODELS:
            return self._client.models(key, timeout)
        if request.method != "POST" or path not in (*POSTS, *COUNTS):
            taken = f"POST {', '.join(POSTS)} and GET {MODELS}"
            text = f"{request.method} {request.url.path} cannot be sealed, so it is not sent; this transport takes {taken}"
            raise RequestError(text, "unknown_url")
        if request.headers.get("content-encoding", "identity") != "identity":
            raise RequestError("a request with a content coding cannot be sealed", "bad_body")
        if len(content) > self._max_request_bytes:
            raise RequestError(f"the request has more than {self._max_request_bytes} bytes", "request_too_large")
        if path in COUNTS:
            # An estimate, made here.
            return _at_once(Answered(200, [("content-type", b"application/json")], _core.count_tokens(path, content)))
        translator = None
        if path in (RESPONSES, MESSAGES):
            content, translator = _core.translate(path, content)
            path = CHAT
        read = _core.read_question(content)
        fields = [(name, value) for name in FIELDS for value in _values(request.headers, name)]
        thinking = request.headers.get("x-enable-thinking", "").lower() == "true"
        question = Question(path, fields, content, read.model, read.stream, read.asks_usage, thinking, key, timeout)
        plan = self._client.ask(question)
        return written(translator, read.stream, plan) if translator else plan

    def _relay_key(self, headers: Any) -> str | None:
        if self._key or not self._forward_key:
            return self._key
        scheme, _, token = headers.get("authorization", "").partition(" ")
        key = token.strip() if scheme.lower() == "bearer" else headers.get("x-api-key", "")
        return key if key and key.isascii() and key.isprintable() else None

    def _response(self, answered: Answered, request: Any) -> Any:
        headers = [(name.encode(), value) for name, value in answered.headers]
        if answered.feed is None:
            headers.append((b"content-length", str(len(answered.content)).encode()))
            return self._library.Response(
                answered.status, headers=headers, stream=self._library.ByteStream(answered.content), request=request
            )
        stream = self._stream(answered, self._library.TransportError)
        return self._library.Response(answered.status, headers=headers, stream=stream, request=request)

    def _failure(self, error: Error, request: Any) -> Any:
        """How a caller gets an error that comes before the answer."""
        if self._errors == "raise":
            raised = as_transport_error(error, self._library.TransportError)
            raise raised from error.__cause__
        path, text = _path(request.url.path), f"sealwire: {error.message}"
        status, body = _core.error_body(path, error.status, error.type, error.code, text, error.retryable)
        headers = {"content-type": "application/json", "x-should-retry": str(error.retryable).lower()}
        return self._library.Response(status, headers=headers, content=body, request=request)


class Sync(Base):
    """Blocks."""

    _drive, _routes, _lock = Drive, Routes, threading.Lock

    def handle_request(self, request: Any) -> Any:
        """Seals a request, sends it, and gives the answer as it is opened."""
        try:
            answered = self._driver.run(self._plan(request, request.read()))
        except Error as error:
            return self._failure(error, request)
        return self._response(answered, request)

    def close(self) -> None:
        """Closes the connections."""
        self._inner.close()


class Async(Base):
    """Waits."""

    _drive, _routes, _lock = AsyncDrive, AsyncRoutes, anyio.Lock

    async def handle_async_request(self, request: Any) -> Any:
        """Seals a request, sends it, and gives the answer as it is opened."""
        try:
            answered = await self._driver.run_async(self._plan(request, await request.aread()))
        except Error as error:
            return self._failure(error, request)
        return self._response(answered, request)

    async def aclose(self) -> None:
        """Closes the connections."""
        await self._inner.aclose()


class Body:
    """A streamed answer. Closing it before its end closes the exchange with the relay, and so ends the instance's work."""

    def __init__(self, answered: Answered, transport_error: type[Exception]) -> None:
        self._content, self._pieces, self._response = answered.content, answered.pieces, answered.response
        assert answered.feed is not None
        self._feed = answered.feed
        self._error = transport_error

    def _raised(self, error: Error) -> Error:
        return as_transport_error(error, self._error)


class SyncBody(Body):
    def __iter__(self) -> Iterator[bytes]:
        feed, push = self._feed, self._feed.push
        if self._content:
            yield self._content
        try:
            while not feed.finished:
                for data in self._pieces:
                    if opened := push(data):
                        yield opened
                    if feed.ended:
                        break
                else:
                    if opened := feed.end():
                        yield opened
                    return
                push(b"")
        except Error as error:
            raise self._raised(error) from error.__cause__
        # What is left is the end of the HTTP message, after which the connection can be used again. The answer is whole whatever comes of it.
        try:
            next(self._pieces, None)
        except self._error:
            pass

    def close(self) -> None:
        self._response.close()


class AsyncBody(Body):
    async def __aiter__(self) -> AsyncIterator[bytes]:
        feed, push = self._feed, self._feed.push
        if self._content:
            yield self._content
        try:
            while not feed.finished:
                async for data in self._pieces:
                    if opened := push(data):
                        yield opened
                    if feed.ended:
                        break
                else:
                    if opened := feed.end():
                        yield opened
                    return
                push(b"")
        except Error as error:
            raise self._raised(error) from error.__cause__
        # What is left is the end of the HTTP message, after which the connection can be used again. The answer is whole whatever comes of it.
        try:
            with anyio.move_on_after(PATIENCE):
                await anext(self._pieces, None)
        except self._error:
            pass

    async def aclose(self) -> None:
        await self._response.aclose()


def _path(path: str) -> str:
    """The part of a URL's path that counts: base URLs may have prefixes of their own."""
    for known in (*POSTS, MODELS, *COUNTS):
        if path.endswith(known):
            return known
    return path


def _at_once(answered: Answered) -> Plan:
    """A plan that asks nobody."""
    yield from ()
    return answered


def _values(headers: Any, name: str) -> list[bytes]:
    return [value for have, value in headers.raw if have.lower() == name.encode()]


def _base(url: str, name: str) -> str:
    if not url.startswith(("http://", "https://")) or "?" in url or "#" in url:
        raise ConfigError(f"{name} must be an http or https URL without a query, not {url!r}", name)
    return url.rstrip("/")


def _identities(pins: str | bytes | Iterable[str | bytes]) -> list[bytes]:
    identities = []
    for pin in [pins] if isinstance(pins, (str, bytes)) else pins:
        try:
            identity = pin if isinstance(pin, bytes) else urlsafe_b64decode(pin + "=" * (-len(pin) % 4))
        except ValueError:
            identity = b""
        if len(identity) != 32:
            raise ConfigError("a pin is an identity: 32 bytes as base64url, as `sealwire instance` prints it", "pins")
        identities.append(identity)
    return identities


def _one_trust(native: bool, policy: object, identities: list[bytes], insecure: bool) -> None:
    if identities and not native:
        raise ConfigError("pins are identities of the native profile; chutes-v1 needs a policy", "other_profile")
    given = [policy is not None, bool(identities), insecure]
    if given.count(True) == 1:
        return
    ways = "policy (a TOML file, see spec/evidence.md)" + (", pins (identities)" if native else "")
    text = f"say whom to trust with exactly one of: {ways}, or insecure_trust_relay=True, which lets the relay read everything"
    raise ConfigError(text, "trust")
