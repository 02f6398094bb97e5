"""A chutes-v1 relay's models and aliases: which deployment a name stands for, and whether it is confidential."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import Any, Collection

from .errors import RequestError

_ID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")


def chute_id(text: object) -> str | None:
    """The id of a deployment in its one form."""
    lower = text.lower() if isinstance(text, str) else ""
    return lower if _ID.fullmatch(lower) else None


@dataclass
class Resolved:
    """A deployment that may be used."""

    #: The name that the model server knows.
    model: str
    chute: str
    #: The user gave confidentiality up for it, and the relay claims none.
    waived: bool


@dataclass
class _Model:
    id: str
    chute: str
    confidential: bool
    entry: dict[str, Any]


class Catalog:
    """What a user's names stand for."""

    def __init__(self, models: object, aliases: object) -> None:
        self._models: list[_Model] = []
        self._aliases: dict[str, list[Any]] = {}
        for entry in models if isinstance(models, list) else []:
            if not isinstance(entry, dict):
                continue
            name, chute = entry.get("id"), chute_id(entry.get("chute_id"))
            if isinstance(name, str) and chute:
                # Anything but a plain true is a no.
                confidential = entry.get("confidential_compute") is True
                self._models.append(_Model(name, chute, confidential, entry))
        for entry in aliases if isinstance(aliases, list) else []:
            if isinstance(entry, dict):
                name, targets = entry.get("alias"), entry.get("chute_ids")
                if isinstance(name, str) and isinstance(targets, list):
                    self._aliases[name] = targets

    def resolve(self, name: str, waived: Collection[str]) -> Resolved:
        """Finds the deployment of a name: a chute's id, a model's, or an alias, in this order."""
        chute = chute_id(name)
        named = self._by_id(name)
        if chute is None:
            chute = named.chute if named else self._alias(name)
        if chute is None:
            raise RequestError(f"the relay lists no model {name!r}", "model_not_found")
        model = named or next((model for model in self._models if model.chute == chute), None)
        confidential = model is not None and model.confidential
        names = {name, chute, model.id if model else name}
        if not confidential and names.isdisjoint(waived):
            text = f"the relay does not list {name!r} as confidential, so its operator can read what you send"
            raise RequestError(f"{text}; to use it all the same, name it in allow_non_confidential", "not_confidential")
        return Resolved(model.id if model else name, chute, not confidential)

    def usable(self, waived: Collection[str]) -> bytes:
        """The list for applications: what can be used end to end."""
        data = []
        for model in self._models:
            if model.confidential:
                data.append(model.entry)
            elif model.id in waived or model.chute in waived:
                data.append({**model.entry, "sealwire_waived": True})
        return json.dumps({"object": "list", "data": data}).encode()

    def _alias(self, name: str) -> str | None:
        targets = self._aliases.get(name, [])
        if len(targets) > 1:
            text = f"{name!r} stands for {len(targets)} deployments; name one model"
            raise RequestError(text, "ambiguous_alias")
        return chute_id(targets[0]) if targets else None

    def _by_id(self, name: str) -> _Model | None:
        """A confidential deployment goes before another of the same name."""
        named = [model for model in self._models if model.id == name]
        return next((model for model in named if model.confidential), named[0] if named else None)
