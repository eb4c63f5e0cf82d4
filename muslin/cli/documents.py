"""The objects of files, folders and standard input, each with its place, in the order in which they stand there."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from muslin import yaml
from muslin.cli.wording import Ended
from muslin.errors import BadInput, Place, Problem
from muslin.yaml import Limits, Places

__all__ = ["Given", "objects_of_text", "read_objects"]

_TOP = ("apiVersion", "kind", "metadata", "spec", "status", "items")
_METADATA = ("name", "namespace", "labels", "annotations", "resourceVersion", "uid", "creationTimestamp")
_SUFFIXES = (".yaml", ".yml", ".json")
_LIMITS = Limits(text_bytes=64 << 20, documents=200_000, nodes=3_000_000)
"""More than of a file that a repository brings: whoever runs a verb may write down a whole cluster, and waits."""


@dataclass(frozen=True, slots=True)
class Inside:
    """Places of a value that stands at `path` in a document."""

    places: Places
    path: tuple[str | int, ...] = ()

    def at(self, path: tuple[str | int, ...], /) -> Place:
        """See `muslin.resources.places.Places.at`."""
        return self.places.at((*self.path, *path))

    def key(self, path: tuple[str | int, ...], /) -> Place:
        """See `muslin.resources.places.Places.key`."""
        return self.places.key((*self.path, *path))


@dataclass(frozen=True, slots=True)
class Given:
    """One object that somebody gave: `value` is JSON-like and may be wrong in every way.

    `places` is None for one that was named on the command line.
    """

    value: Mapping[str, Any]
    file: str
    places: Inside | None = None


def read_objects(name: str, *, recursive: bool = False, skip_empty: bool = False) -> list[Given]:
    """Every object of a file, of a folder's `.yaml`, `.yml` and `.json` files in the order of their names, or of `-`.

    Args:
        name: of the file or folder; `-` is standard input.
        recursive: also the folders inside a folder.
        skip_empty: bear files without any object.

    Raises:
        Ended: a file can't be read or is not what it should be; with every problem of that file.
    """
    path = Path(name)
    try:
        folder = name != "-" and path.is_dir()
    except (OSError, ValueError):
        folder = False
    found: list[Given] = []
    for file in _files(path, recursive=recursive) if folder else [name]:
        objects = _of_file(file)
        if not objects and not skip_empty:
            what = f"No resources specified in file {file}"
            raise Ended(what, Problem(what, file, "write an object in it, or use --skip-empty"), input_=True)
        found += objects
    if folder and not found and not skip_empty:
        what = f"No resources specified in directory {name}"
        fix = "put .yaml, .yml or .json files in it, use --recursive for those further down, or --skip-empty"
        raise Ended(what, Problem(what, name, fix), input_=True)
    return found


def _files(folder: Path, *, recursive: bool) -> Iterator[str]:
    try:
        entries = sorted(folder.iterdir(), key=lambda entry: entry.name)
    except OSError as error:
        raise _unreadable(str(folder), error) from error
    for entry in entries:
        if entry.is_dir() and not entry.is_symlink():
            if recursive:
                yield from _files(entry, recursive=True)
        elif entry.suffix.lower() in _SUFFIXES and not entry.is_dir():
            yield str(entry)


def _of_file(file: str) -> list[Given]:
    try:
        if file == "-":
            text = sys.stdin.buffer.read(_LIMITS.text_bytes + 1)
        else:
            with Path(file).open("rb") as opened:
                text = opened.read(_LIMITS.text_bytes + 1)
    except (OSError, ValueError) as error:
        raise _unreadable(file, error) from error
    return objects_of_text(text, "standard input" if file == "-" else file)


def objects_of_text(text: bytes, shown: str) -> list[Given]:
    """The objects of a text that is called `shown`. Raises Ended with every problem."""
    try:
        documents = yaml.load(text, shown, limits=_LIMITS)
    except BadInput as error:
        line = f"failed to execute command: {error.problems[0].what}"
        raise Ended(line, error.problems, input_=True) from error
    problems: list[Problem] = []
    objects: list[Given] = []
    for document in documents:
        objects += _objects(document.value, Inside(document.places), shown, problems)
    if problems:
        raise Ended(f"failed to execute command: {problems[0].what}", problems, input_=True)
    return objects


def _objects(value: Any, places: Inside, file: str, problems: list[Problem]) -> Sequence[Given]:
    """A document is one object, a list of them, or an object of a `...List` kind."""
    if isinstance(value, list):
        inner = [(each, Inside(places.places, (*places.path, index))) for index, each in enumerate(value)]
        return [found for each, at in inner for found in _objects(each, at, file, problems)]
    if not isinstance(value, Mapping):
        problems.append(
            Problem(
                "this is not an object with kind and metadata", str(places.at(())), "begin with apiVersion and kind"
            )
        )
        return ()
    value = _spelt(value, _TOP)
    if isinstance(value.get("metadata"), Mapping):
        value = {**value, "metadata": _spelt(value["metadata"], _METADATA)}
    kind, items = value.get("kind"), value.get("items")
    if isinstance(kind, str) and kind.endswith("List"):
        if items is None:
            return ()
        if isinstance(items, list):
            at = Inside(places.places, (*places.path, "items"))
            named = [
                {"apiVersion": value.get("apiVersion"), "kind": kind.removesuffix("List"), **each}
                if isinstance(each, Mapping) and kind != "List"
                else each
                for each in items
            ]
            return _objects(named, at, file, problems)
        problems.append(Problem("items is not a list", str(places.at(("items",))), "write a list of objects"))
        return ()
    return (Given(value, file, places),)


def _spelt(value: Mapping[str, Any], names: Sequence[str]) -> Mapping[str, Any]:
    """The same with these names as they are spelt: as calicoctl's, our verbs take names of fields in any case.

    Which kind it is must be known before a model can put the rest right. A name that is there in both spellings stays.
    """
    wanted = {name.casefold(): name for name in names if name not in value}
    if not wanted or not any(isinstance(key, str) and key.casefold() in wanted for key in value):
        return value
    found: dict[str, Any] = {}
    for key, held in value.items():
        meant = wanted.get(key.casefold(), key) if isinstance(key, str) else key
        found[key if meant in found else meant] = held
    return found


def _unreadable(file: str, error: OSError | ValueError) -> Ended:
    reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
    line = f"failed to execute command: open {file}: {reason[:1].lower()}{reason[1:]}"
    fix = "give a file or folder that is there and readable"
    return Ended(line, Problem(f"the file can't be read: {reason}", file, fix), input_=True)
