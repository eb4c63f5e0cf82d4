"""The mirror's own references, read as the files that they are: no program is started for them."""

from __future__ import annotations

from pathlib import Path

from reconciler.remotes import is_object_id

__all__ = ["reference"]


def reference(mirror: Path, name: str) -> str | None:
    """The id that one of our references holds, None where there is none: a small file, or a line of `packed-refs`.

    Args:
        mirror: the bare repository.
        name: the full name, one of our constants.
    """
    for _ in range(2):  # git writes packed-refs before it removes the small file: the second look finds it
        found = _loose(mirror / name) or _packed(mirror / "packed-refs", name)
        if found is not None:
            return found
    return None


def _loose(path: Path) -> str | None:
    try:
        text = path.read_text("ascii").strip()
    except (OSError, ValueError):
        return None
    return text if is_object_id(text) else None


def _packed(path: Path, wanted: str) -> str | None:
    try:
        lines = path.read_text("utf-8", "replace").splitlines()
    except OSError:
        return None
    for line in lines:
        object_id, _, name = line.partition(" ")
        if name == wanted:
            return object_id if is_object_id(object_id) else None
    return None
