"""Discovery (H5)."""
import json
import re
import urllib.parse
from dataclasses import dataclass

from ..wire import WireError
from . import b64, strict_json

MAX_BUNDLES = 16


@dataclass(frozen=True)
class Query:
    label: str
    single_use: bool = False
    suite: int | None = None


def unescape(text):
    """Percent-decoded UTF-8; "+" stands for itself."""
    if re.search(r"%(?![0-9A-Fa-f]{2})", text):
        raise WireError("refused")
    try:
        return urllib.parse.unquote_to_bytes(text).decode("utf-8")
    except UnicodeDecodeError:
        raise WireError("refused") from None


def parse_query(text):
    """[H-21]"""
    found = {}
    for part in text.split("&"):
        name, _, value = part.partition("=")
        if name in ("label", "single_use", "suite"):
            if name in found:
                raise WireError("refused")
            found[name] = unescape(value)
    suite = found.get("suite")
    if (not found.get("label") or found.get("single_use", "false") not in ("true", "false")
            or (suite is not None and not (re.fullmatch("0*[0-9]{1,5}", suite) and 1 <= int(suite[-5:]) <= 65535))):
        raise WireError("refused")
    return Query(found["label"], found.get("single_use") == "true", None if suite is None else int(suite[-5:]))


def write_query(query):
    text = "label=" + urllib.parse.quote(query.label, safe="")
    text += "&single_use=true" if query.single_use else ""
    return text + (f"&suite={query.suite}" if query.suite is not None else "")


def parse_answer(body):
    """The bundles that can be read; they still have to pass every check of P3 ([H-24])."""
    try:
        document = strict_json.parse(body)
    except strict_json.NotJson:
        raise WireError("internal") from None
    entries = document.get("bundles") if isinstance(document, dict) else None
    if not isinstance(entries, list):
        raise WireError("internal")
    bundles = [b64.decode(e.get("bundle")) for e in entries[:MAX_BUNDLES] if isinstance(e, dict)]
    return [b for b in bundles if b is not None]


def write_answer(bundles):
    return json.dumps({"bundles": [{"bundle": b64.encode(b)} for b in bundles]}).encode()
