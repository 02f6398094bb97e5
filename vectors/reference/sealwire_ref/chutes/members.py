"""A JSON object whose members keep their bytes (C3)."""
import json

BLANK = " \t\n\r"


class NotAnObject(ValueError):
    pass


def _refuse(name):
    raise NotAnObject(name)


# Numbers stay text: what a value means is not looked at here.
_DECODER = json.JSONDecoder(parse_constant=_refuse, parse_int=str, parse_float=str)


def _value(text, at):
    try:
        return _DECODER.raw_decode(text, at)
    except (ValueError, IndexError, RecursionError) as e:
        raise NotAnObject(str(e)) from None


def split(data):
    """[(name, value, text of the value)] of one JSON object; NotAnObject otherwise."""
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError as e:
        raise NotAnObject(str(e)) from None
    at, out = 0, []

    def blanks():
        nonlocal at
        while text[at:at + 1] and text[at] in BLANK:
            at += 1

    def sign(*wanted):
        nonlocal at
        blanks()
        if text[at:at + 1] not in wanted or at >= len(text):
            raise NotAnObject(f"{wanted} at {at}")
        at += 1
        return text[at - 1]

    sign("{")
    blanks()
    if text[at:at + 1] == "}":
        at += 1
    else:
        while True:
            blanks()
            name, end = _value(text, at)
            if not isinstance(name, str) or text[at:at + 1] != '"':
                raise NotAnObject(f"no name at {at}")
            at = end
            sign(":")
            blanks()
            value, end = _value(text, at)
            out.append((name, value, text[at:end]))
            at = end
            if sign(",", "}") == "}":
                break
    blanks()
    if at != len(text):
        raise NotAnObject(f"more behind the object at {at}")
    return out


def unique(members):
    return len({name for name, _, _ in members}) == len(members)
