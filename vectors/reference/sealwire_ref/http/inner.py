"""The inner messages: how an instance judges a request (H7, in the order of H7.1) and a client a response."""
import re
from dataclasses import dataclass

from ..wire import WireError
from . import bhttp, strict_json

MAX_SKEW = 90
PADDINGS = ("none", "padme", "buckets", "constant")  # [H-42]: each hides more than the one before
HANDED_ON = (b"content-type", b"accept", b"accept-language", b"user-agent")
PATH = re.compile(rb"/v1(/(?!\.{1,2}(?=/|$))[A-Za-z0-9\-_.:]+)+|/(de)?tokenize")


@dataclass(frozen=True)
class Request:
    method: bytes
    path: bytes
    fields: list
    padding: str
    content: bytes


@dataclass(frozen=True)
class Response:
    status: int
    fields: list
    content: bytes


def refuse(status):
    raise WireError(f"sealed-{status}")


def read(kind, pieces, **bounds):
    """(control, fields, content) of a whole message."""
    parser, control, fields, content = bhttp.Parser(kind, **bounds), None, None, b""
    for piece in pieces:
        for event in parser.feed(piece):
            if event[0] == "head":
                _, control, fields = event
            else:
                content += event[1]
    parser.end()
    return control, fields, content


def read_request(pieces, **bounds):
    try:
        return read(bhttp.REQUEST, pieces, **bounds)
    except bhttp.ContentTooLarge:
        refuse(413)
    except bhttp.HeadTooLarge:
        refuse(431)
    except bhttp.Malformed:
        refuse(400)


def check_time(fields, now):
    """[H-38], [H-39]"""
    times = [v for k, v in fields if k == b"sealwire-time"]
    if len(times) != 1 or not re.fullmatch(rb"0*[0-9]{1,20}", times[0]) or abs(int(times[0][-20:]) - now) > MAX_SKEW:
        refuse(400)


def check_padding(fields):
    wishes = [v.decode("latin-1") for k, v in fields if k == b"sealwire-padding"] or ["none"]
    if len(wishes) > 1 or wishes[0] not in PADDINGS:
        refuse(400)
    return wishes[0]


def check_route(method, path, content):
    """[H-44]"""
    if method not in (b"GET", b"POST"):
        refuse(405)
    route, _, query = path.partition(b"?")
    if not PATH.fullmatch(route) or b"#" in query:
        refuse(404)
    if method == b"GET" and content:
        refuse(400)


def check_body(content, label):
    """[H-45]"""
    try:
        body = strict_json.parse_object(content)
    except strict_json.NotJson:
        refuse(400)
    if body.get("model") != label:
        refuse(400)


def judge_request(pieces, now, label, **bounds):
    (method, path), fields, content = read_request(pieces, **bounds)
    check_time(fields, now)
    padding = check_padding(fields)
    check_route(method, path, content)
    if method == b"POST":
        check_body(content, label)
    return Request(method, path, [(k, v) for k, v in fields if k in HANDED_ON], padding, content)


def judge_response(data, request_sent, **bounds):
    try:
        status, fields, content = read(bhttp.RESPONSE, [data], **bounds)
    except (bhttp.Malformed, bhttp.HeadTooLarge, bhttp.ContentTooLarge):
        raise WireError("bad-message") from None
    if not request_sent and status < 400:
        raise WireError("early-response")
    return Response(status, fields, content)
