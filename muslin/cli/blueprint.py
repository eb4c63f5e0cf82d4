"""From a cluster file to a decided blueprint: what `explain` and `render` share."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

from blueprints import catalogue, facts
from blueprints.composition import parts_of
from blueprints.decision import Blueprint
from muslin import yaml
from muslin.errors import BadInput, Problem
from muslin.resources.problems import nearest

__all__ = ["decide", "facts_and_decisions", "must_be_known", "only_document", "read_text"]

_LARGEST_FILE = 4 << 20
"""Bytes that are read at most; the YAML reader refuses files that are longer than its own, lower limit."""


def read_text(path: str, largest: int = _LARGEST_FILE) -> bytes:
    """A file's octets, one more than the largest number at most; `-` is standard input. Raises BadInput."""
    try:
        if path == "-":
            return sys.stdin.buffer.read(largest + 1)
        with Path(path).open("rb") as file:
            return file.read(largest + 1)
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else error
        raise BadInput(
            Problem(f"the file can't be read: {reason}", path, "give a file that is there and readable")
        ) from error


def decide(path: str, blueprint: str | None) -> Blueprint:
    """Read the facts and let the blueprint decide. Raises BadInput with every problem."""
    return facts_and_decisions(path, blueprint)[1]


def facts_and_decisions(path: str, blueprint: str | None) -> tuple[facts.Facts, Blueprint]:
    """The facts of a file, and what the blueprint decides about them. Raises BadInput with every problem."""
    document = only_document(yaml.load(read_text(path), path), path)
    must_be_known(blueprint)
    return catalogue.decide_document(document.value, document.places, path, blueprint)


def only_document(documents: Sequence[yaml.Document], path: str) -> yaml.Document:
    """The one that describes a cluster. Raises BadInput where there are none or several."""
    if len(documents) != 1:
        what = f"there are {len(documents)} documents where one is meant" if documents else "the file is empty"
        raise BadInput(Problem(what, path, "describe one cluster in it, as docs/cluster.yaml does"))
    return documents[0]


def must_be_known(blueprint: str | None) -> None:
    """Raise BadInput if an option names a blueprint that is not installed."""
    unknown = [each for each in parts_of(blueprint or "") if blueprint is not None and each not in catalogue.BLUEPRINTS]
    if unknown:
        meant = nearest(unknown[0], catalogue.BLUEPRINTS)
        listed = f"one of {', '.join(catalogue.BLUEPRINTS)}, or several with + between them"
        fix = f"did you mean {meant}?" if meant else listed
        raise BadInput(Problem(f"there is no blueprint {unknown[0]!r}", "--blueprint", fix))
