"""Responses that are not streamed (C4, C6.2)."""
import re

from ..wire import num, u
from . import gz, keys

LONGEST_TYPE = 255


def status_and_type(status, media):
    """True if a status and a media type can be carried (C6.2)."""
    return 100 <= status <= 599 and re.fullmatch(rb"[\x20-\x7e]{0,%d}" % LONGEST_TYPE, media) is not None


def seal(ek, body, head, coins, nonce):
    """`head`: (status, media type) or None, as a deployed instance has it."""
    ours = None if head is None else u(head[0], 2) + head[1].encode()
    return keys.seal_blob(ek, coins, nonce, keys.RESPONSE, gz.pack(body, ours))


def open_(pair, blob, limit):
    """(status and media type or None, body)"""
    body, ours = gz.gunzip(keys.open_blob(pair, keys.RESPONSE, blob), limit)
    if ours is None or len(ours) < 2 or not status_and_type(num(ours[:2]), ours[2:]):
        return None, body
    return (num(ours[:2]), ours[2:].decode()), body
