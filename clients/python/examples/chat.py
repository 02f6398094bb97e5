"""Asks a model through a relay that reads nothing, once whole and once streamed.

    python chat.py http://127.0.0.1:7002 --pin IDENTITY --model my/model
    python chat.py https://relay.example --policy policy.toml --model my/model

Needs `pip install openai`. Before version 3 that package used the library `httpx`: then `sealwire.Transport` and `httpx.Client`.
"""

from __future__ import annotations

import argparse

import httpx2
from openai import OpenAI

import sealwire.httpx2


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("relay")
    parser.add_argument("--model", required=True)
    parser.add_argument("--pin", action="append", default=[])
    parser.add_argument("--policy")
    parser.add_argument("--key", help="the relay's")
    given = parser.parse_args()

    transport = sealwire.httpx2.Transport(given.relay, pins=given.pin, policy=given.policy, key=given.key)
    # Nothing is ever sent to this address: `.invalid` is no host, so what went past the transport would get nowhere.
    client = OpenAI(
        base_url="http://sealed.invalid/v1", api_key="unused", http_client=httpx2.Client(transport=transport, timeout=600)
    )
    answer = client.chat.completions.create(model=given.model, messages=[{"role": "user", "content": "Who reads this?"}])
    print(answer.choices[0].message.content)

    stream = client.chat.completions.create(
        model=given.model, messages=[{"role": "user", "content": "And this?"}], stream=True
    )
    for chunk in stream:
        for choice in chunk.choices:
            print(choice.delta.content or "", end="", flush=True)
    print()


if __name__ == "__main__":
    main()
