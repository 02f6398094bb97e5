"""Asks one question through the published chutes-e2ee client, and prints what an application gets, as JSON."""

import json
import sys

import httpx
from chutes_e2ee import ChutesE2EETransport

base, question = sys.argv[1], json.loads(sys.argv[2])
got = {"text": "", "tool_calls": [], "done": False, "error": None, "completion_tokens": None}
try:
    transport = ChutesE2EETransport(api_key="demo", api_base=base)
    with httpx.Client(transport=transport, timeout=30) as client:
        with client.stream("POST", base + "/v1/chat/completions", json=question) as response:
            if response.status_code != 200:
                response.read()
                raise RuntimeError(f"status {response.status_code}")
            for line in response.iter_lines():
                if not line.startswith("data:"):
                    continue
                data = line[5:].strip()
                if data == "[DONE]":
                    break
                event = json.loads(data)
                if "error" in event:
                    message = event["error"].get("message", "")
                    got["error"], got["model_error"] = message, True
                    break
                if event.get("usage"):
                    got["completion_tokens"] = event["usage"].get("completion_tokens")
                for choice in event.get("choices", []):
                    delta = choice.get("delta", {})
                    got["text"] += delta.get("content") or ""
                    got["tool_calls"] += [call["function"]["name"] for call in delta.get("tool_calls", [])]
    # An SDK's loop ends like this one: at [DONE], or when the stream does.
    got["done"] = got["error"] is None
except Exception as error:
    got["error"] = type(error).__name__
print(json.dumps(got))
