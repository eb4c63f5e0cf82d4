"""A blueprint as text: YAML files with the decisions as comments above the fields they cause, and DECISIONS.md."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Mapping, Sequence
from types import MappingProxyType
from typing import Any

from blueprints.decision import Blueprint, Decision
from blueprints.stages import Procedure, Stage
from muslin.errors import BadInput, Failed, Problem
from muslin.resources import dump
from muslin.resources.base import Resource
from muslin.resources.places import FieldPath
from muslin.yaml.read import load
from muslin.yaml.write import Comments, dump_documents

__all__ = ["DECISIONS_FILE", "decisions_text", "procedure_text", "read_back", "render"]

DECISIONS_FILE = "DECISIONS.md"

_WIDTH = 100


def render(blueprint: Blueprint, groups: Iterable[str] | None = None) -> Mapping[str, str]:
    """Mapping[path, text]: the files of a blueprint's groups and `DECISIONS.md`. The same input gives the same text.

    Args:
        blueprint: what to write.
        groups: names of groups to write, all where None.

    Raises:
        ValueError: a group of this name does not exist.
    """
    known = {group.name: group for group in blueprint.groups}
    wanted = tuple(known) if groups is None else tuple(groups)
    missing = [name for name in wanted if name not in known]
    if missing:
        raise ValueError(f"no group is named {', '.join(missing)}; there are {', '.join(known)}")
    files = [each for name in wanted for each in known[name].files.items()]
    texts = {path: _file(blueprint, path, resources) for path, resources in files}
    return MappingProxyType({DECISIONS_FILE: decisions_text(blueprint), **texts})


def read_back(text: str, objects: Sequence[Mapping[str, Any]], path: str) -> str:
    """The text, which whoever reads it takes for exactly these objects: selectors, numbers and comments are traps.

    Raises:
        Failed: it is read as something else, or not at all. That is a mistake of this program.
    """
    fix = "report it with the file of facts; do not push this file"
    try:
        found = [document.value for document in load(text.encode(), path)]
    except BadInput as error:
        raise Failed(Problem(f"what was written can't be read: {error.problems[0].what}", path, fix)) from None
    if found != list(objects):
        raise Failed(Problem("what was written is read as something else", path, fix))
    return text


def _file(blueprint: Blueprint, path: str, resources: tuple[Resource, ...]) -> str:
    objects = [dump(resource) for resource in resources]
    comments = [
        Comments(fields=_comments(blueprint.decisions, resource, obj))
        for resource, obj in zip(resources, objects, strict=True)
    ]
    return read_back(dump_documents(objects, comments), objects, path)


def _comments(decisions: Iterable[Decision], resource: Resource, obj: Mapping[str, Any]) -> Mapping[FieldPath, str]:
    """Mapping[path, comment]: a decision stands above its first field; a field that is not written, above its parent.

    (Values that mean the same as their absence are not written.)
    """
    found: dict[FieldPath, list[str]] = {}
    for decision in decisions:
        path = next((path for key, path in decision.fields if key == resource.key), None)
        if path is not None:
            while path and not _stands(obj, path):
                path = path[:-1]
            told = f"{decision.name}: {decision.chosen}. {_sentence(decision.rule)}"
            found.setdefault(path or ("spec",), []).append("\n".join(textwrap.wrap(told, _WIDTH)))
    return {path: "\n".join(texts) for path, texts in found.items()}


def _stands(obj: Any, path: FieldPath) -> bool:
    for step in path:
        try:
            obj = obj[step]
        except (KeyError, IndexError):
            return False
    return True


def decisions_text(blueprint: Blueprint) -> str:
    """Every decision in Markdown: the answer, why, from what, against what, and what follows."""
    parts = [
        f"# Decisions for {blueprint.cluster}\n",
        f"Blueprint `{blueprint.name}`. Written by a program; a change belongs into the facts.\n",
    ]
    if blueprint.groups:
        parts.append("Push in this order:\n")
        parts.append(
            "".join(
                f"{index}. **{group.name}** ({', '.join(f'`{path}`' for path in group.files)}): {group.purpose}.\n"
                for index, group in enumerate(blueprint.groups, 1)
            )
        )
    first = 1
    for procedure in blueprint.procedures:
        parts.append(procedure_text(procedure, first))
        first += len(procedure.stages)
    parts.extend(_decision_text(decision) for decision in blueprint.decisions)
    return "\n".join(parts)


def procedure_text(procedure: Procedure, first: int = 1) -> str:
    """Its stages in Markdown, numbered from `first` on: what is done, why, what ends each, the way back."""
    lines = [f"## Do not push this at once: {procedure.name}", "", f"Stage by stage, so that {procedure.purpose}.", ""]
    for index, stage in enumerate(procedure.stages, first):
        lines += [f"### {index}. {_sentence(stage.name).rstrip('.')}", "", _sentence(stage.reason), "", *_done(stage)]
        lines += ["Go on when:", "", *(f"- {each}" for each in stage.until), "", f"Back: {stage.back}.", ""]
    lines.append(f"Source: {procedure.source}.")
    return "\n".join(lines) + "\n"


def _done(stage: Stage) -> Iterable[str]:
    if stage.commands:
        yield from ("```", *stage.commands, "```", "")
    if stage.write:
        yield from (f"Write: {', '.join(str(resource.key) for resource in stage.write)}.", "")
    if stage.remove:
        yield from (f"Remove: {', '.join(str(key) for key in stage.remove)}.", "")


def _decision_text(decision: Decision) -> str:
    lines = [f"## {_sentence(decision.name).rstrip('.')}: {decision.chosen}", "", _sentence(decision.rule), ""]
    if decision.inputs:
        lines += ["Because of:", "", *(f"- `{name}`: {value}" for name, value in decision.inputs.items()), ""]
    if decision.alternatives:
        lines += ["Not chosen:", "", *(f"- {each.name}: {each.against}" for each in decision.alternatives), ""]
    if decision.consequence:
        lines += [f"Consequence: {decision.consequence}.", ""]
    lines.append(f"Source: {decision.source}.")
    return "\n".join(lines) + "\n"


def _sentence(text: str) -> str:
    return f"{text[:1].upper()}{text[1:]}{'' if text.endswith('.') else '.'}"
