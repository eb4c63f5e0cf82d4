"""Names of objects, labels and annotations, as Kubernetes and Calico allow them."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from functools import lru_cache
from typing import Final

__all__ = ["annotation_problems", "label_problems", "label_value_problem", "qualified_name_problem"]

LABEL: Final = r"[a-z0-9]([-a-z0-9]*[a-z0-9])?"
SUBDOMAIN: Final = rf"{LABEL}(\.{LABEL})*"

CONTAINER_ID: Final = r"[a-zA-Z0-9]([a-zA-Z0-9-]*[a-zA-Z0-9])?"

MAX_NAME: Final = 253
MAX_LABEL: Final = 63
MAX_ANNOTATIONS: Final = 256 * 1024

_SUBDOMAIN = re.compile(SUBDOMAIN)
_NAME_PART = re.compile(r"[A-Za-z0-9]([-A-Za-z0-9_.]*[A-Za-z0-9])?")


def qualified_name_problem(key: str) -> str | None:
    """What is wrong with a key of a label or annotation (`prefix/name`), None if nothing is."""
    prefix, slash, name = key.rpartition("/")
    if slash and not (len(prefix) <= MAX_NAME and _SUBDOMAIN.fullmatch(prefix)):
        return (
            "prefix part a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or "
            "'.', and must start and end with an alphanumeric character"
        )
    if len(name) > MAX_LABEL:
        return f"name part must be no more than {MAX_LABEL} characters"
    if not _NAME_PART.fullmatch(name):
        return (
            "name part must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an "
            "alphanumeric character"
        )
    return None


def label_value_problem(value: str) -> str | None:
    """What is wrong with the value of a label, None if nothing is; empty is fine."""
    if len(value) > MAX_LABEL:
        return f"must be no more than {MAX_LABEL} characters"
    if value and not _NAME_PART.fullmatch(value):
        return (
            "a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or '.', and must "
            "start and end with an alphanumeric character"
        )
    return None


def label_problems(labels: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    """(key, what is wrong) for each label that is not allowed."""
    for key, value in labels.items():
        short = len(key) <= MAX_NAME and len(value) <= MAX_LABEL
        problem = _label_problem(key, value) if short else qualified_name_problem(key) or label_value_problem(value)
        if problem:
            yield key, problem


@lru_cache(1 << 14)
def _label_problem(key: str, value: str) -> str | None:
    return qualified_name_problem(key) or label_value_problem(value)


def annotation_problems(annotations: Mapping[str, str]) -> Iterator[tuple[str | None, str]]:
    """(key, what is wrong) for each annotation that is not allowed; key None speaks of all together.

    Keys are checked without regard to case; values may hold anything.
    """
    for key in annotations:
        problem = qualified_name_problem(key.lower())
        if problem:
            yield key, problem
    total = sum(
        len(key.encode(errors="replace")) + len(value.encode(errors="replace")) for key, value in annotations.items()
    )
    if total > MAX_ANNOTATIONS:
        yield None, f"annotations take {total} bytes, more than {MAX_ANNOTATIONS}"
