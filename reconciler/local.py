"""Manifests in a folder on disk, read by the same rules as those of a commit: for plans before a push."""

from __future__ import annotations

import os
import stat
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from muslin.errors import BadInput, Problem, Unavailable
from reconciler.manifests import Manifests, Reading
from reconciler.tree import Entry, Limits, walk

__all__ = ["read_folder"]

_MODES: Final = {stat.S_IFDIR: 0o040000, stat.S_IFREG: 0o100644, stat.S_IFLNK: 0o120000}


def read_folder(
    folder: Path,
    *,
    name: str = "files",
    limits: Limits | None = None,
    blueprints: frozenset[str] = frozenset(),
) -> Reading:
    """What the manifests below a folder declare. Places are relative to it; `name` stands where a commit's id does.

    Facts are rendered by these blueprints, as the reconciler of the set does it; with none they are only checked.

    Raises:
        BadInput: there is no such folder.
        Unavailable: a file cannot be read.
    """
    if not folder.is_dir():
        raise BadInput(Problem(f"there is no folder {folder}", str(folder), "give the folder with the manifests"))
    found = walk(_Disk(folder), ".", ((),), limits or Limits())
    return Manifests(blueprints).read(name, found.files, lambda file: _content(folder / file.path), found.problems)


class _Disk:
    """`Objects` whose ids are paths below a folder."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def tree(self, tree_id: str, limit: int) -> Sequence[Entry]:
        """See `Objects.tree`; the limit is that of git's objects, and has no meaning here."""
        del limit
        try:
            with os.scandir(self._folder / tree_id) as entries:
                found = [Entry(_mode(each), each.name, f"{tree_id}/{each.name}") for each in entries]
        except OSError as error:
            raise ValueError(error.strerror or "it cannot be listed") from error
        return sorted(found, key=lambda entry: entry.name)

    def size(self, blob_id: str) -> int:
        """See `Objects.size`."""
        try:
            return (self._folder / blob_id).lstat().st_size
        except OSError as error:
            raise ValueError(error.strerror or "it cannot be looked at") from error


def _mode(entry: os.DirEntry[str]) -> int:
    kind = stat.S_IFMT(entry.stat(follow_symlinks=False).st_mode)
    return _MODES.get(kind, kind)


def _content(path: Path) -> bytes:
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
        with os.fdopen(descriptor, "rb") as file:
            return file.read()
    except OSError as error:
        raise Unavailable(
            Problem(f"the file cannot be read: {error.strerror}", str(path), "check its owner")
        ) from error
