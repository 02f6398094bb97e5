"""verify.py [PATH ..]: validate every file of these folders (default: v1 and chutes/v1.json beside this directory) and run every case."""
import json
import pathlib
import sys

import jsonschema
from cases.schema import schema
from sealwire_ref import accumulate, kinds


def problem(case):
    """None, or what is wrong."""
    try:
        mid, expect = kinds.run(case)
    except Exception as e:  # a failed assertion or a crash is a failure of the case
        return f"{type(e).__name__}: {e}"
    for name in sorted(expect.keys() | case["expect"].keys()):
        if expect.get(name) != case["expect"].get(name):
            return f"{name}: {short(expect.get(name))} is not {short(case['expect'].get(name))}"
    wrong = [name for name, value in case["mid"].items() if mid.get(name, value) != value]
    return f"mid: {', '.join(wrong)}" if wrong else None


def short(value):
    text = json.dumps(value)
    return text if len(text) < 200 else text[:200] + "..."


def problems(paths):
    """(id, problem or None) of every case, and of the first milestone."""
    validator, ids = jsonschema.Draft202012Validator(schema()), set()
    for path in [file for path in paths for file in (sorted(path.glob("*.json")) if path.is_dir() else [path])]:
        document = json.loads(path.read_text())
        validator.validate(document)
        for case in document.get("cases", []):
            yield case["id"], "id is not unique" if case["id"] in ids else problem(case)
            ids.add(case["id"])
        if "milestones" in document:
            first = accumulate.MILESTONES[0]
            wrong = accumulate.digests(first) != {str(first): document["milestones"].get(str(first))}
            yield f"{path.stem} {first}", "another digest" if wrong else None


def main():
    vectors = pathlib.Path(__file__).resolve().parent.parent
    paths = [pathlib.Path(arg) for arg in sys.argv[1:]] or [vectors / "v1", vectors / "chutes" / "v1.json"]
    passed = failed = 0
    for name, text in problems(paths):
        passed, failed = passed + (text is None), failed + (text is not None)
        if text:
            print(f"{name}: {text}")
    print(f"{passed} passed, {failed} failed")
    return 1 if failed or not passed else 0


if __name__ == "__main__":
    sys.exit(main())
