"""JSON (RFC 8259), with the names of the top object seen one by one (H7.3, H-45)."""
import json


class NotJson(ValueError):
    pass


def _constant(name):
    raise NotJson(name)


def parse(data):
    try:
        return json.loads(data.decode("utf-8"), parse_constant=_constant)
    except (ValueError, RecursionError) as e:
        raise NotJson(str(e)) from None


class _Pairs(list):
    pass


def parse_object(data):
    """The top object as a dict; NotJson if it is no object or has a name twice."""
    try:
        top = json.loads(data.decode("utf-8"), parse_constant=_constant, object_pairs_hook=_Pairs)
    except (ValueError, RecursionError) as e:
        raise NotJson(str(e)) from None
    if not isinstance(top, _Pairs) or len({k for k, _ in top}) != len(top):
        raise NotJson("no object with unique names")
    return dict(top)
