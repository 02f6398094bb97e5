"""OpenAI Responses and Anthropic Messages: translated to Chat Completions before a request is sealed, and back when its answer is open."""

from __future__ import annotations

from typing import Any, Generator

from . import _core
from ._plan import Answered, Feed, Step
from .errors import AnswerError

RESPONSES = "/v1/responses"
MESSAGES = "/v1/messages"
#: What is counted here.
COUNTS = ("/v1/messages/count_tokens", "/v1/responses/input_tokens")
#: What model servers are asked instead.
CHAT = "/v1/chat/completions"

_JSON = ("content-type", b"application/json")


class _Translated:
    """A feed in another API's words."""

    def __init__(self, feed: Feed, writer: _core.EventWriter) -> None:
        self._feed, self._writer = feed, writer

    def push(self, data: bytes) -> bytes:
        opened = self._writer.push(self._feed.push(data))
        return opened + self._writer.end() if self._feed.finished else opened

    def end(self) -> bytes:
        return self._writer.push(self._feed.end()) + self._writer.end()

    @property
    def finished(self) -> bool:
        return self._feed.finished

    @property
    def ended(self) -> bool:
        return self._feed.ended


def written(
    translator: _core.Translator, stream: bool, plan: Generator[Step, Any, Answered]
) -> Generator[Step, Any, Answered]:
    """The answer of a plan in the API that the application speaks."""
    answered = yield from plan
    if answered.feed is not None:
        writer = translator.stream()
        answered.content = writer.push(answered.content)
        answered.feed = _Translated(answered.feed, writer)
        return answered
    kind = next((value for name, value in answered.headers if name == "content-type"), b"")
    if kind.lower().startswith(b"text/event-stream"):
        # It came at once.
        writer = translator.stream()
        answered.content = writer.push(answered.content) + writer.end()
        return answered
    if stream and answered.status < 400:
        raise AnswerError("a whole answer came where a stream was asked for", "not_streamed")
    status, body = translator.whole(answered.status, answered.content)
    others = [(name, value) for name, value in answered.headers if name != "content-type"]
    return Answered(status, [_JSON, *others], body)
