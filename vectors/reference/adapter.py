"""Adapter to sealwire_ref: the protocol of conformance.md section 3 on standard input and output."""
import json
import os
import sys

from sealwire_ref import VERSION, accumulate, kinds

HELLO = {"name": "sealwire_ref", "version": VERSION, "kinds": sorted(kinds.KINDS),
         "capabilities": ["suite-2", "kem-coins", "client", "instance"], "accumulate": accumulate.MILESTONES[-1]}


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
    if request["op"] == "hello":
        return HELLO
    if request["op"] == "run":
        return run(request)
    if request["op"] == "accumulate":
        return {"digests": accumulate.digests(request["rounds"], os.cpu_count() or 1)}
    return {"fault": f"unknown op {request['op']}"}


def main():
    for line in sys.stdin:
        if line.strip():
            print(json.dumps(reply(json.loads(line))), flush=True)


if __name__ == "__main__":
    main()
