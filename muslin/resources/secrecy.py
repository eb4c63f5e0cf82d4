"""Which fields hold secrets, by their names: what stands in them is shown nowhere, right or wrong. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any, Final

__all__ = ["HIDDEN", "is_secret_name", "within_secret"]

HIDDEN: Final = "(hidden)"
"""Stands where a secret would."""

_SECRET: Final = re.compile(
    r"(pass(word|phrase|wd)?|secret|token|credentials?|authorization|api[-_]?key|private[-_]?key|cookie)$",
    re.IGNORECASE,
)


def is_secret_name(name: str) -> bool:
    """Whether what is called so is a secret, or says where one is."""
    return _SECRET.search(name) is not None


def within_secret(path: Iterable[Any]) -> bool:
    """Whether a field, or one that it is in, is called as secrets are."""
    return any(isinstance(name, str) and is_secret_name(name) for name in path)
