"""vectors/chutes/v1.json: the profile chutes-v1"""
import json
import pathlib

from sealwire_ref import kem
from sealwire_ref.chutes import gz, keys, request, response, stream
from sealwire_ref.wire import hkdf_expand, hkdf_extract, u

from .chutes_scene import (ANSWER, BODY, CLIENT, CLIENT_SEED, DYNAMIC, DYNAMIC_TEXT, INSTANCE, OLDER, OTHER_CLIENT, PATH, ROOMY, STRANGER,
                           coins, fixed, nonce, request_blob, response_blob, with_key)
from .chutes_streams import stream_seals, streams
from .common import Collector, flip, seed


def key_bytes(coefficient):
    """The same key with its first coefficient replaced."""
    ek = bytearray(INSTANCE.ek)
    ek[0:2] = bytes([coefficient & 255, ek[1] & 0xF0 | coefficient >> 8])
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
    case("extra-ours-twice", "our subfield twice: the first counts", gz.member(text, extra=gz.extra_field((b"SW", b"a"), (b"SW", b"b"))),
         want={"subfield": b"a".hex()})
    case("extra-ours-second-member", "our subfield in the second member is nothing",
         gz.member(b"") + gz.member(text, extra=gz.extra_field((b"SW", b"a"))), want={"subfield": None})
    case("extra-malformed", "an extra field that is no list of subfields", gz.member(text, extra=b"SW\xff\0abc"), want={"subfield": None})
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
    case("nothing", "no bytes at all", b"", error="gzip-header", flag=header)
    case("one-byte", "the first byte of a member alone", b"\x1f", error="gzip-header", flag=header)
    case("extra-past-end", "an extra field longer than what there is", gz.MAGIC + b"\x08\x04" + bytes(6) + b"\xff\xff" + gz.stored(text),
         error="gzip-truncated", flag=cut)
    for n in range(2, len(whole)):
        case(f"cut-{n}", f"cut behind {n} of {len(whole)} bytes", whole[:n], error="gzip-truncated", flag=cut)
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
    case("shortest", "1,116 bytes that hold nothing", request_blob(b""), error="gzip-header", flag="gzip-header")
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
    for name, comment, path in (
            ("empty", "no characters", ""), ("relative", "no slash in front", "v1/models"), ("url", "a whole URL", "https://host/v1"),
            ("query", "a query", "/v1/models?a=1"), ("fragment", "a fragment", "/v1#a"), ("blank", "a blank", "/v1/a b"),
            ("line-break", "a line break", "/v1\r\nX: y"), ("not-ascii", "a character beyond ASCII", "/v1/\u00e4"),
            ("delete", "the character 127", "/v1/\x7f"), ("256", "256 characters", "/" + "a" * 255)):
        case("path-" + name, f"a path of {comment}" if name == "256" else f"a path with {comment}", BODY.decode(), path, error="bad-path", flag="chutes-path-form")
    case("path-255", "a path of 255 characters", BODY.decode(), "/" + "~" * 254, flag=["limits"])
    case("no-path", "sealed as a deployed client does", BODY.decode(), None)
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
    for name, comment, ours in (
            ("empty", "no bytes", b""), ("one-byte", "one byte", b"\0"), ("status-99", "the status 99", u(99, 2) + b"a/b"),
            ("status-600", "the status 600", u(600, 2) + b"a/b"), ("type-256", "a media type of 256 characters", u(200, 2) + b"a/" + b"b" * 254),
            ("type-line-break", "a line break in the media type", u(200, 2) + b"a/b\r\nx: y"),
            ("type-not-ascii", "a media type that is not ASCII", u(200, 2) + "a/\u00e4".encode())):
        case("no-head-" + name, "a subfield that is no head: " + comment, headed(ours), "C6.2", want={"status": None})
    case("head-type-empty", "no media type", headed(u(204, 2)), "C6.2", want={"status": 204, "media_type": ""})
    case("head-status-100", "the status 100", headed(u(100, 2) + b"a/b"), "C6.2", want={"status": 100}, flag=["limits"])
    case("head-status-599", "the status 599", headed(u(599, 2) + b"a/b"), "C6.2", want={"status": 599}, flag=["limits"])
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


def published():
    """What the published client made opens here too."""
    made = json.loads((pathlib.Path(__file__).resolve().parents[2] / "chutes" / "published.json").read_text())
    sent, answered = made["request"], made["response"]
    instance = request.Instance([keys.held(keys.b64decode(sent["instance_sk_b64"]))])
    _, members, response_key = instance.open(keys.b64decode(sent["blob_b64"]), PATH, 1 << 20)
    given = json.loads(sent["plaintext_utf8"])
    assert keys.b64encode(response_key) == given.pop("e2e_response_pk") and [name for name, _ in members] == list(given)
    client = keys.held(keys.b64decode(sent["client_response_sk_b64"]))
    head, body = response.open_(client, keys.b64decode(answered["blob_b64"]), 1 << 20)
    assert head is None and body.decode() == answered["plaintext_utf8"]
    opener = stream.Opener(client, **ROOMY)
    opener.feed(made["stream"]["wire"].encode())
    opener.finish()
    assert opener.error is None and [text.decode() for _, text in opener.events] == made["stream"]["plaintext_lines"]


def make():
    published()
    return [*instance_keys(), *gzips(), *requests(), *request_seals(), *responses(), *streams(), *stream_seals()]
