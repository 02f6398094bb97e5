"""vectors/chutes/v1.json: the profile chutes-v1"""
import base64

from sealwire_ref.chutes import gz, keys, request, response, stream
from sealwire_ref.wire import u

from .chutes_scene import (ANSWER, BLANK, BODY, CLIENT, CLIENT_SEED, DONE, DYNAMIC, DYNAMIC_TEXT, HEAD, INSTANCE, OLDER, OTHER_CLIENT, PATH,
                           ROOMY, STRANGER, USAGE, Stream, coins, edit, fixed, inner, joined, nonce, request_blob, response_blob, with_key)
from .common import Collector, flip, seed


def key_bytes(text):
    """The same key with its first coefficient replaced."""
    ek = bytearray(INSTANCE.ek)
    ek[0:2] = bytes([text & 255, ek[1] & 0xF0 | text >> 8])
    return bytes(ek)


def key_texts():
    """(name, comment, text, flag) of every spelling of a key that is refused [X-2]."""
    good = keys.b64encode(INSTANCE.ek)
    at = next(i for i, c in enumerate(good) if c in "+/")
    last = bytearray(INSTANCE.ek)
    last[1150], last[1151] = last[1150] | 0xF0, 0xFF
    text, modulus = "chutes-key", "chutes-key-modulus"
    return [
        ("empty", "no characters", "", text),
        ("short", "1,183 bytes", keys.b64encode(INSTANCE.ek[:-1]), text),
        ("long", "1,185 bytes", keys.b64encode(INSTANCE.ek + b"\0"), text),
        ("xwing", "a key of another KEM", keys.b64encode(INSTANCE.ek + bytes(32)), text),
        ("unpadded", "without padding", good.rstrip("="), text),
        ("url-alphabet", "the alphabet of base64url", good.replace("+", "-").replace("/", "_"), text),
        ("padding-twice", "one padding character too many", good + "=", text),
        ("line-break", "a line break within", good[:76] + "\n" + good[76:], text),
        ("line-break-end", "a line break at the end", good + "\n", text),
        ("blank", "a blank in front", " " + good, text),
        ("blank-end", "a blank behind", good + " ", text),
        ("stray-bits", "bits set behind the last byte", good[:-2] + chr(ord(good[-2]) + 1) + "=", text),
        ("other-character", "a character of no alphabet", good[:at] + "!" + good[at + 1:], text),
        ("hex", "hex", INSTANCE.ek.hex(), text),
        ("coefficient-q", "the first coefficient is q", keys.b64encode(key_bytes(3329)), modulus),
        ("coefficient-4095", "the first coefficient is 4,095", keys.b64encode(key_bytes(4095)), modulus),
        ("last-coefficient-4095", "the last coefficient is 4,095", keys.b64encode(bytes(last)), modulus),
    ]


def instance_keys():
    s = Collector("chutes-key")
    s.add("good", "C2", "a key of 1,184 bytes", {"key": keys.b64encode(INSTANCE.ek)})
    s.add("coefficient-3328", "C2", "the first coefficient is q - 1", {"key": keys.b64encode(key_bytes(3328))})
    for name, comment, text, flag in key_texts():
        s.add(name, "C2", comment, {"key": text}, error="instance-key", flags=flag)
    return s.cases


def gzips():
    s = Collector("chutes-gunzip")
    text = b"bounded and streamed"

    def case(name, comment, packed, limit=1000, error=None, flag=(), **kw):
        s.add(name, "C3", comment, {"packed": packed, "limit": limit}, error=error, flags=flag, **kw)

    crc_flipped = gz.member(text)
    case("stored", "level 0", gz.member(text))
    case("fixed", "a block with the fixed codes", gz.member(text, deflated=fixed(text)))
    case("dynamic", "a block with codes of its own", gz.member(DYNAMIC_TEXT, deflated=DYNAMIC), len(DYNAMIC_TEXT), flag=["limits"])
    case("empty", "no content, within a limit of 0", gz.member(b""), 0, flag=["limits"])
    case("exact", "as long as the limit", gz.member(text), len(text), flag=["limits"])
    case("stored-blocks", "two stored blocks", gz.member(bytes(65536)), 65536)
    case("members", "three members, one of them empty", gz.member(text) + gz.member(b"") + gz.member(text, deflated=fixed(text)), 40)
    case("name-comment", "name and comment of others", gz.member(text, name=b"body.json", comment=b"a comment"))
    case("text-flag", "the flag for text", gz.member(text, flags=gz.FTEXT))
    case("header-crc", "a checksum of the header", gz.member(text, header_crc=True))
    case("all-fields", "extra field, name, comment and checksum of the header",
         gz.member(text, extra=gz.extra_field((b"Ap", b"\1\2"), (b"SW", b"ours")), name=b"n", comment=b"c", header_crc=True),
         want={"subfield": b"ours".hex()})
    case("extra-of-others", "an extra field of others", gz.member(text, extra=gz.extra_field((b"BC", b"\x1b\0"))), want={"subfield": None})
    case("extra-empty", "an extra field of no bytes", gz.member(text, extra=b""), want={"subfield": None})
    case("extra-ours-empty", "our subfield with no bytes", gz.member(text, extra=gz.extra_field((b"SW", b""))), want={"subfield": ""})
    case("extra-ours-behind", "our subfield behind one of others that has its letters in it",
         gz.member(text, extra=gz.extra_field((b"xx", b"SW\1\0a"), (b"SW", b"b"))), want={"subfield": b"b".hex()})
    case("extra-other-case", "letters in another case are another subfield", gz.member(text, extra=gz.extra_field((b"sw", b"a"))),
         want={"subfield": None})
    bomb = gz.member(bytes(1 << 20), deflated=fixed(bytes(1 << 20)))
    case("zeros-exact", "1 MiB of zeros from a few KiB, as long as the limit", bomb, 1 << 20, flag=["limits"])

    bound, header, data, cut, checksum, trailing = ("gzip-bound", "gzip-header", "gzip-data", "gzip-cut", "gzip-checksum", "gzip-trailing")
    big = "too-large"
    case("one-past", "one byte past the limit", gz.member(text), len(text) - 1, big, bound)
    case("one-past-zero", "one byte, and a limit of 0", gz.member(b"x"), 0, big, bound)
    case("bomb", "1 MiB of zeros, and a limit of 1,000 bytes", bomb, 1000, big, bound)
    case("bomb-one-past", "1 MiB of zeros, one byte past the limit", bomb, (1 << 20) - 1, big, bound)
    case("bomb-members", "the second member passes the limit", gz.member(text) + gz.member(bytes(1 << 16), deflated=fixed(bytes(1 << 16))),
         1000, big, bound)
    case("members-one-past", "two members, one byte past the limit", gz.member(text) + gz.member(text), 39, big, bound)
    case("members-last-byte", "a last member of one byte passes the limit", gz.member(text) + gz.member(b"x"), 20, big, bound)
    for name, comment, packed in (
            ("magic-first", "another first byte", flip(gz.member(text), 0)),
            ("magic-second", "another second byte", flip(gz.member(text), 1)),
            ("method", "a method that is not deflate", flip(gz.member(text), 2)),
            ("reserved-flag-5", "reserved flag 5", gz.member(text, flags=0x20)),
            ("reserved-flag-7", "reserved flag 7", gz.member(text, flags=0x80)),
            ("zlib", "zlib's own format", b"\x78\x01" + gz.stored(text) + b"\x4e\x0d\x07\x76"),
            ("json", "the text itself", BODY)):
        case(name, comment, packed, error="gzip-header", flag=header)
    case("header-crc-wrong", "a wrong checksum of the header", flip(gz.member(text, header_crc=True), 10), error="gzip-checksum", flag=checksum)
    case("crc-wrong", "a wrong checksum", flip(crc_flipped, len(crc_flipped) - 8), error="gzip-checksum", flag=checksum)
    case("length-wrong", "a wrong length", flip(crc_flipped, len(crc_flipped) - 4), error="gzip-checksum", flag=checksum)
    case("length-high", "a wrong high byte of the length", flip(crc_flipped, len(crc_flipped) - 1, 0x80), error="gzip-checksum", flag=checksum)
    case("content-changed", "a byte of the content changed", flip(gz.member(text), 15), error="gzip-checksum", flag=checksum)
    case("crc-second-member", "a wrong checksum of the second member", flip(gz.member(text) + gz.member(text), -8), error="gzip-checksum", flag=checksum)
    for name, comment, body in (
            ("block-type", "the block type that does not exist", b"\x07"),
            ("stored-length", "a stored block whose length does not fit its complement", b"\x01\x05\0\0\0hello"),
            ("distance", "a match from before the beginning", bytes([0x03, 0x02, 0x00])),
            ("codes", "codes of its own that are no codes", b"\xed" + bytes([0xFD] * 20))):
        case(name, comment, gz.member(b"hello", deflated=body), error="gzip-data", flag=data)
    whole = gz.member(text, extra=gz.extra_field((b"SW", b"ours")), name=b"n", comment=b"c", header_crc=True)
    case("nothing", "no bytes at all", b"", error="gzip-truncated", flag=cut)
    head = len(whole) - len(gz.stored(text)) - 8
    for name, comment, n in (
            ("magic", "within the magic", 1), ("header", "within the fixed header", 9), ("extra-length", "within the length of the extra field", 11),
            ("extra", "within the extra field", 16), ("name", "within the name", 21), ("comment", "within the comment", 23),
            ("header-crc", "within the header's checksum", head - 1), ("before-data", "before the data", head),
            ("data", "within the data", head + 12), ("before-trailer", "before the trailer", len(whole) - 8),
            ("crc", "within the checksum", len(whole) - 5), ("length", "one byte before the end", len(whole) - 1)):
        case("cut-" + name, "cut " + comment, whole[:n], error="gzip-truncated", flag=cut)
    case("cut-second-member", "a second member that is cut", gz.member(text) + gz.member(text)[:-1], error="gzip-truncated", flag=cut)
    for name, comment, more in (
            ("zero", "a zero byte behind", b"\0"), ("zeros", "padding of zeros behind", bytes(512)), ("blanks", "blanks behind", b"  "),
            ("text", "text behind", b"{}"), ("newline", "a line break behind", b"\n"), ("half-magic", "the first byte of a member and another behind", b"\x1f\0")):
        case("trailing-" + name, comment, gz.member(text) + more, error="gzip-trailing", flag=trailing)
    return s.cases


def requests():
    s = Collector("chutes-request-open")
    held_seed, held_older, expanded = seed("chutes instance", 64), seed("chutes older instance", 64), INSTANCE.dk_m

    def case(name, comment, blob=None, spec="C3", held=(held_seed,), path=PATH, limit=1 << 20, error=None, flag=(), before=None, **kw):
        given = {"held": list(held), "blob": request_blob() if blob is None else blob, "path": path, "limit": limit}
        if before:
            given["before"] = before
        s.add(name, spec, comment, given, error=error, flags=flag, **kw)

    def packed(body, ours=None):
        return request_blob(gz.pack(body, ours))

    full = with_key(BODY)
    case("plain", "a request of a deployed client", want={"key": 0})
    case("expanded", "the same under the expanded key", held=[expanded])
    case("older-key", "the second of two keys", request_blob(to=OLDER), held=[held_seed, held_older], want={"key": 1})
    case("youngest-key", "the first of two keys, expanded and as a seed", held=[expanded, held_older], want={"key": 0})
    case("path", "with its path sealed", packed(full, PATH.encode()), "C6.1")
    case("path-other", "another path, the same in clear", packed(full, b"/v1/completions"), "C6.1", path="/v1/completions")
    case("limit", "as long as the limit", limit=len(full), spec="C3", flag=["limits"])
    case("members", "several gzip members", request_blob(gz.member(full[:50]) + gz.member(full[50:])))
    case("extra-of-others", "an extra field of others is no path", request_blob(gz.member(full, extra=gz.extra_field((b"sw", b"/x"), (b"zz", b"")))))
    case("blanks", "blanks wherever JSON has them", packed(b'\n{\t"model" :\r\n "m" , "n" : [ 1 , 2.50e+3 ] , "e2e_response_pk" : "'
                                                           + keys.b64encode(CLIENT.ek).encode() + b'" }  \n'))
    case("key-first", "the client's key in front", packed(b'{"e2e_response_pk":"' + keys.b64encode(CLIENT.ek).encode() + b'","model":"m"}'))
    case("key-between", "the client's key between others", packed(b'{"a":1,"e2e_response_pk":"' + keys.b64encode(CLIENT.ek).encode() + b'","model":"m"}'))
    case("key-alone", "nothing but the client's key", packed(with_key(b"{}")), want={"members": []})
    case("key-escaped", "names and values with escapes", packed(b'{"model":"\\u006d","e2e_response\\u005fpk":"'
                                                                + keys.b64encode(CLIENT.ek).replace("/", "\\/").encode() + b'"}'),
         want={"members": [["model", '"\\u006d"']]})
    case("nested", "a member of the same name further in is the application's",
         packed(with_key(b'{"tool": {"e2e_response_pk": "mine"}, "text": "\\"e2e_response_pk\\":\\"x\\""}')))
    case("values", "values to the byte", packed(with_key('{"n": 1.0, "m": 1e400, "o": 12345678901234567890123, "u": "\\u0041ä\\/", "d": {"a": 1, "a": 2}, "f": [ ]}'.encode())))

    short = "chutes-short"
    case("empty", "no bytes", b"", error="too-short", flag=short)
    case("one-short", "1,115 bytes", request_blob()[:1115], error="too-short", flag=short)
    case("shortest", "1,116 bytes that hold nothing", request_blob(b""), error="gzip-truncated", flag="gzip-cut")
    sealed, good = "chutes-sealed", request_blob()
    for name, comment, blob in (
            ("wrong-key", "sealed to another instance", request_blob(to=STRANGER)),
            ("ct-flipped", "a bit of the KEM ciphertext flipped", flip(good, 0)),
            ("ct-last-flipped", "the last bit of the KEM ciphertext flipped", flip(good, 1087, 0x80)),
            ("nonce-flipped", "a bit of the nonce flipped", flip(good, 1088)),
            ("sealed-flipped", "a bit of the ciphertext flipped", flip(good, 1100)),
            ("tag-flipped", "a bit of the tag flipped", flip(good, -1)),
            ("cut", "the last byte missing", good[:-1]),
            ("longer", "a byte more", good + b"\0"),
            ("info-response", "sealed as a response", request_blob(info=keys.RESPONSE)),
            ("info-stream", "sealed as a stream", request_blob(info=keys.STREAM))):
        case(name, comment, blob, error="decrypt", flag=sealed)
    case("no-key-fits", "under none of two keys", request_blob(to=STRANGER), held=[held_seed, held_older], error="decrypt", flag=sealed)
    case("other-salt", "a key from all of the ciphertext as salt, not its first 16 bytes", other_salt(), error="decrypt", flag=sealed)
    bound = "gzip-bound"
    case("limit-one-past", "one byte past the limit", limit=len(full) - 1, error="too-large", flag=bound)
    case("bomb", "1 MiB of blanks behind the object, and a limit of 64 KiB",
         request_blob(gz.member(full + b" " * (1 << 20), deflated=fixed(full + b" " * (1 << 20)))), limit=65536, error="too-large", flag=bound)
    case("no-gzip", "JSON that is not packed", request_blob(full), error="gzip-header", flag="gzip-header")
    case("gzip-data", "data that is none", request_blob(gz.member(full, deflated=b"\x07")), error="gzip-data", flag="gzip-data")
    case("gzip-checksum", "a wrong checksum", request_blob(flip(gz.member(full), -8)), error="gzip-checksum", flag="gzip-checksum")
    case("gzip-trailing", "bytes behind the member", request_blob(gz.member(full) + b"\0\0"), error="gzip-trailing", flag="gzip-trailing")
    for name, comment, ours, path in (
            ("other", "another path in clear", PATH.encode(), "/v1/completions"),
            ("empty", "a sealed path of no bytes", b"", PATH),
            ("prefix", "a sealed path that goes on", PATH.encode() + b"/", PATH),
            ("shorter", "a sealed path that ends before", PATH.encode()[:-1], PATH),
            ("case", "a sealed path in another case", PATH.upper().encode(), PATH),
            ("query", "a sealed path with a query", PATH.encode() + b"?a=1", PATH)):
        case("path-" + name + "-mismatch", comment, packed(full, ours), "C6.1", path=path, error="path-mismatch", flag="chutes-path")
    case("path-behind-others-mismatch", "another path behind a subfield of others", spec="C6.1", error="path-mismatch", flag="chutes-path",
         blob=request_blob(gz.member(full, extra=gz.extra_field((b"xy", b"SW"), (b"SW", b"/v1/other")))))
    obj, none = "chutes-object", "not-an-object"
    key = keys.b64encode(CLIENT.ek).encode()
    for name, comment, body in (
            ("array", "a list", b"[" + full + b"]"), ("string", "a string", b'"x"'), ("nothing", "nothing", b""), ("blanks", "blanks", b"  "),
            ("two", "two objects", full + full), ("tail", "text behind the object", full + b"x"), ("open", "an object without its end", full[:-1]),
            ("comma", "a comma behind the last member", full[:-1] + b",}"), ("single-quotes", "names in single quotes", full.replace(b'"model"', b"'model'")),
            ("bare-name", "a name without quotes", full.replace(b'"model"', b"model")), ("nan", "a number that is none", with_key(b'{"model": NaN}')),
            ("control", "a line break within a string", with_key(b'{"model": "a\nb"}')), ("not-utf-8", "bytes that are no UTF-8", with_key(b'{"model": "\xff"}')),
            ("name-twice", "a name twice", with_key(b'{"model": "a", "model": "b"}')),
            ("name-twice-escaped", "a name twice, once with an escape", with_key(b'{"model": "a", "mode\\u006c": "b"}')),
            ("key-twice", "the client's key twice", with_key(with_key(b'{"model": "a"}'))),
            ("leading-zero", "a number with a leading zero", with_key(b'{"n": 01}'))):
        case("json-" + name, comment, packed(body), error=none, flag=obj)
    case("response-key-missing", "no key to answer to", packed(BODY), error="response-key", flag="chutes-key")
    for name, value in (("null", "null"), ("number", "1"), ("list", '["%s"]' % key.decode())):
        case("response-key-" + name, f"a key that is {name}", packed(with_key(BODY, value)), error="response-key", flag="chutes-key")
    for name, comment, text, flag in key_texts():
        if "\n" not in text and name in ("short", "long", "unpadded", "url-alphabet", "blank", "stray-bits", "coefficient-q", "last-coefficient-4095"):
            case("response-key-" + name, comment, packed(with_key(BODY, f'"{text}"')), "C2", error="response-key", flag=flag)
    case("replayed", "the same blob again", before=[good], error="replayed", flag="chutes-replay")
    case("replayed-other-nonce", "the same ciphertext of the KEM before other data", resealed(), before=[good], error="replayed", flag="chutes-replay")
    case("replayed-older-key", "the same blob again, under the older key", request_blob(to=OLDER), held=[held_seed, held_older],
         before=[request_blob(to=OLDER)], error="replayed", flag="chutes-replay")
    case("same-body", "the same body, sealed anew", request_blob(name="request again"), before=[good])
    return s.cases


def other_salt():
    from sealwire_ref import kem
    from sealwire_ref.wire import hkdf_expand, hkdf_extract
    ct, secret = kem.encaps(kem.MLKEM768, INSTANCE.ek, coins("request"))
    return ct + keys.seal(hkdf_expand(hkdf_extract(ct, secret), keys.REQUEST, 32), nonce("request"), gz.pack(with_key(BODY)))


def resealed():
    return keys.seal_blob(INSTANCE.ek, coins("request"), nonce("request again"), keys.REQUEST, gz.pack(with_key(b'{"model":"m"}')))


def request_seals():
    s = Collector("chutes-request-seal")

    def case(name, comment, body, path=PATH, error=None, flag=(), **kw):
        s.add(name, "C3", comment, {"held": seed("chutes instance", 64), "body": body, "path": path}, error=error, flags=flag, **kw)

    case("plain", "an ordinary request", BODY.decode())
    case("empty", "an object without members", "{}", want={"members": []})
    case("values", "values to the byte", '{ "n" : 1.0 , "o": 12345678901234567890123, "u": "\\u0041\u00e4\\/", "d": {"a": 1, "a": 2}, "f": [ ]}\n')
    case("nested", "the reserved name further in", '{"a": {"e2e_response_pk": 1}, "b": "e2e_response_pk"}')
    for name, comment, body in (
            ("array", "a list", "[{}]"), ("string", "a string", '"x"'), ("null", "null", "null"), ("nothing", "nothing", ""), ("form", "a form", "a=1&b=2"),
            ("two", "two objects", "{}{}"), ("tail", "text behind the object", "{} x"), ("open", "an object without its end", '{"a":1'),
            ("comma", "a comma behind the last member", '{"a":1,}'), ("nan", "a number that is none", '{"a":NaN}'),
            ("name-twice", "a name twice", '{"a":1,"a":1}'), ("name-twice-escaped", "a name twice, once with an escape", '{"a":1,"\\u0061":1}')):
        case("json-" + name, comment, body, error="not-an-object", flag="chutes-object")
    for name, comment, body in (
            ("plain", "the reserved member", '{"model":"m","e2e_response_pk":"x"}'), ("null", "the reserved member with null", '{"e2e_response_pk":null}'),
            ("escaped", "the reserved member, its name with an escape", '{"e2e\\u005fresponse_pk":"x"}')):
        case("reserved-" + name, comment, body, error="reserved-member", flag="chutes-reserved")
    return s.cases


def responses():
    s = Collector("chutes-response-open")

    def case(name, comment, blob=None, spec="C4", limit=1 << 20, error=None, flag=(), **kw):
        s.add(name, spec, comment, {"seed": CLIENT_SEED, "blob": response_blob() if blob is None else blob, "limit": limit}, error=error, flags=flag, **kw)

    def headed(ours):
        return response_blob(gz.pack(ANSWER, ours))

    case("plain", "a response of a deployed instance", want={"status": None})
    case("empty-body", "a body of no bytes", response_blob(gz.pack(b"")), limit=0, flag=["limits"])
    case("not-json", "a body is any bytes", response_blob(gz.pack(b"\xff\x00<html>")))
    case("limit", "as long as the limit", limit=len(ANSWER), flag=["limits"])
    case("head", "with status and media type", headed(u(200, 2) + b"application/json"), "C6.2", want={"status": 200, "media_type": "application/json"})
    case("head-error", "another status and type", headed(u(429, 2) + b"text/plain; charset=utf-8"), "C6.2", want={"status": 429})
    case("head-type-255", "a media type of 255 characters", headed(u(200, 2) + b"a/" + b"b" * 253), "C6.2", flag=["limits"])
    case("extra-of-others", "an extra field of others is no head", response_blob(gz.member(ANSWER, extra=gz.extra_field((b"WS", b"\0\xc8x")))), want={"status": None})
    short, good = "chutes-short", response_blob()
    case("empty", "no bytes", b"", error="too-short", flag=short)
    case("one-short", "1,115 bytes", good[:1115], error="too-short", flag=short)
    case("json", "an error of the relay in clear", b'{"detail":"Instance is at maximum capacity"}', error="too-short", flag=short)
    for name, comment, blob in (
            ("wrong-key", "sealed to another client", response_blob(to=OTHER_CLIENT)),
            ("ct-flipped", "a bit of the KEM ciphertext flipped", flip(good, 500)),
            ("nonce-flipped", "a bit of the nonce flipped", flip(good, 1099)),
            ("sealed-flipped", "a bit of the ciphertext flipped", flip(good, 1101)),
            ("tag-flipped", "a bit of the tag flipped", flip(good, -16)),
            ("cut", "the last byte missing", good[:-1]),
            ("longer", "a byte more", good + b"\n"),
            ("html", "a page in clear", (b"<html>" + b"." * 2000)),
            ("info-request", "sealed as a request", response_blob(info=keys.REQUEST)),
            ("info-stream", "sealed as a stream", response_blob(info=keys.STREAM))):
        case(name, comment, blob, error="decrypt", flag="chutes-sealed")
    case("limit-one-past", "one byte past the limit", limit=len(ANSWER) - 1, error="too-large", flag="gzip-bound")
    case("bomb", "1 MiB of zeros, and a limit of 1,000 bytes", response_blob(gz.member(bytes(1 << 20), deflated=fixed(bytes(1 << 20)))), limit=1000,
         error="too-large", flag="gzip-bound")
    case("no-gzip", "a body that is not packed", response_blob(ANSWER), error="gzip-header", flag="gzip-header")
    case("gzip-cut", "gzip that is cut", response_blob(gz.pack(ANSWER)[:-9]), error="gzip-truncated", flag="gzip-cut")
    case("gzip-trailing", "bytes behind the member", response_blob(gz.pack(ANSWER) + b"\0"), error="gzip-trailing", flag="gzip-trailing")
    case("gzip-checksum", "a wrong checksum", response_blob(flip(gz.pack(ANSWER), -5)), error="gzip-checksum", flag="gzip-checksum")
    return s.cases


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

    one, two, three = inner("a"), inner("b"), inner("c")
    text = (one + BLANK + DONE + BLANK).decode("latin-1")
    x, begun, end = opened(one, BLANK)
    case("plain", "a stream of a deployed instance", begun, end, want={"head": None, "content": text})
    case("usage", "usage in clear is metered and no output", x.init(), USAGE, *x_many(one, BLANK), USAGE, want_end(), USAGE, want={"content": text})
    for n in (1, 2, 3, 7, 64):
        case(f"pieces-{n}", f"in pieces of {n}", begun, end, chunks=[n] * (len(begun + end) // n), flag=["fragmentation"], want={"content": text})
    case("crlf", "lines that end in CR LF", (begun + end).replace(b"\n", b"\r\n"), want={"content": text})
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
    head_event = b": sealwire 429 application/json\n"
    case("head", "status and media type in the first chunk", *sealed_lines(head_event, one, DONE), spec="C6.2",
         want={"head": {"status": 429, "media_type": "application/json"}, "content": (one + DONE).decode()})
    case("head-later", "the same comment later is a comment", *sealed_lines(one, head_event, DONE), spec="C6.2", want={"head": None})
    for name, comment, line in (("other", "another comment", b": sealwired 200 x/y\n"), ("no-status", "no status", b": sealwire ok x/y\n")):
        case("head-" + name, comment + " in the first chunk is a comment", *sealed_lines(line, one, DONE), spec="C6.2", want={"head": None})

    # numbered
    n = Stream(name="numbered")
    init, run = n.init(), n.run(HEAD, one, BLANK, two, BLANK, DONE, BLANK)
    case("numbered", "a numbered stream", init, run, spec="C6.3", want={"head": {"status": 200, "media_type": "text/event-stream"}})
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
    case("numbered-head-malformed", "numbered, and a head without a status", *no_head(b": sealwire  text/event-stream\n"), spec="C6.3", error=seq, flag=order)
    case("numbered-from-one", "numbers that begin with 1", *from_number(1), spec="C6.3", error=seq, flag=order)
    case("numbered-then-random", "a nonce without the prefix in a numbered stream", *then_random(), spec="C6.3", error=seq, flag=order)
    case("numbered-skip", "numbers that skip one", *skipping(), spec="C6.3", error=seq, flag=order)
    case("numbered-little-endian", "numbers in little-endian", *little_endian(), spec="C6.3", error=seq, flag=order)
    case("numbered-doubled", "a chunk twice", init, run[:2], run[1:], spec="C5.1", error="event-nonce-repeated", flag="event-nonce")
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
    case("not-utf-8", "bytes that are no UTF-8", begun, b'data: {"usage":{"a":"\xff"}}\n', end, error="event-not-text", flag="event-text")
    case("not-utf-8-overlong", "an overlong encoding", begun, b'data: {"usage":{"a":"\xc0\xaf"}}\n', end, error="event-not-text", flag="event-text")

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
    not_json("done-lower", "an end in another spelling", b"[done]")

    def members(name, comment, value, spec="C5.1"):
        case("members-" + name, comment, begun, b"data: " + value + b"\n", end, error="event-members", flag="event-members")
    chunk_value = keys.b64encode(bytes(40)).encode()
    members("none", "no member", b"{}")
    members("unknown", "another member", b'{"choices":[{"delta":{"content":"x"}}]}')
    members("tool-calls", "a call of a tool beside usage", b'{"usage":{},"choices":[{"delta":{"tool_calls":[]}}]}')
    members("choices-first", "output before usage", b'{"choices":[],"usage":{}}')
    members("two", "two that are known", b'{"e2e":"' + chunk_value + b'","usage":{}}')
    members("usage-twice", "usage twice", b'{"usage":{},"usage":{}}')
    members("twice", "one twice", b'{"e2e":"' + chunk_value + b'","e2e":"' + chunk_value + b'"}')
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
            ("control", "with control characters", b'"a\\u001b[31m\\nb"')):
        case("relay-error-" + name, f"a failure of the relay {comment}", begun, b'data: {"e2e_error":' + value + b"}\n\n", end, error="relay-failed", flag="event-relay-error")
    case("relay-error-first", "a failure of the relay before e2e_init", b'data: {"e2e_error":"no instance"}\n\n', error="relay-failed", flag="event-relay-error")
    for name, value in (("null", b"null"), ("number", b"3"), ("text", b'"{}"'), ("list", b"[]")):
        case("usage-" + name, f"usage that is {name}", begun, b'data: {"usage":' + value + b"}\n\n", end, error="event-usage", flag="event-usage")
    # bounds
    longest = max(len(line) for line in (begun + end).split(b"\n"))
    case("line-limit", "the longest line is as long as the limit", begun, end, limits={"max_line": longest}, flag=["limits"])
    long = ("event-too-long", "event-bound-line")
    case("line-one-past", "a line one byte past the limit", begun, end, limits={"max_line": longest - 1}, error=long[0], flag=long[1])
    case("line-without-end", "a line without an end", begun, b"data: " + b"x" * 3000, limits={"max_line": 2000}, error=long[0], flag=long[1])
    case("comment-one-past", "a comment one byte past the limit", b":" + b"x" * 2000 + b"\n", begun, end, limits={"max_line": 2000}, error=long[0], flag=long[1])
    case("chunks-limit", "as many chunks as the limit", begun, end, limits={"max_chunks": 4}, flag=["limits"])
    many = "event-too-many"
    case("chunks-one-past", "one chunk past the limit", begun, end, limits={"max_chunks": 3}, error=many, flag="event-bound-chunks")
    size = len(text)
    case("bytes-limit", "as many bytes as the limit", begun, end, limits={"max_bytes": size}, flag=["limits"])
    case("bytes-one-past", "one byte past the limit", begun, end, limits={"max_bytes": size - 1}, error=many, flag="event-bound-bytes")
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
    counted("back-to-zero", "a counter that starts again", inner("a", 2), inner("b", 0), error=back)
    counted("back-padded", "a counter that goes back in a padded line", inner("a", 2), inner("b", 1)[:-1] + b"      \n", error=back)
    return s.cases


def x_many(*lines):
    return Stream().many(*lines)


def sealed_lines(*lines):
    x = Stream()
    return [x.init(), x.many(*lines)]


def tail(first=3):
    """End and blank line of the stream, with nonces from number `first` on."""
    x = Stream()
    x.made = first - 1
    return joined(x.many(DONE, BLANK))


def want_end():
    return tail()


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


def make():
    return [*instance_keys(), *gzips(), *requests(), *request_seals(), *responses(), *streams(), *stream_seals()]
