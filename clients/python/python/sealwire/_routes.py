"""The transport that is used if none is given: the HTTP proxies of the environment, as httpx's own clients take them."""

from __future__ import annotations

from typing import Any
from urllib.request import getproxies, proxy_bypass


def proxy_of(scheme: str, host: str, port: int | None) -> str | None:
    """The proxy for an address, from HTTP_PROXY, HTTPS_PROXY, ALL_PROXY and NO_PROXY or what the system has in their place."""
    proxies = getproxies()
    proxy = proxies.get(scheme) or proxies.get("all")
    if not proxy or proxy_bypass(host) or (port and proxy_bypass(f"{host}:{port}")):
        return None
    return proxy if "://" in proxy else f"http://{proxy}"


class _Routes:
    """One transport of the library's for each proxy."""

    _kind = ""

    def __init__(self, library: Any, verify: Any, trust_env: bool) -> None:
        self._library, self._verify, self._trust_env = library, verify, trust_env
        self._made: dict[str | None, Any] = {}

    def route(self, url: Any) -> Any:
        proxy = proxy_of(url.scheme, url.host, url.port) if self._trust_env else None
        if proxy not in self._made:
            kind = getattr(self._library, self._kind)
            self._made[proxy] = kind(verify=self._verify, trust_env=self._trust_env, proxy=proxy)
        return self._made[proxy]


class Routes(_Routes):
    _kind = "HTTPTransport"

    def handle_request(self, request: Any) -> Any:
        return self.route(request.url).handle_request(request)

    def close(self) -> None:
        for transport in self._made.values():
            transport.close()


class AsyncRoutes(_Routes):
    _kind = "AsyncHTTPTransport"

    async def handle_async_request(self, request: Any) -> Any:
        return await self.route(request.url).handle_async_request(request)

    async def aclose(self) -> None:
        for transport in self._made.values():
            await transport.aclose()
