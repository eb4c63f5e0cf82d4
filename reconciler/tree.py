"""Walks the tree of one commit and gives the manifests in it; everything that is not a plain file is refused.

Object reading is handed in, so the walk is the same over git and over a dictionary. Ids come from objects that were
read; a name from the repository is compared and printed, and never becomes an argument or a path on disk.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import PurePosixPath
from typing import Final, NamedTuple, Protocol

from muslin.errors import BadInput, Problem

__all__ = ["MANIFEST_ENDINGS", "Entry", "File", "Filter", "Limits", "Objects", "Walk", "folder", "walk"]

MANIFEST_ENDINGS: Final = (".yaml", ".yml", ".json")
_RULE: Final = "only plain files below the declared path are read"

_TREE, _LINK, _SUBMODULE = 0o040000, 0o120000, 0o160000
_PLAIN: Final = frozenset({0o100644, 0o100755})


class Entry(NamedTuple):
    """One line of a tree object."""

    mode: int
    name: str
    id: str


class File(NamedTuple):
    """One manifest: where it is in the repository, and the id of its content."""

    path: str
    id: str
    size: int


class Objects(Protocol):
    """Reads objects of a repository by id. Raises `Unavailable` where an object cannot be had."""

    def tree(self, tree_id: str, limit: int) -> Sequence[Entry]:
        """The entries of a tree. Raises ValueError with a sentence where it is no tree, too large or malformed."""
        ...

    def size(self, blob_id: str) -> int:
        """Bytes of a blob, without reading it. Raises ValueError where it is no blob."""
        ...


@dataclass(frozen=True, slots=True)
class Limits:
    """What a repository may cost. Bytes, counts, and levels of folders."""

    files: int = 10_000
    entries: int = 200_000
    folders: int = 10_000
    depth: int = 32
    file_bytes: int = 1 << 20
    all_bytes: int = 64 << 20
    tree_bytes: int = 8 << 20
    path_characters: int = 1_000


@dataclass(slots=True)
class Walk:
    """The manifests of a commit, ordered by path, and what is wrong with the tree."""

    files: list[File] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)


def folder(text: str) -> tuple[str, ...]:
    """The parts of a folder's path inside a repository; `.` and the empty text are its root. Raises BadInput."""
    parts = PurePosixPath(text).parts
    if text.startswith("/") or ".." in parts or any(not part.isprintable() for part in parts):
        raise BadInput(
            Problem(f"{text!r} is not a folder inside the repository", "path", "give one such as clusters/a")
        )
    return parts


class Filter(Protocol):
    """Which paths count."""

    def excludes(self, path: str) -> bool:
        """Whether a file or folder is as if it were not there."""
        ...

    def includes(self, path: str) -> bool:
        """Whether a file is read."""
        ...


def walk(
    objects: Objects, root: str, paths: Iterable[tuple[str, ...]], limits: Limits, only: Filter | None = None
) -> Walk:
    """All manifests below these paths in the tree `root`.

    Names that begin with a dot are not looked at (`.github` and the like). A symlink or submodule is a problem and
    not skipped: a folder that became one would look like all its objects were gone.
    """
    walker = _Walker(objects, limits, only)
    for path in paths:
        found = walker.descend(root, path)
        if found is not None:
            walker.below(found, PurePosixPath(*path))
    return walker.result


class _TooMuch(Exception):
    """The commit costs more than the limits allow; the problem has been noted."""


class _Walker:
    """One walk: what is left of the limits, and what was found."""

    def __init__(self, objects: Objects, limits: Limits, only: Filter | None) -> None:
        self._objects = objects
        self._limits = limits
        self._only = only
        self._entries_left = limits.entries
        self._folders_left = limits.folders
        self._bytes_left = limits.all_bytes
        self.result = Walk()

    @property
    def _readable(self) -> bool:
        """Whether nothing has been said about a folder that cannot be read."""
        return not any(problem.what.startswith("this folder") for problem in self.result.problems)

    def descend(self, root: str, path: tuple[str, ...]) -> str | None:
        """The tree at `path`, None with a problem where there is none."""
        current = root
        for depth, part in enumerate(path):
            entries = self._entries(current, "/".join(path[:depth]) or ".")
            below = [entry for entry in entries if entry.name == part and entry.mode == _TREE]
            if len(below) != 1:
                if self._readable:
                    wanted = "/".join(path[: depth + 1])
                    self._problem(f"the commit has no folder {wanted}", wanted, "add it, or change the declared path")
                return None
            current = below[0].id
        return current

    def below(self, root: str, at: PurePosixPath) -> None:
        """Note every manifest at and below `at`, folder by folder."""
        todo = [(root, at)]
        try:
            while todo:
                tree_id, here = todo.pop()
                todo.extend(reversed(self._folder(tree_id, here)))
        except _TooMuch:
            pass

    def _folder(self, tree_id: str, here: PurePosixPath) -> list[tuple[str, PurePosixPath]]:
        """Note the manifests of one folder; gives the folders in it."""
        folders: list[tuple[str, PurePosixPath]] = []
        folded: dict[str, str] = {}
        self._folders_left -= 1
        if self._folders_left < 0:
            self._problem(f"more than {self._limits.folders} folders", _shown(here), "use a smaller repository")
            raise _TooMuch
        for entry in self._entries(tree_id, _shown(here)):
            self._entries_left -= 1
            if self._entries_left < 0:
                self._problem(f"more than {self._limits.entries} names", _shown(here), "use a smaller repository")
                raise _TooMuch
            if entry.name.startswith(".") and entry.name not in (".", ".."):
                continue
            path = here / entry.name
            if self._only is not None and "/" not in entry.name and self._only.excludes(str(path)):
                continue
            reason = _refusal(entry, path, folded, self._limits)
            if reason is not None:
                self._problem(reason[0], _shown(path), reason[1], _RULE)
            elif entry.mode == _TREE:
                folders.append((entry.id, path))
            elif entry.name.endswith(MANIFEST_ENDINGS) and (self._only is None or self._only.includes(str(path))):
                self._file(entry, path)
        return folders

    def _file(self, entry: Entry, path: PurePosixPath) -> None:
        limits, where = self._limits, _shown(path)
        if len(self.result.files) >= limits.files:
            self._problem(f"more than {limits.files} manifests", where, "join some of them")
            raise _TooMuch
        try:
            size = self._objects.size(entry.id)
        except ValueError as error:
            self._problem(f"this file cannot be read: {error}", where, "commit it with plain git", _RULE)
            return
        if size > limits.file_bytes:
            what = f"the file has {size} bytes, {limits.file_bytes} is the limit"
            self._problem(what, where, "split it, or keep it outside the declared path")
            return
        self._bytes_left -= size
        if self._bytes_left < 0:
            what = f"the manifests together have more than {limits.all_bytes} bytes"
            self._problem(what, where, "use several repositories or paths")
            raise _TooMuch
        self.result.files.append(File(str(path), entry.id, size))

    def _entries(self, tree_id: str, where: str) -> Sequence[Entry]:
        try:
            return self._objects.tree(tree_id, self._limits.tree_bytes)
        except ValueError as error:
            self._problem(f"this folder cannot be read: {error}", where, "commit it with plain git", _RULE)
            return ()

    def _problem(self, what: str, where: str, fix: str, source: str | None = None) -> None:
        self.result.problems.append(Problem(what, where, fix, source))


def _refusal(entry: Entry, path: PurePosixPath, folded: dict[str, str], limits: Limits) -> tuple[str, str] | None:
    """Why an entry is refused and what to do, None where it is fine. `folded` collects the names of one folder."""
    if entry.name in ("", ".", "..") or "/" in entry.name or not entry.name.isprintable():
        return (f"{entry.name!a} is not a name for a file", "rename it")
    fold = unicodedata.normalize("NFC", entry.name).casefold()
    if fold in folded:
        return (f"{entry.name!r} and {folded[fold]!r} are one name where case does not count", "rename one of them")
    folded[fold] = entry.name
    if entry.mode == _LINK:
        return ("a symlink is not followed", "put the file itself there")
    if entry.mode == _SUBMODULE:
        return ("a submodule is not fetched", "put the files themselves there")
    if entry.mode != _TREE and entry.mode not in _PLAIN:
        return (f"mode {entry.mode:o} is not that of a file or folder", "commit it with plain git")
    if len(path.parts) > limits.depth:
        return (f"folders are nested deeper than {limits.depth}", "use fewer levels")
    if len(str(path)) > limits.path_characters:
        return (f"the path is longer than {limits.path_characters} characters", "use shorter names")
    return None


def _shown(path: PurePosixPath) -> str:
    """A path that is safe to print: control characters and lone surrogates are escaped."""
    text = str(path)[:300]
    return text if text.isprintable() else ascii(text)[1:-1]
