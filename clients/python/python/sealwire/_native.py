"""The native profile as a client speaks it (spec/http.md)."""

from __future__ import annotations

import time
from base64 import urlsafe_b64encode
from dataclasses import dataclass
from typing import Any, Generator

from . import _core
from ._evidence import Collaterals, Judgement, Known, judged, refused
from ._plan import (
    PATIENCE,
    Acquire,
    Answered,
    Close,
    Deadline,
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

REQUESTS = "/sealwire/v1/requests"
#: A bundle is not used in its last seconds: the request has to arrive too.
MARGIN = 60
#: Labels that bundles are kept for.
MAX_LABELS = 256
#: Identities that one request waits for evidence of.
MAX_ASKED = 4
MAX_PROBLEM = 64 * 1024
MAX_EVIDENCE = 8 * 1024 * 1024
MAX_MODELS = 1024 * 1024
#: How long a refusal of evidence stands, seconds.
REFUSED = 30
#: Tries at an instance that is busy making evidence.
TRIES = 4
#: Codes of the relay after which an attempt of its own is made.
AGAIN = ("busy", "gone", "key-unknown")


@dataclass
class NativeOptions:
    relay: str
    identities: list[bytes]
    insecure: bool
    policy: _core.Policy | None
    suites: list[int] | None
    single_use: bool
    padding: str
    billing: bytes | None
    attempts: int
    handshake_timeout: float
    max_answer_bytes: int


class Native:
    """What is known of one relay, and the plan behind one question."""

    profile = "native"

    def __init__(self, options: NativeOptions, collaterals: Collaterals, locks: Locks, library: Any) -> None:
        self._options = options
        self._collaterals = collaterals
        self._locks = locks
        self._library = library
        self._kept: dict[str, _core.VerifiedBundle] = {}
        self._known = Known()

    # What applications ask.

    def models(self, key: str | None, timeout: Timeout) -> Generator[Step, Any, Answered]:
        document = yield Fetch(self._options.relay + "/v1/models", timeout, key, MAX_MODELS)
        if document.status != 200:
            raise self._refusal(document)
        return Answered(200, [("content-type", b"application/json")], document.body)

    def ask(self, question: Question) -> Generator[Step, Any, Answered]:
        options = self._options
        request_id = _core.random(16)
        tried: list[bytes] = []
        for number in range(1, options.attempts + 1):
            bundle = yield from self._bundle(question, tried)
            try:
                return (yield from self._attempt(question, bundle, request_id, number))
            except _Again as again:
                if number == options.attempts:
                    raise again.error from again.error.__cause__
                tried.append(bundle.bundle.id)
                self._forget(bundle)
                self._offer(question.model, again.bundle)
                if again.busy:
                    yield Sleep(0.15 * number)
        raise AssertionError("there is at least one attempt")

    def attestation(self) -> dict[str, Any]:
        options = self._options
        if options.policy:
            policy: dict[str, Any] = {"trust": "evidence", "collateral": self._collaterals.describe()}
        elif options.insecure:
            policy = {"trust": "insecure: whatever identity the relay names"}
        else:
            policy = {"trust": "identities", "identities": [_name(pin) for pin in options.identities]}
        models = []
        for label, verified in sorted(self._kept.items()):
            bundle = verified.bundle
            start, end = bundle.window
            shown = {"model": label, "identity": _name(bundle.identity), "bundle": _name(bundle.id)}
            models.append({**shown, "valid_from": start, "valid_until": end})
        identities = [{"identity": _name(key), **judgement.shown()} for key, judgement in self._known.items()]
        return {"profile": self.profile, "policy": policy, "models": models, "identities": identities}

    # One attempt.

    def _attempt(
        self, question: Question, bundle: _core.VerifiedBundle, request_id: bytes, number: int
    ) -> Generator[Step, Any, Answered]:
        options = self._options
        headers, body, answer = _core.seal(
            bundle,
            request_id,
            number,
            question.path,
            question.fields,
            question.content,
            padding=options.padding,
            billing=options.billing,
        )
        plain = [(name, value.decode("ascii")) for name, value in headers]
        deadline = time.monotonic() + options.handshake_timeout
        response = None
        try:
            response = yield Send(
                options.relay + REQUESTS, plain + bearer(question.key), body, question.timeout, deadline
            )
            yield from self._accept(response)
            content = b""
            while not answer.connected:
                content = yield from _read(response, answer, deadline)
        except Deadline:
            seconds = f"{options.handshake_timeout:g}"
            text = f"no handshake within {seconds} s: the relay or the instance does not answer"
            raise RelayError(text, "handshake_timeout") from None
        except (self._library.ReadError, self._library.WriteError, self._library.RemoteProtocolError) as error:
            # Before H2 a fresh attempt may be made; a timeout is the caller's own and no reason for one.
            if response is not None:
                yield Close(response)
            raise _Again(error) from error
        while answer.head is None and not content:
            content = yield from _read(response, answer)
        head = answer.head
        if head is None:
            raise AnswerError("the answer broke off before its head", "truncated")
        status, fields = head
        if answer.streamed:
            if answer.finished:
                yield Close(response)
                return Answered(status, fields, content)
            return Answered(status, fields, content, answer, response)
        whole = bytearray(content)
        while not answer.finished:
            whole += yield from _read(response, answer)
            if len(whole) > options.max_answer_bytes:
                limit = options.max_answer_bytes
                raise AnswerError(f"the answer has more than {limit} bytes", "answer_too_large")
        yield from self._drain(response)
        return Answered(status, fields, bytes(whole))

    def _drain(self, response: Any) -> Generator[Step, Any, None]:
        """Reads the end of the HTTP message, after which the connection can be used again. The answer is whole whatever comes of it."""
        try:
            yield Read(response, time.monotonic() + PATIENCE)
        except (Deadline, self._library.TransportError):
            pass
        yield Close(response)

    def _accept(self, response: Any) -> Generator[Step, Any, None]:
        """Sorts a relay's answer into a sealed one and an error of the relay plane."""
        kind = (only(response.headers, "content-type") or "").lower()
        if response.status_code == 200 and kind == "application/vnd.sealwire.response":
            return
        body = None
        if kind == "application/problem+json":
            body = yield from gather(response, MAX_PROBLEM)
        else:
            yield Close(response)
        problem = _core.problem(body) if body else None
        if problem is None and response.status_code == 200:
            text = "the relay answered with something that is not sealed, it was thrown away"
            raise RelayError(text, "relay_not_sealed")
        if problem is None:
            raise _not_relay(response.status_code)
        error = _relay_error(problem)
        code, _, bundle = problem
        if code in AGAIN:
            raise _Again(error, bundle, code == "busy")
        raise error

    def _refusal(self, document: Document) -> Error:
        problem = _core.problem(document.body)
        return _relay_error(problem) if problem else _not_relay(document.status)

    # Bundles.

    def _bundle(self, question: Question, tried: list[bytes]) -> Generator[Step, Any, _core.VerifiedBundle]:
        """The kept bundle of a label, else a fresh one, preferably none of `tried`."""
        options, label = self._options, question.model
        kept = None if options.single_use else self._kept.get(label)
        if kept and kept.bundle.window[1] > unix_now() + MARGIN and kept.bundle.id not in tried:
            if options.policy is None or self._proven(kept.bundle, label):
                return kept
        offered = yield from self._discover(question)
        offered.sort(key=lambda bundle: bundle.id in tried)
        if options.policy is None:
            bundle = self._trusted(offered[0], label)
        else:
            bundle = yield from self._prove(offered, question)
        self._keep(bundle)
        return bundle

    def _discover(self, question: Question) -> Generator[Step, Any, list[_core.Bundle]]:
        options, label = self._options, question.model
        suite = options.suites[0] if options.suites and len(options.suites) == 1 else None
        target = _core.discovery_target(label, options.single_use, suite)
        document = yield Fetch(options.relay + target, question.timeout, question.key)
        if document.status == 404 and _core.problem(document.body):
            raise RequestError(f"the relay knows no model {label!r}", "model_not_found")
        if document.status != 200:
            raise self._refusal(document)
        encodings = _core.offered(document.body)
        if encodings is None:
            raise _not_relay(document.status)
        acceptable: list[_core.Bundle] = []
        first: Error | None = None
        for encoding in encodings:
            try:
                acceptable.append(self._acceptable(encoding, label))
            except Error as error:
                first = first or error
        if not acceptable and first:
            raise EvidenceError(f"no bundle that the relay offers is acceptable: {first}", first.code) from first
        if not acceptable:
            raise RelayError(f"no instance serves the model {label!r} now", "no_instance")
        if options.suites:
            acceptable.sort(key=lambda bundle: options.suites.index(bundle.suite))  # type: ignore[union-attr]
        return acceptable

    def _acceptable(self, encoding: bytes, label: str) -> _core.Bundle:
        """A bundle that passes every check; where evidence decides, every one but that of its identity."""
        bundle = _core.Bundle(encoding)
        if self._options.policy is None:
            self._trusted(bundle, label)
        else:
            self._verify(bundle, label, [bundle.identity])
        return bundle

    def _trusted(self, bundle: _core.Bundle, label: str) -> _core.VerifiedBundle:
        return self._verify(bundle, label, self._options.identities, self._options.insecure)

    def _verify(
        self, bundle: _core.Bundle, label: str, identities: list[bytes], insecure: bool = False
    ) -> _core.VerifiedBundle:
        options = self._options
        wishes = {"suites": options.suites, "single_use": options.single_use}
        return bundle.verify(label, identities, **wishes, insecure_trust_relay=insecure)  # type: ignore[arg-type]

    def _keep(self, bundle: _core.VerifiedBundle) -> None:
        inner = bundle.bundle
        if not inner.single_use:
            if len(self._kept) >= MAX_LABELS:
                self._kept.clear()
            self._kept[inner.label] = bundle

    def _forget(self, bundle: _core.VerifiedBundle) -> None:
        kept = self._kept.get(bundle.bundle.label)
        if kept and kept.bundle.id == bundle.bundle.id:
            self._kept.pop(bundle.bundle.label, None)

    def _offer(self, label: str, encoding: bytes | None) -> None:
        """Takes a bundle that came inside an error if it passes the same checks as any other."""
        if encoding is None:
            return
        try:
            bundle = self._acceptable(encoding, label)
            verified = self._trusted(bundle, label) if self._options.policy is None else self._proven(bundle, label)
        except Error:
            # The next attempt asks discovery.
            return
        if verified:
            self._keep(verified)

    # Evidence.

    def _proven(self, bundle: _core.Bundle, label: str) -> _core.VerifiedBundle | None:
        judgement = self._known.get(bundle.identity)
        if judgement is None or judgement.report is None or not judgement.report.serves(label):
            return None
        options = self._options
        try:
            return judgement.report.verify(bundle, label, suites=options.suites, single_use=options.single_use)
        except Error:
            return None

    def _prove(
        self, offered: list[_core.Bundle], question: Question
    ) -> Generator[Step, Any, _core.VerifiedBundle]:
        """The first bundle whose identity has proven itself, or does so now."""
        label = question.model
        for bundle in offered:
            if verified := self._proven(bundle, label):
                return verified
        refusals: list[str] = []
        fault: Error | None = None
        for identity in list(dict.fromkeys(bundle.identity for bundle in offered))[:MAX_ASKED]:
            try:
                judgement = yield from self._judge(identity, question)
            except Error as error:
                fault = fault or error
                continue
            for bundle in offered:
                if bundle.identity == identity and (verified := self._proven(bundle, label)):
                    return verified
            refusals.append(_refusal(identity, judgement, label))
        if fault and not refusals:
            raise fault
        text = f"no instance of {label!r} has proven itself under the policy: {'; '.join(refusals)}"
        raise EvidenceError(f"{text}; attestation() of the transport shows every check", "evidence_rejected")

    def _judge(self, identity: bytes, question: Question) -> Generator[Step, Any, Judgement]:
        """What is found about an identity: one check at a time."""
        lock = self._locks[identity]
        yield Acquire(lock)
        try:
            known = self._known.get(identity)
            if known is None:
                known = yield from self._check(identity, question)
                self._known.put(identity, known)
            return known
        finally:
            lock.release()

    def _check(self, identity: bytes, question: Question) -> Generator[Step, Any, Judgement]:
        policy = self._options.policy
        assert policy is not None
        if report := policy.pinned(identity):
            return judged(report, REFUSED)
        nonce: bytes | None = _core.random(32)
        sent = unix_now()
        document = yield from self._evidence(identity, nonce, question)
        if isinstance(document, str) and policy.allows_stapled:
            nonce = None
            document = yield from self._evidence(identity, nonce, question)
        if isinstance(document, str):
            expected = "an answer to this client's nonce" if nonce else "stapled evidence"
            return refused("no-evidence", expected, document, REFUSED)
        try:
            evidence = _core.Evidence(document)
        except EvidenceError as error:
            return refused("evidence-format", "a document that can be read", error.message, REFUSED)
        collateral = yield from self._collaterals.find(evidence, question.timeout)
        return judged(policy.native(evidence, identity, nonce, sent, collateral), REFUSED)

    def _evidence(
        self, identity: bytes, nonce: bytes | None, question: Question
    ) -> Generator[Step, Any, bytes | str]:
        """An evidence document, or the words with which an instance refuses that has none of this kind."""
        url = self._options.relay + _core.evidence_target(identity, nonce)
        for number in range(1, TRIES + 1):
            document = yield Fetch(url, question.timeout, question.key, MAX_EVIDENCE)
            if document.status == 200:
                if (document.only("content-type") or "").lower() != "application/json":
                    raise _not_relay(document.status)
                return bytes(document.body)
            problem = _core.problem(document.body)
            if problem is None:
                raise _not_relay(document.status)
            if problem[0] == "refused":
                return str(problem[1])
            if problem[0] != "busy" or number == TRIES:
                raise _relay_error(problem)
            yield Sleep(0.3 * number)
        raise AssertionError("the last try returns")


class _Again(Exception):
    """An attempt that failed before H2, and after which another may be made."""

    def __init__(self, error: Exception, bundle: bytes | None = None, busy: bool = False) -> None:
        self.error, self.bundle, self.busy = error, bundle, busy


def _read(response: Any, answer: _core.Answer, deadline: float | None = None) -> Generator[Step, Any, bytes]:
    data = yield Read(response, deadline)
    return answer.end() if data is None else answer.push(data)


def _relay_error(problem: tuple[str, str, bytes | None]) -> RelayError:
    code, detail, _ = problem
    return RelayError(f"the relay says {code}: {detail}", f"relay_{code.replace('-', '_')}")


def _not_relay(status: int) -> RelayError:
    text = f"the relay answered {status} with something that is not of this protocol; is it the address of a relay?"
    return RelayError(text, "relay_not_sealwire")


def _refusal(identity: bytes, judgement: Judgement, label: str) -> str:
    name = _name(identity)
    if judgement.report is None:
        return f"{name} failed {judgement.failed()}"
    if not judgement.report.serves(label):
        return f"{name} has not stated that it serves {label!r}"
    return f"the bundle of {name} is not acceptable"


def _name(identity: bytes) -> str:
    return urlsafe_b64encode(identity).rstrip(b"=").decode()
