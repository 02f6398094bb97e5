"""The outer HTTP messages: media types and fields of H2, H3 and the problem documents of H6."""
import json

from ..wire import MAX_CONTEXT, WireError
from . import b64, strict_json

REQUEST_TYPE = "application/vnd.sealwire.request"
RESPONSE_TYPE = "application/vnd.sealwire.response"
PROBLEM_TYPE = "application/problem+json"
STATUS = {"busy": 503, "gone": 502, "key-unknown": 409, "auth": 401, "quota": 429, "too-large": 413, "refused": 400,
          "replayed": 409, "internal": 500}
NO_STORE = ("Cache-Control", "no-store, no-transform")
RESPONSE_FIELDS = (("Content-Type", RESPONSE_TYPE), NO_STORE, ("X-Accel-Buffering", "no"))


def values(fields, name):
    return [v.strip(" \t") for k, v in fields if k.lower() == name]


def has_type(fields, media_type):
    """One Content-Type, without parameters, compared without case."""
    return [v.lower() for v in values(fields, "content-type")] == [media_type]


def request_fields(context, key=None):
    fields = [("Content-Type", REQUEST_TYPE), ("Sealwire-Context", b64.encode(context)), NO_STORE]
    return fields + ([("Authorization", "Bearer " + key)] if key else [])


def request_context(fields):
    """[H-4], [H-5]: the context's bytes."""
    found = values(fields, "sealwire-context")
    context = b64.decode(found[0]) if len(found) == 1 else None
    if not has_type(fields, REQUEST_TYPE) or context is None or len(context) > MAX_CONTEXT:
        raise WireError("refused")
    return context


def problem(code, detail="", bundle=None, status=None):
    """(status, fields, body) of a problem document."""
    status = status or STATUS[code]
    members = {"title": code, "status": status, "detail": detail, "code": code}
    if bundle is not None:
        members["bundle"] = b64.encode(bundle)
    return status, [("Content-Type", PROBLEM_TYPE), ("Cache-Control", "no-store")], json.dumps(members).encode()


def response_failure(status, fields, body):
    """None for a sealed response, else (code, bundle or None): [H-14], [H-27], [H-30]."""
    if status == 200 and has_type(fields, RESPONSE_TYPE):
        return None
    try:
        document = strict_json.parse(body)
    except strict_json.NotJson:
        document = None
    if not has_type(fields, PROBLEM_TYPE) or not isinstance(document, dict):
        return "internal", None
    code = document.get("code")
    if not isinstance(code, str) or code not in STATUS:
        return "internal", None
    return code, b64.decode(document.get("bundle")) if code == "key-unknown" else None
