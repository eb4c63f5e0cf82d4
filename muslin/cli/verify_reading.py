"""A rendered installation as values: files, folders, standard input, and folders of kustomize with their patches.

A text that is no YAML is told and the rest is read: one bad document must not hide what is wrong in the others.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from blueprints.upstream.verify.installed import Found, Installed
from muslin.cli.blueprint import read_text
from muslin.cli.documents import objects_of_text
from muslin.cli.strategic import PatchRefused, strategic_merge
from muslin.cli.wording import Ended
from muslin.errors import BadInput, Problem

__all__ = ["read_installation"]

_SUFFIXES: Final = (".yaml", ".yml", ".json")
_KUSTOMIZATIONS: Final = ("kustomization.yaml", "kustomization.yml", "Kustomization")
_UNDERSTOOD: Final = frozenset({"apiVersion", "kind", "metadata", "resources", "patches", "patchesStrategicMerge"})
_MERGE_KEYS: Final = {
    "containers": "name",
    "env": "name",
    "initContainers": "name",
    "volumeMounts": "mountPath",
    "volumes": "name",
}
"""Mapping[list of a pod, the field that tells its entries apart]; source: the API's `patchMergeKey`."""
_LARGEST: Final = 64 << 20


def read_installation(names: Sequence[str]) -> tuple[Installed, tuple[Problem, ...]]:
    """What files and folders say, and what of them could not be read.

    Args:
        names: files, folders, `-` for standard input.

    Raises:
        BadInput: one is not there, or kustomize does more in it than patches.
    """
    problems: list[Problem] = []
    found: list[Found] = []
    for name in names:
        found += _of_name(name, problems)
    return Installed(tuple(found)), tuple(problems)


def _of_name(name: str, problems: list[Problem], inside: tuple[Path, ...] = ()) -> list[Found]:
    """`inside` are the kustomizations that name it, from the outermost on."""
    path = Path(name)
    try:
        folder = name != "-" and path.is_dir()
    except (OSError, ValueError):
        folder = False
    if not folder:
        return list(_of_text(_octets(name), "standard input" if name == "-" else name, problems))
    kustomization = next((path / each for each in _KUSTOMIZATIONS if (path / each).is_file()), None)
    if kustomization is not None:
        return _kustomized(kustomization, problems, inside)
    files = sorted(each for each in path.rglob("*") if each.suffix in _SUFFIXES and each.is_file())
    if not files:
        raise BadInput(Problem("the folder holds no manifests", name, "put .yaml, .yml or .json files in it"))
    return [each for file in files for each in _of_text(_octets(str(file)), str(file), problems)]


def _octets(name: str) -> bytes:
    """Upstream's own file is long, for it holds the definitions of all kinds."""
    return read_text(name, _LARGEST)


def _of_text(text: bytes, shown: str, problems: list[Problem]) -> Iterator[Found]:
    try:
        yield from _objects(text, shown)
    except Ended:
        for part in _documents(text):
            try:
                yield from _objects(part, shown)
            except Ended as error:
                problems.extend(error.problems)


def _objects(text: bytes, shown: str) -> list[Found]:
    return [Found(each.value, shown, each.places) for each in objects_of_text(text, shown)]


def _documents(text: bytes) -> Iterator[bytes]:
    """The documents of a text, each below as many empty lines as stand before it, so that its places are right."""
    before, lines = 0, list[bytes]()
    for number, line in enumerate(text.splitlines(keepends=True)):
        if line.startswith(b"---"):
            yield b"\n" * before + b"".join(lines)
            before, lines = number + 1, []
            if line[3:].strip():
                before, lines = number, [b" " * 3 + line[3:]]
        else:
            lines.append(line)
    yield b"\n" * before + b"".join(lines)


def _kustomized(file: Path, problems: list[Problem], inside: tuple[Path, ...]) -> list[Found]:
    """What kustomize would make of a folder, as far as it is resources and patches."""
    if file.resolve() in inside:
        fix = "take the folder out of its own resources"
        raise BadInput(Problem("the kustomization is part of itself", str(file), fix))
    by_hand = f"let kustomize do it: kubectl kustomize {file.parent} | muslin verify-install ... -"
    told = [each.value for each in _of_text(_octets(str(file)), str(file), problems)]
    whole: Mapping[str, Any] = told[0] if len(told) == 1 else {}
    further = sorted(set(whole) - _UNDERSTOOD)
    if not whole or further:
        what = f"kustomize does more here: {', '.join(further)}" if further else "this is no Kustomization"
        raise BadInput(Problem(what, str(file), by_hand))
    found: list[Found] = []
    for name in _texts(whole, "resources", file, by_hand):
        if not (file.parent / name).exists():
            fix = f"save it there, or {by_hand}"
            raise BadInput(Problem(f"{name}, which kustomization.yaml names, is not there", str(file.parent), fix))
        found += _of_name(str(file.parent / name), problems, (*inside, file.resolve()))
    paths = [*_patches(whole, file, by_hand), *_texts(whole, "patchesStrategicMerge", file, by_hand)]
    for name in paths:
        for patch in _of_text(_octets(str(file.parent / name)), str(file.parent / name), problems):
            found = _patched(found, patch, by_hand)
    return found


def _texts(whole: Mapping[str, Any], field: str, file: Path, fix: str) -> list[str]:
    given = whole.get(field) or []
    if not isinstance(given, list) or not all(isinstance(each, str) and "\n" not in each for each in given):
        raise BadInput(Problem(f"{field} is more than names of files", str(file), fix))
    return given


def _patches(whole: Mapping[str, Any], file: Path, fix: str) -> list[str]:
    given = whole.get("patches") or []
    if not isinstance(given, list) or not all(isinstance(each, Mapping) and set(each) == {"path"} for each in given):
        raise BadInput(Problem("patches are more than paths of files", str(file), fix))
    return _texts({"patches": [each["path"] for each in given]}, "patches", file, fix)


def _patched(found: list[Found], patch: Found, by_hand: str) -> list[Found]:
    """The objects with a patch merged into the one it names, which loses its places; `$patch: delete` takes it out."""
    for index, each in enumerate(found):
        if (each.kind, each.name, each.namespace) == (patch.kind, patch.name, patch.namespace):
            if patch.value.get("$patch") == "delete":
                return [*found[:index], *found[index + 1 :]]
            try:
                merged = strategic_merge(each.value, patch.value, _MERGE_KEYS)
            except (PatchRefused, AttributeError) as error:
                raise BadInput(Problem(f"the patch does not fit: {error}", patch.place(), by_hand)) from None
            return [*found[:index], Found(merged, f"{each.source} and {patch.source}"), *found[index + 1 :]]
    what = f"the patch is of {patch.kind} {patch.name}, which none of the resources is"
    raise BadInput(Problem(what, patch.place(), f"name the file that holds it under resources, or {by_hand}"))
