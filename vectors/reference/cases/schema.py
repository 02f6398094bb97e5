"""schema.json: the JSON Schema of the files of `v1`."""
from .flags import FLAGS

DEFS = {
    "hex": {"type": "string", "pattern": "^([0-9a-f]{2})*$"},
    "uint": {"type": "integer", "minimum": 0, "maximum": 2**64 - 1},
}
HEX, INT, STR, BOOL = {"$ref": "#/$defs/hex"}, {"$ref": "#/$defs/uint"}, {"type": "string"}, {"type": "boolean"}
HALF, ROLE = {"enum": ["c2s", "s2c"]}, {"enum": ["client", "instance"]}
CODES = """bundle-version bundle-suite bundle-flags bundle-length bundle-window bundle-label bundle-signature bundle-kem-key
policy-suite label-mismatch policy-single-use clock-skew identity-untrusted bad-context bad-magic bad-version bad-suite
bad-flags key-unknown suite-mismatch confirm-failed bad-client-key replayed busy handshake-timeout no-duplex bad-frame-type
bad-frame-length decrypt bad-inner-type bad-content-length bad-padding unexpected-frame key-update-flood empty-flood
pad-budget too-large bad-error trailing-data exhausted truncated early-response bad-receipt receipt-signature
receipt-mismatch receipt-order gone auth quota refused internal sealed-400 sealed-404 sealed-405 sealed-413 sealed-431
bad-message instance-key response-key not-an-object reserved-member bad-path too-short path-mismatch gzip-header gzip-data gzip-checksum
gzip-truncated gzip-trailing event-not-data event-not-json event-members event-init event-second-init
event-before-init event-chunk event-nonce-repeated event-plaintext-done event-after-done event-usage event-too-long
event-too-many relay-failed counter sequence""".split()
CAPABILITIES = ["suite-2", "kem-coins", "client", "instance", "chutes-v1"]


def define(name, value):
    DEFS[name] = value
    return {"$ref": f"#/$defs/{name}"}


def hexn(n):
    return define(f"hex{n}", {"type": "string", "pattern": f"^[0-9a-f]{{{2 * n}}}$"})


def obj(required, optional=None):
    """A closed object."""
    return {"type": "object", "properties": {**required, **(optional or {})}, "required": list(required),
            "additionalProperties": False}


def arr(items, **kw):
    return {"type": "array", "items": items, **kw}


def number(low, high):
    return {"type": "integer", "minimum": low, "maximum": high}


def either(*options):
    return {"oneOf": list(options)}


NULL = {"type": "null"}
POLICY = define("padding", either({"enum": ["none", "buckets", "padme"]}, obj({"fixed": number(2, 16384)})))


def op(name, **fields):
    return obj({"op": {"const": name}, **fields})


def event(name, **fields):
    return obj({"type": {"const": name}, **fields})


OPS = define("ops", arr(either(
    op("data", content=HEX), op("final", content=HEX), op("error", code=number(0, 65535), message=STR), op("public", bytes=HEX),
    op("key_update"), op("switch"), op("pad", zeros=number(0, 16384)))))
EVENTS = define("events", arr(either(
    event("data", bytes=HEX), event("final", bytes=HEX), event("error", code=number(0, 65535), message=STR),
    event("public", bytes=HEX))))
FIELDS = define("fields", arr(arr(STR, minItems=2, maxItems=2)))
SECRETS = ("th0", "th1", "prk1", "confirm1", "ts_c2s_0", "derived", "th2", "prk2", "confirm2", "ts_s2c_0", "ts_c2s_1", "exporter")
SCHEDULE = {k: hexn(32) for k in SECRETS}
MID = obj({k: hexn(32) for k in ("ss_s", "ss_c", *SECRETS)})
EMPTY = obj({})
EXPECTED = {"th2": hexn(32), "bundle_hash": hexn(32), "context_hash": hexn(32), "request_id": hexn(16), "attempt": number(0, 255)}
RECEIPT = {"kind": number(0, 255), "flags": number(0, 255), "status": number(0, 65535), "index": number(0, 2**32 - 1),
           **{k: INT for k in ("tokens_in", "tokens_out", "tokens_cached", "time")}, **EXPECTED}
COUNT = {"released": INT, "released_sha256": hexn(32)}
CODE = define("code", {"enum": CODES})


def result(fields, beside_error=None):
    """A positive result, or an error with what came out before."""
    return either(obj(fields), obj({"error": CODE, **COUNT, **(beside_error or {})}))


POLICY_OF_CLIENT = obj({"suites": arr(number(0, 65535)), "label": HEX, "single_use_required": BOOL, "trusted_identities": arr(hexn(32))})
SUITE = {"enum": [1, 2]}
EXPORT = {"label": HEX, "context": HEX, "length": number(1, 8160)}
SIZES = arr(number(0, 2**31))
MEMBERS = define("members", arr(arr(STR, minItems=2, maxItems=2)))
PLAYED = {"bundle": HEX, "context": HEX}


def kinds():
    """kind -> (in, mid, expect)"""
    return {
        "bundle": (
            either(obj({"bundle": HEX}), obj({"bundle": HEX, "now": INT, "policy": POLICY_OF_CLIENT})), EMPTY,
            result({"suite": SUITE, "flags": number(0, 1), "single_use": BOOL, "not_before": INT, "not_after": INT, "label": HEX,
                    "kem_pk": HEX, "identity": hexn(32), "signature": hexn(64), "bundle_id": hexn(16)})),
        "context": (
            obj({"context": HEX}), EMPTY,
            result({"label": HEX, "request_id": hexn(16), "attempt": number(1, 8), "billing": either(HEX, NULL)})),
        "schedule": (
            obj({"suite": SUITE, **PLAYED, "h1": HEX, "h2": HEX, "ss_s": hexn(32), "ss_c": hexn(32)}), EMPTY, obj(SCHEDULE)),
        "ratchet": (
            obj({"ts": hexn(32), "epochs": number(1, 16), "seqs": arr(number(0, 2**48 - 1))}), EMPTY,
            obj({"secrets": arr(hexn(32)), "keys": arr(hexn(32)), "ivs": arr(hexn(12)), "nonces": arr(hexn(12))})),
        "padding": (obj({"policy": POLICY, "length": number(0, 16384)}), EMPTY, obj({"padded": number(0, 16384)})),
        "exporter": (obj({"exporter": hexn(32), **EXPORT}), EMPTY, obj({"output": HEX})),
        "receipt": (
            either(obj({"fields": obj(RECEIPT)}),
                   obj({"receipt": HEX, "identity": hexn(32), "expected": obj(EXPECTED)},
                       {"previous": obj({"index": number(0, 2**32 - 1), "kind": {"enum": [1, 2]}})})), EMPTY,
            either(obj({"receipt": hexn(218)}), *result(RECEIPT)["oneOf"])),
        "handshake": (
            either(obj(PLAYED), obj({**PLAYED, "role": {"const": "instance"}, "h1": HEX}, {"seen": arr(HEX), "taken": BOOL}),
                   obj({**PLAYED, "role": {"const": "client"}, "h2": HEX})),
            either(EMPTY, MID), result({"h1": HEX, "h2": HEX})),
        "open": (
            obj({"half": HALF, "ts": hexn(32), "wire": HEX}, {"ts_late": hexn(32), "chunks": SIZES}), EMPTY,
            obj({"events": EVENTS, **COUNT}, {"error": CODE})),
        "seal": (
            obj({"half": HALF, "ts": hexn(32), "padding": POLICY, "ops": OPS}, {"ts_late": hexn(32)}),
            obj({"keys": arr(obj({"epoch": INT, "key": hexn(32), "iv": hexn(12)}))}),
            result({"wire": HEX}, {"wire": HEX})),
        "stream": (
            obj({**PLAYED, "ops_c2s": OPS, "ops_s2c": OPS, "early": {"enum": ["allow", "never"]}, "exporter": obj(EXPORT)},
                {"padding_c2s": POLICY, "padding_s2c": POLICY, "chunks_c2s": arr(SIZES), "chunks_s2c": arr(SIZES)}),
            either(EMPTY, MID),
            result({"h1": HEX, "h2": HEX, "c2s": HEX, "s2c": HEX, "events_c2s": EVENTS, "events_s2c": EVENTS, "exporter": HEX})),
        "carriage": (
            obj({**PLAYED, "transport": {"enum": ["stream", "message"]}, "role": ROLE, "received": arr(HEX)},
                {"then": {"const": "silence"}, "early": {"enum": ["allow", "never"]}, "duplex": BOOL}), EMPTY,
            obj({"sent": arr(HEX), "events": EVENTS, **COUNT}, {"error": CODE})),
        "http-request": (obj({"fields": FIELDS}), EMPTY, result({"context": HEX})),
        "http-response": (
            obj({"status": number(100, 999), "fields": FIELDS, "body": HEX}), EMPTY,
            either(obj({"sealed": {"const": True}}), obj({"error": CODE, **COUNT}, {"bundle": HEX}))),
        "discovery-query": (obj({"query": STR}), EMPTY,
                            result({"label": STR, "single_use": BOOL, "suite": either(number(1, 65535), NULL)})),
        "discovery-answer": (obj({"body": STR}), EMPTY, result({"bundles": arr(HEX, maxItems=16)})),
        "inner-request": (
            obj({"content": HEX, "now": INT, "label": STR}), EMPTY,
            result({"method": STR, "path": STR, "fields": FIELDS, "padding": {"enum": ["none", "padme", "buckets", "constant"]},
                    "content": HEX})),
        "inner-response": (obj({"content": HEX, "request_sent": BOOL}), EMPTY,
                           result({"status": number(200, 599), "fields": FIELDS, "content": HEX})),
        "chutes-key": (obj({"key": STR}), EMPTY, result({"key_sha256": hexn(32)})),
        "chutes-gunzip": (obj({"packed": HEX, "limit": INT}), EMPTY, result({"length": INT, "sha256": hexn(32), "subfield": either(HEX, NULL)})),
        "chutes-request-open": (
            obj({"held": arr(either(hexn(64), hexn(2400)), minItems=1), "blob": HEX, "path": STR, "limit": INT}, {"before": arr(HEX)}), EMPTY,
            result({"key": INT, "members": MEMBERS, "response_key_sha256": hexn(32)})),
        "chutes-request-seal": (obj({"held": hexn(64), "body": STR, "path": either(STR, NULL)}), EMPTY, result({"members": MEMBERS})),
        "chutes-response-open": (
            obj({"seed": hexn(64), "blob": HEX, "limit": INT}), EMPTY,
            result({"status": either(INT, NULL), "media_type": either(STR, NULL), "body": HEX})),
        "chutes-stream-open": (
            obj({"seed": hexn(64), "wire": STR, "max_line": INT, "max_chunks": INT, "max_bytes": INT},
                {"every_token": BOOL, "chunks": SIZES}), EMPTY,
            either(obj({"head": either(obj({"status": INT, "media_type": STR}), NULL),
                        "usage": arr(obj({k: INT for k in ("prompt", "completion", "cached")})), "content": either(STR, obj({"hex": HEX}))}),
                   obj({"error": CODE, **COUNT}, {"relay": STR}))),
        "chutes-stream-seal": (
            obj({"response_key": STR, "status": INT, "media_type": STR, "lines": arr(STR)}), EMPTY, result({"wire": STR})),
    }


def positive(n=1):
    return {"type": "integer", "minimum": n}


def schema():
    """One document for both forms of file: cases, and the milestones of the accumulated mode."""
    params = {k: positive() for k in ("epoch_frames", "max_frames", "max_empty", "pad_budget", "byte_budget", "filter_capacity",
                                      "max_head", "max_fields", "max_content")}
    coins = {"identity_seed": hexn(32), "kem_seed": HEX, "client_seed": HEX, "encaps_s": HEX, "encaps_c": HEX}
    table = kinds()
    for kind, (given, mid, expect) in table.items():
        define("in-" + kind, given), define("mid-" + kind, mid), define("expect-" + kind, expect)
    case = obj({
        "id": {"type": "string", "pattern": "^[a-z0-9]+(-[a-z0-9]+)*$"}, "kind": {"enum": list(table)},
        "spec": {"type": "string", "pattern": "^[CH]?[1-9][0-9]*(\\.[1-9][0-9]*)?$"}, "comment": {"type": "string", "minLength": 1},
        "flags": {**arr({"$ref": "#/$defs/flag"}), "uniqueItems": True},
        "params": obj({}, {**params, "busy": BOOL}), "coins": obj({}, coins),
        "in": {"type": "object"}, "mid": {"type": "object"}, "expect": {"type": "object"}},
        {"needs": {**arr({"enum": CAPABILITIES}), "uniqueItems": True, "minItems": 1}})
    case["allOf"] = [{"if": {"properties": {"kind": {"const": k}}},
                      "then": {"properties": {part: {"$ref": f"#/$defs/{part}-{k}"} for part in ("in", "mid", "expect")}}} for k in table]
    case["allOf"].append({"if": {"properties": {"expect": {"required": ["error"]}}},
                          "then": {"properties": {"flags": {"minItems": 1, "maxItems": 1}, "expect": {"required": list(COUNT)}}}})
    files = obj({"version": {"const": 1}, "suite_files": arr({"type": "string", "pattern": "^[a-z0-9-]+\\.json$"}),
                 "cases": {**arr({"$ref": "#/$defs/case"}), "minItems": 1}})
    digests = {str(n): hexn(32) for n in (100, 1000, 10000, 100000)}
    accumulated = obj({"version": {"const": 1}, "spec": STR, "seed": STR,
                       "milestones": {**obj({}, digests), "minProperties": 1}})
    flag = {"oneOf": [{"const": name, "description": text} for name, text in FLAGS.items()]}
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", "title": "sealwire/1 test vectors",
            "description": "Files of v1: cases (conformance.md sections 1 and 2), or the milestones of the accumulated mode (section 4).",
            "oneOf": [{"$ref": "#/$defs/file"}, {"$ref": "#/$defs/accumulated"}],
            "$defs": {"file": files, "accumulated": accumulated, "case": case, "flag": flag, **DEFS}}
