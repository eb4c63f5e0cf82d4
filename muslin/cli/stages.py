"""A change in stages as people read it: in the status the stage under way, in a plan all of them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

from muslin.cli.printing import printable
from muslin.cli.stored import mapping_at, mappings_at, text_at, value_at

__all__ = ["course_lines", "stage_lines"]

_SHOWN: Final = 15


def stage_lines(status: Mapping[str, Any], indent: str) -> Iterator[str]:
    """The stage that a set is in, from its status as stored: what ends it, and what people are to do. None without."""
    stage = mapping_at(status, "stage")
    if not stage:
        return
    number, of = text_at(stage, "number"), text_at(stage, "of")
    since = f", since {printable(text_at(stage, 'since'))}" if text_at(stage, "since") else ""
    name = f"{printable(text_at(stage, 'procedure'))}: {printable(text_at(stage, 'name'))}"
    yield f"{indent}stage {number} of {of}, {name}{since}"
    yield from (f"{indent}  until {line}" for line in _texts(stage, "until"))
    commands = _texts(stage, "commands")
    if commands:
        yield f"{indent}  this is for people to do{'' if value_at(stage, 'people') else ', beside it'}:"
        yield from (f"{indent}    {line}" for line in commands)
    unknown = any(text_at(gate, "standing") == "NotAvailable" for gate in mappings_at(status, "gates"))
    if value_at(stage, "confirmable") or unknown:
        yield f"{indent}  when it is so and is not seen here: muslin confirm stage {number}"


def course_lines(course: Mapping[str, Any], *, full: bool) -> Iterator[str]:
    """All stages, from a plan's JSON; of many the first, and how many there are more."""
    yield f"In {text_at(course, 'of')} stages, each when the one before has ended:"
    for procedure in course["procedures"]:
        stages = procedure["stages"]
        shown = stages if full or len(stages) <= _SHOWN + 1 else stages[:_SHOWN]
        yield ""
        yield f"  {printable(procedure['name'])}: {printable(procedure['purpose'])}"
        for stage in shown:
            mark = ">" if stage["number"] == course["stage"] else " "
            yield f"  {mark} {stage['number']}. {printable(stage['name'])} ({printable(stage['reason'])})"
            yield from (f"       write {printable(key)}" for key in stage["write"])
            yield from (f"       remove {printable(key)}" for key in stage["remove"])
            yield from (f"       for people: {printable(line)}" for line in stage["commands"])
            yield from (f"       until {printable(each['meaning'])}" for each in stage["until"])
        if len(shown) < len(stages):
            yield f"    {len(stages) - len(shown):,} stages more; --full shows all"


def _texts(stage: Mapping[str, Any], name: str) -> list[str]:
    found = stage.get(name)
    return [printable(str(each)) for each in found] if isinstance(found, list) else []
