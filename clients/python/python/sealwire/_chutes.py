"""The profile chutes-v1 as a client speaks it, hardened (spec/compat-chutes.md)."""

from __future__ import annotations

import json
import time
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Any, Generator, TypeGuard

from . import _core
from ._evidence import Collaterals, Judgement, Known, judged, refused
from ._models import Catalog, Resolved
from ._nonces import MARGIN, Offer, Pool, Seen, Ticket
from ._plan import (
    Acquire,
    Answered,
    Close,
    Document,
    Fetch,
    Locks,
    Question,
    Read,
    Send,
    Sleep,
    Step,
    Timeout,
    bearer,
    gather,
    only,
    unix_now,
)
from .errors import AnswerError, Error, EvidenceError, RelayError, RequestError

MAX_LIST = 8 * 1024 * 1024
MAX_INSTANCES_ANSWER = 4 * 1024 * 1024
MAX_EVIDENCE = 64 * 1024 * 1024
MAX_ERROR = 64 * 1024
#: Fixed parts of a blob, and what gzip adds at worst.
OVERHEAD = 64 * 1024
#: How long a model list is good, and how old it must be before a name that is not on it makes it be fetched again, seconds.
KEPT, RETRY = 300.0, 5.0
#: Instances that are read of a discovery, and nonces of each.
MAX_INSTANCES, MAX_OFFERED = 64, 64
#: Longest name of an instance, and longest nonce.
MAX_TOKEN = 128
#: Life of nonces if the relay does not say, and the longest that is believed, seconds.
DEFAULT_LIFE, MAX_LIFE = 55.0, 300.0
#: Longest use of accepted evidence, and how long a refusal stands, seconds.
MAX_USE, REFUSED = 3600, 60
#: Discoveries for one attempt: as many requests at a time as these bring nonces for find one each.
MAX_DISCOVERIES = 64
#: Users that are kept apart.
MAX_USERS = 256

GIVE, FRESH_NONCES, OTHER_INSTANCE, CAPACITY = "give", "fresh nonces", "other instance", "capacity"


@dataclass
class ChutesOptions:
    relay: str
    e2e_base: str
    policy: _core.Policy | None
    waived: frozenset[str]
    usage_passthrough: bool
    every_token: bool
    attempts: int
    max_answer_bytes: int


@dataclass
class _User:
    """What belongs to one key at the relay and is never used for another."""

    name: bytes
    catalog: Catalog | None = None
    fetched: float = 0.0
    pools: dict[str, Pool] = field(default_factory=dict)


class Chutes:
    """What is known of one relay, and the plan behind one question."""

    profile = "chutes-v1"

    def __init__(self, options: ChutesOptions, collaterals: Collaterals, locks: Locks, library: Any) -> None:
        self._options = options
        self._collaterals = collaterals
        self._locks = locks
        self._library = library
        self._users: dict[bytes, _User] = {}
        self._seen = Seen()
        #: Judgements by key, and where that key was met.
        self._known = Known()
        self._met: dict[str, tuple[str, str, str]] = {}

    # What applications ask.

    def models(self, key: str | None, timeout: Timeout) -> Generator[Step, Any, Answered]:
        catalog = yield from self._catalog(self._user(key), key, timeout, KEPT)
        return Answered(200, [("content-type", b"application/json")], catalog.usable(self._options.waived))

    def ask(self, question: Question) -> Generator[Step, Any, Answered]:
        options = self._options
        user = self._user(question.key)
        name, thinking = _thinking(question)
        resolved = yield from self._resolve(user, name, question)
        body = _core.prepare(question.content, resolved.model, thinking)
        pool = user.pools.setdefault(resolved.chute, Pool())
        tried: set[tuple[str, str]] = set()
        last: Exception | None = None
        for number in range(1, options.attempts + 1):
            try:
                ticket = yield from self._ticket(pool, user, resolved, question, tried)
            except Error as error:
                # What the attempt before met says more than that nothing is left.
                raise last or error from None
            try:
                return (yield from self._attempt(question, resolved, body, ticket))
            except _Failed as failed:
                last, plan = failed.error, failed.plan
            if plan == GIVE:
                raise last
            if plan == FRESH_NONCES:
                pool.drop_batch(ticket.batch)
                continue
            tried.add((ticket.instance, ticket.key))
            if plan == OTHER_INSTANCE:
                pool.drop_instance(ticket.instance)
            elif tried.issuperset(pool.instances(time.monotonic())) and number < options.attempts:
                yield Sleep(0.5 * number)
                tried.clear()
        assert last is not None
        raise last

    def attestation(self) -> dict[str, Any]:
        models: dict[tuple[str, str], list[Any]] = {}
        for key, judgement in self._known.items():
            model, chute, instance = self._met.get(key, ("", "", ""))
            shown = {"instance_id": instance, "e2e_pubkey_sha256": sha256(key.encode()).hexdigest()}
            models.setdefault((model, chute), []).append({**shown, **judgement.shown()})
        listed = [
            {"model": model, "chute_id": chute, "instances": sorted(instances, key=lambda one: str(one["instance_id"]))}
            for (model, chute), instances in sorted(models.items())
        ]
        policy: dict[str, Any] = {"trust": "insecure: whatever key the relay names"}
        if self._options.policy:
            policy = {"trust": "evidence", "collateral": self._collaterals.describe()}
        return {"profile": self.profile, "policy": policy, "models": listed}

    # One attempt.

    def _attempt(
        self, question: Question, resolved: Resolved, body: bytes, ticket: Ticket
    ) -> Generator[Step, Any, Answered]:
        options = self._options
        blob, waiting = _core.seal_request(ticket.key, question.path, body)
        headers = [
            ("content-type", "application/octet-stream"),
            ("x-chute-id", resolved.chute),
            ("x-instance-id", ticket.instance),
            ("x-e2e-nonce", ticket.nonce),
            ("x-e2e-stream", "true" if question.stream else "false"),
            ("x-e2e-path", question.path),
        ]
        if options.usage_passthrough or question.asks_usage:
            headers.append(("x-e2ee-usage-passthrough", "true"))
        try:
            response = yield Send(
                options.e2e_base + "/e2e/invoke", headers + bearer(question.key), blob, question.timeout
            )
        except (self._library.NetworkError, self._library.RemoteProtocolError) as error:
            raise _Failed(error, OTHER_INSTANCE) from error
        if response.status_code != 200:
            said = yield from gather(response, MAX_ERROR)
            raise _failed(response.status_code, said or b"")
        kind = (only(response.headers, "content-type") or "").split(";")[0].strip().lower()
        if kind == "application/octet-stream":
            return (yield from self._whole(question, waiting, response))
        if kind != "text/event-stream" or not question.stream:
            yield Close(response)
            text = "the relay answered with something that is not sealed, it was thrown away"
            raise RelayError(text, "relay_not_sealed")
        feed = waiting.stream(usage=question.asks_usage, every_token=options.every_token)
        return (yield from self._stream(feed, response))

    def _whole(
        self, question: Question, waiting: _core.ChutesAwait, response: Any
    ) -> Generator[Step, Any, Answered]:
        limit = self._options.max_answer_bytes
        blob = yield from gather(response, limit + OVERHEAD)
        if blob is None:
            raise AnswerError(f"the answer has more than {limit} bytes", "answer_too_large")
        head, body = waiting.open(blob, limit)
        status, kind = head or (_judged(body, question.stream), "application/json")
        if status < 200:
            raise AnswerError("the answer has a status that is none", "bad_answer")
        return Answered(status, [("content-type", kind.encode()), ("cache-control", b"no-store")], body)

    def _stream(self, feed: _core.ChutesStream, response: Any) -> Generator[Step, Any, Answered]:
        content = b""
        # A fault before the first sealed line is still an error without an answer.
        while feed.head is None:
            data = yield Read(response)
            content += feed.end() if data is None else feed.push(data)
            if data is None and feed.head is None:
                raise AnswerError("the answer broke off before its sealed end", "truncated")
        status, kind = feed.head
        headers = [("content-type", kind.encode()), ("cache-control", b"no-store")]
        if feed.streamed:
            return Answered(status, headers, content, feed, response)
        # An answer that came as a stream and is none, such as an error of the model server.
        whole = bytearray(content)
        while True:
            data = yield Read(response)
            whole += feed.end() if data is None else feed.push(data)
            if len(whole) > self._options.max_answer_bytes:
                limit = self._options.max_answer_bytes
                raise AnswerError(f"the answer has more than {limit} bytes", "answer_too_large")
            if data is None:
                yield Close(response)
                return Answered(status, headers, bytes(whole))

    # Models.

    def _user(self, key: str | None) -> _User:
        name = sha256((key or "").encode()).digest()
        if len(self._users) >= MAX_USERS and name not in self._users:
            self._users.clear()
        return self._users.setdefault(name, _User(name))

    def _resolve(self, user: _User, name: str, question: Question) -> Generator[Step, Any, Resolved]:
        for age in (KEPT, RETRY):
            catalog = yield from self._catalog(user, question.key, question.timeout, age)
            try:
                return catalog.resolve(name, self._options.waived)
            except RequestError as error:
                if age == RETRY or error.code == "ambiguous_alias":
                    raise
        raise AssertionError("the second try returns")

    def _catalog(
        self, user: _User, key: str | None, timeout: Timeout, age: float
    ) -> Generator[Step, Any, Catalog]:
        lock = self._locks["models", user.name]
        yield Acquire(lock)
        try:
            if user.catalog is None or time.monotonic() - user.fetched >= age:
                listed = yield from self._get(self._options.relay, "/v1/models", key, timeout, MAX_LIST)
                models = listed.get("data") if isinstance(listed, dict) else None
                if not isinstance(models, list):
                    raise _not_api(200, "no model list")
                try:
                    aliases = yield from self._get(self._options.e2e_base, "/model_aliases/", key, timeout, MAX_LIST)
                except RelayError:
                    # A relay without aliases is no broken one.
                    aliases = []
                user.catalog, user.fetched = Catalog(models, aliases), time.monotonic()
            return user.catalog
        finally:
            lock.release()

    def _get(
        self, base: str, path: str, key: str | None, timeout: Timeout, limit: int
    ) -> Generator[Step, Any, Any]:
        document: Document = yield Fetch(base + path, timeout, key, limit)
        if document.status != 200:
            raise _refused(document.status, document.body)
        try:
            return json.loads(document.body)
        except ValueError:
            raise _not_api(document.status, f"no JSON at {path}") from None

    # Nonces.

    def _ticket(
        self, pool: Pool, user: _User, resolved: Resolved, question: Question, tried: set[tuple[str, str]]
    ) -> Generator[Step, Any, Ticket]:
        """A nonce for an attested instance that was not tried. Evidence comes before it."""
        for number in range(MAX_DISCOVERIES + 1):
            batch = pool.batch
            candidates = [one for one in pool.instances(time.monotonic()) if one not in tried]
            if candidates:
                try:
                    accepted = yield from self._accepted(resolved, candidates, question)
                except EvidenceError as error:
                    # What is left may be for instances that cannot be used, while others have no nonce left.
                    if error.code != "not_attested" or number > 0:
                        raise
                else:
                    usable = accepted.difference(tried)
                    ticket = pool.take(time.monotonic(), lambda instance, key: (instance, key) in usable)
                    if ticket:
                        return ticket
            if number < MAX_DISCOVERIES:
                brought = yield from self._discover(pool, user, resolved, question, batch)
                if brought is not None and tried.issuperset(brought):
                    break
        raise RelayError(f"no instance of {resolved.model!r} can be used now", "no_instance")

    def _discover(
        self, pool: Pool, user: _User, resolved: Resolved, question: Question, batch: int
    ) -> Generator[Step, Any, list[tuple[str, str]] | None]:
        """Asks the relay for instances and nonces, unless somebody else has since `batch`. Gives the instances that have come with nonces."""
        lock = self._locks["nonces", user.name, resolved.chute]
        yield Acquire(lock)
        try:
            if pool.batch != batch:
                return None
            # The life of nonces runs from before the question.
            asked = time.monotonic()
            path = f"/e2e/instances/{resolved.chute}"
            options = self._options
            answer = yield from self._get(
                options.e2e_base, path, question.key, question.timeout, MAX_INSTANCES_ANSWER
            )
            offers, life = _offers(answer)
            pool.merge(offers, asked + life, _core.random(1)[0], self._seen, time.monotonic())
            return [(offer.instance, offer.key) for offer in offers if offer.nonces]
        finally:
            lock.release()

    # Evidence.

    def _accepted(
        self, resolved: Resolved, candidates: list[tuple[str, str]], question: Question
    ) -> Generator[Step, Any, set[tuple[str, str]]]:
        """The candidates that may be sealed to. Waits for evidence only if none is accepted yet."""
        if resolved.waived or self._options.policy is None:
            return set(candidates)
        accepted = self._sort(candidates)
        if not accepted and any(self._known.get(key) is None for _, key in candidates):
            lock = self._locks["evidence", resolved.chute]
            yield Acquire(lock)
            try:
                unknown = [one for one in candidates if self._known.get(one[1]) is None]
                if unknown:
                    yield from self._judge(resolved, unknown, question)
            finally:
                lock.release()
            accepted = self._sort(candidates)
        if accepted:
            return accepted
        why = "; ".join(
            f"{instance} failed {judgement.failed()}"
            for instance, key in candidates
            if (judgement := self._known.get(key))
        )
        text = f"no instance of {resolved.model!r} is attested: {why}; attestation() of the transport shows every check"
        raise EvidenceError(text, "not_attested")

    def _sort(self, candidates: list[tuple[str, str]]) -> set[tuple[str, str]]:
        known = {one: self._known.get(one[1]) for one in candidates}
        return {one for one, judgement in known.items() if judgement and judgement.accepted}

    def _judge(
        self, resolved: Resolved, candidates: list[tuple[str, str]], question: Question
    ) -> Generator[Step, Any, None]:
        nonce, sent = _core.random(32), unix_now()
        url = f"{self._options.e2e_base}/chutes/{resolved.chute}/evidence?nonce={nonce.hex()}"
        document: Document = yield Fetch(url, question.timeout, question.key, MAX_EVIDENCE)
        if document.status != 200:
            raise _refused(document.status, document.body)
        evidence = _core.ChutesEvidence(document.body)
        keys = [key for _, key in candidates]
        for instance, key in candidates:
            judgement = yield from self._verify(evidence, instance, key, keys, nonce, sent, question)
            judgement.until = min(judgement.until, unix_now() + MAX_USE)
            if len(self._met) >= 4096:
                self._met.clear()
            self._met[key] = (resolved.model, resolved.chute, instance)
            self._known.put(key, judgement)

    def _verify(
        self,
        evidence: _core.ChutesEvidence,
        instance: str,
        key: str,
        keys: list[str],
        nonce: bytes,
        sent: int,
        question: Question,
    ) -> Generator[Step, Any, Judgement]:
        policy = self._options.policy
        assert policy is not None
        try:
            own = evidence.of(instance)
        except EvidenceError as error:
            return refused(error.code.replace("_", "-"), "evidence of this instance", error.message, REFUSED)
        try:
            collateral = yield from self._collaterals.find(own, question.timeout)
        except Error as error:
            check = ("collateral source", "failed", "collateral-unavailable", "collateral", error.message)
            return Judgement([check], unix_now() + REFUSED)
        report = policy.chutes(own, key, keys, nonce, sent, collateral)
        if report.accepted and report.chutes_key != key:
            return refused("evidence-key", "this instance's key", "another", REFUSED)
        return judged(report, REFUSED)


class _Failed(Exception):
    """An attempt that failed before its answer, and what may be done about it."""

    def __init__(self, error: Exception, plan: str) -> None:
        self.error, self.plan = error, plan


def _failed(status: int, body: bytes) -> _Failed:
    error = _refused(status, body)
    says = error.message.lower()
    if error.code == "relay_not_chutes":
        # Something before the relay, such as its load balancer.
        return _Failed(error, OTHER_INSTANCE if status >= 500 else GIVE)
    if status == 403 and "nonce" in says:
        return _Failed(error, FRESH_NONCES)
    if status == 429 and "capacity" in says:
        return _Failed(error, CAPACITY)
    # A chute that is gone is gone with all its instances.
    if status == 404 and "chute" in says and "instance" not in says:
        return _Failed(error, GIVE)
    if status in (400, 404, 410, 426) or status >= 500:
        return _Failed(error, OTHER_INSTANCE)
    return _Failed(error, GIVE)


def _refused(status: int, body: bytes) -> RelayError:
    """An answer other than 200: `{"detail": ..}`, or the error of another API."""
    try:
        document = json.loads(body)
    except ValueError:
        document = None
    if not isinstance(document, dict):
        return _not_api(status, "no JSON with a detail")
    said = document.get("detail") or document.get("error")
    if isinstance(said, dict):
        said = said.get("message")
    detail = _words(said) if isinstance(said, str) else "it gives no reason"
    if status == 404 and "instances" in detail.lower():
        # Nobody serves the model now.
        return RelayError(f"the relay says {status}: {detail}", "no_instance")
    shown = status if status in (401, 402, 403, 413, 429, 503) else 502
    return RelayError(f"the relay says {status}: {detail}", f"relay_{status}", shown)


def _not_api(status: int, why: str) -> RelayError:
    text = f"the relay answered {status} with something that is not of this API ({why}); are relay and e2e_base right?"
    return RelayError(text, "relay_not_chutes")


def _words(text: str) -> str:
    """A relay's own words, bounded, on one line. A long run without a blank is no sentence: it may be something sealed."""
    words = ["[..]" if len(word) > 80 else word for word in text.split()]
    return "".join(c for c in " ".join(words) if c.isprintable())[:256]


def _offers(answer: Any) -> tuple[list[Offer], float]:
    """Reads a discovery. An instance that cannot be used does not hide the others."""
    instances = answer.get("instances") if isinstance(answer, dict) else None
    if not isinstance(instances, list):
        raise _not_api(200, "no list of instances")
    told = _number(answer.get("nonce_expires_in"))
    at = _number(answer.get("nonce_expires_at"))
    lives = [life for life in (told, None if at is None else at - time.time()) if life is not None]
    life = min(lives, default=DEFAULT_LIFE)
    if not life > MARGIN:
        difference = int(max(0.0, (told or DEFAULT_LIFE) - life))
        text = "the relay's nonces have expired by this machine's clock, which differs from the relay's by"
        raise RelayError(f"{text} {difference} s or more: set the clock", "clock")
    offers = []
    for listed in instances[:MAX_INSTANCES]:
        if not isinstance(listed, dict):
            continue
        instance, key, nonces = (listed.get(name) for name in ("instance_id", "e2e_pubkey", "nonces"))
        if _is_token(instance) and isinstance(key, str) and isinstance(nonces, list) and _core.instance_key(key):
            offers.append(Offer(instance, key, [nonce for nonce in nonces[:MAX_OFFERED] if _is_token(nonce)]))
    return offers, min(life, MAX_LIFE)


def _number(value: object) -> float | None:
    return float(value) if isinstance(value, (int, float)) and not isinstance(value, bool) else None


def _is_token(text: object) -> TypeGuard[str]:
    """Printable, without blanks: it goes into a header."""
    return isinstance(text, str) and 0 < len(text) <= MAX_TOKEN and all("!" <= c <= "~" for c in text)


def _thinking(question: Question) -> tuple[str, bool]:
    """A model's name without the suffix, and whether thinking is asked for."""
    name = question.model.removesuffix(":THINKING")
    if name and name != question.model:
        return name, True
    return question.model, question.thinking


def _judged(body: bytes, streamed: bool) -> int:
    """The status of an answer that brings none: one that looks like an answer is one, nothing is guessed about others. To a streamed request only an
    error comes so."""
    try:
        # Text of a model server may have broken characters.
        answer = json.loads(body.decode(errors="replace"))
    except ValueError:
        answer = None
    if not isinstance(answer, dict):
        raise AnswerError("the model server's answer is no JSON object", "bad_answer")
    is_error = answer.get("error") is not None or answer.get("object") == "error"
    if streamed and not is_error:
        text = "a whole answer came where a stream was asked for: the relay may have changed the stream flag"
        raise AnswerError(text, "not_streamed")
    return 502 if is_error else 200
