"""The context (section 4)."""
from dataclasses import dataclass

from .wire import MAX_ATTEMPTS, MAX_BILLING, MAX_CONTEXT, Reader, Short, WireError, check_label, lp

LABEL, REQUEST_ID, ATTEMPT, BILLING = 1, 2, 3, 4


@dataclass(frozen=True)
class Context:
    raw: bytes
    label: bytes
    request_id: bytes
    attempt: int
    billing: bytes | None


def make(label, request_id, attempt, billing=None):
    raw = b"\x01" + lp(label) + b"\x02" + lp(request_id) + b"\x03" + lp(bytes([attempt]))
    if billing is not None:
        raw += b"\x04" + lp(billing)
    return raw


def _value_ok(kind, value):
    if kind == LABEL:
        return check_label(value)
    if kind == REQUEST_ID:
        return len(value) == 16
    if kind == ATTEMPT:
        return len(value) == 1 and 1 <= value[0] <= MAX_ATTEMPTS
    return kind == BILLING and 1 <= len(value) <= MAX_BILLING


def parse(raw):
    bad = WireError("bad-context")
    if len(raw) > MAX_CONTEXT:
        raise bad
    r, items, last = Reader(raw), {}, -1
    try:
        while r.left():
            kind = r.num(1)
            value = r.take(r.num(2))
            if kind <= last or not _value_ok(kind, value):
                raise bad
            items[kind], last = value, kind
    except Short:
        raise bad from None
    if not {LABEL, REQUEST_ID, ATTEMPT} <= items.keys():
        raise bad
    return Context(raw, items[LABEL], items[REQUEST_ID], items[ATTEMPT][0], items.get(BILLING))
