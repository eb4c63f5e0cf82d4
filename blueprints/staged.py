"""A blueprint's files as they are while a running cluster changes: after each stage, for a commit of its own."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from types import MappingProxyType
from typing import TYPE_CHECKING, Final

from blueprints.decision import Blueprint, Decision, FileGroup
from blueprints.stages import Stage, after_stage, count_of_stages
from muslin.resources.keys import Key

if TYPE_CHECKING:
    from muslin.resources.base import Resource

__all__ = ["FILE_OF", "in_files", "staged", "stages_of", "states_of", "written_to"]

FILE_OF: Final[Mapping[str, str]] = MappingProxyType(
    {
        "IPPool": "network/ip-pools.yaml",
        "BGPConfiguration": "network/bgp.yaml",
        "BGPPeer": "network/bgp-peers.yaml",
        "Node": "network/nodes.yaml",
        "FelixConfiguration": "network/felix.yaml",
    }
)
"""Mapping[kind, path]: where objects of the network group stand; see `in_files`."""


_MOST_IN_A_FILE: Final = 1000
"""Objects of nodes: fewer than a file of a repository may hold, however long their names are."""


def in_files(path: str, held: Sequence[Resource]) -> Mapping[str, tuple[Resource, ...]]:
    """Mapping[path, resources]: in this file, and for many nodes in others beside it, as `nodes-2.yaml`."""
    stem = path.removesuffix(".yaml")
    starts = range(0, len(held), _MOST_IN_A_FILE)
    return {
        path if number == 1 else f"{stem}-{number}.yaml": tuple(held[start : start + _MOST_IN_A_FILE])
        for number, start in enumerate(starts, 1)
    }


def written_to(kind: str, file: str | None) -> bool:
    """Whether a blueprint writes objects of a kind to this file, or one beside it."""
    path = FILE_OF.get(kind)
    return (
        path is not None
        and re.fullmatch(rf"{re.escape(path.removesuffix('.yaml'))}(-\d+)?\.yaml", file or "") is not None
    )


def stages_of(blueprint: Blueprint) -> tuple[Stage, ...]:
    """Of all procedures, in order: stage 1 is the first."""
    return tuple(stage for each in blueprint.procedures for stage in each.stages)


def staged(blueprint: Blueprint, number: int) -> Blueprint:
    """The same with the files that are pushed in a stage; from the last stage on they are as decided.

    Args:
        blueprint: with procedures.
        number: of the stage, from 1 on.

    Raises:
        ValueError: there is no such stage.
    """
    state = after_stage(blueprint.procedures, blueprint.resources, number)
    final = {each.key: each for each in blueprint.resources}
    places = {each.key: path for path, held in blueprint.files.items() for each in held}
    files: dict[str, list[Resource]] = {path: [] for path in blueprint.files}
    for key, resource in state.items():
        files.setdefault(places.get(key) or FILE_OF[key.kind], []).append(resource)
    groups = tuple(
        FileGroup(group.name, group.purpose, MappingProxyType(dict(_of_group(group, files))))
        for group in blueprint.groups
    )
    as_decided = {key for key, resource in state.items() if final.get(key) == resource}
    return replace(blueprint, groups=groups, decisions=tuple(_about(each, as_decided) for each in blueprint.decisions))


def _of_group(group: FileGroup, files: Mapping[str, list[Resource]]) -> Iterator[tuple[str, tuple[Resource, ...]]]:
    for path, held in files.items():
        if held and (path in group.files or path.partition("/")[0] == group.name):
            yield path, tuple(held)


def _about(decision: Decision, keys: set[Key]) -> Decision:
    """A decision stands above fields that are as it says; others have their stage still before them."""
    return replace(decision, fields=tuple(each for each in decision.fields if each[0] in keys))


def states_of(blueprint: Blueprint) -> Iterator[Mapping[Key, Resource]]:
    """What is declared in each stage, the final state last; that alone where there are no procedures."""
    for number in range(1, count_of_stages(blueprint.procedures) + 1):
        yield after_stage(blueprint.procedures, blueprint.resources, number)
    if not blueprint.procedures:
        yield {each.key: each for each in blueprint.resources}
