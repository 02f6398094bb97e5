"""Keys, blobs and streams of the profile chutes-v1, honest and not."""
import json

from sealwire_ref import kem
from sealwire_ref.chutes import gz, keys, stream

from .common import seed

MLKEM = kem.MLKEM768
PATH = "/v1/chat/completions"
BODY = b'{"model": "demo/model-1", "messages": [{"role": "user", "content": "h\\u00e9llo"}], "stream": true}'
ANSWER = b'{"id":"x","object":"chat.completion","choices":[],"usage":{"prompt_tokens":1,"completion_tokens":2}}'
ROOMY = {"max_line": 65536, "max_chunks": 1000, "max_bytes": 1 << 20}

# What zlib writes at level 9 for this text: a block with codes of its own.
DYNAMIC_TEXT = (b'{"object":"chat.completion","choices":[{"index":0,"message":{"role":"assistant","content":"' + b"".join(
    b"%d times %d is %d, and that is all there is to say of %d; " % (i, i + 1, i * (i + 1), i) for i in range(2, 14)) + b'"}}]}')
DYNAMIC = bytes.fromhex(
    "8d92cb6e84300c457f25f21a559837f853aa2e52266d5331c96892452bc4bfd72674ef15847b0e0ee1ee10dfbfdd9a6181f5cbe69735de1f9bcb3e"
    "06a8f849f4ab4bb0bceee0c3cdfdc05257707729d94f07cb0ecfb8f1156c4a3e651bb238316417e47d8dc99e59d31a9fcc50191b6e26f30c59da6d"
    "e37bf774b2c8d124fb6be2876988e962759260a3d25a62bc68bd244dadd23a62bc688324ad4eeb89f1a28d9274ba4d0ec478d126497add918cc478d1"
    "664946ddb489182f1ad612cdba8f9b49f84bc4f31fa0cec49ac4b8d4e6545bdd6611498c4b3dfb82cae341ae0cfe77064b6926e554ae0d1cc7dbf107")


def pair(name):
    return kem.keygen(MLKEM, seed(f"chutes {name}", 64))


def coins(name):
    return seed(f"chutes {name} encaps")


def nonce(name):
    return seed(f"chutes {name} nonce", 12)


def fixed(data):
    """Deflate with the fixed codes: runs of one byte as matches, the rest as literals."""
    bits, count = 0, 0

    def put(value, width):
        nonlocal bits, count
        bits |= value << count
        count += width

    def code(value, width):  # Huffman codes start with their highest bit
        put(int(f"{value:0{width}b}"[::-1], 2), width)

    def symbol(n):
        code(*((0x30 + n, 8) if n < 144 else (0x190 + n - 144, 9) if n < 256 else (n - 256, 7) if n < 280 else (0xC0 + n - 280, 8)))

    put(3, 3)
    at, out = 0, bytearray()
    while at < len(data):
        run = 0
        while run < 258 and at > 0 and at + run < len(data) and data[at + run] == data[at - 1]:
            run += 1
        if run == 258:
            symbol(285)
            code(0, 5)
            at += run
        else:
            symbol(data[at])
            at += 1
        while count >= 8:
            out.append(bits & 255)
            bits, count = bits >> 8, count - 8
    symbol(256)
    while count > 0:
        out.append(bits & 255)
        bits, count = bits >> 8, count - 8
    return bytes(out)


INSTANCE, OLDER, STRANGER = pair("instance"), pair("older instance"), pair("stranger")
CLIENT, OTHER_CLIENT = pair("client"), pair("other client")
CLIENT_SEED = seed("chutes client", 64)


def with_key(members, key=None):
    """A body as it is sealed, with any value as the client's key."""
    key = json.dumps(keys.b64encode(CLIENT.ek)) if key is None else key
    return members[:-1].rstrip() + (b", " if members != b"{}" else b"") + b'"e2e_response_pk": ' + key.encode() + b"}"


def request_blob(packed=None, to=INSTANCE, info=keys.REQUEST, name="request"):
    return keys.seal_blob(to.ek, coins(name), nonce(name), info, gz.pack(with_key(BODY)) if packed is None else packed)


def response_blob(packed=None, to=CLIENT, info=keys.RESPONSE, name="response"):
    return keys.seal_blob(to.ek, coins(name), nonce(name), info, gz.pack(ANSWER) if packed is None else packed)


def inner(text="hi", count=None, index=0, choices=True):
    event = {"choices": [{"index": index, "delta": {"content": text}}] if choices else []}
    if count is not None:
        event["usage"] = {"prompt_tokens": 5, "completion_tokens": count}
    return b"data: " + json.dumps(event, separators=(",", ":")).encode() + b"\n"


DONE, BLANK = b"data: [DONE]\n", b"\n"
USAGE = b'data: {"usage":{"prompt_tokens":5,"completion_tokens":1}}\n\n'
HEAD = stream.head_line(200, "text/event-stream")


class Stream(stream.Sealer):
    """Events of one stream; nonces by name, or numbered."""

    def __init__(self, to=CLIENT, name="stream"):
        super().__init__(to.ek, coins(name))
        self.name, self.made = name, 0

    def plain(self, line, nonce_of=None):
        """A chunk as a deployed instance seals it."""
        self.made += 1
        return self.chunk(line, nonce(f"{self.name} {self.made if nonce_of is None else nonce_of}"))

    def many(self, *lines):
        return [self.plain(line) for line in lines]

    def run(self, *lines):
        return [self.numbered(line) for line in lines]

    def event(self, text):
        """An e2e event with this value, unsealed."""
        return b'data: {"e2e":' + text + b"}\n\n"


def joined(*parts):
    return b"".join(b"".join(p) if isinstance(p, list) else p for p in parts)


def edit(event, at, bit=1):
    """A chunk's event with a bit of the sealed bytes flipped."""
    sealed = bytearray(keys.b64decode(json.loads(event[6:])["e2e"]))
    sealed[at] ^= bit
    return stream.event("e2e", keys.b64encode(bytes(sealed)))
