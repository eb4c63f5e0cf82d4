"""What `muslin verify-install` found: for people, as JSON, as JUnit's XML."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from typing import Final

from blueprints.upstream.verify.lines import Line, Verdict
from muslin.cli.check_reports import Case, junit
from muslin.cli.printing import printable
from muslin.cli.tables import plain_table

__all__ = ["as_json", "as_junit", "as_text"]

_LONGEST: Final = 44


def as_text(lines: Sequence[Line]) -> str:
    """A table of all lines, then each that does not hold with its place, what to do and why, then the sum."""
    rows = [[each.verdict.value, each.check, _short(each.expected), _short(each.found)] for each in lines]
    parts = [plain_table(["VERDICT", "CHECK", "EXPECTED", "FOUND"], rows), ""]
    for each in lines:
        if each.verdict is not Verdict.HOLDS:
            parts += [*_told(each), ""]
    parts.append(_sum(lines))
    return "\n".join(parts)


def _short(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= _LONGEST else f"{line[: _LONGEST - 3]}..."


def _told(each: Line) -> list[str]:
    told = [f"{each.verdict.value}: {printable(each.check)}", f"  expected: {printable(each.expected)}"]
    if each.found:
        told.append(f"  found:    {printable(each.found)}")
    if each.place:
        told.append(f"  where:    {printable(each.place)}")
    if each.fix:
        told.append(f"  fix:      {printable(each.fix)}")
    return [*told, f"  rule:     {printable(each.source)}"]


def _sum(lines: Iterable[Line]) -> str:
    counted = [each.verdict for each in lines]
    told = ", ".join(f"{counted.count(verdict)} {verdict.value}" for verdict in Verdict)
    return f"{len(counted)} checks: {told}"


def as_json(lines: Sequence[Line]) -> str:
    """Every line with all of its fields."""
    told = [
        {
            "check": each.check,
            "expected": each.expected,
            "found": each.found,
            "verdict": each.verdict.value,
            "fix": each.fix,
            "source": each.source,
            "where": each.place,
        }
        for each in lines
    ]
    return json.dumps({"lines": told}, indent=2, ensure_ascii=False)


def as_junit(lines: Sequence[Line]) -> str:
    """One case a line; what can't be told is skipped."""
    return junit("muslin verify-install", (_case(each) for each in lines))


def _case(each: Line) -> Case:
    text = "\n".join(_told(each))
    if each.verdict is Verdict.CANNOT_TELL:
        return Case("muslin.verify-install", each.check, skipped=each.found)
    if each.verdict.is_wrong:
        message = f"{each.verdict.value}: expected {each.expected}, found {each.found or 'nothing'}"
        return Case("muslin.verify-install", each.check, (each.verdict.value, message), text)
    return Case("muslin.verify-install", each.check)
