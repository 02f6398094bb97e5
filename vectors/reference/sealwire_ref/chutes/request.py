"""Requests (C3, C6.1)."""
import json
import re

from ..wire import WireError, sha256
from . import gz, keys
from .members import NotAnObject, split, unique

MEMBER = "e2e_response_pk"
PATH = re.compile(r"(?=/)[\x21-\x7e]{1,255}")


def members_of(body):
    """The members of the application's object [X-4]."""
    try:
        members = split(body)
    except NotAnObject:
        raise WireError("not-an-object") from None
    if not unique(members):
        raise WireError("not-an-object")
    return members


def text(members):
    return "{" + ",".join(f"{json.dumps(name)}:{raw}" for name, _, raw in members) + "}"


def plaintext(body, response_key):
    """The object that is sealed, with the client's key in it."""
    members = members_of(body)
    if any(name == MEMBER for name, _, _ in members):
        raise WireError("reserved-member")
    return text([*members, (MEMBER, None, json.dumps(keys.b64encode(response_key)))]).encode()


def seal(instance_key, response_key, body, path, coins, nonce):
    """The blob; without a path the request carries none (C6.1)."""
    if path is not None and (not PATH.fullmatch(path) or "?" in path or "#" in path):
        raise WireError("bad-path")
    ek = keys.read_key(instance_key, "instance-key")
    packed = gz.pack(plaintext(body, response_key), None if path is None else path.encode())
    return keys.seal_blob(ek, coins, nonce, keys.REQUEST, packed)


class Instance:
    def __init__(self, held, seen=()):
        """`held`: key pairs, the youngest first; `seen`: digests of ciphertexts that it accepted [X-6]."""
        self.held, self.seen = held, set(seen)

    def open(self, blob, path, limit):
        """(index of the key, members, the client's key)"""
        if len(blob) < keys.SHORTEST:
            raise WireError("too-short")
        for index, pair in enumerate(self.held):
            try:
                packed = keys.open_blob(pair, keys.REQUEST, blob)
            except WireError:
                continue
            break
        else:
            raise WireError("decrypt")
        digest = sha256(blob[:keys.CT])
        if digest in self.seen:
            raise WireError("replayed")
        self.seen.add(digest)
        body, sealed_path = gz.gunzip(packed, limit)
        if sealed_path is not None and sealed_path != path.encode():
            raise WireError("path-mismatch")
        members = members_of(body)
        own = [value for name, value, _ in members if name == MEMBER]
        ek = keys.read_key(own[0] if own else None, "response-key")
        return index, [(name, raw) for name, _, raw in members if name != MEMBER], ek
