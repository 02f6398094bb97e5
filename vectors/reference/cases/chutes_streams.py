"""Streamed responses of vectors/chutes/v1.json"""
import base64

from sealwire_ref.chutes import keys, stream

from .chutes_scene import (BLANK, CLIENT, CLIENT_SEED, DONE, HEAD, OTHER_CLIENT, ROOMY, USAGE, Stream, coins, edit, inner, joined)
from .common import Collector, flip


def streams():
    s = Collector("chutes-stream-open")

    def case(name, comment, *parts, spec="C5.1", error=None, flag=(), chunks=None, limits=None, **kw):
        given = {"seed": CLIENT_SEED, "wire": joined(*parts).decode("latin-1"), **ROOMY, **(limits or {})}
        if chunks is not None:
            given["chunks"] = chunks
        s.add(name, spec, comment, given, error=error, flags=flag, **kw)

    def opened(*lines):
        """A stream of a deployed instance, and the tail that makes it whole."""
        x = Stream()
        return x, joined(x.init(), x.many(*lines)), joined(x.many(DONE, BLANK))

    one, two = inner("a"), inner("b")
    text = (one + BLANK + DONE + BLANK).decode("latin-1")
    x, begun, end = opened(one, BLANK)
    case("plain", "a stream of a deployed instance", begun, end, want={"head": None, "content": text})
    case("usage", "usage in clear is metered and no output", x.init(), USAGE, *Stream().many(one, BLANK), USAGE, tail(), USAGE, want={"content": text})
    for n in (1, 2, 3, 7, 64):
        case(f"pieces-{n}", f"in pieces of {n}", begun, end, chunks=[n] * (len(begun + end) // n), flag=["fragmentation"], want={"content": text})
    case("crlf", "lines that end in CR LF", (begun + end).replace(b"\n", b"\r\n"), want={"content": text})
    case("cr", "lines that end in CR", (begun + end).replace(b"\n", b"\r"), want={"content": text})
    case("done-cr", "sealed lines that end in CR", *sealed_lines(one[:-1] + b"\r", b"\r", b"data: [DONE]\r", b"\r"))
    case("comments", "comments and blank lines in clear are nothing", b": hello\n\n\n:\n", begun, b":ping\n\n", end, want={"content": text})
    case("no-blank-lines", "events without blank lines between", (begun + end).replace(b"\n\n", b"\n"), want={"content": text})
    case("no-space", "no blank behind data:", (begun + end).replace(b"data: ", b"data:"), want={"content": text})
    case("blanks-in-json", "blanks wherever JSON has them", (begun + end).replace(b'{"e2e', b'\t{ "e2e').replace(b'":"', b'" :\t"').replace(b'"}', b'" } '),
         want={"content": text})
    case("escapes-in-name", "a member's name with escapes", (begun + end).replace(b'"e2e"', b'"\\u00652\\u0065"').replace(b'"e2e_init"', b'"e2e\\u005finit"'),
         want={"content": text})
    case("escapes-in-value", "a value with escapes", (begun + end).replace(b"/", b"\\/").replace(b'e2e":"A', b'e2e":"\\u0041'), want={"content": text})
    case("only-done", "nothing but the end", Stream().init(), tail(), want={"content": (DONE + BLANK).decode()})
    case("done-without-blank", "no blank line behind the end", *done_alone(), want={"content": (one + DONE).decode()})
    case("done-padded", "the end with blanks before its line break", *sealed_lines(one, b"data: [DONE]    \n"), spec="C6.4",
         want={"content": (one + b"data: [DONE]    \n").decode()})
    case("line-padded", "a line with blanks before its line break", *sealed_lines(one[:-1] + b"        \n", DONE), spec="C6.4")
    case("done-in-text", "text that names the end is not the end", *sealed_lines(inner("[DONE]"), inner("data: [DONE]"), DONE))
    case("sealed-comment", "a comment of the inner stream", *sealed_lines(b": ping\n", one, DONE))
    case("sealed-usage", "an inner event that looks like the relay's is output", *sealed_lines(b'data: {"usage":{"completion_tokens":3}}\n', DONE))
    case("usage-first", "usage before e2e_init", USAGE, begun, end)
    case("usage-members", "usage of any members", begun, b'data: {"usage":{"prompt_tokens":7,"completion_tokens":9,"prompt_tokens_details":{"cached_tokens":4},"x":[]}}\n', end)
    case("head-not-numbered", "without numbers a head is a comment", *sealed_lines(HEAD, one, DONE), spec="C6.2",
         want={"head": None, "content": (HEAD + one + DONE).decode()})
    case("no-line-break", "a chunk without a line break counts as a line", *sealed_lines(one[:-1], DONE[:-1]), want={"content": (one + DONE).decode()})
    case("chunk-of-nothing", "a chunk of no bytes is a blank line", *sealed_lines(one, b"", DONE), want={"content": (one + BLANK + DONE).decode()})
    case("several-lines", "chunks of several lines", *sealed_lines(one + BLANK + two + BLANK, DONE + BLANK), want={"content": (one + BLANK + two + BLANK + DONE + BLANK).decode()})
    case("several-lines-done", "the end among several lines", *sealed_lines(one + BLANK + DONE + BLANK), want={"content": text})
    case("done-no-space", "a sealed end without a blank", *sealed_lines(one, b"data:[DONE]\n"), want={"content": (one + b"data:[DONE]\n").decode()})
    case("done-crlf", "sealed lines that end in CR LF", *sealed_lines(one[:-1] + b"\r\n", b"\r\n", b"data: [DONE]\r\n", b"\r\n"))
    case("not-ascii", "text beyond ASCII", *sealed_lines('data: {"choices":[{"delta":{"content":"\u00e4\u20ac\U0001f600"}}]}\n'.encode(), DONE))
    case("other-fields", "other fields of the inner stream", *sealed_lines(b"event: message_start\n", b"id: 7\n", one, DONE))
    case("comment-behind-done", "comments and usage in clear behind the end", begun, end, b": bye\n\n", USAGE, want={"content": text})
    case("usage-odd", "usage with counts that are absent or null", begun, b'data: {"usage":{}}\n\n',
         b'data: {"usage":{"prompt_tokens":null,"completion_tokens":0,"prompt_tokens_details":null}}\n\n',
         b'data: {"usage":{"prompt_tokens":18446744073709551615,"prompt_tokens_details":{"cached_tokens":null}}}\n\n', end, flag=["overflow"])

    # numbered
    n = Stream(name="numbered")
    init, run = n.init(), n.run(HEAD, one, BLANK, two, BLANK, DONE, BLANK)
    case("numbered", "a numbered stream", init, run, spec="C6.3", want={"head": {"status": 200, "media_type": "text/event-stream"}})
    for name, comment, line, status, media in (
            ("error", "another status", b": sealwire 429 application/json\n", 429, "application/json"),
            ("parameters", "a media type with blanks", b": sealwire 200 text/event-stream; charset=utf-8\n", 200, "text/event-stream; charset=utf-8"),
            ("no-type", "no media type", b": sealwire 204 \n", 204, ""), ("padded", "blanks behind", b": sealwire 200 a/b    \n", 200, "a/b"),
            ("type-255", "a media type of 255 characters", b": sealwire 200 a/" + b"b" * 253 + b"\n", 200, "a/" + "b" * 253)):
        case("numbered-head-" + name, "a head with " + comment, *no_head(line), spec="C6.2", want={"head": {"status": status, "media_type": media}})
    case("numbered-usage", "usage between numbered chunks", init, run[0], USAGE, run[1:], spec="C6.3")
    case("numbered-later", "a nonce with the prefix later numbers nothing", *late_prefix(), spec="C6.3")
    order, seq = "chutes-sequence", "sequence"
    for name, comment, parts in (
            ("swapped", "two chunks swapped", [run[0], run[2], run[1], *run[3:]]),
            ("first-dropped", "the first chunk dropped", run[1:]),
            ("dropped", "a chunk dropped", [*run[:3], *run[4:]]),
            ("blank-dropped", "a blank line dropped", [*run[:2], *run[3:]]),
            ("before-done-dropped", "the last chunk before the end dropped", [*run[:4], *run[5:]])):
        case("numbered-" + name, comment, init, parts, spec="C6.3", error=seq, flag=order)
    case("numbered-no-head", "numbered, and no head in front", *no_head(), spec="C6.3", error=seq, flag=order)
    for name, comment, line in (
            ("no-status", "no status", b": sealwire  text/event-stream\n"), ("status-text", "a status that is none", b": sealwire ok a/b\n"),
            ("status-99", "the status 99", b": sealwire 099 a/b\n"), ("status-600", "the status 600", b": sealwire 600 a/b\n"),
            ("status-sign", "a sign before the status", b": sealwire +200 a/b\n"), ("status-digits", "four digits", b": sealwire 0200 a/b\n"),
            ("no-blank", "no blank behind the status", b": sealwire 200\n"), ("upper", "the name in another case", b": Sealwire 200 a/b\n"),
            ("type-256", "a media type of 256 characters", b": sealwire 200 a/" + b"b" * 254 + b"\n"),
            ("type-control", "a control character in the media type", b": sealwire 200 a/\x01b\n"),
            ("two-lines", "a line behind it", b": sealwire 200 a/b\n: more\n"), ("blank", "a blank line instead", b"\n"), ("done", "the end instead", DONE)):
        case("numbered-bad-head-" + name, "numbered, and a head with " + comment, *no_head(line), spec="C6.2", error=seq, flag=order)
    case("numbered-from-one", "numbers that begin with 1", *from_number(1), spec="C6.3", error=seq, flag=order)
    case("numbered-then-random", "a nonce without the prefix in a numbered stream", *then_random(), spec="C6.3", error=seq, flag=order)
    case("numbered-skip", "numbers that skip one", *skipping(), spec="C6.3", error=seq, flag=order)
    case("numbered-little-endian", "numbers in little-endian", *little_endian(), spec="C6.3", error=seq, flag=order)
    case("numbered-doubled", "a chunk twice", init, run[:2], run[1:], spec="C6.3", error=seq, flag=order)
    case("numbered-cut", "the end missing", init, run[:4], spec="C5.1", error="truncated", flag="event-end")

    #
    def field(name, comment, line):
        case("field-" + name, comment, begun, line + b"\n", end, error="event-not-data", flag="event-field")
    field("event", "an event's name", b"event: message")
    field("id", "an id", b"id: 1")
    field("retry", "a time to wait", b"retry: 1000")
    field("text", "text", b"hello")
    field("json", "an object without data:", b'{"usage":{}}')
    field("upper", "data in capitals", b'DATA: {"usage":{}}')
    field("indented", "a blank before data:", b' data: {"usage":{}}')
    field("colon", "a blank before the colon", b'data : {"usage":{}}')
    field("data-alone", "data without a colon", b"data")
    field("html", "a page", b"<html><body>502</body></html>")
    case("field-bom", "a byte order mark", b"\xef\xbb\xbf", begun, end, error="event-not-data", flag="event-field")
    for name, comment, line in (
            ("not-utf-8", "a sealed line that is no UTF-8", b'data: {"a":"\xff"}\n'), ("not-utf-8-overlong", "a sealed line with an overlong encoding", b"data: \xc0\xaf\n"),
            ("not-utf-8-half", "a sealed line that ends within a character", b"data: \xe2\x82\n")):
        case(name, comment + ", handed on as it is", *sealed_lines(one, line, DONE), want={"content": {"hex": (one + line + DONE).hex()}})
    case("not-utf-8-counted", "a counter that goes back in a line that is no UTF-8", *sealed_lines(inner("a", 4), inner("b", 3).replace(b'"b"', b'"\xff"'), DONE),
         error="counter", flag="event-counter")

    chunk_value = keys.b64encode(bytes(40)).encode()

    def not_json(name, comment, value):
        case("json-" + name, comment, begun, b"data: " + value + b"\n", end, error="event-not-json", flag="event-json")
    not_json("text", "text", b"hello")
    not_json("empty", "no value", b"")
    not_json("open", "an object without its end", b'{"usage":{}')
    not_json("tail", "text behind the object", b'{"usage":{}} x')
    not_json("two", "two objects", b'{"usage":{}}{"usage":{}}')
    not_json("single-quotes", "single quotes", b"{'usage':{}}")
    not_json("comma", "a comma behind the last member", b'{"usage":{},}')
    not_json("nan", "a number that is none", b'{"usage":NaN}')
    not_json("control", "a control character in a string", b'{"usage":"\x01"}')
    not_json("usage-twice", "a name twice", b'{"usage":{},"usage":{}}')
    not_json("twice-escaped", "a name twice, once with an escape", b'{"e2e":"' + chunk_value + b'","e2\\u0065":"' + chunk_value + b'"}')
    not_json("array", "a list", b'[{"usage":{}}]')
    not_json("string", "a string", b'"usage"')
    not_json("number", "a number", b"7")
    not_json("null", "null", b"null")
    not_json("not-utf-8", "bytes that are no UTF-8", b'{"usage":{"a":"\xff"}}')
    not_json("done-lower", "an end in another spelling", b"[done]")

    def members(name, comment, value, spec="C5.1"):
        case("members-" + name, comment, begun, b"data: " + value + b"\n", end, error="event-members", flag="event-members")
    members("none", "no member", b"{}")
    members("unknown", "another member", b'{"choices":[{"delta":{"content":"x"}}]}')
    members("tool-calls", "a call of a tool beside usage", b'{"usage":{},"choices":[{"delta":{"tool_calls":[]}}]}')
    members("choices-first", "output before usage", b'{"choices":[],"usage":{}}')
    members("two", "two that are known", b'{"e2e":"' + chunk_value + b'","usage":{}}')
    members("error-and-usage", "a failure beside usage", b'{"e2e_error":"x","usage":{}}')
    members("upper", "a name in capitals", b'{"USAGE":{}}')
    members("prefix", "a name that goes on", b'{"usage_":{}}')
    members("blank", "a name with a blank", b'{"usage ":{}}')
    members("empty-name", "an empty name", b'{"":{}}')
    members("error", "an error that is not the relay's", b'{"error":{"message":"x"}}')

    #
    done = "event-plaintext-done"
    case("plaintext-done", "an end in clear", begun, b"data: [DONE]\n\n", end, error=done, flag=done)
    case("plaintext-done-first", "an end in clear before everything", b"data: [DONE]\n\n", error=done, flag=done)
    case("plaintext-done-no-space", "an end in clear without a blank", begun, b"data:[DONE]\n", error=done, flag=done)
    case("plaintext-done-padded", "an end in clear with blanks behind", begun, b"data: [DONE]  \n", error=done, flag=done)
    case("plaintext-done-instead", "an end in clear instead of the sealed one", begun, b"data: [DONE]\n\n", error=done, flag=done)
    ct = keys.b64encode(x.ct).encode()
    for name, comment, value in (
            ("empty", "no bytes", b'""'), ("short", "1,087 bytes", b'"' + keys.b64encode(x.ct[:-1]).encode() + b'"'),
            ("long", "1,089 bytes", b'"' + keys.b64encode(x.ct + b"\0").encode() + b'"'), ("null", "null", b"null"),
            ("list", "a list", b'["' + ct + b'"]'), ("object", "an object", b'{"ct":"' + ct + b'"}'),
            ("unpadded", "without padding", b'"' + ct.rstrip(b"=") + b'"'), ("blank", "a blank within", b'"' + ct[:8] + b" " + ct[8:] + b'"'),
            ("line-break", "a line break within", b'"' + ct[:76] + b"\\n" + ct[76:] + b'"')):
        case("init-" + name, f"e2e_init that is {comment}", b'data: {"e2e_init":' + value + b"}\n\n", error="event-init", flag="event-init")
    assert ct.endswith(b"=")
    case("init-url-alphabet", "e2e_init in base64url", joined(x.init()).replace(b"+", b"-").replace(b"/", b"_"), error="event-init", flag="event-init")
    case("init-twice", "e2e_init twice, the same", x.init(), x.init(), error="event-second-init", flag="event-second-init")
    case("init-twice-later", "e2e_init again before the end", begun, x.init(), end, error="event-second-init", flag="event-second-init")
    case("init-another", "another e2e_init", begun, Stream(name="another").init(), end, error="event-second-init", flag="event-second-init")
    case("chunk-before-init", "a chunk before e2e_init", *chunk_first(), error="event-before-init", flag="event-before-init")
    case("no-init", "chunks without e2e_init", *no_init(), error="event-before-init", flag="event-before-init")
    for name, comment, value in (
            ("empty", "no bytes", b'""'), ("short", "27 bytes", b'"' + keys.b64encode(bytes(27)).encode() + b'"'), ("null", "null", b"null"),
            ("number", "a number", b"1"), ("list", "a list", b'["' + chunk_value + b'"]'), ("object", "an object", b'{"x":1}'),
            ("unpadded", "without padding", b'"' + chunk_value.rstrip(b"=") + b'"'), ("blank", "a blank in front", b'" ' + chunk_value + b'"'),
            ("text", "text", b'"hello, world"'), ("url-alphabet", "base64url", b'"' + base64.urlsafe_b64encode(b"\xff" * 42) + b'"')):
        case("chunk-" + name, f"a chunk that is {comment}", begun, Stream().event(value), end, error="event-chunk", flag="event-chunk")
    # sealed bytes
    good = Stream().plain(one)
    for name, comment, event in (
            ("nonce-flipped", "a bit of a chunk's nonce flipped", edit(good, 0)), ("sealed-flipped", "a bit of a chunk's ciphertext flipped", edit(good, 12)),
            ("tag-flipped", "a bit of a chunk's tag flipped", edit(good, -1)), ("forged", "a chunk that nobody sealed", stream.event("e2e", keys.b64encode(bytes(60))))):
        case("chunk-" + name, comment, Stream().init(), event, tail(), error="decrypt", flag="chutes-sealed")
    case("chunk-of-another-stream", "a chunk of another stream to the same client", begun, Stream(name="another").plain(two), end, error="decrypt", flag="chutes-sealed")
    case("stream-to-another", "a stream to another client", *to_another(), error="decrypt", flag="chutes-sealed")
    case("init-flipped", "a bit of e2e_init flipped", stream.event("e2e_init", keys.b64encode(flip(x.ct, 100))), begun[len(x.init()):], end, error="decrypt", flag="chutes-sealed")
    #
    y = Stream()
    first, second = y.plain(one), y.plain(two)
    case("nonce-repeated", "a chunk twice", y.init(), first, first, second, *y.many(DONE), error="event-nonce-repeated", flag="event-nonce")
    case("nonce-repeated-later", "a chunk again behind others", y.init(), first, second, first, tail(9), error="event-nonce-repeated", flag="event-nonce")
    case("nonce-repeated-other-text", "a nonce again with another text, sealed well", y.init(), first, y.plain(two, 1), tail(9), error="event-nonce-repeated", flag="event-nonce")
    case("nonce-repeated-done", "the end twice", begun, end, end, error="event-nonce-repeated", flag="event-nonce")
    #
    cut = "event-end"
    case("empty", "no bytes", b"", error="truncated", flag=cut)
    case("cut-behind-init", "nothing behind e2e_init", x.init(), error="truncated", flag=cut)
    case("cut-before-done", "no end", begun, error="truncated", flag=cut)
    case("cut-usage-last", "usage instead of an end", begun, USAGE, error="truncated", flag=cut)
    case("cut-in-done", "cut within the event of the end", begun, end[:30], error="truncated", flag=cut)
    case("cut-before-line-break", "cut before the line break of the end", begun, end.split(b"\n")[0], error="truncated", flag=cut)
    case("cut-behind-done", "cut within a line behind the end", begun, end, USAGE[:20], error="truncated", flag=cut)
    for at in range(0, len(begun + end.split(b"\n")[0]), 389):
        case(f"cut-{at}", f"cut behind {at} bytes", (begun + end)[:at], error="truncated", flag=cut)
    behind = "event-after-done"
    case("after-done", "a line behind the end", *sealed_lines(one, DONE, BLANK, two), error=behind, flag=behind)
    case("after-done-at-once", "a line right behind the end", *sealed_lines(one, DONE, two), error=behind, flag=behind)
    case("after-done-twice", "the end again", *sealed_lines(one, DONE, DONE), error=behind, flag=behind)
    case("after-done-comment", "a sealed comment behind the end", *sealed_lines(one, DONE, b": bye\n"), error=behind, flag=behind)
    case("reordered-done", "a line moved behind the end", *moved_behind(), error=behind, flag=behind)
    # the relay's failure
    for name, comment, value in (
            ("text", "as text", b'"instance went away"'), ("object", "as an object", b'{"message":"x","code":502}'), ("null", "as null", b"null"),
            ("control", "with control characters", b'"a\\u001b[31m\\nb\\u0085c\\u007f"'), ("detail", "as an object with detail", b'{"detail":"gone"}'),
            ("message-first", "as an object with both", b'{"detail":"d","message":"m"}'), ("number", "as a number", b"502"),
            ("nested", "whose message is an object", b'{"message":{"a":1},"detail":"d"}'), ("long", "of 300 characters", b'"' + b"x" * 300 + b'"'),
            ("long-control", "of 256 characters and control characters", b'"' + b"\\u0000x" * 256 + b'"')):
        case("relay-error-" + name, f"a failure of the relay {comment}", begun, b'data: {"e2e_error":' + value + b"}\n\n", end, error="relay-failed", flag="event-relay-error")
    case("relay-error-first", "a failure of the relay before e2e_init", b'data: {"e2e_error":"no instance"}\n\n', error="relay-failed", flag="event-relay-error")
    case("relay-error-behind-done", "a failure of the relay behind the end", begun, end, b'data: {"e2e_error":"x"}\n\n', error="relay-failed", flag="event-relay-error")
    for name, value in (("null", b"null"), ("number", b"3"), ("text", b'"{}"'), ("list", b"[]"), ("list-of-counts", b'[1,2,{"cached_tokens":3}]'), ("counts-negative", b'{"prompt_tokens":-1}'),
                        ("counts-fraction", b'{"completion_tokens":1.5}'), ("counts-text", b'{"completion_tokens":"1"}'),
                        ("counts-past-u64", b'{"prompt_tokens":18446744073709551616}'), ("details-number", b'{"prompt_tokens_details":3}'),
                        ("cached-text", b'{"prompt_tokens_details":{"cached_tokens":"1"}}')):
        case("usage-" + name, f"usage that is {name}", begun, b'data: {"usage":' + value + b"}\n\n", end, error="event-usage", flag="event-usage")
    # bounds
    longest = max(len(line) for line in (begun + end).split(b"\n"))
    case("line-limit", "the longest line is as long as the limit", begun, end, limits={"max_line": longest}, flag=["limits"])
    case("line-limit-crlf", "the longest line is as long as the limit, without its CR LF", (begun + end).replace(b"\n", b"\r\n"),
         limits={"max_line": longest}, flag=["limits"])
    long = ("event-too-long", "event-bound-line")
    case("line-one-past", "a line one byte past the limit", begun, end, limits={"max_line": longest - 1}, error=long[0], flag=long[1])
    case("line-without-end", "a line without an end", begun, b"data: " + b"x" * 3000, limits={"max_line": 2000}, error=long[0], flag=long[1])
    case("comment-one-past", "a comment one byte past the limit", b":" + b"x" * 2000 + b"\n", begun, end, limits={"max_line": 2000}, error=long[0], flag=long[1])
    case("chunks-limit", "as many chunks as the limit", begun, end, limits={"max_chunks": 4}, flag=["limits"])
    many = "event-too-many"
    case("chunks-one-past", "one chunk past the limit", begun, end, limits={"max_chunks": 3}, error=many, flag="event-bound-chunks")
    size = len(begun + end)
    case("bytes-limit", "as many bytes as the limit", begun, end, limits={"max_bytes": size}, flag=["limits"])
    case("bytes-one-past", "one byte past the limit", begun, end, limits={"max_bytes": size - 1}, error=many, flag="event-bound-bytes")
    case("bytes-blank-lines", "blank lines without end", begun, b"\n" * 5000, end, limits={"max_bytes": size + 1000}, error=many, flag="event-bound-bytes")
    case("bytes-mid", "the limit within a chunk", begun, end, limits={"max_bytes": len(begun) + 10}, error=many, flag="event-bound-bytes")
    #
    back = "counter"

    def counted(name, comment, *lines, error=None, **kw):
        case("counter-" + name, comment, *sealed_lines(*lines, DONE), error=error, flag="event-counter" if error else (), **kw)
    counted("up", "a counter that goes up by ones", inner("a", 1), inner("b", 2), inner("c", 3), inner(count=3, choices=False))
    counted("jumps", "a jump is no proof of a gap", inner("a", 1), inner("b", 5), inner("c", 40), inner(count=40, choices=False))
    counted("same", "a counter that stays", inner("a", 1), inner("b", 1), inner("c", 1))
    counted("choices", "each choice counts for itself", inner("a", 1), inner("b", 4), inner("c", 1, 1), inner("d", 5), inner("e", 2, 1), inner(count=7, choices=False))
    counted("some-without", "events without counts between", inner("a", 1), inner("b"), b'data: {"choices":[{"index":0}],"usage":null}\n', inner("c", 2))
    counted("padded", "counts in padded lines", inner("a", 1)[:-1] + b"  \n", inner("b", 2)[:-1] + b" \n")
    counted("no-json", "a line that is no JSON counts nothing", inner("a", 3), b"data: hello\n", inner("b", 4))
    counted("back", "a counter that goes back", inner("a", 1), inner("b", 2), inner("c", 1), error=back)
    counted("back-far", "a counter that goes back from a jump", inner("a", 1), inner("b", 50), inner("c", 49), error=back)
    counted("back-behind-silence", "a counter that goes back behind events without counts", inner("a", 5), inner("b"), BLANK, inner("c", 4), error=back)
    counted("back-one-choice", "one choice goes back while the other goes on", inner("a", 3), inner("b", 3, 1), inner("c", 4), inner("d", 2, 1), error=back)
    counted("back-of-all", "the count of all goes back", inner(count=9, choices=False), inner(count=8, choices=False), error=back)
    counted("back-of-all-between", "the count of all goes back behind a choice's", inner(count=9, choices=False), inner("a", 1), inner(count=8, choices=False), error=back)
    counted("all-below-a-choice", "the count of all is below one choice's", inner("a", 5), inner(count=4, choices=False), error=back)
    counted("no-index", "a choice without an index is the first", b'data: {"choices":[{}],"usage":{"completion_tokens":4}}\n', inner("a", 3), error=back)
    counted("several-lines", "a counter that goes back within a chunk", inner("a", 4) + BLANK + inner("b", 3), error=back)
    every = {"limits": {"every_token": True}}
    counted("every-token", "a server that counts every token", inner("a", 1), inner("b", 2), inner("c", 1, 1), inner("d", 3), inner(count=4, choices=False), **every)
    counted("every-token-same", "and events that count nothing new", inner("", 0), inner("a", 1), inner("b", 1), inner("c", 2), **every)
    counted("every-token-jump", "a jump at a server that counts every token", inner("a", 1), inner("b", 3), error=back, **every)
    counted("every-token-first", "a jump from nothing", inner("b", 2), error=back, **every)
    counted("every-token-all", "a count of all that is more than the choices'", inner("a", 1), inner("b", 2), inner(count=3, choices=False), error=back, **every)
    counted("back-to-zero", "a counter that starts again", inner("a", 2), inner("b", 0), error=back)
    counted("back-padded", "a counter that goes back in a padded line", inner("a", 2), inner("b", 1)[:-1] + b"      \n", error=back)
    return s.cases


def sealed_lines(*lines):
    x = Stream()
    return [x.init(), x.many(*lines)]


def tail(first=3):
    """End and blank line of the stream, with nonces from number `first` on."""
    x = Stream()
    x.made = first - 1
    return joined(x.many(DONE, BLANK))


def done_alone():
    return sealed_lines(inner("a"), DONE)


def late_prefix():
    x = Stream()
    return [x.init(), x.plain(inner("a")), x.chunk(inner("b"), x.number(7)), x.plain(DONE)]


def no_head(first=inner("a")):
    x = Stream()
    return [x.init(), x.run(first, DONE)]


def from_number(n):
    x = Stream()
    x.next = n
    return [x.init(), x.run(HEAD, inner("a"), DONE)]


def then_random():
    x = Stream()
    return [x.init(), x.run(HEAD, inner("a")), x.plain(inner("b")), x.plain(DONE)]


def skipping():
    x = Stream()
    first = x.run(HEAD, inner("a"))
    x.next = 3
    return [x.init(), first, x.run(inner("b"), DONE)]


def little_endian():
    x = Stream()
    lines = [HEAD, inner("a"), DONE]
    return [x.init(), [x.chunk(line, x.prefix + n.to_bytes(4, "little")) for n, line in enumerate(lines)]]


def chunk_first():
    x = Stream()
    return [x.plain(inner("a")), x.init(), x.plain(DONE)]


def no_init():
    return Stream().many(inner("a"), DONE)


def to_another():
    x = Stream(to=OTHER_CLIENT)
    return [x.init(), x.many(inner("a"), DONE)]


def moved_behind():
    x = Stream()
    first, second, end = x.many(inner("a"), inner("b"), DONE)
    return [x.init(), first, end, second]


def stream_seals():
    s = Collector("chutes-stream-seal")

    def case(name, comment, lines, status=200, media_type="text/event-stream"):
        given = {"response_key": keys.b64encode(CLIENT.ek), "status": status, "media_type": media_type, "lines": lines}
        s.add(name, "C6.3", comment, given, coins={"encaps_c": coins("sealed stream")})

    case("plain", "a stream of our own instance, to the byte", [line.decode() for line in (inner("a"), BLANK, inner("b", 2), BLANK, DONE, BLANK)])
    case("other-head", "another status and type", ["data: {}\n", "data: [DONE]\n"], 503, "application/json")
    return s.cases
