"""http.json: the six HTTP kinds"""
import json

from sealwire_ref.http import b64, bhttp

from .common import NOW, Collector, make_bundle, make_context

CONTEXT = make_context()
FIELD = b64.encode(CONTEXT)
TYPE = "application/vnd.sealwire.request"


def requests():
    s = Collector("http-request")

    def case(name, comment, fields, flag=(), spec="H2", **kw):
        s.add(name, spec, comment, {"fields": fields}, flags=flag, error="refused" if flag else None, **kw)

    ct, cc = ["Content-Type", TYPE], ["Cache-Control", "no-store, no-transform"]
    sc = ["Sealwire-Context", FIELD]
    case("plain", "the fields of a client", [ct, sc, cc])
    case("other-fields", "fields that a server does not look at", [["Host", "x"], ct, ["Content-Encoding", "gzip"], sc, ["Authorization", "Bearer k"],
                                                                 ["Accept", "*/*"], ["Accept", "text/html"]])
    case("case", "names and media type in another case", [["content-type", "Application/VND.Sealwire.Request"], ["SEALWIRE-CONTEXT", FIELD]])
    case("context-not-parsed", "the field holds any bytes: what they say is judged with H1", [ct, ["Sealwire-Context", b64.encode(b"\xff\xfe\xfd")]])
    case("context-empty", "an empty value, a context of no bytes", [ct, ["Sealwire-Context", ""]])
    case("context-1024", "1,024 bytes", [ct, ["Sealwire-Context", b64.encode(bytes(1024))]])
    media, field = "media-type", "context-field"
    case("no-type", "no Content-Type", [sc, cc], media)
    case("type-json", "another Content-Type", [["Content-Type", "application/json"], sc], media)
    case("type-of-response", "the response's media type", [["Content-Type", "application/vnd.sealwire.response"], sc], media)
    case("type-parameter", "a parameter", [["Content-Type", TYPE + "; v=1"], sc], media)
    case("type-twice", "Content-Type twice, the same", [ct, ct, sc], media)
    case("no-context", "no Sealwire-Context", [ct, cc], field)
    case("context-twice", "Sealwire-Context twice, the same", [ct, sc, sc], field)
    case("context-twice-other-case", "Sealwire-Context twice, once in lower case", [ct, sc, ["sealwire-context", FIELD]], field)
    case("context-padded", "base64url with padding", [ct, ["Sealwire-Context", b64.encode(bytes(2)) + "="]], field)
    case("context-standard-alphabet", "base64 with + and /", [ct, ["Sealwire-Context", "+/+/"]], field)
    case("context-stray-bits", "bits set behind the last byte", [ct, ["Sealwire-Context", "AB"]], field)
    case("context-space", "a space within the value", [ct, ["Sealwire-Context", FIELD[:8] + " " + FIELD[8:]]], field)
    case("context-1025", "1,025 bytes", [ct, ["Sealwire-Context", b64.encode(bytes(1025))]], "context-size")
    return s.cases


def responses():
    s = Collector("http-response")
    good, problem = [["Content-Type", "application/vnd.sealwire.response"]], [["Content-Type", "application/problem+json"]]

    def document(code, **kw):
        return json.dumps({"title": "t", "status": 0, "detail": "d", "code": code, **kw}).encode()

    def case(name, comment, status, fields, body, error=None, spec="H6", **kw):
        s.add(name, spec, comment, {"status": status, "fields": fields, "body": body}, error=error,
              flags="relay-error" if error else (), **kw)

    case("sealed", "a sealed response", 200, good, b"\x01\0", spec="H3")
    case("sealed-case", "name and value in another case, and other fields", 200,
         [["X", "1"], ["CONTENT-TYPE", "APPLICATION/vnd.sealwire.response"]], b"", spec="H3")
    for code, status in (("busy", 503), ("gone", 502), ("auth", 401), ("quota", 429), ("too-large", 413), ("refused", 400), ("replayed", 409),
                         ("internal", 500)):
        case(f"code-{code}", "a problem document", status, problem, document(code), code)
    case("status-201", "the media type of a sealed response with status 201", 201, good, b"\x01\0", "internal", spec="H3")
    case("json-200", "an answer of the model in plaintext", 200, [["Content-Type", "application/json"]], b'{"choices":[]}', "internal", spec="H3")
    case("parameter-200", "the right media type with a parameter", 200, [["Content-Type", good[0][1] + "; charset=utf-8"]], b"", "internal", spec="H3")
    case("type-twice-200", "the right media type twice", 200, good + good, b"", "internal", spec="H3")
    case("redirect", "a redirect", 307, [["Location", "https://relay.example/"]], b"", "internal", spec="H3")
    case("html", "an error of a proxy", 502, [["Content-Type", "text/html"]], b"<h1>Bad Gateway</h1>", "internal")
    case("not-json", "a problem document that is not JSON", 503, problem, b'{"code":"busy"', "internal")
    case("no-code", "a problem document without a code", 503, problem, b'{"title":"busy"}', "internal")
    case("code-upper", "a code in upper case is none of the list", 503, problem, document("BUSY"), "internal")
    case("code-space", "a code with a space behind it is none of the list", 503, problem, document("busy "), "internal")
    case("code-unknown", "a code that is not on the list", 418, problem, document("teapot"), "internal")
    case("code-in-json", "a code in a document of another media type", 503, [["Content-Type", "application/json"]], document("busy"), "internal")
    case("code-before-status", "the code decides, whatever the status is", 500, problem, document("quota"), "quota")
    bundle = make_bundle()[0]
    case("key-unknown", "a code without a bundle", 409, problem, document("key-unknown"), "key-unknown")
    case("key-unknown-bundle", "a fresh bundle", 409, problem, document("key-unknown", bundle=b64.encode(bundle)), "key-unknown",
         want={"bundle": bundle.hex()})
    case("key-unknown-404", "status 404, as discovery answers", 404, problem, document("key-unknown"), "key-unknown")
    case("bundle-beside-other-code", "a bundle beside another code does not count", 503, problem, document("busy", bundle=b64.encode(bundle[:64])), "busy",
         want={"bundle": None})
    for code in ("gone", "refused", "replayed", "internal"):
        case(f"bundle-beside-{code}", "a bundle beside another code does not count", 409, problem, document(code, bundle=b64.encode(bundle[:64])), code,
             want={"bundle": None})
    case("status-200-problem", "the status of a problem document is not looked at", 200, problem, document("busy"), "busy")
    for name, value in (("padded", b64.encode(bundle[:31]) + "=="), ("other-alphabet", "+/+/")):
        case(f"key-unknown-bundle-{name}", "a bundle that is not base64url is dropped", 409, problem, document("key-unknown", bundle=value),
             "key-unknown", want={"bundle": None})
    return s.cases


def queries():
    s = Collector("discovery-query")

    def case(name, comment, query, error=False, want=None):
        s.add(name, "H5", comment, {"query": query}, error="refused" if error else None,
              flags="discovery-query" if error else (), want=want)

    case("label", "the label alone", "label=demo", want={"label": "demo", "single_use": False, "suite": None})
    case("all", "all three, and one that is not known", "suite=2&x=1&single_use=true&label=demo%2Fmodel-1&x=2",
         want={"label": "demo/model-1", "single_use": True, "suite": 2})
    case("byte-order-mark", "U+FEFF is a character of the label like others", "label=%EF%BB%BFm", want={"label": "\ufeffm"})
    case("plus", "a plus stands for itself", "label=a+b%20c%2B", want={"label": "a+b c+"})
    case("utf8", "UTF-8 in percent encoding, digits in both cases", "label=%e6%a8%A1%E5%9E%8B", want={"label": "模型"})
    case("semicolon", "only & stands between parameters", "label=a;suite=1", want={"label": "a;suite=1", "suite": None})
    case("equals", "an equals sign within the value", "label=a=b", want={"label": "a=b"})
    case("single-use-false", "single_use=false", "label=demo&single_use=false", want={"single_use": False})
    case("suite-65535", "the largest suite, which nobody knows", "label=demo&suite=65535", want={"suite": 65535})
    case("suite-leading-zero", "leading zeros mean nothing", "label=demo&suite=0000001", want={"suite": 1})
    case("unknown-not-read", "the value of a parameter that is not known is not looked at", "x=%zz&label=demo&y=%ff", want={"label": "demo"})
    case("label-unknown-kind", "a label that no bundle could have is an unknown one, not a bad query", "label=" + "a" * 256 + "%0A")
    for name, comment, query in (
            ("empty", "no parameters", ""), ("no-label", "no label", "suite=1&single_use=true"), ("label-empty", "an empty label", "label="),
            ("label-name-escaped", "names are compared without decoding", "l%61bel=demo"),
            ("label-no-value", "a label without a value", "label"), ("label-twice", "the label twice, the same", "label=a&label=a"), ("label-cut-escape", "an escape that is cut short", "label=a%4"),
            ("label-bad-escape", "an escape that is none", "label=%zz"), ("label-not-utf8", "a label that is not UTF-8", "label=%ff"),
            ("suite-0", "suite 0", "label=a&suite=0"), ("suite-65536", "suite 65,536", "label=a&suite=65536"), ("suite-sign", "a sign", "label=a&suite=+1"),
            ("suite-empty", "an empty suite", "label=a&suite="), ("suite-twice", "the suite twice", "label=a&suite=1&suite=2"),
            ("single-use-1", "single_use=1", "label=a&single_use=1"), ("single-use-upper", "single_use=TRUE", "label=a&single_use=TRUE"),
            ("single-use-twice", "single_use twice", "single_use=true&label=a&single_use=true")):
        case(name, comment, query, error=True)
    return s.cases


def answers():
    s = Collector("discovery-answer")

    def case(name, comment, body, want=None, error=False):
        text = body if isinstance(body, str) else json.dumps(body)
        s.add(name, "H5", comment, {"body": text}, error="internal" if error else None, flags="discovery-answer" if error else (),
              want=None if want is None else {"bundles": [b.hex() for b in want]})

    def entry(data):
        return {"bundle": b64.encode(data)}

    case("two", "two bundles in their order", {"bundles": [entry(b"one"), entry(b"two!")]}, [b"one", b"two!"])
    case("none", "an empty list", {"bundles": []}, [])
    case("unknown-members", "members that are not known", {"x": 1, "bundles": [{**entry(b"one"), "y": []}]}, [b"one"])
    case("unreadable", "entries that cannot be read are dropped, the others stay", {"bundles": [
        5, {}, {"bundle": 7}, {"bundle": "A"}, {"bundle": "AB"}, {"bundle": "AAAA="}, {"bundle": "+/+/"}, None, entry(b"one"), ["x"], entry(b"two")]},
        [b"one", b"two"])
    case("17", "the 17th entry is ignored", {"bundles": [entry(bytes([n])) for n in range(17)]}, [bytes([n]) for n in range(16)])
    case("17-unreadable", "an entry that cannot be read counts among the first 16", {"bundles": [7] + [entry(bytes([n])) for n in range(16)]},
         [bytes([n]) for n in range(15)])
    case("16", "16 entries", {"bundles": [entry(bytes([n])) for n in range(16)]}, [bytes([n]) for n in range(16)])
    for name, comment, body in (("not-json", "a body that is cut short", '{"bundles": ['), ("empty", "no body", ""),
                                ("array", "a list without its object", "[]"), ("no-bundles", "no member bundles", '{"bundle": []}'),
                                ("bundles-object", "bundles is an object", '{"bundles": {}}'), 
                                ("trailing", "something behind the object", '{"bundles": []} x')):
        case(name, comment, body, error=True)
    return s.cases


JSON_BODY = b'{"model":"demo/model-1","messages":[]}'
TIME = [(b"sealwire-time", str(NOW).encode())]
POST, CHAT = b"POST", b"/v1/chat/completions"


def message(fields=TIME, content=JSON_BODY, method=POST, path=CHAT, tail=None):
    return bhttp.request_head(method, path, fields) + (bhttp.prefixed(content) if content else b"") + (b"\0\0" if tail is None else tail)


def eight(n):
    """A length in eight bytes (RFC 9000 section 16)."""
    return (0xC0 << 56 | n).to_bytes(8)


def inner_requests():
    s = Collector("inner-request")

    def case(name, comment, content, error=None, flag=(), spec="H7", now=NOW, label="demo/model-1", params=None, want=None):
        s.add(name, spec, comment, {"content": content, "now": now, "label": label}, error=error, flags=flag, params=params, want=want)

    def bad(name, flag, comment, content, status=400, **kw):
        case(name, comment, content, f"sealed-{status}", flag, **kw)

    app = [(b"content-type", b"application/json"), (b"accept", b"text/event-stream"), (b"accept-language", b"de"), (b"user-agent", b"app/1")]
    case("chat", "the request of an application", message(app + TIME), want={"padding": "none", "fields": [[k.decode(), v.decode()] for k, v in app]})
    case("padding", "a wish, and a field that is not handed on", message(
        [(b"sealwire-padding", b"constant"), (b"x-other", b"1"), (b"accept", b"*/*")] + TIME), want={"padding": "constant", "fields": [["accept", "*/*"]]})
    case("pieces", "content in three pieces, lengths in longer forms than needed", bhttp.request_head(POST, CHAT, TIME)
         + bhttp.prefixed(JSON_BODY[:5]) + b"\x40\x07" + JSON_BODY[5:12] + b"\x80\0\0" + bytes([len(JSON_BODY) - 12]) + JSON_BODY[12:] + b"\0\0",
         want={"content": JSON_BODY.hex()})
    case("lengths-in-eight-bytes", "every length in its longest form", b"\x02" + b"".join(eight(len(x)) + x for x in (POST, b"https", b"", CHAT))
         + b"".join(eight(len(x)) + x for pair in TIME for x in pair) + eight(0) + eight(len(JSON_BODY)) + JSON_BODY + eight(0) + eight(0),
         want={"content": JSON_BODY.hex()})
    case("ends-in-two-bytes", "the ends of fields, content and trailers as zero in two bytes", bhttp.request_head(POST, CHAT, TIME)[:-1] + b"\x40\0"
         + bhttp.prefixed(JSON_BODY) + b"\x40\0" + b"\x40\0", want={"content": JSON_BODY.hex()})
    case("field-token", "a field name of every other character of a token", message(TIME + [(b"!#$%&'*+-.^_`|~09az", b"x")]))
    case("get", "GET without content, ended before its empty content", bhttp.request_head(b"GET", b"/v1/models?limit=5&x=%2F", TIME),
         want={"path": "/v1/models?limit=5&x=%2F"})
    case("ended-before-trailers", "a message that ends before its empty trailer section", message(tail=b"\0"))
    case("zeros-behind", "zero bytes behind the end", message(tail=b"\0\0" + bytes(20)))
    case("trailers", "trailers are read and not passed on", message(tail=b"\0" + bhttp.field_section([(b"accept", b"no")])), want={"fields": []})
    case("scheme-authority", "scheme and authority are not looked at", b"\x02" + b"".join(bhttp.prefixed(x) for x in (POST, b"http", b"evil.example", CHAT))
         + bhttp.field_section(TIME) + bhttp.prefixed(JSON_BODY) + b"\0\0")
    case("field-value-edges", "a tab and bytes above 0x7F in values", message(TIME + [(b"user-agent", b"a\tb\xff")]))
    for name, now in (("early", NOW - 90), ("late", NOW + 90)):
        case(f"time-90-{name}", "clocks that differ by 90 s", message(), spec="H7.1", now=now)
    case("time-leading-zeros", "leading zeros of the time", message([(b"sealwire-time", b"0" * 30 + b"%d" % NOW)]), spec="H7.1")
    case("model-escaped", "the name of the member in escapes", message(content=b'{"mo\\u0064el":"demo\\/model-1"}'), spec="H7.3")
    case("nested-names", "names that stand twice in an inner object are not looked at", message(
        content=b'{"a":{"b":1,"b":2,"model":"x"},"model":"demo/model-1"}'), spec="H7.3")
    case("json-spaces", "white space around the object", message(content=b' \t\r\n{"model" : "demo/model-1"}\n'), spec="H7.3")
    case("label-utf8", "a label beyond ASCII, once in escapes", message(content='{"model":"\\u6a21型"}'.encode()), label="模型", spec="H7.3")
    case("path-dots", "dots, colons and dashes within segments", message(path=b"/v1/a..b/...:-_/z"), spec="H7.3")
    for name in ("tokenize", "detokenize"):
        case(f"path-{name}", f"path /{name}", message(path=b"/" + name.encode()), spec="H7.3")

    cut = "truncation"
    bad("empty", cut, "an empty half", b"")
    head = bhttp.request_head(POST, CHAT, TIME)
    bad("cut-control", cut, "ends after the path", head[:head.index(CHAT) + len(CHAT)])
    bad("cut-head", cut, "ends before the head's terminator", head[:-1])
    bad("cut-content", cut, "ends within the content", head + bhttp.prefixed(JSON_BODY)[:-4])
    bad("cut-content-end", cut, "ends before the terminator of a content that is not empty", head + bhttp.prefixed(JSON_BODY))
    bad("cut-trailers", cut, "ends within the trailers", message(tail=b"\0\x06accept"))
    bad("cut-trailer-line", cut, "ends behind a whole trailer line", message(tail=b"\0\x06accept\x01x"))
    bad("behind-the-end", "trailing", "a byte that is not zero behind the end", message(tail=b"\0\0\0\x01"))
    framing = "inner-framing"
    for n, what in ((0, "a request of known length"), (1, "a response of known length"), (3, "a response")):
        bad(f"framing-{n}", framing, f"framing indicator of {what}", bytes([n]) + message()[1:])
    bad("framing-two-bytes", framing, "framing indicator 2 in two bytes", b"\x40\x02" + message()[1:])
    control = "inner-control"
    bad("method-empty", control, "an empty method", message(method=b""))
    bad("method-space", control, "a method that is no token", message(method=b"PO ST"))
    bad("path-empty", control, "an empty path", message(path=b""))
    bad("path-no-slash", control, "a path that does not begin with a slash", message(path=b"v1/chat/completions"))
    bad("path-space", control, "a space in the path", message(path=b"/v1/a b"))
    bad("path-not-ascii", control, "a byte beyond ASCII in the path", message(path="/v1/modèles".encode()))
    bad("path-query-not-ascii", control, "a byte beyond ASCII in the query", message(path=b"/v1/models?x=\xff"))
    bad("path-del", control, "0x7F in the path", message(path=b"/v1/a\x7f"))
    bad("method-not-ascii", control, "a method beyond ASCII", message(method=b"P\xc3\x96ST"))
    bad("path-line-feed", control, "a line feed in the path", message(path=b"/v1/a\nHost: x"))
    field = "inner-field"
    bad("field-upper", field, "a field name in upper case", message(TIME + [(b"Accept", b"x")]))
    bad("field-crlf", field, "CR LF in a field value", message(TIME + [(b"accept", b"a\r\nx: y")]))
    bad("field-nul", field, "NUL in a field value", message(TIME + [(b"accept", b"a\0")]))
    bad("field-del", field, "0x7F in a field value", message(TIME + [(b"accept", b"a\x7f")]))
    bad("field-unit-separator", field, "0x1F in a field value", message(TIME + [(b"accept", b"\x1fa")]))
    bad("field-name-not-ascii", field, "a field name beyond ASCII", message(TIME + [("é".encode(), b"x")]))
    bad("trailer-del", field, "0x7F in a trailer's value", message(tail=b"\0" + bhttp.field_section([(b"x", b"\x7f")])))
    bad("trailer-upper", field, "a trailer name in upper case", message(tail=b"\0" + bhttp.field_section([(b"X", b"")])))
    bounds = "inner-bounds"
    case("head-within-bound", "a head of less than 200 bytes under a bound of 200", message(TIME + [(b"x", b"a" * 100)]), params={"max_head": 200})
    bad("head-beyond-bound", bounds, "a field of 300 bytes under a bound of 200", message(TIME + [(b"x", b"a" * 300)]), 431, params={"max_head": 200})
    bad("head-stated", bounds, "a field that states 2^62 - 1 bytes", bhttp.request_head(POST, CHAT, TIME)[:-1] + b"\x01x" + b"\xff" * 8, 431,
        params={"max_head": 4096})
    bad("head-many-small", bounds, "many small fields beyond the bound of 200", message(TIME + [(b"x", b"%d" % n) for n in range(90)]), 431,
        params={"max_head": 200})
    bad("head-never-whole", bounds, "many small fields beyond the bound of 200, and no end of them",
        message(TIME + [(b"x", b"%d" % n) for n in range(90)])[:400], 431, params={"max_head": 200})
    trailers = [(b"x", b"%d" % n) for n in range(4)]
    case("trailers-at-bound", "four trailer fields under a bound of four", message(tail=b"\0" + bhttp.field_section(trailers)), params={"max_fields": 4})
    bad("trailers-beyond-fields", bounds, "four trailer fields under a bound of three", message(tail=b"\0" + bhttp.field_section(trailers)), 431,
        params={"max_fields": 3})
    bad("trailers-beyond-head", bounds, "a trailer field of 300 bytes under a bound of 200", message(tail=b"\0" + bhttp.field_section([(b"x", b"a" * 300)])),
        431, params={"max_head": 200})
    case("fields-at-bound", "three fields under a bound of three", message(TIME + [(b"x", b""), (b"y", b"")]), params={"max_fields": 3})
    bad("fields-beyond-bound", bounds, "four fields under a bound of three", message(TIME + [(b"x", b""), (b"y", b""), (b"z", b"")]), 431,
        params={"max_fields": 3})
    case("content-at-bound", "content of exactly the bound", message(), params={"max_content": len(JSON_BODY)})
    bad("content-beyond-bound", bounds, "content of one byte more than the bound", message(), 413, params={"max_content": len(JSON_BODY) - 1})
    bad("content-stated", bounds, "a piece that states 2^62 - 1 bytes", head + b"\xff" * 8, 413, params={"max_content": 4096})
    bad("content-in-sum", bounds, "pieces that are beyond the bound in sum", head + b"\x0a" + bytes(10) + b"\x0a" + bytes(10) + b"\0\0", 413,
        params={"max_content": 19})
    time = "sealwire-time"
    for name, comment, fields in (
            ("missing", "no sealwire-time", [(b"accept", b"x")]), ("twice", "sealwire-time twice, the same", TIME + TIME),
            ("space-before", "a space before the digits", [(b"sealwire-time", b" %d" % NOW)]),
            ("space-behind", "a space behind the digits", [(b"sealwire-time", b"%d " % NOW)]),
            ("tab-behind", "a tab behind the digits", [(b"sealwire-time", b"%d\t" % NOW)]),
            ("empty", "an empty time", [(b"sealwire-time", b"")]), ("sign", "a sign", [(b"sealwire-time", b"+%d" % NOW)]),
            ("fraction", "a fraction", [(b"sealwire-time", b"%d.0" % NOW)]),
            ("negative", "a negative number", [(b"sealwire-time", b"-5")]),
            ("milliseconds", "in milliseconds", [(b"sealwire-time", b"%d" % (NOW * 1000))]),
            ("wraps", "a time that is right modulo 2^64", [(b"sealwire-time", b"%d" % (NOW + 2**64))])):
        bad(f"time-{name}", time, comment, message(fields), spec="H7.1")
    for name, now in (("early", NOW - 91), ("late", NOW + 91)):
        bad(f"time-91-{name}", time, "clocks that differ by 91 s", message(), spec="H7.1", now=now)
    wish = "sealwire-padding"
    for name, comment, values in (("unknown", "a policy that is not in the table", (b"random",)), 
                                  ("upper", "a wish in upper case", (b"PADME",)), ("space", "a space behind the wish", (b"none ",)),
                                  ("empty", "an empty wish", (b"",)), ("twice", "twice, the same", (b"none", b"none")),
                                  ("fixed", "a policy of frames, but not of this field", (b"fixed",))):
        bad(f"padding-{name}", wish, comment, message(TIME + [(b"sealwire-padding", v) for v in values]), spec="H7.1")
    route = "inner-route"
    for method in (b"PUT", b"HEAD", b"post"):
        bad(f"method-{method.decode().lower()}{'-lower' if method == b'post' else ''}", route, f"method {method.decode()}",
            message(method=method, content=b""), 405, spec="H7.3")
    for name, path in (("v1", b"/v1"), ("v1-slash", b"/v1/"), ("v1x", b"/v1x/chat"), ("dot-segment", b"/v1/./models"),
                       ("dot-dot", b"/v1/../admin"), ("empty-segment", b"/v1//models"),
                       ("trailing-slash", b"/v1/models/"), ("escape", b"/v1/%2e%2e/admin"), ("escape-letter", b"/v1/%63hat"), ("escape-slash", b"/v1/a%2fb"),
                       ("fragment", b"/v1/models#x"), ("upper-v1", b"/V1/models"), ("before-query", b"/v1?/models"),
                       ("below-tokenize", b"/tokenize/x"), ("tokenizer", b"/tokenizer"), ("slash-tokenize", b"//tokenize")):
        bad(f"path-{name}", route, f"path {path.decode()}", message(path=path), 404, spec="H7.3")
    bad("query-fragment", route, "a number sign in the query", message(method=b"GET", path=b"/v1/models?x=1#y", content=b""), 404, spec="H7.3")
    bad("get-content", route, "GET with content", message(method=b"GET", path=b"/v1/models"), spec="H7.3")
    text = "inner-json"
    for name, comment, body in (
            ("empty", "a POST without content", b""), ("array", "an array", b'[{"model":"demo/model-1"}]'), ("cut", "an object that is cut short", JSON_BODY[:-1]),
            ("trailing", "text behind the object", JSON_BODY + b"x"),
            ("twice", "a name twice", b'{"model":"demo/model-1","model":"demo/model-1"}'),
            ("twice-escaped", "a name twice, once in escapes", b'{"model":"demo/model-1","mod\\u0065l":"demo/model-2"}'),
            ("twice-other", "another name than model twice", b'{"a":1,"model":"demo/model-1","a":2}'),
            ("trailing-comma", "a comma before the end", b'{"model":"demo/model-1",}'),
            ("nan", "NaN, which is no JSON", b'{"model":"demo/model-1","x":NaN}'), 
            ("not-utf8", "a string that is not UTF-8", b'{"model":"demo/model-1","x":"\xff"}'),
            ("control", "a line feed within a string", b'{"model":"demo/model-1","x":"a\nb"}')):
        bad(f"json-{name}", text, comment, message(content=body), spec="H7.3")
    model = "inner-model"
    for name, comment, body in (("other", "another model", b'{"model":"demo/model-2"}'), ("missing", "no model", b'{"messages":[]}'),
                                ("number", "a number", b'{"model":1}'), ("null", "null", b'{"model":null}'), 
                                ("prefix", "a longer name", b'{"model":"demo/model-1 "}'), ("nested", "only within another object", b'{"x":{"model":"demo/model-1"}}')):
        bad(f"model-{name}", model, comment, message(content=body), spec="H7.3")
    return s.cases


def inner_responses():
    s = Collector("inner-response")

    def case(name, comment, content, error=None, flag=(), spec="H7", sent=True, params=None, want=None):
        s.add(name, spec, comment, {"content": content, "request_sent": sent}, error=error, flags=flag, params=params, want=want)

    def bad(name, flag, comment, content, **kw):
        case(name, comment, content, "bad-message", flag, **kw)

    fields = [(b"content-type", b"application/json"), (b"retry-after", b"3")]

    def answer(status=200, fields=fields, content=b"{}", tail=b"\0\0"):
        return bhttp.response_head(status, fields) + (bhttp.prefixed(content) if content else b"") + tail

    case("ok", "an answer", answer(), want={"status": 200, "content": b"{}".hex()})
    case("error-503", "an error of the model server", answer(503), want={"status": 503})
    case("status-edges", "status 599, no fields, no content", answer(599, (), b""))
    case("no-content", "status 204, ended behind its head", bhttp.response_head(204, ()), want={"content": ""})
    case("refusal-before-request", "a refusal before the request's end is none of A-5's answers", answer(413), sent=False, want={"status": 413})
    case("other-fields", "fields that an instance does not send are taken", answer(fields=fields + [(b"set-cookie", b"a=b")]))
    case("status-in-eight-bytes", "every number in its longest form", b"\x03" + eight(200) + b"".join(eight(len(x)) + x for pair in fields for x in pair)
         + eight(0) + eight(2) + b"{}" + eight(0) + eight(0), want={"status": 200, "content": b"{}".hex()})
    case("field-token", "a field name of every other character of a token", answer(fields=[(b"!#$%&'*+-.^_`|~09az", b"x")]))
    control = "inner-control"
    bad("status-100", control, "an informational response first", bhttp.response_head(100, ()) + bhttp.varint(200) + b"\0\0\0")
    bad("status-199", control, "status 199", answer(199))
    bad("status-600", control, "status 600", answer(600))
    for n, what in ((1, "a response of known length"), (2, "a request")):
        bad(f"framing-{n}", "inner-framing", f"framing indicator of {what}", bytes([n]) + answer()[1:])
    bad("framing-two-bytes", "inner-framing", "framing indicator 3 in two bytes", b"\x40" + answer())
    bad("plaintext", "inner-framing", "JSON in the place of a message", b'{"choices":[]}')
    cut = "truncation"
    bad("empty", cut, "an empty half", b"")
    bad("cut-content", cut, "ends within the content", bhttp.response_head(200, ()) + b"\x05abc")
    bad("cut-content-end", cut, "ends before the terminator of a content that is not empty", answer(tail=b""))
    bad("cut-trailer-line", cut, "ends behind a whole trailer line", answer(tail=b"\0\x01x\x01y"))
    bad("cut-status", cut, "ends within the status", b"\x03\x40")
    bad("behind-the-end", "trailing", "a byte that is not zero behind the end", answer(tail=b"\0\0\x05"))
    bad("second-message", "trailing", "a second message behind the first", answer() + answer())
    field = "inner-field"
    bad("field-upper", field, "a field name in upper case", answer(fields=[(b"Content-Type", b"x")]))
    bad("field-del", field, "0x7F in a field value", answer(fields=[(b"retry-after", b"\x7f")]))
    bad("field-crlf", field, "CR LF in a field value", answer(fields=[(b"retry-after", b"1\r\nset-cookie: a=b")]))
    bad("head-beyond-bound", "inner-bounds", "a field of 300 bytes under a bound of 200", answer(fields=[(b"x", b"a" * 300)]), params={"max_head": 200})
    bad("fields-beyond-bound", "inner-bounds", "three fields under a bound of two", answer(fields=fields + [(b"x", b"")]), params={"max_fields": 2})
    bad("content-beyond-bound", "inner-bounds", "content beyond the bound", answer(content=bytes(33)), params={"max_content": 32})
    early = "early-response"
    for status in (200, 204, 399):
        case(f"early-{status}", f"an answer of status {status} before the request's end", answer(status), early, early, spec="5.5", sent=False)
    return s.cases


def make():
    return requests() + responses() + queries() + answers() + inner_requests() + inner_responses()
