"""A plan as a comment for a review: tables that fold, differences as `diff`, nothing in it that acts. Pure."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any, Final

from reconciler.course import Course, commands_of
from reconciler.plan import Action, Cause, Plan, Step
from reconciler.report import Report
from reconciler.report_fields import Field, fields
from reconciler.report_words import Section, closing_lines, counted, sections

__all__ = ["DEEDS", "markdown", "totals"]

_CHARACTERS: Final = 20_000
"""Characters of all differences of one list: reviews take comments of some 60,000."""

DEEDS: Final = {Action.CREATE: "create", Action.UPDATE: "change", Action.ADOPT: "take over", Action.DELETE: "remove"}
"""How people call each action."""

_STEPS: Final = 100
"""Steps that are shown where not all are asked for: a comment has an end, also where it is kept."""


def markdown(report: Report, *, full: bool = False) -> str:
    """The whole comment."""
    return "\n".join(_lines(report, full=full)) + "\n"


def totals(proposed: Plan) -> str:
    """All counts in one line."""
    counts = proposed.counts
    told = [f"{counts[action.value]} to {DEEDS[action]}" for action in Action if counts[action.value]]
    drift = f", of these {counts['drift']} drift" if counts["drift"] else ""
    blocked = f"; {counts['blocked']} not possible now" if counts["blocked"] else ""
    return f"{', '.join(told) or 'Nothing to change'}{drift}; {counts['unchanged']} as declared{blocked}."


def _lines(report: Report, *, full: bool) -> Iterator[str]:
    proposed = report.plan
    yield f"### Plan of {_code(proposed.commit[:12] if len(proposed.commit) == 40 else proposed.commit)}"
    yield ""
    yield f"**{totals(proposed)}**"
    if report.held is not None:
        reason, problem = report.held
        yield f"\n:no_entry: The reconciler would hold this commit: {_text(problem.what)} ({reason.value})"
    if report.paused:
        yield "\n:pause_button: The reconciler is paused: the datastore is not ready."
    if report.effect is not None:
        yield from _effect(report, full=full)
    for each in proposed.blocked:
        yield f"\n:warning: Not done: {_text(each.problem.what)} ({each.why.value})<br>fix: {_text(each.problem.fix)}"
    if proposed.course is not None:
        yield from _course(proposed.course, full=full)
    for cause, title in ((Cause.CHANGE, "Changes, in their order"), (Cause.DRIFT, "Drift that is put back")):
        steps = [step for step in report.steps() if step.cause is cause]
        if steps:
            yield from _steps(title, steps, full=full)
    if proposed.steps:
        yield f"\nOrder: {_text('; '.join(report.order()))}"
    for each_probe in report.probes:
        yield f"\nProbe between the levels and after the last, if the reconciler may ask: {_text(each_probe)}"
    for each_probe in report.probes_gone:
        yield f"\n:warning: Not asked any more: {_text(each_probe)}"
    for problem in report.unread:
        yield f"\n:warning: Not read, and taken as missing: {_text(problem.where)}: {_text(problem.what)}"
    if report.digest is not None and (proposed.steps or proposed.course):
        yield f"\nTo approve this plan and no other: {_code(f'muslin approve {report.digest}')}"


def _course(course: Course, *, full: bool) -> Iterator[str]:
    yield f"\n#### In {len(course.stages)} stages, each when the one before has ended"
    number = 0
    for procedure in course.procedures:
        yield f"\n{_text(procedure.name)}: {_text(procedure.purpose)}\n"
        shown = procedure.stages if full else procedure.stages[:_STEPS]
        for stage in shown:
            number += 1
            what = [f"write {each.key}" for each in stage.write] + [f"remove {key}" for key in stage.remove]
            what += [f"for people: {line}" for line in commands_of(stage)]
            yield f"{number}. **{_text(stage.name)}**: {_text(stage.reason)}"
            yield from (f"   - {_text(each)}" for each in (*what, *(f"until {each}" for each in stage.until)))
        if len(shown) < len(procedure.stages):
            yield f"\n{counted(len(procedure.stages) - len(shown), 'stage')} more; `--full` shows all."
            number += len(procedure.stages) - len(shown)


def _effect(report: Report, *, full: bool) -> Iterator[str]:
    found = report.effect
    assert found is not None
    if report.plan.steps and not found.endpoints:
        yield "\n:warning: No endpoints are known, so nothing is told of traffic."
    for section in sections(found, full=full):
        yield from _section(section)
    for line in closing_lines(found, full=full):
        yield f"\n{_text(line)}"
    if report.plan.steps and not found and found.endpoints:
        yield f"\nNo traffic, session, prefix, address or MTU changes{' that can be told' if found.unjudged else ''}."


def _section(section: Section) -> Iterator[str]:
    yield f"\n#### {_text(section.title)}"
    if section.rows:
        yield ""
        yield f"| {' | '.join(section.headings)} |"
        yield f"|{'---|' * len(section.headings)}"
        for row in section.rows:
            yield f"| {' | '.join(map(_text, row))} |"
    if section.left_out:
        yield f"\n{_text(section.left_out)}; `--full` shows all."


def _steps(title: str, steps: list[Step], *, full: bool) -> Iterator[str]:
    shown, room = (steps, None) if full else (steps[:_STEPS], _CHARACTERS)
    yield f"\n<details><summary>{title} ({len(steps)})</summary>\n"
    for step in shown:
        place = "" if step.place is None else f" {_text(step.place)}"
        yield f"{DEEDS[step.action]} **{_text(str(step.key))}**{place}, now: {step.owner.value}"
        whole = [line for each in fields(step) for line in _difference(each)]
        lines = whole if room is None else _within(whole, room)
        room = None if room is None else room - sum(len(line) + 1 for line in lines)
        if lines:
            fence = "`" * max(3, 1 + max((len(run) for line in lines for run in re.findall(r"`+", line)), default=0))
            yield f"\n{fence}diff"
            yield from lines
            yield f"{fence}\n"
        if len(lines) < len(whole):
            yield f"\n{counted(len(whole) - len(lines), 'line')} more; `--full` shows all.\n"
    if len(shown) < len(steps):
        yield f"\n{counted(len(steps) - len(shown), 'step')} more; `--full` shows all."
    yield "</details>"


def _within(lines: list[str], room: int) -> list[str]:
    """The first lines that have room together."""
    for at, line in enumerate(lines):
        room -= len(line) + 1
        if room < 0:
            return lines[:at]
    return lines


def _difference(field: Field) -> Iterator[str]:
    whose = "" if field.owner in ("us", "nobody") else f"  # of {field.owner}"
    for sign, value, of in (("-", field.old, whose), ("+", field.new, "")):
        if value is not None:
            yield from (_one_line(f"{sign} {path}: {_value(leaf)}{of}") for path, leaf in _leaves(field.path, value))


def _leaves(path: str, value: Any) -> Iterator[tuple[str, Any]]:
    """A new object is taken apart into its fields."""
    if isinstance(value, Mapping) and value:
        for name, inner in value.items():
            yield from _leaves(f"{path}[{name!r}]" if "." in name or "/" in name else f"{path}.{name}", inner)
    elif isinstance(value, list | tuple) and value:
        for index, inner in enumerate(value):
            yield from _leaves(f"{path}[{index}]", inner)
    else:
        yield path, value


def _value(value: Any) -> str:
    return value if isinstance(value, str) and value else json.dumps(value, ensure_ascii=False, default=str)


def _one_line(text: str) -> str:
    return "".join(character if character.isprintable() else ascii(character)[1:-1] for character in text)


def _text(text: str) -> str:
    """Text of others, with nothing left that a review would take for more than text: no tag, link, mention or table."""
    plain = _one_line(text).replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    return re.sub(r"[\\`*_\[\]|#@~!$]|:(?=//)|(?<=www)\.", lambda found: f"&#{ord(found.group())};", plain)


def _code(text: str) -> str:
    return f"`{_one_line(text).replace('`', chr(0x2019))}`"
