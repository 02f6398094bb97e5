"""Whom requests may be sealed to: pins, or evidence under a policy. A check is made once for all requests and remembered for at most an hour."""

from __future__ import annotations

import os
import threading
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Generator

from . import _core
from ._plan import Fetch, Step, Timeout, unix_now
from .errors import ConfigError, Error, EvidenceError

#: Where Intel hands out collateral.
INTEL_PCS = "https://api.trustedservices.intel.com"
#: What is kept in memory at most.
MAX_KNOWN = 1024
MAX_DOCUMENT = 1024 * 1024


def load_policy(policy: str | os.PathLike[str] | _core.Policy) -> _core.Policy:
    """A policy from its file; the files that it names stand beside it."""
    if isinstance(policy, _core.Policy):
        return policy
    path = Path(policy)
    try:
        text = path.read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"cannot read the policy {path}: {error}", "policy") from error
    return _core.Policy(text, lambda name: (path.parent / name).read_bytes())


@dataclass
class Judgement:
    """What was found about an identity or a key."""

    checks: list[tuple[str, str, str | None, str, str]]
    until: int
    at: int = field(default_factory=unix_now)
    report: _core.Report | None = None

    @property
    def accepted(self) -> bool:
        return self.report is not None

    def failed(self) -> str:
        """The checks that failed, in words."""
        failed = [f"{name} ({reason})" for name, outcome, reason, _, _ in self.checks if outcome == "failed"]
        return ", ".join(failed) or "to give evidence that all checks could run on"

    def shown(self) -> dict[str, Any]:
        """As `GET /attestation` of the proxy shows it."""
        names = ("name", "outcome", "reason", "expected", "got")
        checks = [{k: v for k, v in zip(names, check) if v is not None} for check in self.checks]
        return {"accepted": self.accepted, "verified_at": self.at, "expires": self.until, "checks": checks}


def judged(report: _core.Report, refusal: int) -> Judgement:
    """What a report amounts to; a refusal stands for that many seconds."""
    if report.accepted:
        return Judgement(report.checks, report.valid_until, report=report)
    return Judgement(report.checks, unix_now() + refusal)


def refused(code: str, expected: str, got: str, refusal: int) -> Judgement:
    """A judgement where there was nothing to verify."""
    return Judgement([("evidence", "failed", code, expected, got)], unix_now() + refusal)


class Known:
    """Judgements by what they are about."""

    def __init__(self) -> None:
        self._all: dict[Any, Judgement] = {}
        self._guard = threading.Lock()

    def get(self, subject: Any) -> Judgement | None:
        judgement = self._all.get(subject)
        return judgement if judgement and judgement.until > unix_now() else None

    def put(self, subject: Any, judgement: Judgement) -> None:
        with self._guard:
            if len(self._all) >= MAX_KNOWN:
                now = unix_now()
                self._all = {key: kept for key, kept in self._all.items() if kept.until > now}
                if len(self._all) >= MAX_KNOWN:
                    self._all.clear()
            self._all[subject] = judgement

    def items(self) -> list[tuple[Any, Judgement]]:
        with self._guard:
            return list(self._all.items())


class Collaterals:
    """Intel's collateral for TDX quotes: from the evidence itself, from a file, or from a service."""

    def __init__(self, source: str | os.PathLike[str], transport_error: type[Exception]) -> None:
        self._service: str | None = None
        self._file: Path | None = None
        self._error = transport_error
        self._kept: dict[Any, _core.Collateral] = {}
        if isinstance(source, str) and source.startswith(("http://", "https://")):
            self._service = source.rstrip("/")
        elif source != "stapled":
            self._file = Path(source)
            self._kept[None] = self._read(self._file)

    @staticmethod
    def _read(path: Path) -> _core.Collateral:
        try:
            return _core.Collateral(path.read_bytes())
        except (OSError, Error) as error:
            raise ConfigError(f"cannot use the collateral {path}: {error}", "collateral") from error

    def describe(self) -> str:
        return self._service or (f"file {self._file}" if self._file else "stapled")

    def find(self, evidence: _core.Evidence, timeout: Timeout) -> Generator[Step, Any, _core.Collateral | None]:
        """Collateral for a quote; none if the evidence is to bring it. What has ended is fetched again, and used all the same if that fails: the
        verification then says that it has ended."""
        if not evidence.needs_collateral or not (self._service or self._file):
            return None
        wanted = evidence.collateral_requests(self._service) if self._service else None
        name = tuple(url for url, _ in wanted) if wanted else None
        kept = self._kept.get(name)
        if kept and kept.valid_until > unix_now():
            return kept
        try:
            if wanted:
                fresh = yield from self._fetch(wanted, timeout)
            else:
                assert self._file
                fresh = self._read(self._file)
        except Error:
            if kept:
                return kept
            raise
        if len(self._kept) >= 64:
            self._kept.clear()
        self._kept[name] = fresh
        return fresh

    def _fetch(
        self, wanted: list[tuple[str, str | None]], timeout: Timeout
    ) -> Generator[Step, Any, _core.Collateral]:
        answers = []
        for url, header in wanted:
            try:
                document = yield Fetch(url, timeout, limit=MAX_DOCUMENT)
            except self._error as error:
                raise EvidenceError(f"the collateral service is not reachable: {error}", "no_collateral") from error
            if document.status != 200:
                raise EvidenceError(f"the collateral service answered {document.status}", "no_collateral")
            answers.append((document.body, document.headers.get(header) if header else None))
        return _core.Collateral.assemble(answers)
