"""What can go wrong. Every error has a stable `code`, and a message that says what to do; none holds a prompt, a key or a nonce.

An error that another attempt may get past is raised as a subclass that is also a `TransportError` of the HTTP library, so that whatever retries
connection errors retries it: the OpenAI SDK does. The rest is not, and the OpenAI SDK hands it on as it is.
"""

from __future__ import annotations

from typing import Any

__all__ = [
    "AnswerError",
    "ConfigError",
    "Error",
    "EvidenceError",
    "InstanceError",
    "MisuseError",
    "RelayError",
    "RequestError",
]


class Error(Exception):
    """Whatever this package raises itself."""

    #: Class of the error in an API's error document.
    type = "sealwire_error"
    _status = 502

    def __init__(self, message: str, code: str = "error", status: int | None = None) -> None:
        super().__init__(message)
        #: What went wrong, and what to do.
        self.message = message
        #: For programs.
        self.code = code
        #: The HTTP status that a proxy would answer with.
        self.status = status or _STATUS.get(code, self._status)

    @property
    def retryable(self) -> bool:
        """Whether another attempt may go well without anything being changed."""
        return self.code in _RETRYABLE


class ConfigError(Error, ValueError):
    """A setting that cannot be used."""

    _status = 500


class MisuseError(Error, RuntimeError):
    """A call of the low-level interface that cannot be made now."""

    _status = 500


class RequestError(Error):
    """The request cannot be sealed. Nothing of it was sent."""

    type = "invalid_request_error"
    _status = 400


class RelayError(Error):
    """The relay plane: the relay refuses, fails, or is none. Never the model's word."""

    type = "sealwire_relay_error"


class EvidenceError(Error):
    """No instance is trusted: evidence, pins or bundles are refused. Nothing of the request was sent."""


class AnswerError(Error):
    """What came is not what an instance sealed, or not the whole of it."""


class InstanceError(Error):
    """The instance says, sealed, that it gave up."""

    type = "api_error"


#: Statuses other than the class's own.
_STATUS = {
    "evidence_timeout": 503,
    "handshake_timeout": 503,
    "no_instance": 503,
    "model_not_found": 404,
    "not_confidential": 403,
    "unknown_url": 404,
    "request_too_large": 413,
    "relay_auth": 401,
    "relay_busy": 503,
    "relay_quota": 429,
    "relay_too_large": 413,
    "shutting_down": 503,
    "too_large": 413,
    "upstream_timeout": 504,
}

_RETRYABLE = frozenset(
    {
        "evidence_timeout",
        "handshake_timeout",
        "no_collateral",
        "no_instance",
        "relay_busy",
        "relay_failed",
        "relay_gone",
        "relay_key_unknown",
        "relay_429",
        "relay_500",
        "relay_502",
        "relay_503",
        "relay_504",
        "shutting_down",
        "truncated",
        "upstream",
        "upstream_timeout",
    }
)

_mixed: dict[tuple[type[Error], type[Exception]], type[Error]] = {}


def as_transport_error(error: Error, base: type[Exception]) -> Error:
    """The error as it is raised from a transport: one that is worth a retry is a `base` too."""
    if not error.retryable or isinstance(error, base):
        return error
    key = (type(error), base)
    if key not in _mixed:

        def init(self: Any, message: str, code: str, status: int) -> None:
            Error.__init__(self, message, code, status)
            self._request = None

        _mixed[key] = type(key[0].__name__, key, {"__init__": init, "__module__": key[0].__module__})
    mixed: Any = _mixed[key]
    made: Error = mixed(error.message, error.code, error.status)
    made.__cause__ = error.__cause__
    return made
