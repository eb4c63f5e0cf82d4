"""The table of cases that models and API server judge both: `verdicts.yaml`, read."""

from __future__ import annotations

import typing
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from muslin.errors import BadInput
from muslin.resources import load as load_resource
from muslin.resources.base import ONLY_DEFAULT
from muslin.resources.crd_kinds import CUSTOM_KINDS
from muslin.resources.part import Part, rules_of
from muslin.resources.registry import KINDS
from muslin.resources.validation import ValidationRule
from muslin.yaml import load

__all__ = ["CASES", "RULES", "Case", "compared", "parts_of", "path_of"]

_FILE: Final = Path(__file__).with_suffix(".yaml")
_LONG: Final = "LONG"


@dataclass(frozen=True, slots=True)
class Case:
    """One object, and who takes it."""

    kind: str
    what: str
    obj: dict[str, Any]
    models_accept: bool
    server_accepts: bool

    def __str__(self) -> str:
        return f"{self.kind}: {self.what}"


def path_of(kind: str, namespace: str) -> str:
    """Where objects of a kind are created; `namespace` counts for kinds that live in one."""
    info = KINDS[kind]
    inside = f"namespaces/{namespace}/" if info.namespaced else ""
    return f"/apis/projectcalico.org/v3/{inside}{info.plural}"


def _cases() -> Iterator[Case]:
    (document,) = load(_FILE.read_bytes(), str(_FILE))
    verdicts = {"accepted": (True, True), "refused": (False, False), "models_only": (False, True)}
    for kind, groups in document.value.items():
        for group, cases in groups.items():
            for what, spec in cases.items():
                yield Case(kind, what, _object(kind, spec), *verdicts[group])


def _object(kind: str, given: dict[str, Any]) -> dict[str, Any]:
    spec = {name: "a" * 1025 if value == _LONG else value for name, value in given.items() if name != "metadata"}
    usual = "default" if KINDS[kind].model.NAME_FORM is ONLY_DEFAULT else "example"
    metadata = {"name": usual, **given.get("metadata", {})}
    return {"apiVersion": "projectcalico.org/v3", "kind": kind, "metadata": metadata, "spec": spec}


def parts_of(model: type[Part]) -> Iterator[type[Part]]:
    """A model and every model inside it, each once."""
    found: dict[type[Part], None] = {}

    def look(annotation: Any) -> None:
        if isinstance(annotation, type) and typing.get_origin(annotation) is None and issubclass(annotation, Part):
            if annotation not in found:
                found[annotation] = None
                annotation.model_rebuild()
                for field in annotation.model_fields.values():
                    look(field.annotation)
            return
        for argument in typing.get_args(annotation):
            look(argument)

    look(model)
    yield from found


RULES: Final[dict[str, ValidationRule]] = {
    f"{part.__name__} {rule.name}": rule
    for kind in CUSTOM_KINDS
    for part in parts_of(KINDS[kind].model)
    for rule in rules_of(part)
}
"""dict[str, ValidationRule]: every rule over one object of a kind with a definition, as problems name it."""

CASES: Final = tuple(_cases())

_ONLY_MODELS: Final = (
    "is not a selector",
    "is not a regular expression",
    "is greater than maximum port number",
    "is not a host name or address",
    "has host bits set",
    "is not an AS number: it must be",
    "asNumber is required",
    "Duplicate value",
    "not nothing",
    "'01.2.3.4'",
)
"""What fields refuse that OpenAPI has no words for: grammars, numbers in a text, the same value written twice in two
ways, null in a map, and zeros before a number of an address, which only Kubernetes reads."""


def compared(obj: dict[str, Any], *, accepted: bool) -> str | None:
    """How the models' verdict goes together with an API server's; None if they should not differ like this."""
    try:
        load_resource(obj)
    except BadInput as refusal:
        if not accepted:
            return "both refuse"
        excused = all(
            (problem.source in RULES and RULES[problem.source].cel is None)
            or any(words in problem.what for words in _ONLY_MODELS)
            for problem in refusal.problems
        )
        return "only the models refuse" if excused else None
    return "both accept" if accepted else None
