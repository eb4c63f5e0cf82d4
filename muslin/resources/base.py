"""A resource: an object of Calico's API as a value.

Python names are the snake_case of Calico's field names. A field that was not set is None (or empty, for lists and
maps whose absence means the same); what the reference assumes then is told by `effective_...` properties.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any, ClassVar, Final

from pydantic import Field

from muslin.resources.fields import Text
from muslin.resources.keys import Key
from muslin.resources.metadata import ObjectMeta
from muslin.resources.names import LABEL, MAX_LABEL, MAX_NAME, SUBDOMAIN
from muslin.resources.part import Part
from muslin.resources.validation import Breach, ValidationRule, go

__all__ = [
    "API_VERSION", "GLOBAL_POLICY_NAME", "LABEL_NAME", "ONLY_DEFAULT", "POLICY_NAME", "SUBDOMAIN_NAME", "NameForm",
    "Resource",
]  # fmt: skip

API_VERSION: Final = "projectcalico.org/v3"


class NameForm:
    """Which names a kind allows: a pattern, a greatest length, and the sentence to tell people."""

    __slots__ = ("longest", "pattern", "sentence")

    def __init__(self, pattern: str, sentence: str, longest: int = MAX_NAME) -> None:
        self.pattern, self.sentence, self.longest = re.compile(pattern), sentence, longest

    def allows(self, name: str) -> bool:
        """Whether an object may bear this name."""
        return len(name) <= self.longest and self.pattern.fullmatch(name) is not None


SUBDOMAIN_NAME: Final = NameForm(
    SUBDOMAIN,
    "name must consist of lower case alphanumeric characters, '-' or '.' (regex: "
    r"[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*)",
)


POLICY_NAME: Final = NameForm(
    rf"{LABEL}(\.{LABEL})?|(knp|ossg)\.default\.{SUBDOMAIN}",
    "name must consist of lower case alphanumeric characters or '-' (regex: [a-z0-9]([-a-z0-9]*[a-z0-9])?)",
)
GLOBAL_POLICY_NAME: Final = NameForm(rf"({LABEL}\.)?{LABEL}", POLICY_NAME.sentence)
LABEL_NAME: Final = NameForm(LABEL, POLICY_NAME.sentence, MAX_LABEL)
ONLY_DEFAULT: Final = NameForm("default", "the only name of this kind is 'default'")


def _bad_name(resource: Resource) -> Iterator[Breach]:
    name = resource.metadata.name
    if not name:
        yield Breach("the object has no name", ("metadata", "name"), "set metadata.name")
    elif len(name) > resource.NAME_FORM.longest:
        yield Breach(
            f"name is too long by {len(name) - resource.NAME_FORM.longest} bytes",
            ("metadata", "name"),
            f"use at most {resource.NAME_FORM.longest} characters",
        )
    elif not resource.NAME_FORM.allows(name):
        yield Breach(resource.NAME_FORM.sentence, ("metadata", "name"))
    if not resource.NAMESPACED and resource.metadata.namespace:
        yield Breach(
            f"{resource.kind} is not a namespaced kind", ("metadata", "namespace"), "remove metadata.namespace"
        )


class Resource(Part):
    """One object: `kind`, `metadata` and `spec`, and `status` where the kind has one.

    Two resources are equal if all their fields are; hashable.
    """

    NAMESPACED: ClassVar[bool] = False
    NAME_FORM: ClassVar[NameForm] = SUBDOMAIN_NAME
    ALWAYS_WRITTEN: ClassVar[frozenset[str]] = frozenset({"api_version", "kind", "metadata", "spec"})
    RULES: ClassVar[tuple[ValidationRule, ...]] = (
        go("name", "names have a form", _bad_name, fix="use lower case letters, digits, '-' and '.'"),
    )

    api_version: Text = API_VERSION
    kind: Text = ""
    metadata: ObjectMeta
    spec: Any = Field(default=None)

    @property
    def key(self) -> Key:
        """Identity in a datastore."""
        return Key(self.kind, self.metadata.name, self.metadata.namespace if self.NAMESPACED else None)
