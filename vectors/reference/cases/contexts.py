"""context.json"""
from sealwire_ref.wire import lp

from .common import LABEL, REQUEST_ID, Collector, make_context


def make():
    s = Collector("context")
    lbl, rid, att, bill = b"\x01" + lp(LABEL), b"\x02" + lp(REQUEST_ID), b"\x03\0\1\1", b"\x04" + lp(b"abc")
    good = make_context()

    def ok(name, comment, raw, flags=()):
        s.add(name, "4", comment, {"context": raw}, flags=flags)

    def bad(name, flag, comment, raw):
        s.add(name, "4", comment, {"context": raw}, error="bad-context", flags=flag)

    ok("minimal", "the three required items", good)
    ok("billing", "with a billing handle", make_context(billing=b"acct\0\xff-7"))
    ok("billing-1", "the shortest billing handle", make_context(billing=b"\0"), ["limits"])
    ok("largest", "label 255, attempt 8, billing 128", make_context(label=b"L" * 255, attempt=8, billing=bytes(128)), ["limits"])
    ok("label-utf8", "a label beyond ASCII", make_context(label="模型".encode()))

    bad("empty", "context-missing", "no bytes", b"")
    bad("no-label", "context-missing", "label missing", rid + att)
    bad("no-request-id", "context-missing", "request id missing", lbl + att)
    bad("no-attempt", "context-missing", "attempt missing", lbl + rid)
    bad("billing-only", "context-missing", "a billing handle and none of the required items", bill)
    bad("label-twice", "context-order", "the label twice", lbl + lbl + rid + att)
    bad("request-id-twice", "context-order", "the request id twice", lbl + rid + rid + att)
    bad("attempt-twice", "context-order", "the attempt twice, the second one 2", lbl + rid + att + b"\x03\0\1\2")
    bad("descending", "context-order", "request id before label", rid + lbl + att)
    bad("billing-before-attempt", "context-order", "billing before attempt", lbl + rid + bill + att)
    bad("billing-first", "context-order", "billing before everything", bill + good)
    bad("unknown-type-5", "context-type", "an unknown item", good + b"\x05\0\1x")
    bad("unknown-type-0", "context-type", "an unknown item of type 0", b"\0\0\1x" + good)
    bad("unknown-type-255", "context-type", "an unknown item of type 255, after billing", good + bill + b"\xff\0\1x")
    size = "context-length"
    bad("request-id-15", size, "request id of 15 bytes", make_context(request_id=bytes(15)))
    bad("request-id-17", size, "request id of 17 bytes", make_context(request_id=bytes(17)))
    bad("request-id-0", size, "request id of no bytes", make_context(request_id=b""))
    bad("attempt-2-bytes", size, "attempt in two bytes, of which the first alone would be good", lbl + rid + b"\x03\0\2\1\0")
    bad("attempt-2-bytes-number", size, "attempt 1 as a u16", lbl + rid + b"\x03\0\2\0\1")
    bad("attempt-0-bytes", size, "attempt without a byte", lbl + rid + b"\x03\0\0")
    bad("billing-empty", size, "an empty billing handle", make_context(billing=b""))
    bad("billing-129", size, "a billing handle of 129 bytes", make_context(billing=bytes(129)))
    bad("attempt-0", "context-attempt", "attempt 0", make_context(attempt=0))
    bad("attempt-9", "context-attempt", "attempt 9", make_context(attempt=9))
    bad("attempt-255", "context-attempt", "attempt 255", make_context(attempt=255))
    label = "context-label"
    bad("label-empty", label, "an empty label", make_context(label=b""))
    bad("label-256", label, "a label of 256 bytes", make_context(label=b"L" * 256))
    bad("label-newline", label, "U+000A in the label", make_context(label=b"a\nb"))
    bad("label-del", label, "U+007F in the label", make_context(label=b"a\x7f"))
    bad("label-not-utf8", label, "0xff in the label", make_context(label=b"a\xff"))
    bad("label-surrogate", label, "U+DC00 in the label", make_context(label=b"\xed\xb0\x80"))
    cut = "truncation"
    bad("cut-value", cut, "the last item lacks a byte", make_context(billing=b"abc")[:-1])
    bad("cut-header", cut, "one byte after the last item", good + b"\x04")
    bad("cut-no-value", cut, "an item whose value is missing", good + b"\x04\0\x05")
    bad("cut-attempt", cut, "the attempt's value is missing", good[:-1])
    bad("length-ffff", cut, "a length of 65,535 that nothing stands behind", good + b"\x04\xff\xff")
    bad("zero-byte-behind", cut, "one zero byte after the last item", good + bill + b"\0")
    bad("long", "context-size", "1,025 bytes", good + b"\x04" + lp(bytes(1025 - len(good) - 3)))
    return s.cases
