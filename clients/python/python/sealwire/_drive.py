"""Drivers: they take the steps of a plan with an httpx transport, blocking or not. Whatever a plan leaves open is closed."""

from __future__ import annotations

import time
from typing import Any

import anyio

from ._plan import Acquire, Answered, Close, Deadline, Document, Fetch, Plan, Read, Send, Sleep, Step, bearer
from .errors import RelayError


def _too_large(limit: int) -> RelayError:
    return RelayError(f"the relay's answer has more than {limit} bytes", "relay_too_large")


class Drive:
    """Takes steps and blocks."""

    def __init__(self, library: Any, transport: Any) -> None:
        self._library, self._transport = library, transport

    def run(self, plan: Plan) -> Any:
        open_: dict[int, tuple[Any, Any]] = {}
        try:
            step = next(plan)
            while True:
                try:
                    value = self._take(step, open_)
                except Exception as error:
                    step = plan.throw(error)
                else:
                    step = plan.send(value)
        except StopIteration as stop:
            return _handed_out(stop.value, open_)
        except BaseException:
            plan.close()
            for response, _ in open_.values():
                response.close()
            raise

    def _take(self, step: Step, open_: dict[int, tuple[Any, Any]]) -> Any:
        if isinstance(step, Read):
            return self._within(step.deadline, lambda: next(open_[id(step.response)][1], None))
        if isinstance(step, Send):
            timeout = _clipped(step)
            request = self._request("POST", step.url, step.headers, timeout, step.body)
            response = self._within(step.deadline, lambda: self._transport.handle_request(request))
            _unclip(timeout, step)
            open_[id(response)] = (response, iter(response.stream))
            return response
        if isinstance(step, Fetch):
            request = self._request("GET", step.url, bearer(step.key), dict(step.timeout))
            response = self._transport.handle_request(request)
            try:
                body = bytearray()
                for data in response.stream:
                    body += data
                    if len(body) > step.limit:
                        raise _too_large(step.limit)
            finally:
                response.close()
            return Document(response.status_code, response.headers, bytes(body))
        if isinstance(step, Close):
            open_.pop(id(step.response), None)
            step.response.close()
        elif isinstance(step, Acquire):
            step.lock.acquire()
        elif isinstance(step, Sleep):
            time.sleep(step.seconds)

    def _request(self, method: str, url: str, headers: Any, timeout: Any, body: bytes | None = None) -> Any:
        return self._library.Request(method, url, headers=headers, content=body, extensions={"timeout": timeout})

    def _within(self, deadline: float | None, work: Any) -> Any:
        try:
            value = work()
        except self._library.ReadTimeout:
            if deadline is not None and time.monotonic() >= deadline:
                raise Deadline from None
            raise
        return value


class AsyncDrive(Drive):
    """Takes steps without blocking, under whatever event loop httpx runs on."""

    async def run_async(self, plan: Plan) -> Any:
        open_: dict[int, tuple[Any, Any]] = {}
        try:
            step = next(plan)
            while True:
                try:
                    value = await self._take_async(step, open_)
                except Exception as error:
                    step = plan.throw(error)
                else:
                    step = plan.send(value)
        except StopIteration as stop:
            return _handed_out(stop.value, open_)
        except BaseException:
            plan.close()
            # Also when this is cancelled: what is open costs somebody something.
            with anyio.CancelScope(shield=True):
                for response, _ in open_.values():
                    await response.aclose()
            raise

    async def _take_async(self, step: Step, open_: dict[int, tuple[Any, Any]]) -> Any:
        if isinstance(step, Read):
            pieces = open_[id(step.response)][1]
            with _limit(step.deadline) as scope:
                return await anext(pieces, None)
            raise Deadline if scope.cancelled_caught else AssertionError
        if isinstance(step, Send):
            timeout = _clipped(step)
            request = self._request("POST", step.url, step.headers, timeout, step.body)
            response = None
            with _limit(step.deadline):
                response = await self._transport.handle_async_request(request)
            if response is None:
                raise Deadline
            _unclip(timeout, step)
            open_[id(response)] = (response, response.stream.__aiter__())
            return response
        if isinstance(step, Fetch):
            request = self._request("GET", step.url, bearer(step.key), dict(step.timeout))
            response = await self._transport.handle_async_request(request)
            try:
                body = bytearray()
                async for data in response.stream:
                    body += data
                    if len(body) > step.limit:
                        raise _too_large(step.limit)
            finally:
                with anyio.CancelScope(shield=True):
                    await response.aclose()
            return Document(response.status_code, response.headers, bytes(body))
        if isinstance(step, Close):
            open_.pop(id(step.response), None)
            await step.response.aclose()
        elif isinstance(step, Acquire):
            await step.lock.acquire()
        elif isinstance(step, Sleep):
            await anyio.sleep(step.seconds)


def _handed_out(value: Any, open_: dict[int, tuple[Any, Any]]) -> Any:
    if isinstance(value, Answered) and value.response is not None:
        value.pieces = open_[id(value.response)][1]
    return value


def _limit(deadline: float | None) -> anyio.CancelScope:
    return anyio.move_on_after(None if deadline is None else max(0.0, deadline - time.monotonic()))


def _unclip(timeout: dict[str, float | None], step: Send) -> None:
    """The rest of the answer has the caller's patience; the library looks at the timeouts again when it reads on."""
    timeout.clear()
    timeout.update(step.timeout)


def _clipped(step: Send) -> dict[str, float | None]:
    """The caller's timeouts, the one for reading no longer than the deadline allows."""
    timeout = dict(step.timeout)
    if step.deadline is not None:
        left = max(0.001, step.deadline - time.monotonic())
        read = timeout.get("read")
        timeout["read"] = left if read is None else min(read, left)
    return timeout
