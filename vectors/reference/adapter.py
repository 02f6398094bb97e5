"""Adapter to sealwire_ref: the protocol of conformance.md section 3 on standard input and output."""
import json
import os
import sys

from sealwire_ref import VERSION, accumulate, kinds

HELLO = {"name": "sealwire_ref", "version": VERSION, "kinds": sorted(kinds.KINDS),
         "capabilities": ["suite-2", "kem-coins", "client", "instance", "chutes-v1"], "accumulate": accumulate.MILESTONES[-1]}


def run(request):
    answer = {"id": request["id"]}
    if request["kind"] not in kinds.KINDS:
        return {**answer, "skip": request["kind"]}
    try:
        mid, expect = kinds.run({"params": {}, "coins": {}, **request})
    except Exception as e:  # nothing of the case's business: the adapter cannot go on with it
        return {**answer, "fault": f"{type(e).__name__}: {e}"}
    return {**answer, "expect": expect, **({"mid": mid} if mid else {})}


def reply(request):
    if not isinstance(request, dict):
        return {"fault": "no JSON object"}
    op = request.get("op")
    if op == "hello":
        return HELLO if request.get("protocol") == 1 else {"fault": "this is version 1 of the protocol"}
    if op == "run":
        return run(request)
    if op == "accumulate":
        return {"digests": accumulate.digests(request["rounds"], os.cpu_count() or 1)}
    return {"fault": f"unknown op {op}"}


def main():
    for line in sys.stdin:
        if line.strip():
            try:
                answer = reply(json.loads(line))
            except (ValueError, KeyError) as e:
                answer = {"fault": f"{type(e).__name__}: {e}"}
            print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    main()
