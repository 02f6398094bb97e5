"""What all of these tests use: systems, clients with a key that must show up nowhere, prompts that must not either."""

import contextlib
import http.client
import json
import pathlib
import secrets
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "python"))

import anthropic
import openai

from system import MODEL, Process, System, Tap, fetch_json  # noqa: F401: for the tests

# Words that belong to the application and the model alone; test_zz_logs.py looks for them everywhere else.
CANARIES = {}

# An image of one pixel.
PNG = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNkYPhfDwAChwGA60e6kgAAAABJRU5ErkJggg=="
PNG_BYTES = 70

WEATHER = {
    "type": "object",
    "properties": {"city": {"type": "string"}},
    "required": ["city"],
    "additionalProperties": False,
}


def canary(kind):
    """A word that nobody has ever said."""
    word = f"canary{secrets.token_hex(12)}"
    CANARIES[word] = kind
    return word


KEY = canary("key")


# The packages take almost anything by default; here every member of an answer must have its type.
SETTINGS = {"max_retries": 0, "timeout": 30, "_strict_response_validation": True}


def openai_client(system, **more):
    settings = {**SETTINGS, **more}
    return openai.OpenAI(base_url=system.base_url, api_key=KEY, **settings)


def openai_async(system, **more):
    settings = {**SETTINGS, **more}
    return openai.AsyncOpenAI(base_url=system.base_url, api_key=KEY, **settings)


def anthropic_client(system, **more):
    settings = {**SETTINGS, **more}
    return anthropic.Anthropic(base_url=system.url, api_key=KEY, **settings)


def anthropic_async(system, **more):
    settings = {**SETTINGS, **more}
    return anthropic.AsyncAnthropic(base_url=system.url, api_key=KEY, **settings)


def user(text):
    return [{"role": "user", "content": text}]


@contextlib.contextmanager
def running(*args, **more):
    system = System(*args, delay=0.001, **more)
    try:
        yield system
    finally:
        system.stop()


def request(system, method, path, body=None, broken=False, **headers):
    """One exchange without a client of the API: status, headers, bytes. A `broken` one must break off."""
    connection = http.client.HTTPConnection(system.url.removeprefix("http://"), timeout=30)
    try:
        if isinstance(body, dict):
            body = json.dumps(body).encode()
        if body is not None:
            headers = {"Content-Type": "application/json", **headers}
        headers = {name.replace("_", "-"): value for name, value in headers.items()}
        connection.request(method, path, body, headers)
        answer = connection.getresponse()
        if not broken:
            return answer.status, answer.headers, answer.read()
        try:
            content = answer.read()
        except http.client.IncompleteRead as cut:
            return answer.status, answer.headers, cut.partial
        raise AssertionError(f"the answer came to its end: {content!r}")
    finally:
        connection.close()


def post(system, path, body, **headers):
    """Status and JSON."""
    status, _, content = request(system, "POST", path, body, **headers)
    return status, json.loads(content)


def events(content):
    """The events of a stream: name, which may be missing, and data."""
    for block in content.decode().split("\n\n"):
        # Not splitlines: other characters end a line there, which JSON may hold.
        fields = [line.split(": ", 1) for line in block.split("\n") if line and not line.startswith(":")]
        named = dict(field for field in fields if len(field) == 2)
        if "data" in named:
            yield named.get("event"), named["data"]


def eventually(check, seconds=15):
    """Waits until something holds; what it was at the end."""
    deadline = time.monotonic() + seconds
    while not (held := check()) and time.monotonic() < deadline:
        time.sleep(0.02)
    return held


def without(value, *names):
    """A deep copy without members of these names, for what differs from answer to answer by right."""
    if hasattr(value, "model_dump"):
        value = value.model_dump()
    if isinstance(value, dict):
        return {name: without(member, *names) for name, member in value.items() if name not in names}
    if isinstance(value, list):
        return [without(item, *names) for item in value]
    return value
