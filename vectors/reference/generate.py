"""Write schema.json, v1/*.json and chutes/v1.json, or compare them with what is there.

    generate.py [--out DIR]            write; milestones of accumulated.json that are there already are kept
    generate.py --check                write nothing; exit 1 and name the files that differ
    generate.py --accumulated N        write the milestones up to N rounds
        [--processes P] [--store DIR]  in P processes; DIR keeps finished pieces, so that a stopped run goes on
"""
import argparse
import json
import pathlib
import sys

import jsonschema
from cases import blocks, bundles, carriages, chutes, contexts, halves, handshakes, https, receipts, seals, streams
from cases.schema import schema
from sealwire_ref import accumulate

FILES = {"bundle": bundles.make, "context": contexts.make, **blocks.FILES, "receipt": receipts.make,
         "handshake": handshakes.make, "frames": halves.make, "seal": seals.make, "stream": streams.make,
         "carriage": carriages.make, "http": https.make}
ROOT = pathlib.Path(__file__).resolve().parent.parent


def text(document):
    return json.dumps(document, indent=1, ensure_ascii=True) + "\n"


def accumulated_document(milestones):
    return {"version": 1, "spec": "conformance.md, section 4", "seed": accumulate.SEED.decode(),
            "milestones": dict(sorted(milestones.items(), key=lambda item: int(item[0])))}


def stored_milestones(root):
    path = root / "v1" / "accumulated.json"
    return json.loads(path.read_text())["milestones"] if path.exists() else {}


def documents(root):
    """Relative path -> text of every file."""
    ids, out = set(), {"schema.json": schema()}
    validator = jsonschema.Draft202012Validator(out["schema.json"])
    validator.check_schema(out["schema.json"])
    for name, make in FILES.items():
        cases = make()
        for case in cases:
            assert case["id"] not in ids, case["id"]
            ids.add(case["id"])
        out[f"v1/{name}.json"] = {"version": 1, "suite_files": [f"{n}.json" for n in FILES], "cases": cases}
    cases = chutes.make()
    assert ids.isdisjoint(c["id"] for c in cases) and len({c["id"] for c in cases}) == len(cases)
    out["chutes/v1.json"] = {"version": 1, "suite_files": ["v1.json"], "cases": cases}
    first = str(accumulate.MILESTONES[0])
    milestones = {**stored_milestones(root), **accumulate.digests(accumulate.MILESTONES[0])}
    assert stored_milestones(root).get(first, milestones[first]) == milestones[first], "accumulated.json"
    out["v1/accumulated.json"] = accumulated_document(milestones)
    for path, document in out.items():
        if path != "schema.json":
            validator.validate(document)
    return {path: text(document) for path, document in out.items()}


def describe(made):
    used, cases, negative = set(), 0, 0
    for path, content in made.items():
        found = json.loads(content).get("cases", [])
        bad = sum("error" in c["expect"] for c in found)
        used |= {f for c in found for f in c["flags"]}
        cases, negative = cases + len(found), negative + bad
        print(f"{path:22} {len(found):4} cases, {bad:4} negative, {len(content):8} bytes")
    print(f"{cases} cases, {cases - negative} positive, {negative} negative, {len(used)} flags, "
          f"{sum(len(c) for c in made.values())} bytes")


def write(root, path, content):
    (root / path).parent.mkdir(parents=True, exist_ok=True)
    (root / path).write_text(content)


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--out", type=pathlib.Path, default=ROOT)
    p.add_argument("--check", action="store_true")
    p.add_argument("--accumulated", type=int, metavar="N")
    p.add_argument("--processes", type=int, default=1)
    p.add_argument("--store", type=pathlib.Path)
    args = p.parse_args()
    if args.accumulated is not None:
        found = stored_milestones(args.out)

        def keep(rounds, digest):
            assert found.get(str(rounds), digest) == digest, f"another digest for {rounds} rounds stands in accumulated.json"
            found[str(rounds)] = digest
            write(args.out, "v1/accumulated.json", text(accumulated_document(found)))
            print(rounds, digest, flush=True)

        accumulate.digests(args.accumulated, args.processes, args.store, keep)
        return 0
    made = documents(args.out)
    if args.check:
        there = {str(f.relative_to(args.out)) for f in args.out.glob("v1/*.json")} | {"schema.json", "chutes/v1.json"}
        wrong = [f for f in sorted(there | made.keys())
                 if f not in made or not (args.out / f).exists() or (args.out / f).read_text() != made[f]]
        if wrong:
            print("not as generated: " + ", ".join(wrong), file=sys.stderr)
        return 1 if wrong else 0
    for path, content in made.items():
        write(args.out, path, content)
    describe(made)
    return 0


if __name__ == "__main__":
    sys.exit(main())
