"""For programs that used the package `chutes-e2ee`: the same names and arguments, so that only the import changes.

What that package never looked at, evidence, is looked at here, so a policy is needed: the argument `policy`, or the environment variable
`SEALWIRE_POLICY` with the path of one. `insecure_trust_relay=True` goes without, and lets the relay read everything.
"""

from __future__ import annotations

import os
from typing import Any

import httpx

from . import AsyncTransport, Transport
from .errors import ConfigError

__all__ = ["AsyncChutesE2EETransport", "ChutesE2EETransport"]

#: The default of that package.
API_BASE = "https://api.chutes.dev"


def _trust(given: dict[str, Any]) -> dict[str, Any]:
    """The arguments with a policy among them."""
    if given.get("policy") is None and not given.get("insecure_trust_relay"):
        given["policy"] = os.environ.get("SEALWIRE_POLICY") or None
        if given["policy"] is None:
            text = "say which enclaves are meant: policy='policy.toml' or the variable SEALWIRE_POLICY with its path"
            how = "docs/migrate-from-chutes-e2ee.md says how to make one"
            raise ConfigError(f"{text}; {how}. insecure_trust_relay=True goes without and lets the relay read everything", "trust")
    return given


class ChutesE2EETransport(Transport):
    """`sealwire.Transport` with the arguments of `chutes_e2ee.ChutesE2EETransport`, and all others by name."""

    def __init__(
        self,
        api_key: str,
        api_base: str = API_BASE,
        inner: httpx.BaseTransport | None = None,
        **options: Any,
    ) -> None:
        super().__init__(api_base, profile="chutes-v1", key=api_key, transport=inner, **_trust(options))


class AsyncChutesE2EETransport(AsyncTransport):
    """`sealwire.AsyncTransport` with the arguments of `chutes_e2ee.AsyncChutesE2EETransport`, and all others by name."""

    def __init__(
        self,
        api_key: str,
        api_base: str = API_BASE,
        inner: httpx.AsyncBaseTransport | None = None,
        **options: Any,
    ) -> None:
        super().__init__(api_base, profile="chutes-v1", key=api_key, transport=inner, **_trust(options))
